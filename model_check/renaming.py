"""The core's values under other names: servers are interchangeable, and so are commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, assert_never

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Message,
    NodeState,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Role,
)
from spec.forms import Renaming
from spec.properties import rename_entry, rename_log
from spec.shadow import Evidence, Unread

State = TypeVar("State", bound=NodeState)


def rename_state(state: State, renaming: Renaming) -> State:
    """A server's state; what a subclass adds to it stays."""
    persistent = rename_persistent(state.persistent, renaming)
    return replace(state, persistent=persistent, role=rename_role(state.role, renaming))


def rename_persistent(state: PersistentState, renaming: Renaming) -> PersistentState:
    """What of a server's state is durable."""
    return replace(
        state,
        voted_for=None if state.voted_for is None else renaming.node(state.voted_for),
        log=rename_log(state.log, renaming),
    )


def rename_role(role: Role, renaming: Renaming) -> Role:
    """A role with what belongs to it; what a subclass adds to that stays."""
    match role:
        case Follower(leader):
            return replace(role, leader=None if leader is None else renaming.node(leader))
        case Candidate(votes_granted):
            return replace(role, votes_granted=frozenset(map(renaming.node, votes_granted)))
        case Leader(next_index, match_index):
            return replace(
                role,
                next_index=rename_indexes(next_index, renaming),
                match_index=rename_indexes(match_index, renaming),
            )
        case _:
            assert_never(role)


def rename_evidence(evidence: Evidence, renaming: Renaming) -> Evidence:
    """What a judge knows of a server."""
    return replace(
        evidence,
        grants=frozenset(map(renaming.node, evidence.grants)),
        acknowledged=rename_indexes(evidence.acknowledged, renaming),
        leaders=frozenset(map(renaming.node, evidence.leaders)),
        unread=frozenset(rename_unread(each, renaming) for each in evidence.unread),
    )


def rename_unread(unread: Unread, renaming: Renaming) -> Unread:
    """A message that could not be read, from a server of another name."""
    return unread if unread.source is None else replace(unread, source=renaming.node(unread.source))


def rename_message(message: Message, renaming: Renaming) -> Message:
    """A message, between servers of other names."""
    source, destination = renaming.node(message.source), renaming.node(message.destination)
    match message:
        case RequestVote() | RequestVoteReply() | AppendEntriesReply():
            return replace(message, source=source, destination=destination)
        case AppendEntries():
            entries = tuple(rename_entry(entry, renaming) for entry in message.entries)
            return replace(message, source=source, destination=destination, entries=entries)
        case _:
            assert_never(message)


def rename_event(event: Event, renaming: Renaming) -> Event:
    """An event; most have no names in them."""
    match event:
        case Receive(message):
            return replace(event, message=rename_message(message, renaming))
        case ClientRequest(command):
            return replace(event, command=renaming.value(command))
        case ElectionTimeout() | HeartbeatTimeout() | Restart():
            return event
        case _:
            assert_never(event)


def rename_indexes(indexes: IndexMap, renaming: Renaming) -> IndexMap:
    """One index for each of some servers."""
    return IndexMap(tuple(sorted((renaming.node(peer), index) for peer, index in indexes.pairs)))
