"""Clients on sockets: each does one thing after another at any server, and writes it all down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import hiredis

from raft_ref.cluster.client import Stream
from raft_ref.cluster.commands import Words
from raft_ref.cluster.history import Operation, certainty
from raft_ref.cluster.machine import CALL, SESSION
from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value, unknown
from raft_ref.cluster.settings import Address
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.workload import Workload

THINKS: Seconds = 0.3
"""On average, before the next thing."""

PATIENCE: tuple[Seconds, Seconds] = (1.0, 8.0)
"""So long at least and at most a client waits for an answer, or for a connection.

Sometimes longer than a server does: to be told, then, that something was not done, or that nobody
knows.
"""

LIVE_KEYS = 5

KEY_LASTS: Seconds = 20.0
"""Then another takes its place: a key of which much is unknown takes long to judge."""


def keys_at(seconds: Seconds) -> list[bytes]:
    """The keys in use so long after the beginning of a run."""
    return [b"key-%d.%d" % (place, seconds // KEY_LASTS) for place in range(LIVE_KEYS)]


class Unreachable(Exception):
    """Nobody was asked anything, since there was no connection."""


class Connection:
    """A connection to some server; opened when it is needed, and given up when it fails."""

    def __init__(self, addresses: Sequence[Address], chance: Random) -> None:
        self._addresses = addresses
        self._chance = chance
        self._stream: Stream | None = None

    async def call(self, words: Words) -> Reply:
        """What a command is answered with; "unknown" if it may have arrived, and no answer did.

        Raises:
            Unreachable: if it was not sent.
        """
        stream = self._stream or await self._connect()
        try:
            async with asyncio.timeout(self._chance.uniform(*PATIENCE)):
                return as_reply(words, await stream.ask(*words))
        except (OSError, TimeoutError) as error:
            self.close()
            return unknown(str(error) or "no answer in time")

    def close(self) -> None:
        """Give the connection up."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _connect(self) -> Stream:
        try:
            async with asyncio.timeout(self._chance.uniform(*PATIENCE)):
                self._stream = await Stream.open(self._chance.choice(self._addresses))
        except (OSError, TimeoutError) as error:
            raise Unreachable(str(error)) from None
        return self._stream


def as_reply(words: Words, heard: object) -> Reply:
    """What a client has heard, as it was meant: the protocol does not tell OK from a value."""
    match heard:
        case hiredis.ReplyError():
            code, _, reason = str(heard).partition(" ")
            return Failed(code, reason)
        case int():
            return Count(heard)
        case b"OK" if words[0] == b"SET":
            return Done()
        case bytes() | None:
            return Value(heard)
        case _:
            raise AssertionError(heard)


@dataclass(slots=True)
class Clock:
    """The one clock of a run: seconds since it began."""

    start: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> Seconds:
        """How late it is."""
        return time.monotonic() - self.start


@dataclass(slots=True)
class Client:
    """Does what its workload says, and stays with a server until a connection fails."""

    number: int
    chance: Random
    connection: Connection
    clock: Clock
    operations: list[Operation]
    has_ended: Callable[[], bool]
    """Whether to begin nothing new."""
    workload: Workload = field(init=False)

    def __post_init__(self) -> None:
        self.workload = Workload(self.number, self.chance)

    async def run(self) -> None:
        """All that it does."""
        while not self.has_ended():
            await asyncio.sleep(self.chance.expovariate(1 / THINKS))
            await self._ask(self.workload.next(keys_at(self.clock.now)))
            if self.chance.random() < 0.1:
                self.connection.close()  # and see another server the next time
        self.connection.close()

    async def _ask(self, words: Words) -> None:
        start = self.clock.now
        try:
            reply = await self.connection.call(words)
        except Unreachable:
            return
        self.operations.append(Operation(self.number, words, start, self.clock.now, reply))
        self.workload.told(words, reply)


@dataclass(slots=True)
class SessionClient:
    """Counts in a session, on a key of its own: every call again until it knows what became of it.

    So the n-th call is answered with n, whatever happens.
    """

    number: int
    chance: Random
    connection: Connection
    clock: Clock
    operations: list[Operation]
    has_ended: Callable[[], bool]
    """Whether to begin nothing new; what was begun is asked until it is known."""

    async def run(self) -> None:
        """All that it does."""
        opened = await self._insist((SESSION,))
        assert isinstance(opened, Count)
        sequence = 0
        while not self.has_ended():
            await asyncio.sleep(self.chance.expovariate(1 / THINKS))
            sequence += 1
            counting = b"INCR", b"counter.%d" % self.number
            start = self.clock.now
            reply = await self._insist((CALL, b"%d" % opened.number, b"%d" % sequence, *counting))
            self.operations.append(Operation(self.number, counting, start, self.clock.now, reply))
        self.connection.close()

    async def _insist(self, words: Words) -> Reply:
        while True:
            try:
                reply = await self.connection.call(words)
                if certainty(reply) == "ok":
                    return reply
            except Unreachable:
                pass
            await asyncio.sleep(self.chance.uniform(0.05, 0.2))


async def read_all(
    keys: Sequence[bytes], number: int, connection: Connection, clock: Clock
) -> list[Operation]:
    """Read all keys once everything is mended; again, if the answer is not certain."""
    operations = []
    for key in keys:
        operation = None
        while operation is None:
            operation = await _read(key, number, connection, clock)
        operations.append(operation)
    connection.close()
    return operations


async def _read(key: bytes, number: int, connection: Connection, clock: Clock) -> Operation | None:
    """Read a key; None if the answer is not certain."""
    words, start = (b"GET", key), clock.now
    try:
        reply = await connection.call(words)
    except Unreachable:
        await asyncio.sleep(0.1)
        return None
    return Operation(number, words, start, clock.now, reply) if certainty(reply) == "ok" else None
