"""Each milestone is reached by what it is named after, and by nothing that only looks like it.

A property that holds is said to hold vacuously where its milestones were not reached; so one that
counts too much hides that nothing could have been broken.
"""

from __future__ import annotations

from raft_ref import (
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    NodeState,
    NotLeader,
    Receive,
    RequestVoteReply,
    Restart,
    Send,
)
from spec.forms import Step
from spec.milestones import MILESTONES
from spec.properties import PROPERTIES, RaftStep
from tests.conducts import CANDIDATE, LEADER, A, B, C, append, request_vote, server, success, vote


def does(before: NodeState, event: Event | Message, after: NodeState, *sent: Message) -> RaftStep:
    """A step of server 1."""
    events = ElectionTimeout | HeartbeatTimeout | ClientRequest | Restart
    happened = event if isinstance(event, events) else Receive(event)  # type: ignore[arg-type] # a message
    return Step(1, before, happened, after, tuple(map(Send, sent)))


def stays(state: NodeState, event: Event | Message, *sent: Message) -> RaftStep:
    return does(state, event, state, *sent)


REFUSES = RequestVoteReply(source=1, destination=2, term=1, vote_granted=False)
GRANTS = vote(source=1)
REJECTS = AppendEntriesReply(source=1, destination=2, term=1, success=False, match_index=0)
LEADS, STANDS = server(1, 1, LEADER), server(1, 1, CANDIDATE)
QUIET = HeartbeatTimeout()

