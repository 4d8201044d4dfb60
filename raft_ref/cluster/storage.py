"""What a server must not forget, and the interface of what keeps it (Figure 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from raft_ref.types import Entry, Index, Log, NodeId, PersistentState, Term


@dataclass(frozen=True, slots=True)
class Identity:
    """The server and the cluster that a stored state belongs to."""

    server: NodeId
    cluster: str
    members: tuple[NodeId, ...]
    """All servers of the cluster, ascending."""


class StorageError(Exception):
    """What was to be kept may not be kept, or what was kept is damaged. The server must stop."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a persistent state became another: never the whole log, only what is new in it."""

    current_term: Term
    voted_for: NodeId | None
    start: Index
    """From here on, the log holds these entries and no others; before, what it held."""
    entries: tuple[Entry, ...] = ()


class Storage(Protocol):
    """Keeps the persistent state of one server."""

    async def save(self, change: Change, note: bytes) -> None:
        """Make a change durable, all of it or nothing, before returning.

        ``note`` is kept with the last change, for whatever must not get ahead of it or behind.

        Raises:
            StorageError: if it may not have become durable.
        """


def change_between(before: PersistentState, after: PersistentState) -> Change | None:
    """How a server's persistent state has changed; None if it has not."""
    if after is before:
        return None
    start = first_difference(before.log, after.log)
    entries = after.log.between(start - 1, after.log.last_index)
    is_log_unchanged = not entries and after.log.last_index == before.log.last_index
    if is_log_unchanged and (before.current_term, before.voted_for) == (
        after.current_term,
        after.voted_for,
    ):
        return None
    return Change(after.current_term, after.voted_for, start, entries)


def first_difference(before: Log, after: Log) -> Index:
    """The first index at which one server's log now holds something else, or nothing more.

    Found from the end: if both hold an entry of the same index and term, all before is the same
    (Log Matching, §5.3). So it takes as long as the change is large, however long the log.
    """
    if after is before:
        return after.last_index + 1
    index = min(before.last_index, after.last_index)
    while index > 0 and before.entry_at(index) != after.entry_at(index):
        index -= 1
    return index + 1


def changed(state: PersistentState, change: Change) -> PersistentState:
    """A persistent state after a change."""
    log = state.log
    if change.start <= log.last_index:
        log = log.truncate_from(change.start)
    return replace(
        state,
        current_term=change.current_term,
        voted_for=change.voted_for,
        log=log.append(*change.entries),
    )
