"""Bugs in committing (§5.3, §5.4.2), as mutants."""

from __future__ import annotations

from dataclasses import dataclass, replace

from model_check.explore import Beam
from model_check.mutants.mutant import NO_REPORT, mutant
from model_check.mutants.node import Remembering
from model_check.raft import Bounds
from model_check.renaming import rename_indexes
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Config,
    Index,
    IndexMap,
    Leader,
    NodeId,
    NodeState,
    Send,
    commit,
    election,
    replication,
)
from raft_ref.events import Transition
from spec.forms import Renaming

QUORUM = "Leaders: a majority of matchIndex[i] >= N (§5.3, §5.4)"
RULE_5 = "AppendEntries RPC, receiver implementation, rule 5 (§5.3)"
REINITIALIZED = "Volatile state on leaders: reinitialized after election"

TWO_TERMS = Bounds(max_term=2, values=1)
THREE_TERMS = Bounds(
    max_term=3,
    max_log=2,
    values=1,
    heartbeats=False,
    max_election_timeouts=3,
    max_client_requests=3,
)
FIGURE_8 = Bounds(
    max_term=4, values=1, only_timeout=(1, 2), heartbeats=False, max_election_timeouts=4
)
FIVE_SERVERS = Bounds(
    servers=5, max_term=2, values=1, only_timeout=(1, 2), heartbeats=False, max_election_timeouts=2
)
LEADER_AGAIN = Bounds(
    servers=5,
    max_term=4,
    max_log=2,
    values=1,
    script=(
        *("timeout 1", "request 1", "request 1"),
        *("timeout 2", "request 2"),
        *("timeout 1", "request 1"),
        "timeout 2",
    ),
)


NARROW = Beam(width=4)

_BECOME_LEADER = election.become_leader
_HANDLE_APPEND_ENTRIES = replication.handle_append_entries
_RECORD_MATCH = replication.record_match


# --- the leader ----------------------------------------------------------------------------------


@mutant(
    commit.may_commit_by_counting,
    rule="Leaders: log[N].term == currentTerm (§5.3, §5.4.2)",
    breaks="COMMIT-CURRENT-TERM",
    seen_in=(
        "Raft paper, Figure 8",
        "logcabin#44",
        "canonical/raft#220",
        "microsoft/CCF#3950, mended in #3971",
        "PySyncObj#169 and PySyncObj 0.3.11",
        "willemt/raft before 97c9183",
    ),
    bounds=FIGURE_8,
    expected="LeaderCompleteness",
    eager=True,
)
def commit_old_term_by_counting(
    config: Config, state: NodeState, leader: Leader, index: Index
) -> bool:
    """A leader commits an entry of an older term as soon as a majority holds it.

    Figure 8: a server with an entry of a later term, which that majority lacks, can still be
    elected, and overwrites it.
    """
    return commit.has_majority(config, leader, index)


@mutant(
    commit.has_majority,
    rule=QUORUM,
    breaks="COMMIT-QUORUM",
    seen_in="rafter#16",
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
)
def commit_by_half(config: Config, leader: Leader, index: Index) -> bool:
    """Half of the servers, rounded down, are enough to commit: of three, the leader alone.

    The other two elect a leader that does not have it.
    """
    holders = sum(match_index >= index for match_index in leader.match_index.values())
    return holders + 1 >= len(config.servers) // 2


@mutant(
    replication.record_match,
    rule=QUORUM,
    breaks="COMMIT-QUORUM",
    seen_in="willemt/raft before 05608a3",
    bounds=FIVE_SERVERS,
    expected="LeaderCompleteness",
    eager=True,
)
def responder_counts_for_everyone(
    config: Config, state: NodeState, leader: Leader, peer: NodeId, match_index: Index
) -> Transition:
    """A leader that counts who has an entry looks at the follower that has just answered each time.

    One acknowledgement commits. With three servers it may, so it takes five.
    """
    transition = _RECORD_MATCH(config, state, leader, peer, match_index)
    seen = max(leader.match_index[peer], match_index)
    if state.log.term_at(seen) != state.current_term or seen <= transition.state.commit_index:
        return transition
    committed = commit.advance_commit(transition.state, seen)
    return replace(transition, state=committed.state).then(*committed.outputs)


