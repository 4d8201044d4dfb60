"""Logs that share what they have in common, for judges of long histories.

In a history of a hundred thousand steps, servers hold logs of tens of thousands of entries, and
nearly always the same ones. A `Chain` is a log that is made of its last entry and the log before
that; and a `SharedLog` is the same as the `raft_ref.Log` on which rules and properties look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from raft_ref.types import Entry, Index, Log, Term


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A log. Two that hold the same are the same object, if they are of the same `Chains`."""

    last_index: Index
    last_term: Term
    entry: Entry | None
    """The last entry; None where the log begins, which may be at a snapshot."""
    parent: Chain | None
    """The log before that."""
    _shortcut: Chain | None
    """A much shorter log: as in Myers' random-access stacks (1983), the way to any log that this
    one begins with takes a number of steps that is logarithmic in its length."""
    _beginning: Chain | None
    """Where it begins; None if that is here."""

    @classmethod
    def starting_at(cls, index: Index, term: Term) -> Chain:
        """A log in which a snapshot has replaced all up to ``index``; the empty one, if that is
        0."""
        return cls(index, term, None, None, None, None)

    @property
    def beginning(self) -> Chain:
        """The log in which it begins, without an entry."""
        return self if self._beginning is None else self._beginning

    @property
    def follows_snapshot(self) -> bool:
        """Whether a snapshot hides the entry before the last."""
        return self.parent is not None and self.parent.entry is None and self.last_index > 1

    def followed_by(self, entry: Entry) -> Chain:
        """This log with ``entry`` at its end; see `Chains.extended`."""
        return Chain(
            self.last_index + 1, entry.term, entry, self, self._next_shortcut(), self.beginning
        )

    def _next_shortcut(self) -> Chain:
        once = self._shortcut
        twice = None if once is None else once._shortcut
        if once is None or twice is None:
            return self
        is_even = self.last_index - once.last_index == once.last_index - twice.last_index
        return twice if is_even else self

    def until(self, index: Index) -> Chain:
        """This log without what follows ``index``; where it begins, if that is later."""
        chain = self
        while chain.last_index > index and chain.parent is not None:
            shortcut = chain._shortcut
            is_far = shortcut is not None and shortcut.last_index >= index
            chain = shortcut if is_far and shortcut is not None else chain.parent
        return chain

    def back_to(self, index: Index) -> Iterator[tuple[Chain, Entry]]:
        """Its entries that follow ``index``, the last one first, each with the log it ends."""
        chain: Chain | None = self
        while chain is not None and chain.entry is not None and chain.last_index > index:
            yield chain, chain.entry
            chain = chain.parent

    def entry_at(self, index: Index) -> Entry | None:
        """The entry at ``index``; None where the log does not reach, or no longer knows."""
        chain = self.until(index)
        return chain.entry if chain.last_index == index else None

    def between(self, after: Index, until: Index) -> tuple[Entry, ...]:
        """The entries with ``after < index <= until``, as far as there are any."""
        found = [entry for _, entry in self.until(until).back_to(after)]
        return tuple(reversed(found))

    def meeting(self, other: Chain) -> Index:
        """The last index up to which this log and another of the same `Chains` hold the same.

        If they begin differently, where the later one begins.
        """
        if self.beginning is not other.beginning:
            return max(self.beginning.last_index, other.beginning.last_index)
        last = min(self.last_index, other.last_index)
        one, two = self.until(last), other.until(last)
        while one is not two:
            assert one.parent is not None
            assert two.parent is not None
            if one._shortcut is two._shortcut:
                one, two = one.parent, two.parent
            else:
                assert one._shortcut is not None
                assert two._shortcut is not None
                one, two = one._shortcut, two._shortcut
        return one.last_index


@dataclass(slots=True)
class Chains:
    """All logs of a history."""

    _beginnings: dict[tuple[Index, Term], Chain] = field(default_factory=dict)
    _longer: dict[tuple[Chain, Entry], Chain] = field(default_factory=dict)

    def beginning(self, index: Index = 0, term: Term = 0) -> Chain:
        """A log in which a snapshot has replaced all up to ``index``; the empty one otherwise."""
        return self._beginnings.setdefault((index, term), Chain.starting_at(index, term))

    def extended(self, chain: Chain, *entries: Entry) -> Chain:
        """``chain`` with ``entries`` at its end."""
        for entry in entries:
            known = self._longer.get((chain, entry))
            if known is None:
                known = self._longer[chain, entry] = chain.followed_by(entry)
            chain = known
        return chain


class SharedLog(Log):
    """A log as rules and properties look at it; what it shares with others, it need not compare."""

    __slots__ = ("chain",)

    def __init__(self, chain: Chain) -> None:
        beginning = chain.beginning
        object.__setattr__(self, "chain", chain)
        object.__setattr__(self, "snapshot_index", beginning.last_index)
        object.__setattr__(self, "snapshot_term", beginning.last_term)

    chain: Chain

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedLog) and self.chain is other.chain

    def __hash__(self) -> int:
        return hash(self.chain)

    @property
    def last_index(self) -> Index:
        """Index of the last entry."""
        return self.chain.last_index

    @property
    def last_term(self) -> Term:
        """Term of the last entry."""
        return self.chain.last_term

    def term_at(self, index: Index) -> Term | None:
        """As of any log; and before the first entry, all have the same."""
        return 0 if index == 0 else Log.term_at(self, index)

    def entry_at(self, index: Index) -> Entry | None:
        """The entry at ``index``."""
        return self.chain.entry_at(index)

    def between(self, after: Index, until: Index) -> tuple[Entry, ...]:
        """The entries with ``after < index <= until``."""
        return self.chain.between(after, until)


def first_possible_difference(one: Log, other: Log) -> Index:
    """An index before which two logs hold the same, as far as that is known without looking."""
    if isinstance(one, SharedLog) and isinstance(other, SharedLog):
        return one.chain.meeting(other.chain) + 1
    return max(one.snapshot_index, other.snapshot_index) + 1
