"""Bugs in log replication (§5.3), as mutants."""

from __future__ import annotations

from dataclasses import replace

from model_check.mutants.mutant import NO_REPORT, mutant
from model_check.raft import Bounds
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    Config,
    ConflictHint,
    Entry,
    Event,
    Index,
    IndexMap,
    Leader,
    Log,
    NodeId,
    NodeState,
    Receive,
    ResetElectionTimer,
    Send,
    Term,
    commit,
    node,
    replication,
)
from raft_ref.events import Transition
from raft_ref.wellformed import check_message

RULE_1 = "AppendEntries RPC, receiver implementation, rule 1 (§5.1)"
RULE_2 = "AppendEntries RPC, receiver implementation, rule 2 (§5.3)"
RULE_3 = "AppendEntries RPC, receiver implementation, rule 3 (§5.3)"
RULE_4 = "AppendEntries RPC, receiver implementation, rule 4 (§5.3)"
MATCH = "Leaders: if successful, update nextIndex and matchIndex (§5.3)"
APPEND_ONLY = "Leaders never overwrite or delete entries in their own logs (Figure 3, §5.3)"

TWO_TERMS = Bounds(max_term=2, values=1)
TWO_ENTRIES = Bounds(max_term=2, max_log=2, values=1, max_election_timeouts=2)
THREE_TERMS = Bounds(max_term=3, max_log=2, values=1, heartbeats=False, max_election_timeouts=3)
DIRECTED = replace(THREE_TERMS, only_timeout=(1, 2), max_client_requests=3)
OVERWRITTEN = replace(DIRECTED, max_log=1)
FIVE_SERVERS = Bounds(
    servers=5,
    max_term=2,
    max_log=2,
    values=1,
    only_timeout=(1, 2),
    heartbeats=False,
    max_election_timeouts=2,
    max_client_requests=3,
)
FIVE_SERVERS_ONE_ENTRY = replace(FIVE_SERVERS, max_log=1)

_STEP = node.step
_MERGE = replication.merge
_APPEND_ENTRIES_FOR = replication.append_entries_for
_HANDLE_APPEND_ENTRIES = replication.handle_append_entries
_HANDLE_CLIENT_REQUEST = replication.handle_client_request


# --- the follower: what it accepts ---------------------------------------------------------------


def _accept(config: Config, state: NodeState, request: AppendEntries, term: Term) -> Transition:
    """Take what ``request`` brings, whatever the own log holds, and acknowledge it in ``term``."""
    state = replication.follow(state, request.source)
    if not replication.is_consistent(state.log, request.prev_log_index, request.prev_log_term):
        return Transition(state).then(replication.reply_to(config, state, request, success=False))
    log = replication.merge(state.log, request.prev_log_index, request.entries)
    state = replace(state, persistent=replace(state.persistent, log=log))
    confirmed = request.prev_log_index + len(request.entries)
    committed = commit.advance_commit(
        state, commit.follower_commit_index(state, request.leader_commit, confirmed)
    )
    reply = AppendEntriesReply(
        source=config.id,
        destination=request.source,
        term=term,
        success=True,
        match_index=confirmed,
    )
    return Transition(committed.state, (ResetElectionTimer(), *committed.outputs, Send(reply)))


@mutant(
    replication.handle_append_entries,
    rule=RULE_1,
    breaks="FOLLOWER-CURRENT-TERM",
    seen_in="ktoso/akka-raft#55",
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
    eager=True,
)
def stale_append_accepted(config: Config, state: NodeState, request: AppendEntries) -> Transition:
    """A server takes entries of a leader whose term is over, and acknowledges them in that term.

    The old leader commits what the new one, already elected, does not have.
    """
    if isinstance(state.role, Leader):
        return Transition(state)
    return _accept(config, state, request, request.term)


@mutant(
    replication.handle_append_entries,
    rule=RULE_1,
    breaks="FOLLOWER-CURRENT-TERM",
    seen_in="ktoso/akka-raft#55, but for the reply",
    bounds=OVERWRITTEN,
    expected="LeaderCompleteness",
    eager=True,
)
def stale_append_stored(config: Config, state: NodeState, request: AppendEntries) -> Transition:
    """A server takes entries of a leader whose term is over, though it does not confirm them.

    They may take the place of newer ones that it has confirmed.
    """
    if isinstance(state.role, Leader):
        return Transition(state)
    return _accept(config, state, request, state.current_term)


