"""The nouns of Raft: terms, entries, the log, the three roles, one server's state.

Everything here is an immutable value that compares and hashes by content. The names are those of
Figure 2 of the Raft paper, in Python's spelling (``currentTerm`` is ``current_term``).

The role is a sum type: votes exist only on a `Candidate`, ``next_index`` and ``match_index`` only
on a `Leader`, so a state such as "a follower that counts votes" cannot be written down.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, TypeAlias

NodeId: TypeAlias = int
"""Identifies one server of the cluster."""

Term: TypeAlias = int
"""A logical clock (§5.1). 0 before the first election."""

Index: TypeAlias = int
"""A position in the log. The first entry has index 1, as in the paper; 0 means "before the log"."""

Command: TypeAlias = str
"""What a client wants applied to the state machine. Raft never looks inside."""


EXTENSION: Final = {"extension": True}
"""Metadata of a field that belongs to an extension: with its default, the value is one of Figure 2.
As JSON, the field is absent then."""


@dataclass(frozen=True, slots=True)
class Window:
    """How much a leader may have sent to one peer that the peer has not acknowledged.

    Raises:
        ValueError: if one of the limits is below 1.
    """

    max_entries: int
    max_size: int | None = None
    """In characters of commands, if not None. The last entry sent may exceed it."""

    def __post_init__(self) -> None:
        for name in ("max_entries", "max_size"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise ValueError(f"{name} of a window must be at least 1, not {limit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What one server knows from the start and never changes.

    Raises:
        ValueError: if ``id`` is not one of ``servers``, one of these is negative, or
            ``max_entries_per_append`` or ``max_size_per_append`` is below 1.
    """

    id: NodeId
    servers: frozenset[NodeId]
    """All servers of the cluster, this one included."""
    max_entries_per_append: int = 64
    """At most so many entries travel in one AppendEntries. §5.3 leaves the number open."""
    max_size_per_append: int | None = field(default=None, metadata=EXTENSION)
    """Nor more than so many characters of commands, if not None. One entry may travel even if it is
    longer."""
    conflict_hints: bool = field(default=False, metadata=EXTENSION)
    """Whether a rejection says where the log conflicts; see `extensions.conflict_hints`."""
    pipelining: Window | None = field(default=None, metadata=EXTENSION)
    """Whether a leader sends on before it has an answer; see `extensions.pipelining`."""

    def __post_init__(self) -> None:
        if self.id not in self.servers:
            raise ValueError(f"server {self.id} is not one of the servers {sorted(self.servers)}")
        if min(self.servers) < 0:
            raise ValueError(f"servers must not be negative: {sorted(self.servers)}")
        if self.max_entries_per_append < 1:
            raise ValueError(
                f"max_entries_per_append must be at least 1, not {self.max_entries_per_append}"
            )
        if self.max_size_per_append is not None and self.max_size_per_append < 1:
            raise ValueError(
                f"max_size_per_append must be at least 1, not {self.max_size_per_append}"
            )

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other servers, in ascending order."""
        return tuple(sorted(self.servers - {self.id}))

    def is_majority(self, servers: frozenset[NodeId]) -> bool:
        """Whether ``servers`` are more than half of the cluster (§5.2)."""
        return 2 * len(servers & self.servers) > len(self.servers)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One log entry: a command, and the term in which a leader received it (§5.3)."""

    term: Term
    command: Command


