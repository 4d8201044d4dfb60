"""Connections between servers: TCP, each for one direction.

Each server connects to every other; after the `handshake`, the connecting server sends and the
accepting one listens. A connection that breaks is opened again, after increasing pauses, or as soon
as the other server has connected to this one. Frames that cannot be sent meanwhile wait in an
`outbox`, where Raft messages have priority.

A frame overtakes others only in the outbox, so little is taken from it at a time: the next frames
when what was taken is on its way. Large frames are written in pieces, and other tasks have their
turn after each.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from random import Random

from raft_ref.cluster import wire
from raft_ref.cluster.frames import Frame, Malformed
from raft_ref.cluster.handshake import MAX_HANDSHAKE, Accepting, Connecting, Refused, refusal
from raft_ref.cluster.logs import Log
from raft_ref.cluster.measures import Measures
from raft_ref.cluster.outbox import Outbox
from raft_ref.cluster.secret import read_secret
from raft_ref.cluster.settings import Address, Settings
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.tls import (
    AcceptingContext,
    Contexts,
    contexts,
    is_certified,
    is_refusal,
    name_of,
    problem_of,
)
from raft_ref.types import NodeId, Term

Deliver = Callable[[NodeId, Frame], None]
CurrentTerm = Callable[[], Term]

PIECE = 2**16
"""Bytes written at once, of one large frame or of several small ones."""

MAX_UNSENT = 2**16
"""Bytes in the kernel that were not sent yet, beyond which it accepts no more. By default it would
accept megabytes, and nothing overtakes them."""

WELCOME_WITHIN: Seconds = 5.0
"""For the whole handshake."""

TURN = 250
"""Frames read from one server before the event loop has its turn."""

MAX_STRANGERS = 64
"""Connections whose handshake is not complete; beyond that, the oldest is closed."""

FIRST_PAUSE: Seconds = 0.05
LONGEST_PAUSE: Seconds = 1.0

_log = Log("transport")


class Transport:
    """All connections of one server to the others.

    Raises:
        SettingsError: if its certificates or its secret cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        measures: Measures,
        deliver: Deliver,
        current_term: CurrentTerm,
        chance: Random,
    ) -> None:
        self._measures = measures
        self._contexts = None if (c := settings.certificates) is None else contexts(c)
        secret = None if settings.secret is None else read_secret(settings.secret)
        self._links: Mapping[NodeId, Link] = {
            peer: Link(settings, secret, peer, measures, chance) for peer in settings.config.peers
        }
        self._listener = Listener(
            settings,
            secret,
            measures,
            deliver,
            current_term,
            lambda peer: self._links[peer].hurry(),
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen, and connect to all. Raises `OSError` if the address cannot be had."""
        await self._listener.start(None if self._contexts is None else self._contexts.accepting)
        self._tasks = [
            asyncio.create_task(link.keep_sending(self._contexts)) for link in self._links.values()
        ]
        for task in self._tasks:
            task.add_done_callback(_report_failure)

    def _welcome(self, peer: NodeId) -> None:
        self._links[peer].hurry()

    def send(self, destination: NodeId, frame: Frame) -> None:
        """Send a frame, sooner or later, or never."""
        self._links[destination].put(frame)

    async def stop(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.stop()


def _report_failure(task: asyncio.Task[None]) -> None:
    """Log the bug that has ended a link; asyncio does so only once the task is forgotten."""
    if not task.cancelled() and (error := task.exception()) is not None:
        about = {"message": "nothing more is sent to one server", "exception": error, "task": task}
        task.get_loop().call_exception_handler(about)


class Link:
    """What is sent to one other server."""

    def __init__(
        self,
        settings: Settings,
        secret: bytes | None,
        peer: NodeId,
        measures: Measures,
        chance: Random,
    ) -> None:
        self._peer = peer
        self._address: Address = settings.servers[peer]
        self._identity = settings.identity
        self._secret = secret
        self._measures = measures
        self._chance = chance
        self._outbox = Outbox()
        self._has_some = asyncio.Event()
        self._hurries = asyncio.Event()

    def hurry(self) -> None:
        """Connect without waiting any longer: the other server is there."""
        self._hurries.set()

    def put(self, frame: Frame) -> None:
        """Keep a frame to be sent; others are dropped if there are too many (see `outbox`)."""
        self._measures.dropped.inc(self._outbox.put(frame))
        self._has_some.set()

    async def keep_sending(self, tls: Contexts | None) -> None:
        """Connect, send, and connect again when the connection breaks."""
        pause, connecting = FIRST_PAUSE, None if tls is None else tls.connecting
        while True:
            connected = await self._send_for_once(connecting)
            if connected > LONGEST_PAUSE:  # who is let in to be turned away should not hurry
                pause = FIRST_PAUSE
            await self._wait(pause * self._chance.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _wait(self, pause: Seconds) -> None:
        """Wait for so long, or until the other server has connected: it has just started, and would
        otherwise hear nothing of its leader for longer than an election timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._hurries.wait()
        self._hurries.clear()

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
        try:
            async with asyncio.timeout(WELCOME_WITHIN):
                await self._introduce(reader, writer)
            _limit_unsent(writer)
            _log.info("connected", peer=self._peer, address=str(self._address))
            await self._send_until_closed(reader, writer)
            reason = "closed by it"
        except (Malformed, Refused) as error:
            self._measures.untrusted.inc()
            _log.warning("not welcome", peer=self._peer, problem=str(error))
            return 0.0
        except (asyncio.IncompleteReadError, OSError) as error:
            reason = str(error) or "it does not answer"
        finally:
            writer.close()
        _log.info("connection lost", peer=self._peer, error=f"{reason}; its log may say why")
        return clock() - start

    async def _introduce(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Go through the handshake; raises as `handshake.Connecting.hear` does."""
        connecting = Connecting(self._identity, self._peer, self._secret)
        answer: bytes | None = connecting.hello
        while answer is not None:
            writer.write(wire.with_length(answer))
            answer = connecting.hear(await read_frame(reader, MAX_HANDSHAKE))

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
        closed.add_done_callback(lambda _: self._has_some.set())
        try:
            while not closed.done():
                if content := self._next_content():
                    await _write(writer, content)
                else:
                    self._has_some.clear()
                    await self._has_some.wait()
            closed.result()
        finally:
            closed.cancel()

    def _next_content(self) -> bytes:
        """The next frames, encoded: a large one, or small ones together; empty if there is none."""
        contents: list[bytes] = []
        size = 0
        while size < PIECE and (frame := self._outbox.take()) is not None:
            with self._measures.encode_seconds.time():
                contents.append(wire.encode_frame(frame))
            size += len(contents[-1])
            self._measures.sent.inc()
        return b"".join(contents)


async def _write(writer: asyncio.StreamWriter, content: bytes) -> None:
    """Write in pieces. Raises `OSError` if the connection is broken."""
    for start in range(0, len(content), PIECE):
        writer.write(memoryview(content)[start : start + PIECE])
        await writer.drain()
        await asyncio.sleep(0)  # to drain does not yield while the kernel takes all


def _limit_unsent(writer: asyncio.StreamWriter) -> None:
    if sys.platform == "linux":
        connected: socket.socket = writer.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)


class Listener:
    """What is heard from the other servers."""

    def __init__(
        self,
        settings: Settings,
        secret: bytes | None,
        measures: Measures,
        deliver: Deliver,
        current_term: CurrentTerm,
        on_welcome: Callable[[NodeId], None],
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._measures = measures
        self._deliver = deliver
        self._current_term = current_term
        self._on_welcome = on_welcome
        self._server: asyncio.Server | None = None
        self._current: dict[NodeId, asyncio.StreamWriter] = {}
        self._strangers: dict[asyncio.StreamWriter, None] = {}
        """The oldest first."""
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, tls: AcceptingContext | None) -> None:
        """Listen. Raises `OSError` if the address cannot be had."""
        host, port = self._settings.servers[self._settings.config.id]
        if tls is not None:
            tls.on_refusal = self._refused
        within = None if tls is None else WELCOME_WITHIN
        self._server = await asyncio.start_server(
            self._accept, host, port, ssl=tls, ssl_handshake_timeout=within
        )

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
        address = str(writer.get_extra_info("peername"))
        try:
            source = await self._welcome(reader, writer)
            await self._listen(source, reader)
        except Malformed as error:
            self._measures.malformed.inc()
            _log.warning("malformed", problem=str(error), address=address)
        except Refused as error:
            self._measures.untrusted.inc()
            _log.warning("not let in", problem=str(error), address=address)
            writer.write(wire.with_length(refusal(str(error))))
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            pass  # it has ended, and whoever wants to be heard connects again
        finally:
            writer.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> NodeId:
        """The peer, once it is authenticated. Only its latest connection is kept."""
        self._strangers[writer] = None
        if len(self._strangers) > MAX_STRANGERS:
            _log.warning("too many connections", problem="they do not complete the handshake")
            next(iter(self._strangers)).transport.abort()
        try:
            async with asyncio.timeout(WELCOME_WITHIN):
                source = await self._introduction(reader, writer)
        finally:
            del self._strangers[writer]
        earlier = self._current.get(source)
        if earlier is not None:
            earlier.close()
        self._current[source] = writer
        self._on_welcome(source)
        return source

    async def _introduction(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> NodeId:
        connection: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        accepting = Accepting(
            self._settings.identity,
            self._secret,
            lambda source: connection is None or is_certified(connection, source),
        )
        while accepting.source is None:
            answer = accepting.hear(await read_frame(reader, MAX_HANDSHAKE))
            writer.write(wire.with_length(answer))
        return accepting.source

    async def _listen(self, source: NodeId, reader: asyncio.StreamReader) -> None:
        config = self._settings.config
        for number in count(1):
            if number % TURN == 0:
                await asyncio.sleep(0)  # reading data that has arrived already does not yield
            content = await read_frame(reader)
            with self._measures.decode_seconds.time():
                frame = wire.decode_frame(content, config, source, self._current_term())
            self._deliver(source, frame)


async def read_frame(reader: asyncio.StreamReader, most: int = wire.MAX_FRAME) -> bytes:
    """The next frame of a connection, without its length.

    Raises:
        asyncio.IncompleteReadError, OSError: if there is none.
        Malformed: if it is too long.
    """
    prefix = await reader.readexactly(wire.LENGTH_SIZE)
    return await reader.readexactly(wire.decode_length(prefix, most))