REACHED: dict[str, tuple[list[RaftStep], list[RaftStep]]] = {
    "election": (
        [
            does(STANDS, vote(), LEADS),
            # A server that is a majority by itself is elected anew in a single step.
            does(LEADS, ElectionTimeout(), server(2, 1, LEADER)),
        ],
        [stays(LEADS, vote()), stays(STANDS, vote()), does(LEADS, Restart(), server(1, 1))],
    ),
    "contested_election": (
        [stays(server(1, 3), request_vote(), REFUSES), stays(STANDS, request_vote(), REFUSES)],
        [
            stays(server(1), request_vote(), REFUSES),  # for its log, then
            stays(server(2, 3), request_vote(1), REFUSES),  # of a term that is over
            does(server(1), request_vote(), server(1, 2), GRANTS),
            stays(server(1, 3), request_vote()),
            stays(server(1, 3), append(), REFUSES),
        ],
    ),
    "vote_refused_for_log": (
        [stays(server(1, log=(A,)), request_vote(), REFUSES)],
        [
            stays(server(1, 3, log=(A,)), request_vote(), REFUSES),
            stays(server(2, log=(A,)), request_vote(1), REFUSES),
            stays(server(1, log=(A,)), request_vote()),
            does(server(1), request_vote(), server(1, 2), GRANTS),
        ],
    ),
    "split_vote": (
        [does(STANDS, ElectionTimeout(), server(2, 1, Candidate(frozenset({1}))))],
        [does(server(1), ElectionTimeout(), server(2, 1, CANDIDATE)), stays(STANDS, QUIET)],
    ),
    "leader_change": (
        [does(LEADS, append(term=2), server(2))],
        [
            stays(LEADS, append(term=1)),
            does(LEADS, request_vote(2), server(2)),
            does(STANDS, append(term=2), server(2)),
            stays(server(1), append(term=2)),
        ],
    ),
    "election_with_entries": (
        [does(server(1, 1, CANDIDATE, (A,)), vote(), server(1, 1, LEADER, (A,)))],
        [
            does(STANDS, vote(), server(1, 1, LEADER, (A,))),  # which it has appended since
            stays(server(1, 1, LEADER, (A,)), vote()),
            stays(server(1, 1, CANDIDATE, (A,)), vote()),
        ],
    ),
    "append": (
        [does(LEADS, ClientRequest("a"), server(1, 1, LEADER, (A,)))],
        [
            stays(LEADS, ClientRequest("a")),
            does(server(1), append(A), server(1, log=(A,))),
            stays(server(1, 1, LEADER, (A,)), ClientRequest("b")),
        ],
    ),
    "replication": (
        [does(server(1), append(A), server(1, log=(A,)))],
        [
            stays(server(1, log=(A,)), append(A)),
            does(server(1, log=(A, B)), append(A), server(1, log=(A,))),
            does(LEADS, ClientRequest("a"), server(1, 1, LEADER, (A,))),
            does(STANDS, append(A), server(1, 1, CANDIDATE, (A,))),
        ],
    ),
    "rejection": (
        [stays(server(1), append(B, prev=(1, 1)), REJECTS)],
        [
            stays(server(2), append(B, prev=(1, 1)), REJECTS),  # of a term that is over
            stays(server(1), append(A), success(1, source=1)),
            stays(server(1), append(B, prev=(1, 1))),
            stays(server(1), request_vote(), REJECTS),
        ],
    ),
    "truncation": (
        [
            does(server(2, log=(A,)), append(C, term=2), server(2, log=(C,))),
            does(server(2, log=(A, B)), append(), server(2, log=(A,))),
        ],
        [
            does(server(1, log=(A,)), append(A, B), server(1, log=(A, B))),
            stays(server(1, log=(A,)), append()),
            stays(server(1), append()),
        ],
    ),
    "commit": (
        [does(server(1, 1, LEADER, (A,)), success(1), server(1, 1, LEADER, (A,), commit=1))],
        [
            stays(server(1, 1, LEADER, (A,), commit=1), success(1)),
            does(server(1, log=(A,)), append(commit=1), server(1, log=(A,), commit=1)),
            does(server(1, 1, LEADER, (A,), 1), Restart(), server(1, 1, log=(A,))),
        ],
    ),
    "follower_commit": (
        [does(server(1, log=(A,)), append(commit=1), server(1, log=(A,), commit=1))],
        [
            stays(server(1, log=(A,), commit=1), append(commit=1)),
            does(server(1, 1, LEADER, (A,)), success(1), server(1, 1, LEADER, (A,), commit=1)),
            does(server(1, 1, LEADER, (A,), 1), Restart(), server(1, 1, log=(A,))),
        ],
    ),
    "apply": (
        [Step(1, server(log=(A,)), QUIET, server(log=(A,), commit=1), (Apply(1, A),))],
        [does(server(1, log=(A,)), append(commit=1), server(1, log=(A,), commit=1))],
    ),
    "redirect": (
        [Step(1, server(), ClientRequest("a"), server(), (NotLeader(2),))],
        [Step(1, server(), ClientRequest("a"), server(), (NotLeader(None),))],
    ),
    "commit_of_older_term": (
        [
            does(
                server(2, 1, LEADER, (A, C)),
                success(2, term=2),
                server(2, 1, LEADER, (A, C), commit=2),
            )
        ],
        [
            does(server(1, 1, LEADER, (A,)), success(1), server(1, 1, LEADER, (A,), commit=1)),
            does(
                server(2, 1, LEADER, (A, C), commit=1),
                success(2, term=2),
                server(2, 1, LEADER, (A, C), commit=2),
            ),
            does(server(2, log=(A,)), append(term=2, commit=1), server(2, log=(A,), commit=1)),
            stays(server(2, 1, LEADER, (A,)), success(1, term=2)),
        ],
    ),
    "stale_message": (
        [stays(server(2), append(term=1))],
        [
            stays(server(1), append(term=1)),
            does(server(1), append(term=2), server(2)),
            stays(server(2), QUIET),
        ],
    ),
    "restart_with_vote": (
        [stays(server(1, 2), Restart())],
        [stays(server(1), Restart()), stays(server(1, 2), QUIET)],
    ),
    "restart_in_a_term": (
        [stays(server(1), Restart())],
        [stays(server(0), Restart()), stays(server(1), QUIET)],
    ),
    "restart_with_entries": (
        [stays(server(1, log=(A,)), Restart())],
        [stays(server(1, 2), Restart()), stays(server(1, log=(A,)), QUIET)],
    ),
    "restart_of_leader": (
        [does(LEADS, Restart(), server(1, 1))],
        [stays(STANDS, Restart()), stays(LEADS, QUIET), does(LEADS, append(term=2), server(2))],
    ),
    "restart_after_commit": (
        [does(server(1, log=(A,), commit=1), Restart(), server(1, log=(A,)))],
        [stays(server(1, log=(A,)), Restart()), stays(server(1, log=(A,), commit=1), QUIET)],
    ),
}
"""By milestone: steps that reach it, and steps that do not."""


def test_every_milestone_is_looked_at() -> None:
    assert REACHED.keys() == {each.name for each in MILESTONES}
    assert len({each.name for each in MILESTONES}) == len(MILESTONES)


def test_a_milestone_is_reached_by_what_it_is_named_after_and_by_nothing_else() -> None:
    for milestone in MILESTONES:
        reach, do_not = REACHED[milestone.name]
        for step in reach:
            assert milestone.reached_by(step), (milestone.name, step)
        for step in do_not:
            assert not milestone.reached_by(step), (milestone.name, step)


def test_each_property_names_milestones_without_which_nothing_could_have_broken_it() -> None:
    known = {each.name for each in MILESTONES}
    needed = {item.name: set(item.exercised_by) for item in PROPERTIES}
    assert all(names and names <= known for names in needed.values())
    assert needed["LeaderCompleteness"] == {"commit", "election_with_entries"}
    assert needed["StateMachineSafety"] == {"follower_commit"}
    assert needed["ElectionSafety"] == needed["VoteOncePerTerm"] == {"contested_election"}
