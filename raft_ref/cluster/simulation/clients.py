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
from raft_ref.cluster.workload import Workload

THINKS: Seconds = 0.05
"""On average, before the next thing."""


@dataclass(slots=True)
class Client:
    """Does what its workload says, each thing at any server."""

    number: int
    agenda: Agenda
    chance: Random
    hosts: Sequence[Host]
    history: list[Operation]
    keys: Sequence[bytes]
    ends: Seconds
    """When it begins nothing new."""
    workload: Workload = field(init=False)

    def __post_init__(self) -> None:
        self.workload = Workload(self.number, self.chance)

    def begin(self) -> None:
        """Do the next thing, after a while."""
        self.agenda.after(self.chance.expovariate(1 / THINKS), self._next)

    def _next(self) -> None:
        if self.agenda.now < self.ends and not self._ask(self.workload.next(self.keys)):
            self.begin()

    def _ask(self, words: Words) -> bool:
        start = self.agenda.now
        host = self.chance.choice(self.hosts)
        return host.ask(as_text(words), lambda reply: self._answered(words, start, reply))

    def _answered(self, words: Words, start: Seconds, reply: Reply) -> None:
        self.history.append(Operation(self.number, words, start, self.agenda.now, reply))
        self.workload.told(words, reply)
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