@dataclass(frozen=True, slots=True, order=True)
class Log:
    """The entries a server holds, after the prefix that a snapshot has replaced (§7).

    Without snapshots the base ``(snapshot_index, snapshot_term)`` is ``(0, 0)`` and the log starts
    at index 1.
    """

    entries: tuple[Entry, ...] = ()
    snapshot_index: Index = 0
    snapshot_term: Term = 0

    @property
    def last_index(self) -> Index:
        """Index of the last entry; the snapshot's index where there is none."""
        return self.snapshot_index + len(self.entries)

    @property
    def last_term(self) -> Term:
        """Term of the last entry; the snapshot's term where there is none."""
        return self.entries[-1].term if self.entries else self.snapshot_term

    def term_at(self, index: Index) -> Term | None:
        """Term of the entry at ``index``, or None where the log does not reach or no longer knows.

        The base counts as an entry, so that ``term_at(0)`` of a log without a snapshot is 0.
        """
        if index == self.snapshot_index:
            return self.snapshot_term
        entry = self.entry_at(index)
        return None if entry is None else entry.term

    def entry_at(self, index: Index) -> Entry | None:
        """The entry at ``index``, or None where the log holds none."""
        if self.snapshot_index < index <= self.last_index:
            return self.entries[index - self.snapshot_index - 1]
        return None

    def between(self, after: Index, until: Index) -> tuple[Entry, ...]:
        """The entries with ``after < index <= until``, as far as the log holds them."""
        start = max(after - self.snapshot_index, 0)
        return self.entries[start : max(until - self.snapshot_index, 0)]

    def first_index_of(self, term: Term) -> Index:
        """Index of the first entry of ``term`` or a later one, after the base; one beyond the end
        where there is none. Terms never fall along a log."""
        return self.snapshot_index + 1 + bisect_left(self.entries, term, key=_term_of)

    def last_index_of(self, term: Term) -> Index:
        """Index of the last entry of ``term`` or an earlier one; the base where there is none."""
        return self.snapshot_index + bisect_right(self.entries, term, key=_term_of)

    def append(self, *entries: Entry) -> Log:
        """This log with ``entries`` at its end."""
        return replace(self, entries=self.entries + entries)

    def truncate_from(self, index: Index) -> Log:
        """This log without the entry at ``index`` and all that follow it."""
        return replace(self, entries=self.between(self.snapshot_index, index - 1))


def _term_of(entry: Entry) -> Term:
    return entry.term


@dataclass(frozen=True, slots=True)
class IndexMap(Mapping[NodeId, Index]):
    """One index for each of some servers: Figure 2's ``nextIndex[]`` and ``matchIndex[]``.

    Raises:
        ValueError: if the servers are not in ascending order, each once, from 0 on.
    """

    pairs: tuple[tuple[NodeId, Index], ...] = ()

    def __post_init__(self) -> None:
        servers = [server for server, _ in self.pairs]
        if any(low >= high for low, high in pairwise([-1, *servers])):
            raise ValueError(f"servers must ascend from 0, each once, not {servers}")

    @classmethod
    def uniform(cls, servers: tuple[NodeId, ...], index: Index) -> IndexMap:
        """The same ``index`` for each of ``servers``."""
        return cls(tuple((server, index) for server in sorted(servers)))

    def with_index(self, server: NodeId, index: Index) -> IndexMap:
        """This map with ``index`` for ``server``, which must be in it."""
        return IndexMap(
            tuple((other, index if other == server else old) for other, old in self.pairs)
        )

    def __getitem__(self, server: NodeId) -> Index:
        for other, index in self.pairs:
            if other == server:
                return index
        raise KeyError(server)

    def __iter__(self) -> Iterator[NodeId]:
        return (server for server, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True, slots=True)
class Follower:
    """Passive: answers leaders and candidates (§5.2)."""

    leader: NodeId | None = None
    """The leader of the current term, once it has been heard from; clients are sent there (§8)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Asks for votes in its current term (§5.2)."""

    votes_granted: frozenset[NodeId]
    """The servers that granted their vote, itself included. A set: a vote counts once."""


@dataclass(frozen=True, slots=True)
class Leader:
    """Handles clients and replicates its log (§5.3). Reinitialized after election (Figure 2)."""

    next_index: IndexMap
    """For each peer, index of the next entry to send it."""
    match_index: IndexMap
    """For each peer, index of the highest entry known to be replicated on it."""


Role: TypeAlias = Follower | Candidate | Leader


@dataclass(frozen=True, slots=True)
class PersistentState:
    """Figure 2, "Persistent state on all servers": durable before any output of a step leaves."""

    current_term: Term = 0
    voted_for: NodeId | None = None
    log: Log = Log()


@dataclass(frozen=True, slots=True)
class NodeState:
    """All of one server's state: what must be durable, and the volatile rest (Figure 2)."""

    persistent: PersistentState = PersistentState()
    role: Role = Follower()
    commit_index: Index = 0
    """Highest index known to be committed."""
    last_applied: Index = 0
    """Highest index applied to the state machine. Equals ``commit_index`` between steps."""

    @property
    def current_term(self) -> Term:
        """Latest term this server has seen."""
        return self.persistent.current_term

    @property
    def voted_for(self) -> NodeId | None:
        """The candidate that received this server's vote in the current term, if any."""
        return self.persistent.voted_for

    @property
    def log(self) -> Log:
        """The log entries."""
        return self.persistent.log
