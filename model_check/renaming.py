"""The core's values under other names: servers are interchangeable, and so are commands."""

from __future__ import annotations

from dataclasses import replace

from raft_ref import (
    AppendEntries,
    Candidate,
    ClientRequest,
    Event,
    Follower,
    IndexMap,
    Leader,
    Message,
    NodeState,
    PersistentState,
    Receive,
    Role,
)
from spec.forms import Renaming
from spec.properties import rename_entry, rename_log


def rename_state(state: NodeState, renaming: Renaming) -> NodeState:
    """A server's state."""
    vote = state.voted_for
    persistent = PersistentState(
        current_term=state.current_term,
        voted_for=None if vote is None else renaming.node(vote),
        log=rename_log(state.log, renaming),
    )
    return replace(state, persistent=persistent, role=rename_role(state.role, renaming))


def rename_role(role: Role, renaming: Renaming) -> Role:
    """A role with what belongs to it."""
    match role:
        case Follower(leader):
            return Follower(None if leader is None else renaming.node(leader))
        case Candidate(votes_granted):
            return Candidate(frozenset(map(renaming.node, votes_granted)))
        case Leader(next_index, match_index):
            return Leader(_rename_map(next_index, renaming), _rename_map(match_index, renaming))


def rename_message(message: Message, renaming: Renaming) -> Message:
    """A message, between servers of other names."""
    source, destination = renaming.node(message.source), renaming.node(message.destination)
    if isinstance(message, AppendEntries):
        entries = tuple(rename_entry(entry, renaming) for entry in message.entries)
        return replace(message, source=source, destination=destination, entries=entries)
    return replace(message, source=source, destination=destination)


def rename_event(event: Event, renaming: Renaming) -> Event:
    """An event; most have no names in them."""
    match event:
        case Receive(message):
            return Receive(rename_message(message, renaming))
        case ClientRequest(command):
            return ClientRequest(renaming.value(command))
        case _:
            return event


def _rename_map(indexes: IndexMap, renaming: Renaming) -> IndexMap:
    return IndexMap(tuple(sorted((renaming.node(peer), index) for peer, index in indexes.pairs)))
