"""Proxies between servers, one for each direction: they know frames, and what can befall them.

A server that connects to another reaches a proxy, which connects to the other and passes the
greeting on. Every later frame is lost, repeated or held up as the weather has it; frames that are
held up for different times overtake each other. A frame may outlive the connection that it came by,
and the process that sent it: it then arrives by the next one.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from random import Random
from typing import TypeAlias

from raft_ref.cluster.processes import HOST, Links
from raft_ref.cluster.settings import Address
from raft_ref.cluster.simulation.weather import FAIR, Weather
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.torture.tally import Tally
from raft_ref.cluster.transport import read_frame
from raft_ref.cluster.wire import with_length
from raft_ref.types import NodeId

Way: TypeAlias = tuple[NodeId, NodeId]
"""From whom, to whom."""

HANDSHAKE_FRAMES = 2
"""So many of the end that connects belong to the handshake (see `handshake`); nothing befalls them
but what befalls the connection."""

LATE: Seconds = 0.05
"""Who is held up for so long is counted as delayed."""

_LINGER_NOT = struct.pack("ii", 1, 0)
"""A socket with this option is closed by a reset."""


@dataclass(slots=True)
class Conditions:
    """What befalls messages now, on all links."""

    chance: Random
    tally: Tally
    weather: Weather = FAIR
    cuts: list[frozenset[Way]] = field(default_factory=list)
    """Partitions; a link is cut as long as one of them says so."""

    def is_cut(self, way: Way) -> bool:
        """Whether nothing gets through."""
        return any(way in cut for cut in self.cuts)


class Network:
    """All links between some servers."""

    def __init__(self, servers: Iterable[NodeId], conditions: Conditions) -> None:
        self.conditions = conditions
        self._links = {way: Link(way, conditions) for way in permutations(servers, 2)}

    async def start(self) -> Links:
        """Listen; where servers must connect instead of to each other."""
        return {way: await link.start() for way, link in self._links.items()}

    def lead_to(self, addresses: Mapping[NodeId, Address]) -> None:
        """Where the servers listen."""
        for (_, destination), link in self._links.items():
            link.target = addresses[destination]

    def reset(self, server: NodeId) -> None:
        """Reset all connections between a server and the others."""
        for way, link in self._links.items():
            if server in way:
                link.reset()

    async def stop(self) -> None:
        """Close everything."""
        for link in self._links.values():
            await link.stop()


class Link:
    """What one server says to another."""

    def __init__(self, way: Way, conditions: Conditions) -> None:
        self._way = way
        self._conditions = conditions
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[StreamWriter] = set()
        """Both ends of all connections."""
        self._onward: StreamWriter | None = None
        """By which frames reach the destination now."""
        self._count = 0
        self._latest = 0
        """The greatest number of a frame that has arrived."""
        self.target: Address | None = None

    async def start(self) -> Address:
        """Listen; where."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return Address(*self._server.sockets[0].getsockname())

    def reset(self) -> None:
        """Break all connections as a router does that has forgotten them."""
        for writer in self._writers:
            connected: socket.socket = writer.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()
        self._conditions.tally.resets += len(self._writers) // 2

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection, until either end is gone."""
        assert self.target is not None, "servers are started when it is known where they listen"
        try:
            ended, onward = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, onward}
        ways = [
            asyncio.create_task(self._relay(reader, onward)),
            asyncio.create_task(_relay_answers(ended, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= {writer, onward}
            writer.close()
            onward.close()

    async def _relay(self, reader: StreamReader, onward: StreamWriter) -> None:
        for _ in range(HANDSHAKE_FRAMES):
            onward.write(with_length(await read_frame(reader)))
        self._onward = onward
        while True:
            self._pass_on(await read_frame(reader))

    def _pass_on(self, frame: bytes) -> None:
        conditions = self._conditions
        self._count += 1
        conditions.tally.messages += 1
        if conditions.chance.random() < conditions.weather.loss:
            conditions.tally.lost += 1
            return
        self._hold_up(self._count, frame)
        if conditions.chance.random() < conditions.weather.repetition:
            conditions.tally.repeated += 1
            self._hold_up(self._count, frame)

    def _hold_up(self, number: int, frame: bytes) -> None:
        seconds = self._conditions.chance.expovariate(1 / self._conditions.weather.delay)
        self._conditions.tally.delayed += seconds >= LATE
        asyncio.get_running_loop().call_later(seconds, self._deliver, number, frame)

    def _deliver(self, number: int, frame: bytes) -> None:
        tally, onward = self._conditions.tally, self._onward
        if onward is None or onward.is_closing() or self._conditions.is_cut(self._way):
            tally.lost += 1
            return
        tally.reordered += number < self._latest
        self._latest = max(number, self._latest)
        onward.write(with_length(frame))


async def _relay_answers(reader: StreamReader, back: StreamWriter) -> None:
    """What the end that accepts says: it only takes part in the handshake."""
    while content := await reader.read(65536):
        back.write(content)
