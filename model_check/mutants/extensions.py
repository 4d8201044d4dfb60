"""Bugs in conflict hints and pipelining, and what only costs time there, as mutants."""

from __future__ import annotations

from dataclasses import replace

from model_check.mutants.mutant import NO_REPORT, mutant
from model_check.raft import Bounds
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Config,
    ConflictHint,
    Entry,
    Index,
    Leader,
    Log,
    NodeState,
    Transition,
    replication,
)
from raft_ref.extensions import conflict_hints, pipelining

MATCH_INDEX = "Volatile state on leaders: matchIndex, highest entry known to be replicated"
ENTRIES = Bounds(servers=2, max_term=2, max_log=2, values=1, conflict_hints=True, window=2)

_AFTER_SENDING = pipelining.after_sending
_BACK_OFF = replication.back_off


@mutant(
    replication.back_off,
    rule=MATCH_INDEX,
    breaks="COMMIT-QUORUM",
    seen_in=NO_REPORT,
    bounds=Bounds(
        max_term=3,
        max_log=2,
        values=1,
        conflict_hints=True,
        window=2,
        script=(
            "timeout 1",
            "request 1",
            "timeout 2",
            "request 2",
            "request 2",
            "heartbeat 2",
            "timeout 1",
        ),
    ),
    expected="LeaderCompleteness",
)
def hint_counts_as_match(
    config: Config, state: NodeState, leader: Leader, reply: AppendEntriesReply
) -> Transition:
    """A leader takes what a hint says of a follower's log for an acknowledgement.

    That the follower's log ends at an index does not say that its entries are the leader's.
    """
    if reply.hint is None or reply.hint.term is not None:
        return _BACK_OFF(config, state, leader, reply)
    match_index = min(reply.hint.index - 1, state.log.last_index)
    return replication.record_match(config, state, leader, reply.source, match_index)


@mutant(
    pipelining.after_sending,
    rule=MATCH_INDEX,
    breaks="COMMIT-QUORUM",
    seen_in=NO_REPORT,
    bounds=Bounds(
        max_term=2,
        max_log=2,
        values=1,
        window=2,
        script=("timeout 1", "request 1", "request 1", "timeout 2"),
    ),
    expected="LeaderCompleteness",
)
def sent_counts_as_match(config: Config, leader: Leader, request: AppendEntries) -> Leader:
    """A leader that pipelines takes entries for replicated as soon as it has sent them.

    They may never arrive.
    """
    sent = _AFTER_SENDING(config, leader, request)
    last = request.prev_log_index + len(request.entries)
    return replace(sent, match_index=sent.match_index.with_index(request.destination, last))


@mutant(
    conflict_hints.hint_for,
    kind="control",
    rule="AppendEntries RPC: the first index of the conflicting term (end of §5.3)",
    seen_in=NO_REPORT,
    bounds=ENTRIES,
    expected=(),
)
def hint_names_first_index(config: Config, log: Log, prev_log_index: Index) -> ConflictHint | None:
    """A follower always hints that its log is empty.

    The leader sends it everything, again. A hint is never evidence, so only time is lost.
    """
    return ConflictHint(1, None) if config.conflict_hints else None


@mutant(
    pipelining.within_window,
    kind="control",
    rule="Leaders: if last log index >= nextIndex, send AppendEntries (§5.3)",
    seen_in=NO_REPORT,
    bounds=replace(ENTRIES, window=1),
    expected=(),
)
def window_is_never_full(
    config: Config, log: Log, match_index: Index, prev_log_index: Index, entries: tuple[Entry, ...]
) -> tuple[Entry, ...]:
    """A leader sends on without an acknowledgement, however much is on its way.

    The window bounds memory. It protects no entry.
    """
    return entries
