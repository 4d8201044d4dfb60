"""The messages of a trace: what arrives was sent, and in what order that can be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from model_check.traces.happening import (
    Arrived,
    Counted,
    Happening,
    Start,
    Told,
    Trace,
    from_whom,
)
from raft_ref import AppendEntries, Message, NodeId


def counted(told: Told) -> Told:
    """A message of whose entries only the number counts."""
    if isinstance(told, AppendEntries):
        return Counted(replace(told, entries=()), len(told.entries))
    return told


def in_order(trace: Trace) -> Iterator[Happening]:
    """The happenings of a trace, those of each server in their order, a message after its sending.

    Otherwise they come in the order of their lines: threads, or several files, may have mixed them
    up. What arrives without ever having been sent comes when nothing else is left.
    """
    waiting: dict[NodeId, deque[Happening]] = {}
    for happening in trace.happenings:
        waiting.setdefault(happening.server, deque()).append(happening)
    sent: set[Told] = set()
    while waiting:
        heads = [queue[0] for queue in waiting.values()]
        free = [head for head in heads if not _must_wait(head, sent, waiting)]
        happening = min(free or heads, key=lambda head: head.place)
        yield happening
        sent.update(counted(sending.told) for sending in happening.sent)
        waiting[happening.server].popleft()
        if not waiting[happening.server]:
            del waiting[happening.server]


def _must_wait(head: Happening, sent: set[Told], waiting: dict[NodeId, deque[Happening]]) -> bool:
    """Whether a message arrives whose sender may still send it."""
    if not isinstance(head.cause, Arrived):
        return False
    told = head.cause.told
    return from_whom(told) in waiting and counted(told) not in sent


@dataclass(slots=True)
class Post:
    """What was sent so far."""

    seen: frozenset[NodeId]
    """The servers of which every message has its line."""
    _sent: dict[Told, set[Message] | None] = field(default_factory=dict)
    """By message without its entries: those with entries; None if the entries are not known."""

    @classmethod
    def of(cls, trace: Trace) -> Post:
        """Of a trace that has not begun yet."""
        started = {each.server for each in trace.happenings if isinstance(each.cause, Start)}
        return cls(frozenset(started) if trace.sends_seen else frozenset())

    def send(self, told: Told, ways: Iterable[Message]) -> None:
        """A message was sent; ``ways`` is all that it may have been."""
        key, messages = counted(told), set(ways)
        known = self._sent.setdefault(key, set())
        if known is not None:
            self._sent[key] = known | messages if len(messages) == 1 else None

    def was_sent(self, told: Told) -> bool:
        """Whether a message may arrive."""
        if from_whom(told) not in self.seen:
            return True
        known = self._sent.get(counted(told), set())
        is_known = counted(told) in self._sent
        if isinstance(told, AppendEntries) and is_known:
            return known is None or told in known
        return is_known

    def opened(self, told: Told) -> Message | None:
        """The message itself; None if its entries are not known, or nothing of it can be read."""
        if isinstance(told, Counted):
            known = self._sent.get(told) or set()
            return next(iter(known)) if len(known) == 1 else None
        return told if isinstance(told, Message) else None
