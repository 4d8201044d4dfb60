"""Changes that lose nothing: a checker that reported them would cry wolf.

Each violates none of the five properties of Figure 3, and says why. Some trip an auxiliary one;
which, stands with them. Some cost liveness, of which safety properties know nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from model_check.mutants.mutant import NO_REPORT, mutant
from model_check.raft import Bounds
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Candidate,
    Config,
    Event,
    Follower,
    Index,
    IndexMap,
    Leader,
    NodeId,
    NodeState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Send,
    Term,
    commit,
    election,
    node,
    replication,
)
from raft_ref.events import Transition

TERMS = "All servers: if a term T > currentTerm, set currentTerm = T, convert to follower (§5.1)"
VOTES = Bounds(max_term=2, max_log=0)
ENTRIES = Bounds(max_term=2, max_log=2, values=1, max_election_timeouts=2)
TERMS_AND_ENTRIES = Bounds(max_term=3, values=1, max_election_timeouts=3)

_STEP = node.step
_ADOPT_TERM = election.adopt_term
_FOLLOW = replication.follow
_BECOME_LEADER = election.become_leader
_MAY_GRANT_VOTE = election.may_grant_vote
_HANDLE_APPEND_ENTRIES = replication.handle_append_entries
_HANDLE_REQUEST_VOTE_REPLY = election.handle_request_vote_reply


# --- votes ---------------------------------------------------------------------------------------


@mutant(
    replication.follow,
    kind="control",
    rule="Persistent state: votedFor",
    breaks="VOTE-ONCE",
    seen_in=(
        "ktoso/akka-raft#56",
        "xnnyygn/xraft#29",
        "willemt/raft before bdabd1d",
        "etcd before 9d2a465",
    ),
    bounds=Bounds(max_term=2, values=1, max_election_timeouts=3),
    expected="VoteOncePerTerm",
    eager=True,
)
def candidate_clears_its_vote(state: NodeState, leader: NodeId) -> NodeState:
    """A candidate that hears from the leader of its term forgets that it voted for itself.

    The leader's majority voted for the leader, and none of them was a candidate in that term. So
    the vote that is free again makes no second majority. Together with a forgotten vote of a
    follower it would.
    """
    if isinstance(state.role, Candidate):
        state = replace(state, persistent=replace(state.persistent, voted_for=None))
    return _FOLLOW(state, leader)


@mutant(
    election.adopt_term,
    kind="control",
    rule="Persistent state: votedFor, candidate that received vote in current term",
    seen_in="willemt/raft before 75b0104",
    bounds=TERMS_AND_ENTRIES,
    expected=(),
    eager=True,
)
def vote_kept_in_higher_term(state: NodeState, term: Term) -> Transition:
    """A server that adopts a higher term keeps its vote of the old one.

    It votes less often than it might. Elections take longer, and are none the worse.
    """
    if term <= state.current_term:
        return Transition(state)
    persistent = replace(state.persistent, current_term=term)
    return Transition(replace(state, persistent=persistent, role=Follower()))


@mutant(
    election.may_grant_vote,
    kind="control",
    rule="RequestVote RPC, receiver implementation, rule 2: votedFor is null or candidateId",
    seen_in=("ktoso/akka-raft#29", "nebula#2419", "willemt/raft, a note in 1ce89f2"),
    bounds=VOTES,
    expected=(),
    eager=True,
)
def repeated_request_refused(state: NodeState, request: RequestVote) -> bool:
    """A voter refuses the candidate for which it has voted, if it asks again.

    If its first answer was lost, so is the vote. That costs an election, not safety.
    """
    return state.voted_for is None and _MAY_GRANT_VOTE(state, request)


@dataclass(frozen=True, slots=True)
class _WithVotes(Follower):
    """A follower that still counts the votes of its candidacy."""

    votes_granted: frozenset[NodeId] = frozenset()


def _follow_with_votes(state: NodeState, leader: NodeId) -> NodeState:
    match state.role:
        case Candidate(votes_granted) | _WithVotes(votes_granted=votes_granted):
            return replace(state, role=_WithVotes(leader, votes_granted))
        case Follower() | Leader():
            return _FOLLOW(state, leader)


@mutant(
    election.handle_request_vote_reply,
    kind="control",
    rule="Candidates: if AppendEntries received from new leader, convert to follower (§5.2)",
    seen_in="willemt/raft before 72e8f24",
    bounds=Bounds(max_log=0),
    expected=(),
    also=((replication.follow, _follow_with_votes),),
    eager=True,
)
def votes_counted_as_follower(
    config: Config, state: NodeState, reply: RequestVoteReply
) -> Transition:
    """A candidate that has become a follower of its term's leader goes on counting votes.

    It cannot get a majority: the leader has one, of the same term.
    """
    role = state.role
    if isinstance(role, _WithVotes) and reply.term == state.current_term and reply.vote_granted:
        votes_granted = role.votes_granted | {reply.source}
        if config.is_majority(votes_granted):
            return election.become_leader(config, state)
        return Transition(replace(state, role=replace(role, votes_granted=votes_granted)))
    return _HANDLE_REQUEST_VOTE_REPLY(config, state, reply)


# --- terms ---------------------------------------------------------------------------------------


@mutant(
    election.adopt_term,
    kind="control",
    rule=TERMS,
    seen_in="hashicorp/raft#666, where it matters for reads",
    bounds=TERMS_AND_ENTRIES,
    expected=(),
    eager=True,
)
def leader_ignores_higher_terms(state: NodeState, term: Term) -> Transition:
    """A leader does not step down when it learns of a higher term.

    The majority that made the higher term follows it no longer, so that it commits nothing any
    more. Only if it answers reads by itself is that unsafe.
    """
    if isinstance(state.role, Leader):
        return Transition(state)
    return _ADOPT_TERM(state, term)


@mutant(
    election.adopt_term,
    kind="control",
    rule=TERMS,
    seen_in=NO_REPORT,
    bounds=TERMS_AND_ENTRIES,
    expected=(),
    eager=True,
)
def candidate_takes_its_votes_along(state: NodeState, term: Term) -> Transition:
    """A candidate that learns of a higher term adopts it, and stays a candidate with its votes.

    It has asked for no votes in that term, so that none come; and of the old ones it had no
    majority.
    """
    if term <= state.current_term or not isinstance(state.role, Candidate):
        return _ADOPT_TERM(state, term)
    persistent = replace(state.persistent, current_term=term, voted_for=None)
    return Transition(replace(state, persistent=persistent))


@mutant(
    node.step,
    kind="control",
    rule=TERMS,
    seen_in="willemt/raft before 0baa4b0",
    bounds=TERMS_AND_ENTRIES,
    expected=(),
    eager=True,
)
def vote_reply_of_higher_term_ignored(config: Config, state: NodeState, event: Event) -> Transition:
    """A candidate does not adopt the higher term that a reply to its request tells it of.

    It learns of it later, from someone else; until then it asks in vain.
    """
    match event:
        case Receive(RequestVoteReply(term=term)) if term > state.current_term:
            return Transition(state)
    return _STEP(config, state, event)


@mutant(
    node.step,
    kind="control",
    rule="AppendEntries RPC, results: term (§5.1)",
    seen_in="willemt/raft before 795c5e9",
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def acknowledges_in_old_term(config: Config, state: NodeState, event: Event) -> Transition:
    """A follower answers with the term that it had before the request raised it.

    The leader ignores the answer as an old one, and sends again.
    """
    transition = _STEP(config, state, event)
    outputs = (
        Send(replace(output.message, term=max(state.current_term, 1)))
        if isinstance(output, Send) and isinstance(output.message, AppendEntriesReply)
        else output
        for output in transition.outputs
    )
    return replace(transition, outputs=tuple(outputs))


@mutant(
    replication.handle_append_entries,
    kind="control",
    rule="Candidates: if AppendEntries received from new leader, convert to follower (§5.2)",
    seen_in="willemt/raft before 271f080",
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def candidate_does_not_step_down(
    config: Config, state: NodeState, request: AppendEntries
) -> Transition:
    """A candidate ignores the leader of its own term, and goes on asking for votes.

    It gets none: it waits for its next timeout, and the leader has a follower less.
    """
    if isinstance(state.role, Candidate) and request.term == state.current_term:
        return Transition(state)
    return _HANDLE_APPEND_ENTRIES(config, state, request)


# --- logs ----------------------------------------------------------------------------------------


@mutant(
    replication.handle_append_entries,
    kind="control",
    rule="AppendEntries RPC, receiver implementation, rules 2 and 3 (§5.3)",
    seen_in="PySyncObj before c80901d",
    bounds=Bounds(max_term=3, max_log=2, values=1, max_election_timeouts=3, heartbeats=False),
    expected=(),
    eager=True,
)
def mismatch_deleted_at_once(
    config: Config, state: NodeState, request: AppendEntries
) -> Transition:
    """A follower whose entry at `prevLogIndex` has another term removes it and all that follow.

    The leader of the term is known to have another entry there, so this one is not committed.
    """
    transition = _HANDLE_APPEND_ENTRIES(config, state, request)
    after = transition.state
    own = after.log.term_at(request.prev_log_index)
    if request.term < state.current_term or own in (None, request.prev_log_term):
        return transition
    log = after.log.truncate_from(request.prev_log_index)
    after = replace(after, persistent=replace(after.persistent, log=log))
    return replace(transition, state=after)


# --- leaders -------------------------------------------------------------------------------------


@mutant(
    commit.has_majority,
    kind="equivalent",
    rule="Leaders: a majority of matchIndex[i] >= N (§5.3, §5.4)",
    seen_in=("rafter#16", "Vanlightly's FlexibleRaft.tla"),
    bounds=Bounds(servers=4, max_term=2, values=1, max_election_timeouts=2, max_client_requests=1),
    expected=(),
    eager=True,
)
def commit_by_half_of_four(config: Config, leader: Leader, index: Index) -> bool:
    """Half of an even number of servers is enough to commit.

    A majority to elect and half to commit still have a server in common, so that a new leader has
    what was committed (H. Howard et al., "Flexible Paxos", 2016). With an odd number, half rounded
    down is too few: see `commit-by-half`.
    """
    holders = sum(match_index >= index for match_index in leader.match_index.values())
    return holders + 1 >= len(config.servers) // 2


@mutant(
    election.become_leader,
    kind="control",
    rule="Volatile state on leaders: matchIndex, initialized to 0",
    seen_in="Truxify#10682",
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def match_index_starts_at_last(config: Config, state: NodeState) -> Transition:
    """A new leader takes all of its log for acknowledged by everyone.

    Entries of its own term lie above it, and only these are committed by counting. But followers
    that lack older entries are sent nothing that they accept.
    """
    transition = _BECOME_LEADER(config, state)
    after = transition.state
    assert isinstance(after.role, Leader)
    match_index = IndexMap.uniform(config.peers, after.log.last_index)
    return replace(
        transition, state=replace(after, role=replace(after.role, match_index=match_index))
    )


@mutant(
    replication.record_match,
    kind="control",
    rule="Volatile state on leaders: matchIndex, increases monotonically",
    seen_in=(
        "raftos#25 (SandTable's RaftOS#1)",
        "willemt/raft before a2c2934 and f8236e0",
        "microsoft/CCF#5324",
    ),
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def match_index_falls(
    config: Config, state: NodeState, leader: Leader, peer: NodeId, match_index: Index
) -> Transition:
    """A delayed acknowledgement sets `matchIndex` back.

    The follower has more than the leader then knows, and what is committed stays so.
    """
    next_index = match_index + 1
    updated = replace(
        leader,
        next_index=leader.next_index.with_index(peer, next_index),
        match_index=leader.match_index.with_index(peer, match_index),
    )
    state = replace(state, role=updated)
    transition = commit.advance_commit(state, commit.leader_commit_index(config, state, updated))
    if match_index > leader.match_index[peer] and next_index <= state.log.last_index:
        message = replication.append_entries_for(config, transition.state, updated, peer)
        return transition.then(Send(message))
    return transition


@mutant(
    replication.record_match,
    kind="control",
    rule="Leaders: if successful, update nextIndex and matchIndex (§5.3)",
    seen_in=(
        "PySyncObj#167 (SandTable's PySyncObj#3)",
        "SandTable's WRaft#7",
        "RATIS-1883",
    ),
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def next_index_not_advanced(
    config: Config, state: NodeState, leader: Leader, peer: NodeId, match_index: Index
) -> Transition:
    """An acknowledgement raises `matchIndex` alone: the follower is sent again what it has.

    What is committed is counted by `matchIndex`. Only progress suffers.
    """
    match_index = max(leader.match_index[peer], match_index)
    updated = replace(leader, match_index=leader.match_index.with_index(peer, match_index))
    state = replace(state, role=updated)
    return commit.advance_commit(state, commit.leader_commit_index(config, state, updated))


@mutant(
    replication.back_off,
    kind="control",
    rule="Leaders: if AppendEntries fails because of log inconsistency, decrement nextIndex (§5.3)",
    seen_in=("etcd before 91ff7cd", "microsoft/CCF#3723 and #5341"),
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def stale_rejection_rewinds(
    config: Config, state: NodeState, leader: Leader, reply: AppendEntriesReply
) -> Transition:
    """A rejection that came late sets `nextIndex` back behind what is known to match.

    The follower is sent again what it has, and says so again.
    """
    peer = reply.source
    next_index = leader.next_index[peer] - 1
    if next_index < 1:
        return Transition(state)
    updated = replace(leader, next_index=leader.next_index.with_index(peer, next_index))
    state = replace(state, role=updated)
    message = replication.append_entries_for(config, state, updated, peer)
    return Transition(state, (Send(message),))


@mutant(
    commit.leader_commit_index,
    kind="control",
    rule="Leaders: if there exists an N > commitIndex (§5.3, §5.4)",
    seen_in="raftos#30 (SandTable's RaftOS#4)",
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def commit_scan_stops_at_old_term(config: Config, state: NodeState, leader: Leader) -> Index:
    """A leader that looks for what to commit stops at the first entry of an older term.

    It never comes to those of its own term behind it, and commits nothing.
    """
    index = state.commit_index
    while commit.may_commit_by_counting(config, state, leader, index + 1):
        index += 1
    return index


@mutant(
    replication.requests_to_all,
    kind="control",
    rule="Leaders: send AppendEntries to all servers (§5.2, §5.3)",
    seen_in=("SandTable's WRaft#8", "willemt/raft before 883d0d2", "RedisLabs/raft#49"),
    bounds=ENTRIES,
    expected=(),
    eager=True,
)
def sends_to_first_peer_only(
    config: Config, state: NodeState, leader: Leader
) -> tuple[AppendEntries, ...]:
    """A leader gives up sending to all after the first.

    To a protocol that survives the loss of any message, that is loss.
    """
    return tuple(
        replication.append_entries_for(config, state, leader, peer) for peer in config.peers[:1]
    )


# --- restarts ------------------------------------------------------------------------------------


@mutant(
    node.restart,
    kind="control",
    rule="Volatile state on all servers: commitIndex, initialized to 0",
    seen_in="etcd writes it down, in HardState",
    bounds=Bounds(max_term=2, values=1, restarts=True, max_restarts=1, max_election_timeouts=2),
    expected=(),
    eager=True,
)
def commit_index_persisted(state: NodeState) -> NodeState:
    """A server that restarts still knows its commit index.

    What was committed stays so; it only learns of it earlier.
    """
    return NodeState(
        state.persistent,
        Follower(),
        commit_index=state.commit_index,
        last_applied=state.last_applied,
    )


@mutant(
    node.restart,
    kind="control",
    rule="Volatile state on candidates and leaders",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, values=1, restarts=True, max_restarts=1, max_election_timeouts=2),
    expected=(),
    eager=True,
)
def role_survives_restart(state: NodeState) -> NodeState:
    """A server that restarts is still the candidate or leader that it was, with all it knew.

    To the others, that is a server that was slow for a while.
    """
    return state
