"""Connections of clients, which speak the Redis protocol.

The server reads from a client as long as the client reads its answers. When it stops, the server
stops reading from it: further commands stay in the socket, and no other client waits for them.
Every resource that a client can occupy is limited (see `limits`); a client that exceeds a limit is
disconnected.

Commands are taken from each client in turn, a limited number at a time, so that one client that
pipelines many does not block the event loop.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import BaseTransport, BufferedProtocol, Transport
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from raft_ref.cluster.limits import Bytes, ClientLimits
from raft_ref.cluster.logs import Log
from raft_ref.cluster.replies import Reply
from raft_ref.cluster.resp import Conversation, End, Inform, Replicate, Say, Todo, information
from raft_ref.cluster.settings import Address
from raft_ref.cluster.timers import Seconds
from raft_ref.types import Command

Answered = Callable[[Reply], None]
Ask = Callable[[Command, Answered], None]
Facts = Callable[[], Mapping[str, object]]

MAX_PIPELINED = 128
"""Requests of one client under way. The server reads no further commands until one is answered:
all requests go through one log, so each adds to the latency of all others."""

MAX_UNSENT: Bytes = 2**20
"""Unread answers of one client, in bytes, from which on the server reads no further commands."""

TURN = 100
"""Commands taken from one client before the next has its turn."""

WRITE_SIZE: Bytes = 256 * 2**10
"""Answers are written to the socket in pieces of about this size."""

LOOKS_EVERY: Seconds = 0.25

LINGERS: Seconds = 1.0
"""How long a connection stays open after its last answer, unless the client closes it. Closing a
socket with unread input resets the connection, and the client may lose the error it was sent."""

ENDS_WITHIN: Seconds = 10.0
"""How long a client that is being disconnected may take to read its remaining answers."""

MAX_TURNED_AWAY = 100
"""Connections above ``maxclients`` that are sent an error; further ones are closed at once."""

_log = Log("clients")


class ClientPort:
    """Serves clients."""

    def __init__(self, ask: Ask, facts: Facts, limits: ClientLimits) -> None:
        self.ask = ask
        self.facts = facts
        self.limits = limits
        self.buffer = memoryview(bytearray(64 * 2**10))
        """Shared by all connections: each copies its data before the next one reads."""
        self._connections: set[Connection] = set()
        self._served: set[Connection] = set()
        """Connections whose commands are still accepted; the others are being closed."""
        self._rejected = 0
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self, address: Address) -> None:
        """Serve clients there. Raises `OSError` if the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), *address)
        self._looking = asyncio.create_task(self._keep_looking())

    def stop(self) -> None:
        """Serve nobody any more; what is under way is not answered."""
        if self._server is not None:
            self._server.close()
        if self._looking is not None:
            self._looking.cancel()
        for connection in list(self._connections):
            connection.abort()

    def counts(self) -> Mapping[str, object]:
        """The fields of ``INFO`` about connections, named as in Redis."""
        return {
            "connected_clients": len(self._served),
            "maxclients": self.limits.maxclients,
            "rejected_connections": self._rejected,
        }

    def enter(self, connection: Connection) -> bool:
        """Register a new connection; False if there are too many."""
        most = self.limits.maxclients
        has_room = len(self._connections) < most + MAX_TURNED_AWAY
        self._connections.add(connection)
        if has_room and len(self._served) < most:
            self._served.add(connection)
            return True
        self._rejected += 1
        _log.warning("client refused", problem="max number of clients reached")
        if not has_room:
            connection.abort()
        return False

    def retire(self, connection: Connection) -> None:
        """Stop counting a connection against ``maxclients``: it is being closed."""
        self._served.discard(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a closed connection."""
        self._served.discard(connection)
        self._connections.discard(connection)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOKS_EVERY)
            self._look(asyncio.get_running_loop().time())

    def _look(self, now: Seconds) -> None:
        for connection in list(self._connections):
            connection.look(now)
        most = self.limits.maxmemory_clients
        total = sum(each.memory for each in self._connections) if most else 0
        if total > most:
            for connection in sorted(self._connections, key=lambda each: -each.memory):
                total -= connection.memory
                connection.drop("maxmemory-clients")
                if total <= most:
                    return


@dataclass(slots=True, eq=False)
class _Answer:
    """The answer to one command; answers are sent in the order of the commands."""

    content: bytes | None = None
    """None until it is known."""


class Connection(BufferedProtocol):
    """One client."""

    def __init__(self, port: ClientPort) -> None:
        self._port = port
        self._clock = asyncio.get_running_loop().time
        self._transport: Transport | None = None
        self._conversation = Conversation(limits=port.limits)
        self._todos: Iterator[Todo] | None = None
        """Commands that were read and not handled yet; reading is paused until all are."""
        self._answers: deque[_Answer] = deque()
        self._ready: Bytes = 0
        """Bytes of the answers that are known and not written yet."""
        self._is_blocked = False
        """The socket takes no more answers."""
        self._is_flushing = False
        self._has_ended = False
        """The client has closed its sending side."""
        self.is_ending = False
        """No further commands are accepted."""
        self._is_finished = False
        """The last answer has been written."""
        self._last_moved: Seconds = self._clock()
        self._exceeds_since: Seconds | None = None

    @property
    def memory(self) -> Bytes:
        """Bytes held for this client: an unfinished command, and unread answers."""
        return self._conversation.held + self._unsent

    @property
    def _unsent(self) -> Bytes:
        assert self._transport is not None
        return self._ready + self._transport.get_write_buffer_size()

    # --- what asyncio calls ----------------------------------------------------------------------

    def connection_made(self, transport: BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(Transport, transport)
        self._keep_alive(transport.get_extra_info("socket"))
        if not self._port.enter(self):
            self._say(b"-ERR max number of clients reached\r\n")
            self._end()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is closed."""
        self.is_ending = True
        self._answers.clear()
        self._todos = None
        self._port.leave(self)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """The buffer to read into."""
        return self._port.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Handle data that was read."""
        if self.is_ending:
            return
        self._last_moved = self._clock()
        self._todos = self._conversation.feed(bytes(self._port.buffer[:nbytes]))
        self._go_on()

    def eof_received(self) -> bool:
        """Answer all commands before the connection is closed."""
        self._has_ended = True
        if self._is_finished:
            return False
        if self._todos is None:
            self._end()
        return True

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._is_blocked = True

    def resume_writing(self) -> None:
        """The socket's buffer has room again."""
        self._is_blocked = False
        self._last_moved = self._clock()
        self._flush()

    # --- taking up -------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Handle a limited number of commands; schedule the rest."""
        transport = self._transport
        if self._todos is None or self.is_ending or transport is None:
            return
        for _ in range(TURN):
            if self._is_busy():
                transport.pause_reading()
                return  # `_flush` continues
            todo = next(self._todos, None)
            if todo is None:
                self._todos = None
                if self._has_ended:
                    self._end()
                else:
                    transport.resume_reading()
                return
            self._take_up(todo)
            if self.is_ending:
                return
            if isinstance(todo, Inform):
                break  # it costs as much as many other commands
        transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _is_busy(self) -> bool:
        return len(self._answers) >= MAX_PIPELINED or self._unsent >= MAX_UNSENT

    def _take_up(self, todo: Todo) -> None:
        match todo:
            case Say(content):
                self._say(content)
            case End(content):
                self._say(content)
                self._end()
            case Inform():
                self._say(information(self._port.facts()))
            case Replicate(command):
                answer = _Answer()
                self._answers.append(answer)
                self._port.ask(command, lambda reply: self._answered(answer, reply))

    # --- answering -------------------------------------------------------------------------------

    def _say(self, content: bytes) -> None:
        self._answers.append(_Answer(content))
        self._is_known(content)

    def _answered(self, answer: _Answer, reply: Reply) -> None:
        answer.content = self._conversation.encode(reply)
        self._is_known(answer.content)

    def _is_known(self, content: bytes) -> None:
        """Schedule writing; answers that become known in one turn of the loop are written
        together."""
        if self._is_closing():
            return
        self._ready += len(content)
        self._last_moved = self._clock()
        hard = self._port.limits.client_output_buffer_limit.hard
        if hard and self._unsent > hard:
            self.drop("client-output-buffer-limit")
        elif not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        transport = self._transport
        if transport is None or self._is_closing():
            return
        while not self._is_blocked and (piece := self._next_piece()):
            transport.write(piece)
        if self.is_ending and not self._answers:
            self._finish()
        elif self._todos is not None and not self._is_busy():
            self._go_on()

    def _next_piece(self) -> bytes:
        """The answers at the head of the queue that are known, joined."""
        parts: list[bytes] = []
        size = 0
        answers = self._answers
        while answers and (content := answers[0].content) is not None and size < WRITE_SIZE:
            parts.append(content)
            size += len(content)
            answers.popleft()
        self._ready -= size
        return b"".join(parts)

    # --- ending ----------------------------------------------------------------------------------

    def _end(self) -> None:
        """Accept no further commands, but answer those accepted."""
        self.is_ending = True
        self._port.retire(self)
        self._todos = None
        if self._transport is not None:
            self._transport.resume_reading()  # input is discarded
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _finish(self) -> None:
        """Close the sending side after the last answer; the client closes the connection."""
        transport = self._transport
        if self._is_finished or transport is None:
            return
        self._is_finished = True
        if self._has_ended:
            transport.close()
            return
        with suppress(OSError):  # the connection is gone already
            transport.write_eof()

    def abort(self) -> None:
        """Close the connection at once, discarding unsent answers."""
        if self._transport is not None:
            self._transport.abort()

    def drop(self, limit: str) -> None:
        """Close the connection because the client exceeds a limit."""
        if self._transport is None or self._is_closing():
            return
        address = str(self._transport.get_extra_info("peername"))
        _log.warning("client dropped", problem=f"it exceeds {limit}", address=address)
        self.abort()

    def look(self, now: Seconds) -> None:
        """Enforce the limits that depend on time."""
        if self._is_closing():
            return
        limits, idle = self._port.limits, now - self._last_moved
        _, soft, seconds = limits.client_output_buffer_limit
        if not soft or self._unsent <= soft:
            self._exceeds_since = None
        elif self._exceeds_since is None:
            self._exceeds_since = now
        elif now - self._exceeds_since >= seconds:
            self.drop("client-output-buffer-limit")
            return
        if self._answers and self._answers[0].content is None:
            return  # the client waits for the server, not the other way round
        if self.is_ending:
            if idle > (LINGERS if self._is_finished and not self._unsent else ENDS_WITHIN):
                self.abort()
        elif limits.timeout and idle > limits.timeout:
            self.drop("timeout")

    def _is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _keep_alive(self, connected: socket.socket) -> None:
        interval = self._port.limits.tcp_keepalive
        if not interval:
            return
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in {
            "TCP_KEEPIDLE": interval,
            "TCP_KEEPINTVL": max(1, interval // 3),
            "TCP_KEEPCNT": 3,
        }.items():
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
