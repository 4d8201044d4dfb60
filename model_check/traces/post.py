"""The messages of a trace: what arrives was sent, and in what order that can be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from msgspec import UnsetType

from model_check.traces.happening import (
    Arrived,
    Counted,
    Happening,
    Sending,
    Start,
    Told,
    Trace,
    Unreadable,
    from_whom,
    term_of,
)
from raft_ref import AppendEntries, Message, NodeId, Term

Key: TypeAlias = tuple[Told, str]
"""A message without its entries, and its seal."""


def key_of(told: Told, seal: str) -> Key:
    """By what a message is known again: of its entries only the number counts."""
    if isinstance(told, AppendEntries):
        return Counted(replace(told, entries=()), len(told.entries)), seal
    return told, seal


def in_order(trace: Trace) -> Iterator[Happening]:
    """The happenings of a trace, those of each server in their order, a message after its sending.

    Otherwise they come in the order of their lines: threads, or several files, may have mixed them
    up. What arrives without ever having been sent waits for nothing.
    """
    waiting: dict[NodeId, deque[Happening]] = {}
    for happening in trace.happenings:
        waiting.setdefault(happening.server, deque()).append(happening)
    coming = {key for each in trace.happenings for key in _keys(each)}
    sent: set[Key] = set()
    post = Post.of(trace)
    while waiting:
        heads = [queue[0] for queue in waiting.values()]
        free = [head for head in heads if not _must_wait(head, sent, coming, post)]
        happening = min(free or heads, key=lambda head: head.place)
        yield happening
        sent.update(_keys(happening))
        waiting[happening.server].popleft()
        if not waiting[happening.server]:
            del waiting[happening.server]


def _keys(happening: Happening) -> list[Key]:
    """Of what is sent."""
    return [key_of(sending.told, sending.seal) for sending in happening.sent]


def _must_wait(head: Happening, sent: set[Key], coming: set[Key], post: Post) -> bool:
    """Whether a message arrives that is still to be sent."""
    if not isinstance(head.cause, Arrived) or post.is_excused(head.cause.told):
        return False
    key = key_of(head.cause.told, head.cause.seal)
    is_own = from_whom(head.cause.told) == head.server
    return not is_own and key in coming and key not in sent


@dataclass(slots=True)
class Post:
    """What was sent so far."""

    seen: Mapping[NodeId, Term]
    """The servers of which every message has its line, but for those of terms up to this, which
    they may have sent before the trace began."""
    _sent: dict[Key, set[Message] | None] = field(default_factory=dict)
    """Those with entries, by what they are known by; None if the entries are not known."""

    @classmethod
    def of(cls, trace: Trace) -> Post:
        """Of a trace that has not begun yet."""
        starts = (each for each in trace.happenings if isinstance(each.cause, Start))
        terms = ((each.server, each.seen.current_term) for each in starts if trace.sends_seen)
        return cls({server: 0 if isinstance(term, UnsetType) else term for server, term in terms})

    def send(self, sending: Sending, ways: Iterable[Message]) -> None:
        """A message was sent; ``ways`` is all that it may have been."""
        key, messages = key_of(sending.told, sending.seal), set(ways)
        known = self._sent.setdefault(key, set())
        if known is not None:
            self._sent[key] = known | messages if len(messages) == 1 else None

    def is_excused(self, told: Told) -> bool:
        """Whether a message may have been sent where nobody saw it."""
        past = self.seen.get(from_whom(told))
        return past is None or 0 < past >= term_of(told)

    def was_sent(self, arrival: Arrived) -> bool:
        """Whether a message may arrive."""
        if self.is_excused(arrival.told):
            return True
        key = key_of(arrival.told, arrival.seal)
        known = self._sent.get(key, set())
        if isinstance(arrival.told, AppendEntries):
            return known is None or arrival.told in known
        return key in self._sent

    def opened(self, arrival: Arrived) -> Message | None:
        """The message itself; None if its entries are not known, or nothing of it can be read."""
        told = arrival.told
        if isinstance(told, Counted):
            known = self._sent.get(key_of(told, arrival.seal)) or set()
            return next(iter(known)) if len(known) == 1 else None
        return None if isinstance(told, Unreadable) else told
