"""Log replication (§5.3): client requests, AppendEntries, and the answers to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raft_ref import commit
from raft_ref.events import (
    Appended,
    ClientRequest,
    NotLeader,
    ResetElectionTimer,
    Send,
    Transition,
)
from raft_ref.extensions import conflict_hints, pipelining
from raft_ref.messages import AppendEntries, AppendEntriesReply, ConflictHint
from raft_ref.types import (
    Config,
    Entry,
    Follower,
    Index,
    Leader,
    Log,
    NodeId,
    NodeState,
    Term,
)

# --- on the leader ---------------------------------------------------------------------------


def handle_client_request(config: Config, state: NodeState, request: ClientRequest) -> Transition:
    """Figure 2, Leaders: append the command to the own log and send it to everyone (§5.3).

    Anyone else answers `NotLeader`. In a cluster of one the entry is committed at once: the leader
    alone is a majority.
    """
    leader = state.role
    if not isinstance(leader, Leader):
        return Transition(state, (NotLeader(known_leader(state)),))
    log = state.log.append(Entry(state.current_term, request.command))
    state = replace(state, persistent=replace(state.persistent, log=log))
    committed = commit.advance_commit(state, commit.leader_commit_index(config, state, leader))
    # With pipelining, a peer may have so many entries to acknowledge that it is sent none now.
    requests = [each for each in requests_to_all(config, committed.state, leader) if each.entries]
    sent = send(config, committed.state, leader, requests)
    appended = Appended(log.last_index, state.current_term)
    return Transition(sent.state, (appended, *committed.outputs, *sent.outputs))


def known_leader(state: NodeState) -> NodeId | None:
    """The leader a server that is not one can name to a client (§8)."""
    return state.role.leader if isinstance(state.role, Follower) else None


def handle_heartbeat_timeout(config: Config, state: NodeState) -> Transition:
    """Figure 2, Leaders: repeat AppendEntries in idle periods, to prevent elections (§5.2).

    What a follower has not acknowledged goes along: this is also the retry of §5.3. Ignored by
    anyone but a leader.
    """
    if not isinstance(state.role, Leader):
        return Transition(state)
    return send(config, state, state.role, requests_to_all(config, state, state.role))


def send(
    config: Config, state: NodeState, leader: Leader, requests: Sequence[AppendEntries]
) -> Transition:
    """Send these AppendEntries, in this order, as ``leader``."""
    for request in requests:
        leader = pipelining.after_sending(config, leader, request)
    return Transition(replace(state, role=leader), tuple(map(Send, requests)))


def requests_to_all(config: Config, state: NodeState, leader: Leader) -> tuple[AppendEntries, ...]:
    """An AppendEntries to every peer, in ascending order."""
    return tuple(append_entries_for(config, state, leader, peer) for peer in config.peers)


def append_entries_for(
    config: Config, state: NodeState, leader: Leader, peer: NodeId
) -> AppendEntries:
    """Figure 2, Leaders: AppendEntries with the log entries starting at ``nextIndex`` (§5.3).

    What a snapshot has replaced cannot be sent: a follower that lacks it rejects, until it is given
    the snapshot (§7).
    """
    log = state.log
    prev_log_index = max(leader.next_index[peer] - 1, log.snapshot_index)
    prev_log_term = log.term_at(prev_log_index)
    assert prev_log_term is not None, "a leader's log only grows, and next_index is one of it"
    entries = log.between(prev_log_index, prev_log_index + config.max_entries_per_append)
    if config.max_size_per_append is not None:
        entries = pipelining.of_size(entries, config.max_size_per_append)
    return AppendEntries(
        source=config.id,
        destination=peer,
        term=state.current_term,
        prev_log_index=prev_log_index,
        prev_log_term=prev_log_term,
        entries=pipelining.within_window(
            config, log, leader.match_index[peer], prev_log_index, entries
        ),
        leader_commit=state.commit_index,
    )


def handle_append_entries_reply(
    config: Config, state: NodeState, reply: AppendEntriesReply
) -> Transition:
    """Figure 2, Leaders: what a follower's answer changes (§5.3).

    Only an answer to a request of this leadership counts: one of an older term is about another
    leadership's entries, and one that confirms more than the leader's log holds answers no request
    of this leader.
    """
    if (
        not isinstance(state.role, Leader)
        or reply.term != state.current_term
        or reply.match_index > state.log.last_index
    ):
        return Transition(state)
    if reply.success:
        return record_match(config, state, state.role, reply.source, reply.match_index)
    return back_off(config, state, state.role, reply)


def record_match(
    config: Config, state: NodeState, leader: Leader, peer: NodeId, match_index: Index
) -> Transition:
    """If successful: update ``nextIndex`` and ``matchIndex`` for the follower, commit what that
    allows, and send what the follower still lacks (§5.3).

    Both indexes only ever rise here: replies may arrive late, out of order, or twice.
    """
    match_index = max(leader.match_index[peer], match_index)
    next_index = max(leader.next_index[peer], match_index + 1)
    updated = replace(
        leader,
        next_index=leader.next_index.with_index(peer, next_index),
        match_index=leader.match_index.with_index(peer, match_index),
    )
    has_progress = match_index > leader.match_index[peer]
    state = replace(state, role=updated)
    transition = commit.advance_commit(state, commit.leader_commit_index(config, state, updated))
    if not has_progress:
        return transition
    sent = send_what_it_lacks(config, transition.state, updated, peer)
    return Transition(sent.state, transition.outputs + sent.outputs)


def send_what_it_lacks(
    config: Config, state: NodeState, leader: Leader, peer: NodeId
) -> Transition:
    """Send the entries from ``nextIndex`` on: one request of them; with pipelining, as many as the
    window has room for."""
    requests: list[AppendEntries] = []
    sender = leader
    while (request := append_entries_for(config, state, sender, peer)).entries:
        requests.append(request)
        if config.pipelining is None:
            break
        sender = pipelining.after_sending(config, sender, request)
    return send(config, state, leader, requests)


def back_off(
    config: Config, state: NodeState, leader: Leader, reply: AppendEntriesReply
) -> Transition:
    """If AppendEntries fails for log inconsistency: decrement ``nextIndex`` and retry (§5.3); to
    where the reply hints, if it does (see `extensions.conflict_hints`).

    Never to ``match_index`` or below: there the logs are known to agree, so a rejection that asks
    for it is an old one, and ignored. Nor into a snapshot, from which no entries can be sent.
    """
    peer, log = reply.source, state.log
    hint = reply.hint if config.conflict_hints else None
    lowered = conflict_hints.lowered(log, leader.next_index[peer], hint)
    next_index = max(lowered, leader.match_index[peer] + 1, log.snapshot_index + 1)
    if next_index >= leader.next_index[peer]:
        return Transition(state)
    updated = replace(leader, next_index=leader.next_index.with_index(peer, next_index))
    state = replace(state, role=updated)
    return Transition(state, (Send(append_entries_for(config, state, updated, peer)),))


# --- on everyone else ------------------------------------------------------------------------


def handle_append_entries(config: Config, state: NodeState, request: AppendEntries) -> Transition:
    """Figure 2, AppendEntries RPC, receiver implementation, rules 1 to 5 (§5.3).

    A leader never receives one of its own term: only one leader is elected in a term. Should it
    happen all the same, it is ignored.
    """
    if request.term < state.current_term:  # rule 1
        return Transition(state).then(reply_to(config, state, request, success=False))
    if isinstance(state.role, Leader):
        return Transition(state)
    state = follow(state, request.source)
    if not is_consistent(state.log, request.prev_log_index, request.prev_log_term):  # rule 2
        hint = conflict_hints.hint_for(config, state.log, request.prev_log_index)
        rejection = reply_to(config, state, request, success=False, hint=hint)
        return Transition(state, (ResetElectionTimer(), rejection))
    log = merge(state.log, request.prev_log_index, request.entries)  # rules 3 and 4
    state = replace(state, persistent=replace(state.persistent, log=log))
    confirmed = request.prev_log_index + len(request.entries)
    committed = commit.advance_commit(  # rule 5
        state, commit.follower_commit_index(state, request.leader_commit, confirmed)
    )
    acknowledgement = reply_to(config, committed.state, request, success=True, confirmed=confirmed)
    return Transition(committed.state, (ResetElectionTimer(), *committed.outputs, acknowledgement))


def follow(state: NodeState, leader: NodeId) -> NodeState:
    """Recognize the leader of the current term; a candidate returns to follower state (§5.2).

    The vote stays: it belongs to the term, not to the candidacy.
    """
    return replace(state, role=Follower(leader))


def is_consistent(log: Log, prev_log_index: Index, prev_log_term: Term) -> bool:
    """Receiver rule 2: the log contains an entry at ``prevLogIndex`` with ``prevLogTerm`` (§5.3).

    What a snapshot covers is committed, and so the same in every later leader's log (§5.4).
    """
    return prev_log_index < log.snapshot_index or log.term_at(prev_log_index) == prev_log_term


def merge(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
    """Receiver rules 3 and 4: remove from the first conflict on, then append what is new (§5.3).

    An entry conflicts if it has the same index but a different term. Where nothing conflicts,
    nothing is removed: the request may be an old one, and later entries already acknowledged.
    """
    for index, entry in enumerate(entries, start=prev_log_index + 1):
        if index > log.snapshot_index and log.term_at(index) != entry.term:
            return log.truncate_from(index).append(*entries[index - prev_log_index - 1 :])
    return log


def reply_to(
    config: Config,
    state: NodeState,
    request: AppendEntries,
    *,
    success: bool,
    confirmed: Index = 0,
    hint: ConflictHint | None = None,
) -> Send:
    """The answer to an AppendEntries, with the last index it confirmed (not the log's length)."""
    return Send(
        AppendEntriesReply(
            source=config.id,
            destination=request.source,
            term=state.current_term,
            success=success,
            match_index=confirmed,
            hint=hint,
        )
    )
