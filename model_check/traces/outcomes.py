"""What a server may be like after a step of which not everything was seen.

It changes its log by what a message brings, its vote when it is asked for it, and so on. That is
more than Raft allows, and nothing that Raft allows is missing but this: a term that nobody names
rises by one, and the commit index is one that some rule may call the highest, or that is seen next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeVar, get_args

from msgspec import UnsetType

from model_check.traces.belief import Belief
from model_check.traces.foresight import Upcoming, ends_of, hints_of
from model_check.traces.happening import Happening, RoleName, term_of
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    Index,
    Message,
    NodeId,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Term,
)
from spec.chain import Chain, Chains
from spec.shadow import Unread, Witnessed

X = TypeVar("X")

MOST_PARTS = 64
"""Entries of a request of which a follower may have taken any number unseen."""

MOST_GROWTH = 1 << 16
"""Entries that a leader may append in a step without showing them."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A step of a server, as far as it was seen."""

    happening: Happening
    event: Witnessed
    upcoming: Upcoming
    """What is seen of the server next."""
    entries: Mapping[tuple[Index, Term], Entry]
    """By index and term: an entry that was seen in full, here or elsewhere."""
    chains: Chains

    @property
    def server(self) -> NodeId:
        """Who takes the step."""
        return self.happening.server

    @property
    def received(self) -> Message | None:
        """The message that has arrived, if one has that can be read."""
        return self.event.message if isinstance(self.event, Receive) else None


def outcomes(situation: Situation, before: Belief) -> Iterator[Belief]:
    """All that fits what was seen, if it may possibly be; most of it breaks a rule."""
    seen = situation.happening.seen
    terms = _choices(seen.current_term, _terms(situation, before))
    roles = _choices(seen.role, get_args(RoleName))
    for term, role in product(terms, roles):
        votes = _choices(seen.voted_for, _votes(situation, before, term))
        for vote, log in product(votes, tuple(_logs(situation, before, term, role))):
            for commit in _choices(seen.commit_index, _commits(situation, before, log)):
                yield Belief(log, term, vote, role, commit)


def _choices(seen: X | UnsetType, otherwise: Iterable[X]) -> tuple[X, ...]:
    return tuple(dict.fromkeys(otherwise)) if isinstance(seen, UnsetType) else (seen,)


def _terms(situation: Situation, before: Belief) -> Iterator[Term]:
    yield before.current_term
    if isinstance(situation.event, ElectionTimeout):
        yield before.current_term + 1
    named = [term_of(sending.told) for sending in situation.happening.sent]
    match situation.event:
        case Receive(message):
            named.append(message.term)
        case Unread():  # of a term that may show only later
            named.append(situation.upcoming.current_term or 0)
        case ElectionTimeout() | HeartbeatTimeout() | ClientRequest() | Restart():
            pass
    yield from (term for term in named if term > before.current_term)


def _votes(situation: Situation, before: Belief, term: Term) -> Iterator[NodeId | None]:
    yield before.voted_for if term == before.current_term else None
    match situation.received:
        case RequestVote(source=candidate):
            yield candidate
        case RequestVoteReply() | AppendEntries() | AppendEntriesReply() | None:
            pass
    yield situation.server


def _commits(situation: Situation, before: Belief, log: Chain) -> Iterator[Index]:
    """What it may be, never above what is seen next."""
    ahead, least = situation.upcoming.commit_index, before.commit_index
    highest = log.last_index if ahead is None else min(log.last_index, ahead)
    if isinstance(situation.event, Restart):
        yield 0
        least = min(least, highest)  # a crash may lose it
    yield least
    yield from (
        index for index in sorted(_milestones(situation, before)) if least < index < highest
    )
    yield max(least, highest)


def _milestones(situation: Situation, before: Belief) -> set[Index]:
    """The indexes that some rule may say are the highest to commit."""
    evidence = before.evidence
    known = {evidence.claimed, evidence.confirmed, *evidence.acknowledged.values()}
    known.add(situation.upcoming.committed)
    match situation.received:
        case AppendEntries() as request:
            known |= {request.leader_commit, request.prev_log_index + len(request.entries)}
        case AppendEntriesReply() as reply:
            known.add(reply.match_index)
        case RequestVote() | RequestVoteReply() | None:
            pass
    return known


# --- logs ----------------------------------------------------------------------------------------


def _logs(situation: Situation, before: Belief, term: Term, role: RoleName) -> Iterator[Chain]:
    """The logs that fit what was seen."""
    seen, chains = situation.happening.seen, situation.chains
    if not isinstance(seen.log, UnsetType):
        kept = before.log.until(seen.log.start - 1)
        if kept.last_index == seen.log.start - 1:
            yield chains.extended(kept, *seen.log.entries)
        return
    for log in dict.fromkeys(_possible_logs(situation, before, term, role)):
        ends = ((seen.last_log_index, log.last_index), (seen.last_log_term, log.last_term))
        if all(isinstance(shown, UnsetType) or shown == own for shown, own in ends):
            yield log


def _possible_logs(
    situation: Situation, before: Belief, term: Term, role: RoleName
) -> Iterator[Chain]:
    """Logs that a server may have after a step, whatever was seen of them."""
    yield before.log
    if role == "leader":
        for count in _growths(situation, before, term):
            entries = _new_entries(situation, before.log, count, term)
            yield situation.chains.extended(before.log, *entries)
    match situation.received:
        case AppendEntries() as request:
            yield from _merged(situation, before.log, request)
        case RequestVote() | RequestVoteReply() | AppendEntriesReply() | None:
            pass


def _merged(situation: Situation, log: Chain, request: AppendEntries) -> Iterator[Chain]:
    """``log`` with some of the entries of ``request``, and nothing after them."""
    kept = log.until(request.prev_log_index)
    known = kept.last_index - request.prev_log_index  # more than none where a snapshot hides them
    if known < 0:
        return
    entries = request.entries[known:]
    ends = {kept.last_index, kept.last_index + len(entries)}
    if len(entries) <= MOST_PARTS:
        ends |= set(range(kept.last_index, kept.last_index + len(entries)))
    else:
        ends |= {*ends_of(situation.happening), *hints_of(situation.happening)}
        ends |= {*situation.upcoming.log_ends, *situation.upcoming.log_hints}
    for entry in (None, *entries):
        kept = kept if entry is None else situation.chains.extended(kept, entry)
        if kept.last_index in ends:
            yield kept


def _growths(situation: Situation, before: Belief, term: Term) -> Iterator[int]:
    """By how many entries a leader's log may have grown, within reason.

    An entry is appended as late as it may be: when it shows, or in the last step as a leader.
    """
    upcoming = situation.upcoming
    ends = [*ends_of(situation.happening), *hints_of(situation.happening), upcoming.least_end]
    if upcoming.may_end_reign(term):
        ends += [*upcoming.log_ends, *upcoming.log_hints]
    if isinstance(situation.event, ClientRequest):
        ends.append(before.log.last_index + 1)
    for growth in dict.fromkeys(end - before.log.last_index for end in ends):
        if 0 < growth <= MOST_GROWTH:
            yield growth


def _new_entries(situation: Situation, log: Chain, count: int, term: Term) -> Iterator[Entry]:
    """So many entries of a leader: as they were seen anywhere, or as a client asks for them."""
    event = situation.event
    for number in range(count):
        index = log.last_index + 1 + number
        asked = event.command if isinstance(event, ClientRequest) and number == 0 else ""
        yield situation.entries.get((index, term)) or Entry(term, asked)
