"""Bugs in what survives a crash (Figure 2, "Persistent state on all servers"), as mutants."""

from __future__ import annotations

from dataclasses import replace

from model_check.mutants.mutant import NO_REPORT, mutant, written_late
from model_check.raft import Bounds
from raft_ref import (
    ClientRequest,
    ElectionTimeout,
    Event,
    Follower,
    Log,
    NodeState,
    PersistentState,
    Receive,
    RequestVote,
    node,
)

PERSISTENT = "Persistent state on all servers: updated on stable storage before responding to RPCs"
VOTES = Bounds(max_log=0, restarts=True, max_restarts=1)
VOTES_OF_TWO_TERMS = Bounds(max_term=2, max_log=0, restarts=True, max_restarts=1)
ENTRIES = Bounds(max_term=2, values=1, restarts=True, max_restarts=1, max_election_timeouts=2)


def _restarted(state: NodeState, term: int, vote: int | None, log: Log) -> NodeState:
    persistent = replace(state.persistent, current_term=term, voted_for=vote, log=log)
    base = log.snapshot_index
    return NodeState(persistent, Follower(), commit_index=base, last_applied=base)


# --- what is not written at all ------------------------------------------------------------------


@mutant(
    node.restart,
    rule="Persistent state: votedFor",
    breaks="RESTART-VOTE",
    seen_in=(
        "raft-java#57",
        "tikv#8381",
        "ktoso/akka-raft#62",
        "PySyncObj 0.3.11",
        "pyraftlog 3.0.0",
        "raftos 0.2.6",
    ),
    bounds=VOTES,
    expected="ElectionSafety",
)
def vote_not_persisted(state: NodeState) -> NodeState:
    """A server that restarts does not know whom it has voted for, and votes again.

    Its first vote may have elected somebody.
    """
    return _restarted(state, state.current_term, None, state.log)


@mutant(
    node.restart,
    rule="Persistent state: currentTerm",
    breaks="RESTART-TERM",
    seen_in="raft-java#57",
    bounds=VOTES,
    expected="ElectionSafety",
)
def term_not_persisted(state: NodeState) -> NodeState:
    """A server that restarts is in term 0 again.

    It votes anew in terms in which it has voted.
    """
    return _restarted(state, 0, None, state.log)


@mutant(
    node.restart,
    rule="Persistent state: currentTerm",
    breaks="RESTART-TERM",
    seen_in=NO_REPORT,
    bounds=VOTES,
    expected="ElectionSafety",
)
def term_restored_from_log(state: NodeState) -> NodeState:
    """A server that restarts takes the term of its last entry for its own.

    It may have voted in later ones.
    """
    return _restarted(state, state.log.last_term, None, state.log)


@mutant(
    node.restart,
    rule="Persistent state: currentTerm",
    breaks="RESTART-TERM",
    seen_in=NO_REPORT,
    bounds=VOTES,
    expected="MonotonicTerm",
)
def term_persisted_with_vote_only(state: NodeState) -> NodeState:
    """A server writes its term down when it votes: one that it has only heard of, it forgets.

    Within one term that loses nothing. With more, a term comes back whose vote is forgotten.
    """
    if state.voted_for is not None:
        return _restarted(state, state.current_term, state.voted_for, state.log)
    return _restarted(state, state.log.last_term, None, state.log)


@mutant(
    node.restart,
    rule="Persistent state: log[]",
    breaks="RESTART-LOG",
    seen_in="dragonboat#201 (discussion)",
    bounds=ENTRIES,
    expected="LeaderCompleteness",
    eager=True,
)
def log_not_persisted(state: NodeState) -> NodeState:
    """A server that restarts has an empty log, though it has acknowledged entries.

    With a server that never had them it makes a majority, and elects a leader that lacks them.
    """
    return _restarted(state, state.current_term, state.voted_for, Log())


