"""A small world: which servers, terms, logs there are, and who may do what in it.

Within it, `spec.freest` tries everything. `candidates` and `participants` direct a search: five
servers and four terms are too many to try everything, but what is looked for there, a quorum that
misses another, needs few servers a term.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product

from raft_ref.types import Command, Entry, Log, NodeId, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """All terms, logs and so on that there are.

    Raises:
        ValueError: if a bound is below its minimum, or a candidate no server.
    """

    servers: int = 3
    max_term: int = 2
    max_log: int = 1
    values: int = 1
    restarts: bool = True
    redirects: bool = False
    """Whether clients ask servers that do not lead, which may name a leader to them."""
    candidates: tuple[NodeId, ...] = ()
    """Who alone may stand in term 1, in term 2, ...; in all further terms, everyone may."""
    participants: tuple[tuple[NodeId, ...], ...] = ()
    """Which servers alone may come to term 1, to term 2, ...; to all further terms, all may."""

    def __post_init__(self) -> None:
        minimums = {"servers": 1, "max_term": 1, "max_log": 0, "values": 1}
        for bound, minimum in minimums.items():
            if getattr(self, bound) < minimum:
                value = getattr(self, bound)
                raise ValueError(f"{bound} must be at least {minimum}, not {value}")
        for server in chain(self.candidates, *self.participants):
            if not 1 <= server <= self.servers:
                raise ValueError(f"there is no server {server}")

    @property
    def terms(self) -> range:
        """All terms, that before the first election included."""
        return range(self.max_term + 1)

    @property
    def commands(self) -> tuple[Command, ...]:
        """``v1``, ``v2``, ..."""
        return tuple(f"v{number}" for number in range(1, self.values + 1))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries."""
        pairs = product(self.terms[1:], self.commands)
        return tuple(Entry(term, command) for term, command in pairs)

    @property
    def logs(self) -> tuple[Log, ...]:
        """All logs, of whatever entries in whatever order."""
        lengths = range(self.max_log + 1)
        return tuple(Log(log) for length in lengths for log in product(self.entries, repeat=length))

    def may_enter(self, server: NodeId, term: Term) -> bool:
        """Whether a server may come to a term."""
        if not 1 <= term <= len(self.participants):
            return True
        return server in self.participants[term - 1]

    def may_stand(self, server: NodeId, term: Term) -> bool:
        """Whether a server may be candidate, and leader, of a term."""
        if not 1 <= term <= len(self.candidates):
            return True
        return self.candidates[term - 1] == server