@mutant(
    commit.leader_commit_index,
    rule=QUORUM,
    breaks="COMMIT-QUORUM",
    seen_in="etcd#14370, before 437bcb8; there of a single server, before the write",
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
)
def commit_on_append(config: Config, state: NodeState, leader: Leader) -> Index:
    """A leader takes what it has appended to its own log for committed.

    Nobody else has it. A single server may do so; but it is what a leader of many would then do.
    """
    return state.log.last_index


@mutant(
    commit.has_majority,
    rule=QUORUM,
    breaks="COMMIT-QUORUM",
    seen_in=NO_REPORT,
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
)
def commit_by_next_index(config: Config, leader: Leader, index: Index) -> bool:
    """A leader counts a follower by what it will send it next, not by what it has acknowledged.

    Right after the election that is one more than its log had, for everyone.
    """
    holders = frozenset(peer for peer, next_ in leader.next_index.items() if next_ >= index)
    return config.is_majority(holders | {config.id})


@dataclass(frozen=True, slots=True)
class _LedBefore(Remembering):
    """The state of a server that still knows `matchIndex` of when it last led."""

    match_index: IndexMap | None = None

    def under(self, renaming: Renaming) -> _LedBefore:
        known = self.match_index
        match_index = None if known is None else rename_indexes(known, renaming)
        return replace(self, match_index=match_index)


def _record_and_remember(
    config: Config, state: NodeState, leader: Leader, peer: NodeId, match_index: Index
) -> Transition:
    """As the core does, but that `matchIndex` may be beyond the log, and is remembered."""
    match_index = max(leader.match_index[peer], match_index)
    next_index = min(max(leader.next_index[peer], match_index), state.log.last_index) + 1
    updated = replace(
        leader,
        next_index=leader.next_index.with_index(peer, next_index),
        match_index=leader.match_index.with_index(peer, match_index),
    )
    has_progress = match_index > leader.match_index[peer]
    if isinstance(state, _LedBefore):
        state = replace(state, match_index=updated.match_index)
    state = replace(state, role=updated)
    transition = commit.advance_commit(state, commit.leader_commit_index(config, state, updated))
    if has_progress and next_index <= state.log.last_index:
        message = replication.append_entries_for(config, transition.state, updated, peer)
        return transition.then(Send(message))
    return transition


@mutant(
    election.become_leader,
    rule=REINITIALIZED,
    breaks="COMMIT-QUORUM",
    seen_in="copycat#29",
    bounds=LEADER_AGAIN,
    expected="LeaderCompleteness",
    also=((replication.record_match, _record_and_remember),),
    initial=_LedBefore(),
    eager=True,
    beam=NARROW,
)
def match_index_kept_from_earlier_term(config: Config, state: NodeState) -> Transition:
    """A server that is elected again goes on with the `matchIndex` of its last leadership.

    What followers acknowledged then may have been overwritten since. With three servers any one
    acknowledgement is a majority, so it takes five.
    """
    elected = _BECOME_LEADER(config, state)
    after = elected.state
    if not isinstance(after, _LedBefore) or after.match_index is None:
        return elected
    assert isinstance(after.role, Leader)
    role = replace(after.role, match_index=after.match_index)
    return replace(elected, state=replace(after, role=role))


@mutant(
    replication.handle_append_entries_reply,
    rule="AppendEntries RPC, results: term, for the leader to update itself (§5.1)",
    breaks="COMMIT-QUORUM",
    seen_in=("willemt/raft before 285fdff and 8b444aa",),
    bounds=LEADER_AGAIN,
    expected="LeaderCompleteness",
    eager=True,
    beam=NARROW,
)
def stale_acknowledgement_counted(
    config: Config, state: NodeState, reply: AppendEntriesReply
) -> Transition:
    """A leader counts an acknowledgement that answers a request of an earlier term.

    The follower may have replaced since then what it acknowledged. With three servers any one
    acknowledgement is a majority, so it takes five.
    """
    if not isinstance(state.role, Leader) or reply.match_index > state.log.last_index:
        return Transition(state)
    if reply.success:
        return replication.record_match(config, state, state.role, reply.source, reply.match_index)
    return replication.back_off(config, state, state.role, reply)


