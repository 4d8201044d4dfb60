"""What the rest of a trace tells of a step: what is seen later, or elsewhere.

A judge that reads a trace to its end before it judges need not guess what was not seen of a step
where it shows afterwards: how long a leader's log had become, how much was committed, and what the
entries were of which somebody has logged the number alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import assert_never

from msgspec import UNSET, UnsetType

from model_check.traces.happening import (
    Arrived,
    Beyond,
    Counted,
    Happening,
    Place,
    Start,
    Told,
    Trace,
    Unreadable,
    term_of,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    Index,
    NodeId,
    RequestVote,
    RequestVoteReply,
    Restart,
    Term,
)

MOST_ENDS = 8
"""Of a server's log that are looked for ahead of a step: the nearest, and the highest."""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What is seen of a server next."""

    commit_index: Index | None = None
    """In this step or later, before the server crashes; None if nothing is."""
    committed: Index = 0
    """Likewise: how much it shows next to be committed, at least; if it crashes before it shows
    that, what it applies afterwards, which may have been committed before."""
    applied: Index = 0
    """The highest index that it applies in this step or later."""
    log_ends: tuple[Index, ...] = ()
    """After this step: up to where its log must have reached, until it is seen where it ends."""
    log_hints: tuple[Index, ...] = ()
    """Likewise, if it did not refuse what asks for that."""
    current_term: Term | None = None
    """In this step or later."""
    next: Happening | None = None
    """The step after this one."""

    def may_end_reign(self, term: Term) -> bool:
        """Whether a leader of ``term`` may lead no more after the next step."""
        if self.next is None:
            return False
        named, role = self.next.seen.current_term, self.next.seen.role
        match self.next.cause:
            case Restart() | ElectionTimeout():
                return True
            case Arrived(told) if term_of(told) > term:
                return True
            case Start() | HeartbeatTimeout() | ClientRequest() | Arrived() | Beyond():
                pass
        is_later = not isinstance(named, UnsetType) and named > term
        return is_later or role in ("follower", "candidate")

    @property
    def least_end(self) -> Index:
        """Up to where its log reaches after this step, for what the next one says it was before."""
        log = UNSET if self.next is None else self.next.seen.log
        return 0 if isinstance(log, UnsetType) else log.start - 1


@dataclass(frozen=True)
class Foresight:
    """What a trace tells as a whole."""

    trace: Trace
    _upcoming: dict[Place, Upcoming] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        later: dict[NodeId, Upcoming] = {}
        for happening in reversed(self.trace.happenings):
            server = happening.server
            now = _seen_from(happening, later.get(server, Upcoming()))
            self._upcoming[happening.place] = now
            later[server] = _seen_before(happening, now)

    def upcoming(self, happening: Happening) -> Upcoming:
        """What is seen of its server next, the step itself included."""
        return self._upcoming[happening.place]

    @cached_property
    def entries(self) -> Mapping[tuple[Index, Term], Entry]:
        """By index and term: an entry that somebody has logged in full.

        Logs that agree on both hold the same entry (Log Matching, §5.3); if two were seen, either.
        """
        found: dict[tuple[Index, Term], Entry] = {}
        for happening in self.trace.happenings:
            for index, entry in _shown(happening):
                found.setdefault((index, entry.term), entry)
        return found


def _seen_from(happening: Happening, later: Upcoming) -> Upcoming:
    seen = happening.seen
    if not isinstance(seen.commit_index, UnsetType):
        later = replace(later, commit_index=seen.commit_index)
    later = replace(later, committed=max(committed_by(happening), default=later.committed))
    indexes = (applying.index for applying in happening.applied)
    later = replace(later, applied=max((later.applied, *indexes)))
    terms = [term_of(sending.told) for sending in happening.sent]
    if not isinstance(seen.current_term, UnsetType):
        terms = [seen.current_term]
    return replace(later, current_term=max(terms)) if any(terms) else later