def _step_without_adopting(config: Config, state: NodeState, event: Event) -> Transition:
    """The core's step, but that an AppendEntries of a higher term does not raise the own one."""
    match event:
        case Receive(AppendEntries() as message):
            check_message(message, receiver=config.id, known=config.servers)
            return node.receive(config, state, message)
        case _:
            return _STEP(config, state, event)


@mutant(
    replication.handle_append_entries,
    rule="All servers: if a term T > currentTerm, set currentTerm = T (§5.1)",
    breaks="FOLLOWER-CURRENT-TERM",
    seen_in=NO_REPORT,
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
    also=((node.step, _step_without_adopting),),
    eager=True,
)
def append_term_not_adopted(config: Config, state: NodeState, request: AppendEntries) -> Transition:
    """A server takes and acknowledges entries of a leader of a higher term, but stays in its own.

    So it can be elected in the term whose leader it has just helped to commit, or vote in it.
    """
    if request.term < state.current_term:
        return Transition(state).then(replication.reply_to(config, state, request, success=False))
    return _accept(config, state, request, request.term)


@mutant(
    replication.is_consistent,
    rule=RULE_2,
    breaks="FOLLOWER-PREV-MATCH",
    seen_in=NO_REPORT,
    bounds=THREE_TERMS,
    expected="LogMatching",
    eager=True,
)
def prev_log_term_not_checked(log: Log, prev_log_index: Index, prev_log_term: Term) -> bool:
    """A follower accepts entries wherever its log is long enough, whatever stands before them.

    Its log then differs from the leader's further up, and it commits what stands there.
    """
    return prev_log_index <= log.last_index


@mutant(
    replication.is_consistent,
    rule=RULE_2,
    breaks="FOLLOWER-PREV-MATCH",
    seen_in=NO_REPORT,
    bounds=TWO_ENTRIES,
    expected="StateMachineSafety",
    eager=True,
)
def prev_log_not_checked(log: Log, prev_log_index: Index, prev_log_term: Term) -> bool:
    """A follower accepts entries wherever they belong, even if its log ends before that.

    What it appends then stands at another index than in the leader's log.
    """
    return True


def _is_consistent_or_empty(config: Config, state: NodeState, request: AppendEntries) -> Transition:
    if request.entries or request.term < state.current_term or isinstance(state.role, Leader):
        return _HANDLE_APPEND_ENTRIES(config, state, request)
    state = replication.follow(state, request.source)
    confirmed = min(request.prev_log_index, state.log.last_index)
    committed = commit.advance_commit(
        state, commit.follower_commit_index(state, request.leader_commit, confirmed)
    )
    reply = replication.reply_to(
        config, committed.state, request, success=True, confirmed=request.prev_log_index
    )
    return Transition(committed.state, (ResetElectionTimer(), *committed.outputs, reply))


@mutant(
    replication.handle_append_entries,
    rule=RULE_2,
    breaks="ACK-CONFIRMED",
    seen_in="async-raft#122 (by way of databend#622)",
    bounds=THREE_TERMS,
    expected="StateMachineSafety",
    eager=True,
)
def empty_append_not_checked(
    config: Config, state: NodeState, request: AppendEntries
) -> Transition:
    """A follower answers a heartbeat that brings no entries with success, unchecked.

    The leader takes it for the follower's word that its log is the leader's, up to there.
    """
    return _is_consistent_or_empty(config, state, request)


# --- the follower: what it does with it ----------------------------------------------------------