@mutant(
    commit.leader_commit_index,
    rule="Volatile state: commitIndex, increases monotonically",
    breaks="COMMIT-MONOTONIC",
    seen_in="PySyncObj 0.3.11",
    bounds=TWO_TERMS,
    expected="CommitStability",
    eager=True,
)
def new_leader_commit_falls(config: Config, state: NodeState, leader: Leader) -> Index:
    """A leader computes its commit index anew from `matchIndex`, whatever it knew before.

    Nobody applies anything twice, or anything else, so it is ugly rather than unsafe.
    """
    candidates = range(state.log.last_index, 0, -1)
    return next(
        (
            index
            for index in candidates
            if commit.may_commit_by_counting(config, state, leader, index)
        ),
        0,
    )


# --- the follower --------------------------------------------------------------------------------


@mutant(
    commit.follower_commit_index,
    rule=RULE_5,
    breaks="COMMIT-CONFIRMED",
    seen_in=("copycat#265", "rabbitmq/ra#508", "scylladb#9965", "databend#3914, on openraft"),
    bounds=THREE_TERMS,
    expected="StateMachineSafety",
    eager=True,
)
def commit_to_own_last_index(state: NodeState, leader_commit: Index, confirmed: Index) -> Index:
    """A follower commits as far as the leader has, if its log is long enough.

    Its log may be long with entries of another leader, which this request has not confirmed.
    """
    return max(state.commit_index, min(leader_commit, state.log.last_index))


@mutant(
    commit.follower_commit_index,
    rule=RULE_5,
    breaks="COMMIT-CLAIMED",
    seen_in=NO_REPORT,
    bounds=FIVE_SERVERS,
    expected="LeaderCompleteness",
    eager=True,
)
def commit_whatever_is_confirmed(state: NodeState, leader_commit: Index, confirmed: Index) -> Index:
    """A follower commits all that the leader sends it.

    With its leader, it is alone to have it: two are no majority of five.
    """
    return max(state.commit_index, confirmed)


@mutant(
    replication.handle_append_entries,
    rule="AppendEntries RPC, receiver implementation, rules 2 and 5 (§5.3)",
    breaks="COMMIT-CONFIRMED",
    seen_in="rabbitmq/ra#508 comes nearest",
    bounds=THREE_TERMS,
    expected="StateMachineSafety",
    eager=True,
)
def commit_on_rejected_append(
    config: Config, state: NodeState, request: AppendEntries
) -> Transition:
    """A follower takes note of `leaderCommit` even if it rejects the request.

    What stands in its log up to there is not what the leader has.
    """
    transition = _HANDLE_APPEND_ENTRIES(config, state, request)
    after = transition.state
    if request.term < state.current_term or isinstance(after.role, Leader):
        return transition
    known = min(request.leader_commit, after.log.last_index)
    committed = commit.advance_commit(after, max(after.commit_index, known))
    return replace(transition, state=committed.state).then(*committed.outputs)


@mutant(
    commit.follower_commit_index,
    rule="Volatile state: commitIndex, increases monotonically",
    breaks="COMMIT-MONOTONIC",
    seen_in=(
        "PySyncObj#166, mended in cb31314 (SandTable's PySyncObj#2)",
        "raft-java#54",
    ),
    bounds=Bounds(servers=2, max_log=2, values=1),
    expected="CommitStability",
)
def follower_commit_falls(state: NodeState, leader_commit: Index, confirmed: Index) -> Index:
    """A follower's commit index follows whatever request comes, older ones with less included.

    Rule 5 read literally. Nothing is applied twice, or differently, so it is ugly rather than
    unsafe.
    """
    return min(leader_commit, confirmed)
