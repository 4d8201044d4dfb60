"""Steps of a server as a judge sees them, and for each rule one that breaks it."""

from __future__ import annotations

from dataclasses import replace

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Log,
    Message,
    NodeState,
    NotLeader,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Role,
    Send,
)
from spec.conduct import Conduct, watch
from spec.shadow import NO_EVIDENCE, Evidence, Shadow

# Everything happens at S1 of three servers.

FOLLOWER, CANDIDATE = Follower(), Candidate(frozenset({1}))
LEADER = Leader(IndexMap.uniform((2, 3), 1), IndexMap.uniform((2, 3), 0))
A, B, C = Entry(1, "a"), Entry(1, "b"), Entry(2, "c")


def server(
    term: int = 1,
    vote: int | None = None,
    role: Role = FOLLOWER,
    log: tuple[Entry, ...] = (),
    commit: int = 0,
) -> NodeState:
    persistent = PersistentState(current_term=term, voted_for=vote, log=Log(log))
    return NodeState(persistent, role, commit_index=commit, last_applied=commit)


def request_vote(term: int = 1, last: tuple[int, int] = (0, 0), source: int = 2) -> RequestVote:
    index, last_term = last
    return RequestVote(
        source=source,
        destination=3 - source,
        term=term,
        last_log_index=index,
        last_log_term=last_term,
    )


def vote(term: int = 1, granted: bool = True, source: int = 2) -> RequestVoteReply:
    return RequestVoteReply(source=source, destination=3 - source, term=term, vote_granted=granted)


def append(
    *entries: Entry, term: int = 1, prev: tuple[int, int] = (0, 0), commit: int = 0, source: int = 2
) -> AppendEntries:
    index, prev_term = prev
    return AppendEntries(
        source=source,
        destination=3 - source,
        term=term,
        prev_log_index=index,
        prev_log_term=prev_term,
        entries=entries,
        leader_commit=commit,
    )


def success(index: int, term: int = 1, source: int = 2) -> AppendEntriesReply:
    return AppendEntriesReply(
        source=source, destination=3 - source, term=term, success=True, match_index=index
    )


def step(
    before: NodeState,
    event: Event | Message,
    after: NodeState,
    *sent: Message | Output,
    evidence: Evidence = NO_EVIDENCE,
) -> Conduct:
    """What S1 did."""
    messages = RequestVote | RequestVoteReply | AppendEntries | AppendEntriesReply
    outputs = tuple(Send(each) if isinstance(each, messages) else each for each in sent)
    happened = Receive(event) if isinstance(event, messages) else event
    shadow = Shadow(1, frozenset({1, 2, 3}), before, evidence)
    return watch(shadow, happened, after, outputs)