@mutant(
    replication.merge,
    rule=RULE_3,
    breaks="FOLLOWER-SPLICE-CONFLICT",
    seen_in=(
        "willemt/raft before 3fc7f32 and 77fb611",
        "ktoso/akka-raft#66",
        "databend#3914, on openraft",
        "PySyncObj 0.3.17, where a resend takes two messages",
        "raftos 0.2.6",
    ),
    bounds=TWO_ENTRIES,
    expected="LeaderCompleteness",
    eager=True,
)
def truncate_without_conflict(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """A follower removes all that follows `prevLogIndex`, and puts the new entries there.

    A delayed request with fewer entries removes those that it has acknowledged since.
    """
    if not entries:
        return log
    return log.truncate_from(prev_log_index + 1).append(*entries)


@mutant(
    replication.merge,
    rule=RULE_3,
    breaks="FOLLOWER-SPLICE-CONFLICT",
    seen_in=("willemt/raft#37, before 3e011ae", "microsoft/CCF#5991, mended in #6016"),
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
    eager=True,
)
def heartbeat_truncates(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """A heartbeat without entries removes all that follows its `prevLogIndex`.

    One that was sent before an entry, and arrives after it, removes it when it is acknowledged.
    """
    if not entries:
        return log.truncate_from(prev_log_index + 1)
    return _MERGE(log, prev_log_index, entries)


@mutant(
    replication.merge,
    rule=RULE_3,
    breaks="FOLLOWER-SPLICE-CONFLICT",
    seen_in="raftos#26 (SandTable's RaftOS#2)",
    bounds=TWO_ENTRIES,
    expected="LeaderCompleteness",
    eager=True,
)
def truncate_if_lengths_differ(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """A log that is longer than up to `prevLogIndex` counts as a conflict.

    It is longer whenever a request comes late.
    """
    if log.last_index != prev_log_index:
        return log.truncate_from(prev_log_index + 1).append(*entries)
    return _MERGE(log, prev_log_index, entries)


@mutant(
    replication.merge,
    rule=RULE_3,
    breaks="FOLLOWER-SPLICE-SOURCE",
    seen_in="rafter#34",
    bounds=TWO_ENTRIES,
    expected="LogMatching",
    eager=True,
)
def conflict_appended_not_replaced(
    log: Log, prev_log_index: Index, entries: tuple[Entry, ...]
) -> Log:
    """An entry that conflicts with one there is put at the end of the log, not in its place.

    The old entry stays, at an index at which the leader has another.
    """
    known = {log.term_at(index) for index in range(prev_log_index + 1, log.last_index + 1)}
    return log.append(*(entry for entry in entries if entry.term not in known))


@mutant(
    replication.merge,
    rule=RULE_3,
    breaks="ACK-CONFIRMED",
    seen_in="pyraftlog 3.0.0",
    bounds=TWO_ENTRIES,
    expected="StateMachineSafety",
    eager=True,
)
def conflict_keeps_old_entry(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """What a follower has already it keeps, even if the leader's entry there is of another term.

    It confirms the leader's entry, and applies its own.
    """
    return log.append(*entries[max(0, log.last_index - prev_log_index) :])


@mutant(
    replication.merge,
    rule=RULE_3,
    breaks="ACK-CONFIRMED",
    seen_in=NO_REPORT,
    bounds=TWO_ENTRIES,
    expected="StateMachineSafety",
    eager=True,
)
def conflict_by_command(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """An entry with the same command counts as the same entry, though it is of another term.

    A later leader's log then seems older than it is, or newer.
    """
    for index, entry in enumerate(entries, start=prev_log_index + 1):
        own = log.entry_at(index)
        if own is None or own.command != entry.command:
            return log.truncate_from(index).append(*entries[index - prev_log_index - 1 :])
    return log


@mutant(
    replication.merge,
    rule="AppendEntries RPC, receiver implementation, rule 3: and all that follow it (§5.3)",
    breaks="FOLLOWER-SPLICE-CONFLICT",
    seen_in=NO_REPORT,
    bounds=FIVE_SERVERS,
    expected="LogMatching",
    eager=True,
)
def conflict_leaves_tail(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """A conflicting entry is replaced, and what follows it stays.

    That was another leader's: the log agrees with nobody's any more.
    """
    kept = log.entries[:prev_log_index]
    return replace(log, entries=kept + entries + log.entries[prev_log_index + len(entries) :])


@mutant(
    replication.merge,
    rule=RULE_4,
    breaks="ACK-CONFIRMED",
    seen_in=NO_REPORT,
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
    eager=True,
)
def entries_not_stored(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """A follower acknowledges entries that it does not store.

    The leader takes them for committed, and is the only one to have them.
    """
    return log


@mutant(
    replication.handle_append_entries,
    rule="AppendEntries RPC: entries[], with the term in which the leader received each (§5.3)",
    breaks="FOLLOWER-SPLICE-SOURCE",
    seen_in=NO_REPORT,
    bounds=TWO_TERMS,
    expected="StateMachineSafety",
    eager=True,
)
def entries_stored_with_own_term(
    config: Config, state: NodeState, request: AppendEntries
) -> Transition:
    """A follower stores entries as of the term in which it gets them, not of their own.

    What it applies then differs from what the leader applies, and its log wins elections that it
    should lose.
    """
    entries = tuple(replace(entry, term=request.term) for entry in request.entries)
    return _HANDLE_APPEND_ENTRIES(config, state, replace(request, entries=entries))


# --- the follower: what it answers ---------------------------------------------------------------


@mutant(
    replication.reply_to,
    rule="AppendEntries RPC, results: success (§5.3)",
    breaks="ACK-CONFIRMED",
    seen_in="canonical/raft 0.15, cowsql/raft#148: it counts what it never compared",
    bounds=OVERWRITTEN,
    expected="LeaderCompleteness",
    eager=True,
)
def acknowledges_own_last_index(
    config: Config,
    state: NodeState,
    request: AppendEntries,
    *,
    success: bool,
    confirmed: Index = 0,
    hint: ConflictHint | None = None,
) -> Send:
    """A follower acknowledges all of its log, beyond what the request has confirmed of it.

    The tail may be another leader's.
    """
    return Send(
        AppendEntriesReply(
            source=config.id,
            destination=request.source,
            term=state.current_term,
            success=success,
            match_index=state.log.last_index if success else 0,
            hint=hint,
        )
    )


@mutant(
    replication.reply_to,
    rule="AppendEntries RPC, results: success (§5.3)",
    breaks="ACK-CONFIRMED",
    seen_in="PySyncObj#167 (SandTable's PySyncObj#4), there the other way round",
    bounds=TWO_TERMS,
    expected="LeaderCompleteness",
    eager=True,
)
def acknowledges_one_more(
    config: Config,
    state: NodeState,
    request: AppendEntries,
    *,
    success: bool,
    confirmed: Index = 0,
    hint: ConflictHint | None = None,
) -> Send:
    """A follower acknowledges the index after the last that it confirmed: the next it expects.

    The leader commits its next entry as soon as it has appended it.
    """
    return Send(
        AppendEntriesReply(
            source=config.id,
            destination=request.source,
            term=state.current_term,
            success=success,
            match_index=confirmed + 1 if success else 0,
            hint=hint,
        )
    )


@mutant(
    replication.handle_append_entries,
    rule=RULE_2,
    breaks="ACK-CONFIRMED",
    seen_in=NO_REPORT,
    bounds=DIRECTED,
    expected="LeaderCompleteness",
    eager=True,
)
def mismatch_acknowledged(config: Config, state: NodeState, request: AppendEntries) -> Transition:
    """A follower stores nothing where its log does not match, and answers with success.

    The leader counts it as one that has the entries.
    """
    transition = _HANDLE_APPEND_ENTRIES(config, state, request)
    outputs = (
        Send(_as_success(output.message, request))
        if isinstance(output, Send) and isinstance(output.message, AppendEntriesReply)
        else output
        for output in transition.outputs
    )
    return replace(transition, outputs=tuple(outputs))


def _as_success(reply: AppendEntriesReply, request: AppendEntries) -> AppendEntriesReply:
    if reply.term != request.term:
        return reply
    confirmed = request.prev_log_index + len(request.entries)
    return replace(reply, success=True, match_index=confirmed)


# --- the leader ----------------------------------------------------------------------------------


@mutant(
    replication.append_entries_for,
    rule="AppendEntries RPC: prevLogIndex, index of the entry immediately preceding new ones",
    breaks="APPEND-TRUTHFUL",
    seen_in=NO_REPORT,
    bounds=Bounds(servers=2, max_log=2, values=2),
    expected="LogMatching",
)
def entry_left_out(config: Config, state: NodeState, leader: Leader, peer: NodeId) -> AppendEntries:
    """A leader sends the entries from one after `nextIndex` on, as if they were the next.

    The follower puts each where the one before it belongs.
    """
    message = _APPEND_ENTRIES_FOR(config, state, leader, peer)
    first = message.prev_log_index + 1
    entries = state.log.between(first, first + config.max_entries_per_append)
    return replace(message, entries=entries)


@mutant(
    replication.append_entries_for,
    rule="AppendEntries RPC: leaderCommit, leader's commitIndex",
    breaks="APPEND-COMMIT",
    seen_in=NO_REPORT,
    bounds=FIVE_SERVERS_ONE_ENTRY,
    expected="LeaderCompleteness",
    eager=True,
)
def leader_announces_uncommitted(
    config: Config, state: NodeState, leader: Leader, peer: NodeId
) -> AppendEntries:
    """A leader tells followers that all of its log is committed, when it sends it to them.

    One follower more is no majority of five.
    """
    message = _APPEND_ENTRIES_FOR(config, state, leader, peer)
    return replace(message, leader_commit=state.log.last_index)


@mutant(
    replication.handle_append_entries_reply,
    rule="AppendEntries RPC, results: success (§5.3)",
    breaks="COMMIT-QUORUM",
    seen_in=NO_REPORT,
    bounds=DIRECTED,
    expected="LeaderCompleteness",
    eager=True,
)
def rejection_counts_as_match(
    config: Config, state: NodeState, reply: AppendEntriesReply
) -> Transition:
    """A leader takes any answer of a follower for its word that it has what it was sent.

    It commits on the answer of one that has just refused.
    """
    if not isinstance(state.role, Leader) or reply.term != state.current_term:
        return Transition(state)
    match_index = reply.match_index if reply.success else state.log.last_index
    return replication.record_match(config, state, state.role, reply.source, match_index)


@mutant(
    replication.back_off,
    rule=APPEND_ONLY,
    breaks="LEADER-APPEND-ONLY",
    seen_in=NO_REPORT,
    bounds=Bounds(
        max_term=2, values=1, heartbeats=False, max_election_timeouts=2, max_client_requests=1
    ),
    expected="LeaderAppendOnly",
    eager=True,
)
def leader_gives_in_to_rejection(
    config: Config, state: NodeState, leader: Leader, reply: AppendEntriesReply
) -> Transition:
    """A leader whose follower rejects what it sends removes its own entries from there on.

    It brings its log in line with the follower's, where it should be the other way round.
    """
    log = state.log.truncate_from(leader.next_index[reply.source] - 1)
    state = replace(state, persistent=replace(state.persistent, log=log))
    next_index = IndexMap(
        tuple((other, min(index, log.last_index + 1)) for other, index in leader.next_index.items())
    )
    return Transition(replace(state, role=replace(leader, next_index=next_index)))


@mutant(
    replication.handle_client_request,
    rule=APPEND_ONLY,
    breaks="LEADER-APPEND-ONLY",
    seen_in=NO_REPORT,
    bounds=Bounds(max_log=2),
    expected="LeaderAppendOnly",
    eager=True,
)
def request_overwrites_uncommitted(
    config: Config, state: NodeState, request: ClientRequest
) -> Transition:
    """A leader puts a new command right after what is committed, over what is not yet.

    What it removes, followers may have acknowledged already.
    """
    if isinstance(state.role, Leader):
        log = state.log.truncate_from(state.commit_index + 1)
        state = replace(state, persistent=replace(state.persistent, log=log))
    return _HANDLE_CLIENT_REQUEST(config, state, request)


@mutant(
    replication.handle_client_request,
    rule="Leaders: append entry to local log, with the current term (§5.3)",
    breaks="LEADER-ENTRY-TERM",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, max_log=2, max_election_timeouts=2, heartbeats=False),
    expected="LogMatching",
    eager=True,
)
def entry_with_term_of_last(config: Config, state: NodeState, request: ClientRequest) -> Transition:
    """A leader gives a new entry the term of the one before it, not its own.

    Two leaders' entries then look the same to everyone, and are not.
    """
    leader = state.role
    if not isinstance(leader, Leader):
        return _HANDLE_CLIENT_REQUEST(config, state, request)
    term = state.log.last_term or state.current_term
    log = state.log.append(Entry(term, request.command))
    state = replace(state, persistent=replace(state.persistent, log=log))
    return replication.send(
        config, state, leader, replication.requests_to_all(config, state, leader)
    )


@mutant(
    node.step,
    rule="All servers: if a term T > currentTerm, convert to follower (§5.1)",
    breaks="APPEND-LEADER",
    seen_in="eliben/raft#13",
    bounds=OVERWRITTEN,
    expected="LeaderCompleteness",
    eager=True,
)
def deposed_leader_sends_in_new_term(config: Config, state: NodeState, event: Event) -> Transition:
    """A leader that learns of a higher term still sends what it was about to, in that term.

    It looked whether it was leader first, and for its term only later. Followers take it for the
    leader of the new term.
    """
    transition = _STEP(config, state, event)
    after = transition.state
    if not isinstance(state.role, Leader) or after.current_term <= state.current_term:
        return transition
    late = replace(state, persistent=replace(state.persistent, current_term=after.current_term))
    requests = replication.requests_to_all(config, late, state.role)
    return transition.then(*map(Send, requests))
