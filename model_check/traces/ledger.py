"""The properties of Figure 3 of all servers together, over a whole trace, in linear time.

They are those of `spec.properties`. There, an explorer needs a memory that it can store with every
state; here there is one history, which is long.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from model_check.traces.belief import Belief
from raft_ref import Entry, Index, NodeId, Term
from spec.chain import Chain
from spec.conduct import becomes_leader
from spec.properties import ElectionSafety, LeaderCompleteness, LogMatching, StateMachineSafety
from spec.words import entry_text, servers_text


class Violated(NamedTuple):
    """A property does not hold."""

    property: str
    explanation: str


class Standing(NamedTuple):
    """Where an entry stands in all logs that hold it."""

    entry: Entry
    previous: Term | None
    """The term of the one before it; None where a snapshot hides that."""


class Committed(NamedTuple):
    """An entry that some server considers committed, and the earliest term in which one did."""

    entry: Entry
    term: Term


class Elected(NamedTuple):
    """With which log a leader came to power."""

    term: Term
    log: Chain


@dataclass(slots=True)
class Ledger:
    """All that has happened, as far as the properties ask for it."""

    _leaders: dict[Term, NodeId] = field(default_factory=dict)
    _standings: dict[tuple[Index, Term], Standing] = field(default_factory=dict)
    _committed: dict[Index, Committed] = field(default_factory=dict)
    _applied: dict[Index, Entry] = field(default_factory=dict)
    _elected: list[Elected] = field(default_factory=list)
    """By term."""
    _spine: Chain | None = None
    """All that is committed, as a log."""
    _is_straight: bool = True
    """Whether it has only ever been extended."""
    _latest_term: Term = 0
    """Of a server that has committed something."""

    def enter(self, server: NodeId, before: Belief | None, after: Belief) -> Iterator[Violated]:
        """A server has become what it is ``after``; nothing is known of it before the first."""
        yield from self._matching(server, None if before is None else before.log, after.log)
        yield from self._commit(server, before, after)
        leads = after.role == "leader"
        if leads and (before is None or becomes_leader(before.state, after.state)):
            yield from self._elect(server, after)

    def apply(self, server: NodeId, index: Index, entry: Entry) -> Violated | None:
        """A server has applied an entry, or might: it takes it for committed."""
        first = self._applied.setdefault(index, entry)
        if first == entry:
            return None
        return Violated(
            StateMachineSafety().name,
            f"S{server} considers {entry_text(entry)} committed at index {index}, where "
            f"{entry_text(first)} was considered committed before",
        )

    def _matching(self, server: NodeId, before: Chain | None, after: Chain) -> Iterator[Violated]:
        known = 0 if before is None else before.meeting(after)
        for log, entry in after.back_to(known):
            assert log.parent is not None
            standing = Standing(entry, None if log.follows_snapshot else log.parent.last_term)
            first = self._standings.setdefault((log.last_index, entry.term), standing)
            if first.previous is None:  # a snapshot hid it, elsewhere
                self._standings[log.last_index, entry.term] = standing
            if problem := _differ(first, standing):
                yield Violated(
                    LogMatching().name,
                    f"S{server} and another server both have an entry of term {entry.term} at "
                    f"index {log.last_index}, but {problem}",
                )
                return

    def _commit(self, server: NodeId, before: Belief | None, after: Belief) -> Iterator[Violated]:
        committed_log = after.log.until(after.commit_index)
        known = max(0 if before is None else before.commit_index, self._known(after, committed_log))
        self._latest_term = max(self._latest_term, after.current_term)
        self._extend_spine(committed_log)
        for log, entry in committed_log.back_to(known):
            conflict = self.apply(server, log.last_index, entry)
            if conflict is not None:
                yield conflict
                return
            new = Committed(entry, after.current_term)
            first = self._committed.get(log.last_index)
            if first is None or new.term < first.term:
                self._committed[log.last_index] = new
                yield from self._lacking(log.last_index, new)

    def _known(self, after: Belief, committed_log: Chain) -> Index:
        """Up to where nothing is new in what a server has committed, as after a restart."""
        spine = self._spine
        is_later = after.current_term >= self._latest_term
        if spine is None or spine.beginning is not committed_log.beginning or not is_later:
            return 0
        return spine.meeting(committed_log)

    def _extend_spine(self, committed_log: Chain) -> None:
        if self._spine is None:
            self._spine = committed_log
        elif self._spine.last_index < committed_log.last_index:
            known_until = self._spine.meeting(committed_log)
            self._is_straight = self._is_straight and known_until == self._spine.last_index
            self._spine = committed_log

    def _lacking(self, index: Index, committed: Committed) -> Iterator[Violated]:
        """Leaders of later terms that were elected without it, before it was known to be so."""
        for leader in reversed(self._elected):
            if leader.term <= committed.term:
                return
            if _lacks(leader.log, index, committed.entry):
                yield _incomplete(index, committed, leader)

    def _elect(self, server: NodeId, leader: Belief) -> Iterator[Violated]:
        term = leader.current_term
        first = self._leaders.setdefault(term, server)
        if first != server:
            yield Violated(
                ElectionSafety().name,
                f"term {term} has had more than one leader: {servers_text({first, server})}",
            )
        elected = Elected(term, leader.log)
        insort(self._elected, elected, key=lambda each: each.term)
        yield from self._completeness(elected)

    def _completeness(self, elected: Elected) -> Iterator[Violated]:
        """Whether a new leader has all that was committed before its term."""
        assert self._spine is not None, "as soon as a server is known, there is one"
        log, spine = elected.log, self._spine
        indexes: Iterable[Index] = sorted(self._committed)
        if self._is_straight and log.beginning is spine.beginning:
            indexes = range(log.meeting(spine) + 1, spine.last_index + 1)
        for index in indexes:
            committed = self._committed.get(index)
            is_due = committed is not None and committed.term < elected.term
            if committed is not None and is_due and _lacks(log, index, committed.entry):
                yield _incomplete(index, committed, elected)
                return


def _differ(one: Standing, other: Standing) -> str | None:
    """How two logs differ that have entries of the same index and term."""
    if one.entry != other.entry:
        return f"it is {one.entry.command!r} in one and {other.entry.command!r} in the other"
    if one.previous != other.previous and None not in (one.previous, other.previous):
        return f"the entry before it is of term {one.previous}, and of term {other.previous}"
    return None


def _lacks(log: Chain, index: Index, entry: Entry) -> bool:
    chain = log.until(index)
    in_snapshot = chain.last_index >= index and chain.entry is None
    return not in_snapshot and (chain.last_index != index or chain.entry != entry)


def _incomplete(index: Index, committed: Committed, elected: Elected) -> Violated:
    own = elected.log.entry_at(index)
    return Violated(
        LeaderCompleteness().name,
        f"{entry_text(committed.entry)} at index {index} was committed in term {committed.term}, "
        f"but the leader of term {elected.term} was elected with {entry_text(own)} there",
    )