LED = server(vote=1, role=LEADER, log=(A,))
BREACHES: list[tuple[str, Conduct]] = [
    ("TERM-MONOTONIC", step(server(2), HeartbeatTimeout(), server(1))),
    ("TERM-ADOPT", step(server(1), request_vote(3), server(2))),
    ("TERM-ADOPT", step(server(1), HeartbeatTimeout(), server(2))),
    ("TERM-STEP-DOWN", step(LED, request_vote(2), replace(LED, persistent=server(2).persistent))),
    ("VOTE-ONCE", step(server(1, 2), request_vote(1, source=2), server(1, 3))),
    ("VOTE-ONCE", step(server(1, 2), append(), server(1, None))),
    ("VOTE-SELF", step(server(0), ElectionTimeout(), server(1, None, CANDIDATE))),
    ("VOTE-REQUESTED", step(server(1), HeartbeatTimeout(), server(1, 2))),
    ("VOTE-REQUESTED", step(server(1), request_vote(source=2), server(1, 3))),
    ("VOTE-REQUESTED", step(server(2), request_vote(term=1), server(2, 2))),
    (
        "VOTE-UP-TO-DATE",
        step(server(2, log=(A, B)), request_vote(2, last=(1, 1)), server(2, 2, log=(A, B))),
    ),
    (
        "VOTE-UP-TO-DATE",
        step(server(3, log=(C,)), request_vote(3, last=(2, 1)), server(3, 2, log=(C,))),
    ),
    ("VOTE-TRUTHFUL", step(server(), request_vote(), server(), vote(source=1))),
    ("VOTE-GRANT-TERM", step(server(1, 2), request_vote(1), server(1, 2), vote(2, source=1))),
    (
        "VOTE-REQUEST-TRUTHFUL",
        step(server(0), ElectionTimeout(), server(1, 1, CANDIDATE), request_vote(2, source=1)),
    ),
    (
        "VOTE-REQUEST-TRUTHFUL",
        step(
            server(1, log=(A,)),
            ElectionTimeout(),
            server(2, 1, CANDIDATE, (A,)),
            request_vote(2, last=(2, 1), source=1),
        ),
    ),
    ("ELECT-QUORUM", step(server(1, 1, CANDIDATE), HeartbeatTimeout(), server(1, 1, LEADER))),
    ("ELECT-QUORUM", step(server(1, 1, CANDIDATE), vote(granted=False), server(1, 1, LEADER))),
    ("ELECT-QUORUM", step(server(2, 1, CANDIDATE), vote(term=1), server(2, 1, LEADER))),
    ("ELECT-CANDIDATE", step(server(1, 1, FOLLOWER), vote(), server(1, 1, LEADER))),
    ("LEADER-APPEND-ONLY", step(LED, HeartbeatTimeout(), server(1, 1, LEADER, ()))),
    ("LEADER-APPEND-ONLY", step(LED, ClientRequest("b"), server(1, 1, LEADER, (B,)))),
    (
        "LEADER-ENTRY-TERM",
        step(server(2, 1, LEADER), ClientRequest("a"), server(2, 1, LEADER, (A,))),
    ),
    ("LOG-SOURCE", step(server(), ClientRequest("a"), server(log=(A,)))),
    ("LOG-SOURCE", step(server(1, 1, CANDIDATE, (A,)), vote(), server(1, 1, LEADER, ()))),
    ("FOLLOWER-CURRENT-TERM", step(server(2), append(A, term=1), server(2, log=(A,)))),
    ("FOLLOWER-CURRENT-TERM", step(server(1), append(A, term=2), server(1, log=(A,)))),
    (
        "FOLLOWER-PREV-MATCH",
        step(server(2, log=(A,)), append(C, term=2, prev=(1, 2)), server(2, log=(A, C))),
    ),
    ("FOLLOWER-SPLICE-SOURCE", step(server(), append(A), server(log=(B,)))),
    ("FOLLOWER-SPLICE-SOURCE", step(server(), append(A), server(log=(A, B)))),
    ("FOLLOWER-SPLICE-CONFLICT", step(server(log=(A, B)), append(A), server(log=(A,)))),
    ("FOLLOWER-SPLICE-CONFLICT", step(server(log=(A, B)), append(), server())),
    (
        "FOLLOWER-SPLICE-CONFLICT",
        step(server(2, log=(A, B)), append(C, term=2), server(2, log=(C, B))),
    ),
    (  # what follows the conflict is kept, since the request has something at its index, too
        "FOLLOWER-SPLICE-CONFLICT",
        step(server(2, log=(A, B)), append(C, C, term=2), server(2, log=(C, B))),
    ),
    (  # what conflicts is kept, and something is added behind it
        "FOLLOWER-SPLICE-CONFLICT",
        step(server(2, log=(A,)), append(C, C, term=2), server(2, log=(A, C))),
    ),
    ("APPEND-LEADER", step(server(1, 2), HeartbeatTimeout(), server(1, 2), append(source=1))),
    ("APPEND-LEADER", step(LED, HeartbeatTimeout(), LED, append(term=2, source=1))),
    ("APPEND-TRUTHFUL", step(LED, HeartbeatTimeout(), LED, append(B, source=1))),
    ("APPEND-TRUTHFUL", step(LED, HeartbeatTimeout(), LED, append(prev=(1, 2), source=1))),
    ("APPEND-TRUTHFUL", step(LED, HeartbeatTimeout(), LED, append(prev=(2, 1), source=1))),
    ("APPEND-COMMIT", step(LED, HeartbeatTimeout(), LED, append(commit=1, source=1))),
    ("ACK-TERM", step(server(2), append(term=1), server(2), success(0, term=1, source=1))),
    ("ACK-CONFIRMED", step(server(log=(A,)), append(), server(log=(A,)), success(1, source=1))),
    ("ACK-CONFIRMED", step(server(), append(A), server(), success(1, source=1))),
    (
        "COMMIT-MONOTONIC",
        step(server(log=(A,), commit=1), append(), server(log=(A,), commit=0)),
    ),
    ("COMMIT-QUORUM", step(LED, ClientRequest("b"), server(1, 1, LEADER, (A, B), commit=1))),
    ("COMMIT-QUORUM", step(LED, success(0), replace(LED, commit_index=1))),
    (
        "COMMIT-CURRENT-TERM",
        step(server(2, 1, LEADER, (A,)), success(1, term=2), server(2, 1, LEADER, (A,), commit=1)),
    ),
    (
        "COMMIT-CONFIRMED",
        step(server(log=(A,)), append(commit=1), server(log=(A,), commit=1)),
    ),
    ("COMMIT-CLAIMED", step(server(), append(A), server(log=(A,), commit=1))),
    (
        "COMMIT-STABLE",
        step(server(2, log=(A,), commit=1), append(C, term=2), server(2, log=(C,), commit=1)),
    ),
    ("APPLY-COMMITTED", step(server(), append(A), server(log=(A,)), Apply(1, A))),
    (
        "APPLY-COMMITTED",
        step(
            server(log=(A,)), append(prev=(1, 1), commit=1), server(log=(A,), commit=1), Apply(1, B)
        ),
    ),
    (  # what was never applied is committed only as far as the server knows now
        "APPLY-COMMITTED",
        step(server(log=(A, B), commit=2), Restart(), server(log=(A, B)), Apply(1, A)),
    ),
    (
        "APPLY-COMMITTED",
        step(
            server(log=(A, B), commit=1),
            Restart(),
            server(log=(A, B)),
            Apply(1, A),
            Apply(2, B),
            evidence=Evidence(applied=1, ever_applied=1),
        ),
    ),
    (  # skips the first
        "APPLY-ORDER",
        step(server(), append(A, B, commit=2), server(log=(A, B), commit=2), Apply(2, B)),
    ),
    (  # twice in a step
        "APPLY-ORDER",
        step(server(), append(A, commit=1), server(log=(A,), commit=1), Apply(1, A), Apply(1, A)),
    ),
    (  # the wrong way round
        "APPLY-ORDER",
        step(
            server(log=(A, B), commit=2),
            HeartbeatTimeout(),
            server(log=(A, B), commit=2),
            Apply(3, A),
            Apply(2, B),
            evidence=Evidence(applied=2, ever_applied=2),
        ),
    ),
    (  # twice, in different steps
        "APPLY-ORDER",
        step(
            server(log=(A,), commit=1),
            HeartbeatTimeout(),
            server(log=(A,), commit=1),
            Apply(1, A),
            evidence=Evidence(applied=1, ever_applied=1),
        ),
    ),
    (  # a gap beyond what was applied before the restart
        "APPLY-ORDER",
        step(
            server(log=(A, B, B), commit=3),
            Restart(),
            server(log=(A, B, B), commit=3),
            Apply(3, B),
            evidence=Evidence(applied=1, ever_applied=1),
        ),
    ),
    ("RESTART-TERM", step(server(2), Restart(), server(1))),
    ("RESTART-VOTE", step(server(1, 2), Restart(), server(1, None))),
    ("RESTART-LOG", step(server(log=(A,)), Restart(), server())),
    ("REDIRECT-LEADER", step(server(1), ClientRequest("a"), server(1), NotLeader(2))),
    (  # itself, which has only asked for votes
        "REDIRECT-LEADER",
        step(server(1, 1, CANDIDATE), ClientRequest("a"), server(1, 1, CANDIDATE), NotLeader(1)),
    ),
    (  # the leader of an earlier term
        "REDIRECT-LEADER",
        step(
            server(1),
            request_vote(2, source=3),
            server(2, 3),
            NotLeader(2),
            evidence=Evidence(leaders=frozenset({2})),
        ),
    ),
    ("MESSAGE-WELL-FORMED", step(server(), HeartbeatTimeout(), server(), vote(source=2))),
    ("MESSAGE-WELL-FORMED", step(LED, HeartbeatTimeout(), LED, append(C, source=1))),
    (
        "MESSAGE-WELL-FORMED",
        step(server(), HeartbeatTimeout(), server(), replace(vote(source=1), destination=1)),
    ),
]