def _seen_before(happening: Happening, now: Upcoming) -> Upcoming:
    """What is seen next before a step."""
    seen = happening.seen
    shows_end = seen.log, seen.last_log_index
    ends, hints = now.log_ends, now.log_hints
    if shows_end != (UNSET, UNSET):
        ends = hints = ()
    is_crash = isinstance(happening.cause, Restart)
    return replace(
        now,
        commit_index=None if is_crash else now.commit_index,
        committed=now.applied if is_crash else now.committed,
        log_ends=_rising(ends_of(happening), ends),
        log_hints=tuple(dict.fromkeys((*hints_of(happening), *hints)))[:MOST_ENDS],
        next=happening,
    )


def _rising(soon: Iterable[Index], later: Iterable[Index]) -> tuple[Index, ...]:
    """Of the ends that a log has reached in one step and in later ones, each that is beyond all
    before it."""
    rising: list[Index] = []
    for end in (*sorted(soon), *later):
        if end > max(rising, default=0):
            rising.append(end)
    return tuple(rising if len(rising) <= MOST_ENDS else (*rising[: MOST_ENDS - 1], rising[-1]))


def committed_by(happening: Happening) -> Iterator[Index]:
    """How much a step shows to be committed, at least."""
    if not isinstance(happening.seen.commit_index, UnsetType):
        yield happening.seen.commit_index
    yield from (applying.index for applying in happening.applied)
    for sending in happening.sent:
        match sending.told:
            case AppendEntries(leader_commit=index) | Counted(AppendEntries(leader_commit=index)):
                yield index
            case RequestVote() | RequestVoteReply() | AppendEntriesReply() | Unreadable():
                pass


def ends_of(happening: Happening) -> Iterator[Index]:
    """Up to where the log of a server must have reached, for what is seen of a step."""
    seen = happening.seen
    if not isinstance(seen.log, UnsetType):
        yield seen.log.start - 1
        yield seen.log.start - 1 + len(seen.log.entries)
    if not isinstance(seen.last_log_index, UnsetType):
        yield seen.last_log_index
    # One step may apply and send very many; the log has reached the highest.
    yield max(committed_by(happening), default=0)
    yield max((end_of(sending.told) for sending in happening.sent), default=0)
    match _arrived(happening):
        case AppendEntriesReply(success=True, match_index=index):
            yield index
        case RequestVote() | RequestVoteReply() | AppendEntries() | AppendEntriesReply():
            pass
        case Counted() | Unreadable() | None:
            pass


def hints_of(happening: Happening) -> Iterator[Index]:
    """Up to where the log of a server must have reached, unless it refuses what arrives."""
    match _arrived(happening):
        case AppendEntries(prev_log_index=index) | Counted(AppendEntries(prev_log_index=index)):
            yield index
        case RequestVote() | RequestVoteReply() | AppendEntriesReply() | Unreadable() | None:
            pass


def _arrived(happening: Happening) -> Told | None:
    return happening.cause.told if isinstance(happening.cause, Arrived) else None


def end_of(told: Told) -> Index:
    """Up to where the log of who sends a message reaches, at least."""
    match told:
        case Counted(rest, count):
            return rest.prev_log_index + count
        case AppendEntries():
            return told.prev_log_index + len(told.entries)
        case RequestVote():
            return told.last_log_index
        case AppendEntriesReply(success=True):
            return told.match_index
        case RequestVoteReply() | AppendEntriesReply() | Unreadable():
            return 0
        case _:
            assert_never(told)


def _shown(happening: Happening) -> Iterator[tuple[Index, Entry]]:
    """The entries that are seen in full."""
    for each in (*(sending.told for sending in happening.sent), _arrived(happening)):
        if isinstance(each, AppendEntries):
            yield from enumerate(each.entries, start=each.prev_log_index + 1)
    if not isinstance(happening.seen.log, UnsetType):
        yield from enumerate(happening.seen.log.entries, start=happening.seen.log.start)
    for applying in happening.applied:
        if not isinstance(applying.entry, UnsetType):
            yield applying.index, applying.entry