@mutant(
    node.restart,
    rule="Persistent state: log[]",
    breaks="RESTART-LOG",
    seen_in=("yugabyte#32875", "camunda#4160 and #6784: partial writes"),
    bounds=ENTRIES,
    expected="LeaderCompleteness",
    eager=True,
)
def last_entry_lost(state: NodeState) -> NodeState:
    """A server that restarts has lost the last entry of its log, though it acknowledged it.

    It then votes for candidates that lack it.
    """
    log = state.log.truncate_from(state.log.last_index)
    return _restarted(state, state.current_term, state.voted_for, log)


# --- what is written, but not yet durable when an answer leaves ----------------------------------


@written_late(
    rule=PERSISTENT,
    breaks="RESTART-TERM",
    seen_in="tikv#1610, etcd's MustSync",
    bounds=VOTES,
    expected="ElectionSafety",
)
def vote_reply_before_sync(
    event: Event, before: PersistentState, after: PersistentState
) -> PersistentState:
    """A vote is granted before it is durable: a crash right then loses it, and the term.

    The server votes again in the same term.
    """
    match event:
        case Receive(RequestVote()):
            return before
        case _:
            return after


@written_late(
    rule=PERSISTENT,
    breaks="RESTART-TERM",
    seen_in="etcd before e9e525d (asynchronous storage)",
    bounds=VOTES,
    expected="ElectionSafety",
)
def self_vote_before_sync(
    event: Event, before: PersistentState, after: PersistentState
) -> PersistentState:
    """A candidate counts its own vote before that is durable: after a crash it votes for another.

    The votes that it has asked for still arrive, for the candidate that it has become again.
    """
    return before if isinstance(event, ElectionTimeout) else after


@written_late(
    rule="Persistent state: currentTerm and votedFor, in one write",
    breaks="RESTART-TERM",
    seen_in="willemt/raft before 854a06d (persist term and vote atomically)",
    bounds=VOTES_OF_TWO_TERMS,
    expected="ElectionSafety",
)
def vote_cleared_before_term_written(
    event: Event, before: PersistentState, after: PersistentState
) -> PersistentState:
    """A new term is written in two writes, the vote cleared first.

    A crash between them leaves the old term, without the vote that was given in it.
    """
    if after.current_term > before.current_term:
        return replace(before, voted_for=None)
    return after


@written_late(
    rule="Persistent state: currentTerm and votedFor, in one write",
    breaks="RESTART-VOTE",
    seen_in="hashicorp/raft#661 (claimed there)",
    bounds=VOTES_OF_TWO_TERMS,
    expected="ElectionSafety",
)
def term_written_before_vote(
    event: Event, before: PersistentState, after: PersistentState
) -> PersistentState:
    """A vote in a new term is written in two writes, the term first, and granted before the second.

    A crash leaves the new term with the candidate of the old one, or none.
    """
    if after.voted_for not in (None, before.voted_for):
        vote = before.voted_for
        return replace(before, current_term=after.current_term, voted_for=vote)
    return after


@written_late(
    rule=PERSISTENT,
    breaks="RESTART-LOG",
    seen_in=("yugabyte#32875", "camunda#4160 and #6784", "d-engine#447", "RaftFsync.tla"),
    bounds=ENTRIES,
    expected="LeaderCompleteness",
)
def acknowledged_before_sync(
    event: Event, before: PersistentState, after: PersistentState
) -> PersistentState:
    """A follower acknowledges entries before they are durable.

    It crashes, and those that its leader has counted as a majority are one less.
    """
    return replace(after, log=before.log) if isinstance(event, Receive) else after


@written_late(
    rule="Leaders: a majority of servers, the leader included, have stored the entry (§5.3)",
    breaks="RESTART-LOG",
    seen_in=("RaftFsync.tla", "etcd#14370, before 437bcb8", "d-engine#447"),
    bounds=ENTRIES,
    expected="LeaderCompleteness",
)
def leader_counts_itself_before_sync(
    event: Event, before: PersistentState, after: PersistentState
) -> PersistentState:
    """A leader counts itself among those that have an entry before it is durable there.

    It crashes; one follower has it, and the other two servers elect a leader that does not.
    """
    return replace(after, log=before.log) if isinstance(event, ClientRequest) else after
