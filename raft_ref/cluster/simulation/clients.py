"""Simulated clients: each does one thing after another, and writes down what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from raft_ref.cluster.commands import Words, as_text
from raft_ref.cluster.history import Operation, certainty
from raft_ref.cluster.machine import CALL, SESSION
from raft_ref.cluster.replies import Count, Reply
from raft_ref.cluster.simulation.agenda import Agenda
from raft_ref.cluster.simulation.host import Host
from raft_ref.cluster.timers import Seconds

THINKS: Seconds = 0.05
"""On average, before the next thing."""


@dataclass(slots=True)
class Client:
    """Reads and writes keys that others use, too. Each value that is written is written once."""

    number: int
    agenda: Agenda
    chance: Random
    hosts: Sequence[Host]
    history: list[Operation]
    keys: Sequence[bytes]
    ends: Seconds
    """When it begins nothing new."""
    _count: int = 0
    _last_read: bytes = b"nothing"

    def begin(self) -> None:
        """Do the next thing, after a while."""
        self.agenda.after(self.chance.expovariate(1 / THINKS), self._next)

    def _next(self) -> None:
        if self.agenda.now < self.ends and not self._ask(self._words()):
            self.begin()

    def _words(self) -> Words:
        self._count += 1
        key, value = self.chance.choice(self.keys), b"%d.%d" % (self.number, self._count)
        dice = self.chance.random()
        if dice < 0.5:
            return b"GET", key
        if dice < 0.85:
            return b"SET", key, value
        if dice < 0.95:
            return b"CAS", key, self._last_read, value
        return b"DEL", key

    def _ask(self, words: Words) -> bool:
        start = self.agenda.now
        host = self.chance.choice(self.hosts)
        return host.ask(as_text(words), lambda reply: self._answered(words, start, reply))

    def _answered(self, words: Words, start: Seconds, reply: Reply) -> None:
        self.history.append(Operation(self.number, words, start, self.agenda.now, reply))
        data = getattr(reply, "data", None)
        self._last_read = self._last_read if data is None else data
        self.begin()


@dataclass(slots=True)
class SessionClient:
    """Counts in a session, on a key of its own: every call again until it knows what became of it.

    So the n-th call is answered with n, whatever happens.
    """

    number: int
    agenda: Agenda
    chance: Random
    hosts: Sequence[Host]
    history: list[Operation]
    ends: Seconds
    _session: int | None = None
    _sequence: int = 1
    _start: Seconds = field(default=0.0)

    def begin(self) -> None:
        """Do the next thing, after a while."""
        self.agenda.after(self.chance.expovariate(1 / THINKS), self._next)

    def _next(self) -> None:
        self._start = self.agenda.now
        if self.agenda.now < self.ends:
            self._ask()

    def _ask(self) -> None:
        """Ask anyone; what was asked before is asked again, even when the time has come to end."""
        host = self.chance.choice(self.hosts)
        if not host.ask(as_text(self._words()), self._answered):
            self.agenda.after(THINKS, self._ask)

    def _words(self) -> Words:
        if self._session is None:
            return (SESSION,)
        return CALL, b"%d" % self._session, b"%d" % self._sequence, *self._call()

    def _call(self) -> Words:
        return b"INCR", b"counter.%d" % self.number

    def _answered(self, reply: Reply) -> None:
        is_sure = certainty(reply) == "ok"
        if is_sure and self._session is not None:
            called = Operation(self.number, self._call(), self._start, self.agenda.now, reply)
            self.history.append(called)
            self._sequence += 1
            self.begin()
        elif is_sure and isinstance(reply, Count):
            self._session = reply.number
            self.begin()
        else:
            self.agenda.after(THINKS, self._ask)
