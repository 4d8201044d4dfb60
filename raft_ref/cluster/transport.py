"""Connections between servers: TCP, each for one direction.

Who has something to send connects, says who they are (`wire.Hello`), and sends; the other end only
listens. A connection that breaks is opened again, ever more patiently. What cannot be sent
meanwhile is kept as long as there is room, then the oldest is dropped: Raft sends again what
matters.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from random import Random

from raft_ref.cluster import wire
from raft_ref.cluster.frames import Frame
from raft_ref.cluster.logs import Log
from raft_ref.cluster.measures import Measures
from raft_ref.cluster.settings import Address, Settings
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.tls import (
    Accepting,
    Contexts,
    contexts,
    is_certified,
    is_refusal,
    name_of,
    problem_of,
)
from raft_ref.types import NodeId

Deliver = Callable[[NodeId, Frame], None]

MAX_QUEUED = 64 * 2**20
"""Bytes kept for a server that cannot be reached."""

HELLO_WITHIN: Seconds = 5.0
FIRST_PAUSE: Seconds = 0.05
LONGEST_PAUSE: Seconds = 1.0

_log = Log("transport")


class Transport:
    """All connections of one server to the others."""

    def __init__(
        self, settings: Settings, measures: Measures, deliver: Deliver, chance: Random
    ) -> None:
        self._settings = settings
        self._measures = measures
        self._contexts = None if (c := settings.certificates) is None else contexts(c)
        self._listener = Listener(settings, measures, deliver)
        self._links: Mapping[NodeId, Link] = {
            peer: Link(settings, peer, measures, chance) for peer in settings.config.peers
        }
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen, and connect to all. Raises `OSError` if the address cannot be had."""
        await self._listener.start(None if self._contexts is None else self._contexts.accepting)
        self._tasks = [
            asyncio.create_task(link.keep_sending(self._contexts)) for link in self._links.values()
        ]

    def send(self, destination: NodeId, frame: Frame) -> None:
        """Send a frame, sooner or later, or never."""
        self._measures.sent.inc()
        with self._measures.encode_seconds.time():
            content = wire.encode_frame(frame)
        self._links[destination].put(content)

    async def stop(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.stop()


class Link:
    """What is sent to one other server."""

    def __init__(
        self, settings: Settings, peer: NodeId, measures: Measures, chance: Random
    ) -> None:
        self._peer = peer
        self._address: Address = settings.servers[peer]
        hello = wire.Hello(1, settings.cluster, settings.config.id, peer)
        self._hello = wire.encode_frame(hello)
        self._measures = measures
        self._chance = chance
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._has_some = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Keep a frame to be sent; the oldest are dropped if there are too many."""
        self._queue.append(frame)
        self._queued += len(frame)
        while self._queued > MAX_QUEUED:
            self._queued -= len(self._queue.popleft())
            self._measures.dropped.inc()
        self._has_some.set()

    async def keep_sending(self, tls: Contexts | None) -> None:
        """Connect, send, and connect again when the connection breaks."""
        pause, connecting = FIRST_PAUSE, None if tls is None else tls.connecting
        while True:
            connected = await self._send_for_once(connecting)
            if connected > LONGEST_PAUSE:  # who is let in to be turned away should not hurry
                pause = FIRST_PAUSE
            await asyncio.sleep(pause * self._chance.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _send_for_once(self, tls: ssl.SSLContext | None) -> Seconds:
        """Connect, and send until the connection breaks. For how long there was one."""
        clock = asyncio.get_running_loop().time
        try:
            reader, writer = await self._connect(tls)
        except OSError as error:  # of which those of ssl are
            if is_refusal(error):
                self._measures.untrusted.inc()
                _log.warning("not trusted", peer=self._peer, problem=problem_of(error))
            return 0.0
        start = clock()
        _log.info("connected", peer=self._peer, address=str(self._address))
        try:
            await self._send_until_closed(reader, writer)
            reason = "closed by it; its log may say why"
        except OSError as error:
            reason = str(error)
        finally:
            writer.close()
        _log.info("connection lost", peer=self._peer, error=reason)
        return clock() - start

    async def _connect(
        self, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._address
        if tls is None:
            return await asyncio.open_connection(host, port)
        return await asyncio.open_connection(
            host, port, ssl=tls, server_hostname=name_of(self._peer)
        )

    async def _send_until_closed(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """The other end never says anything; when it has ended, the connection is of no use.

        Raises:
            OSError: if it has not ended in peace.
        """
        closed = asyncio.create_task(reader.read(1))
        try:
            writer.write(self._hello)
            while not closed.done():
                writer.write(b"".join(self._queue))
                self._queue.clear()
                self._queued = 0
                self._has_some.clear()
                await writer.drain()
                await self._until_some_or(closed)
            closed.result()
        finally:
            closed.cancel()

    async def _until_some_or(self, closed: asyncio.Task[bytes]) -> None:
        has_some = asyncio.create_task(self._has_some.wait())
        await asyncio.wait({has_some, closed}, return_when=asyncio.FIRST_COMPLETED)
        has_some.cancel()


class Listener:
    """What is heard from the other servers."""

    def __init__(self, settings: Settings, measures: Measures, deliver: Deliver) -> None:
        self._settings = settings
        self._measures = measures
        self._deliver = deliver
        self._server: asyncio.Server | None = None
        self._current: dict[NodeId, asyncio.StreamWriter] = {}
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, tls: Accepting | None) -> None:
        """Listen. Raises `OSError` if the address cannot be had."""
        host, port = self._settings.servers[self._settings.config.id]
        if tls is not None:
            tls.on_refusal = self._refused
        self._server = await asyncio.start_server(self._accept, host, port, ssl=tls)

    async def stop(self) -> None:
        """Listen to nobody any more."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _refused(self, error: OSError) -> None:
        self._measures.untrusted.inc()
        _log.warning("not let in", problem=problem_of(error))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._hear(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            source = await asyncio.wait_for(self._greet(reader, writer), HELLO_WITHIN)
            await self._listen(source, reader)
        except wire.Malformed as error:
            self._measures.malformed.inc()
            peer = writer.get_extra_info("peername")
            _log.warning("malformed", problem=str(error), address=str(peer))
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            pass  # it has ended, and whoever wants to be heard connects again
        finally:
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> NodeId:
        """Who has connected. One connection from each is enough: the last."""
        hello = wire.decode_hello(await read_frame(reader))
        config = self._settings.config
        if (hello.cluster, hello.destination) != (self._settings.cluster, config.id):
            raise wire.Malformed(
                f"for server {hello.destination} of {hello.cluster!r}; "
                f"this is server {config.id} of {self._settings.cluster!r}"
            )
        if hello.source not in config.peers:
            raise wire.Malformed(f"there is no other server {hello.source}")
        connection: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        if connection is not None and not is_certified(connection, hello.source):
            raise wire.Malformed(f"the certificate is not that of server {hello.source}")
        earlier = self._current.get(hello.source)
        if earlier is not None:
            earlier.close()
        self._current[hello.source] = writer
        return hello.source

    async def _listen(self, source: NodeId, reader: asyncio.StreamReader) -> None:
        config = self._settings.config
        while True:
            content = await read_frame(reader)
            with self._measures.decode_seconds.time():
                frame = wire.decode_frame(content, config, source)
            self._deliver(source, frame)


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next frame of a connection, without its length.

    Raises:
        asyncio.IncompleteReadError, OSError: if there is none.
        Malformed: if it is too long.
    """
    prefix = await reader.readexactly(wire.LENGTH_SIZE)
    return await reader.readexactly(wire.decode_length(prefix))
