"""Connections of clients: served within limits, and nobody's harm is another's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from raft_ref.cluster import clients
from raft_ref.cluster.clients import MAX_PIPELINED, MAX_UNSENT, Answered, ClientPort
from raft_ref.cluster.limits import NAMES, ClientLimits, OutputLimit, client_limits
from raft_ref.cluster.processes import HOST, free_ports
from raft_ref.cluster.replies import Reply, Value
from raft_ref.cluster.settings import Address
from raft_ref.types import Command

PING = b"*1\r\n$4\r\nPING\r\n"
PONG = b"+PONG\r\n"
GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
VALUE = b"x" * 10_000
DEFAULT = ClientLimits()


class Store:
    """Answers what clients ask for, at once or when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.waiting: list[Answered] = []
        self.is_slow = False
        self.reply: Reply = Value(VALUE)

    def ask(self, _command: Command, answered: Answered) -> None:
        self.asked += 1
        if self.is_slow:
            self.waiting.append(answered)
        else:
            asyncio.get_running_loop().call_soon(answered, self.reply)


class Caller:
    """A client without manners."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, content: bytes, answer: bytes) -> None:
        self.writer.write(content)
        assert await self.reader.readexactly(len(answer)) == answer

    async def heard(self) -> bytes:
        """All until the connection is closed."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionError:
            return b""


class Place:
    """A port, its store, and connections to it."""

    def __init__(self, limits: ClientLimits) -> None:
        self.store = Store()
        self.port = ClientPort(self.store.ask, dict, limits)
        self.address = Address(HOST, *free_ports(1))
        self._callers: list[Caller] = []

    async def call(self, buffer: int | None = None) -> Caller:
        connected = socket.socket()
        if buffer is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connected.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connected, self.address)
        limit = buffer if buffer is not None else 2**16
        caller = Caller(*await asyncio.open_connection(sock=connected, limit=limit))
        self._callers.append(caller)
        return caller

    @property
    def connected(self) -> object:
        return self.port.counts()["connected_clients"]

    def close(self) -> None:
        for caller in self._callers:
            caller.writer.close()
        self.port.stop()


@asynccontextmanager
async def served(limits: ClientLimits) -> AsyncIterator[Place]:
    place = Place(limits)
    await place.port.start(place.address)
    try:
        yield place
    finally:
        place.close()
        await asyncio.sleep(0.05)


def play(scene: Callable[[Place], Awaitable[None]], limits: ClientLimits = DEFAULT) -> None:
    async def playing() -> None:
        async with served(limits) as place, asyncio.timeout(20):
            await scene(place)

    asyncio.run(playing())


async def until(is_so: Callable[[], object]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "LOOKS_EVERY", 0.02)
    monkeypatch.setattr(clients, "LINGERS", 0.1)


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [
        record.about["problem"]  # type: ignore[attr-defined] # by Log
        for record in caplog.records
        if record.getMessage() == event
    ]


def test_answers_leave_in_the_order_of_the_questions() -> None:
    async def scene(place: Place) -> None:
        place.store.is_slow = True
        caller = await place.call()
        caller.writer.write(GET + PING + GET)
        await until(lambda: len(place.store.waiting) == 2)
        place.store.waiting[1](Value(b"2"))
        await asyncio.sleep(0.05)
        place.store.waiting[0](Value(b"1"))
        await caller.ask(b"", b"$1\r\n1\r\n" + PONG + b"$1\r\n2\r\n")

    play(scene)


def test_who_ends_its_side_is_still_answered() -> None:
    async def scene(place: Place) -> None:
        place.store.is_slow = True
        caller = await place.call()
        caller.writer.write(PING * 500 + GET)
        caller.writer.write_eof()
        await until(lambda: place.store.waiting)
        place.store.waiting[0](Value(b"1"))
        assert await caller.heard() == PONG * 500 + b"$1\r\n1\r\n"
        await until(lambda: place.connected == 0)

    play(scene)


@pytest.mark.parametrize(
    ("rubbish", "last"),
    [
        (b"*1000000000\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b">300000000\r\n", b"-ERR Protocol error: expected '*', got '>'\r\n"),
        (b"*1\r\n$4\r\nQUIT\r\n", b"+OK\r\n"),
    ],
)
def test_the_last_answer_arrives_although_more_was_sent(rubbish: bytes, last: bytes) -> None:
    async def scene(place: Place) -> None:
        caller = await place.call()
        caller.writer.write(PING + rubbish + b"x" * 1_000_000)
        assert await caller.heard() == PONG + last
        await until(lambda: place.connected == 0)

    play(scene)


def test_who_does_not_read_is_not_read_from_and_nobody_else_waits() -> None:
    async def scene(place: Place) -> None:
        greedy, other = await place.call(buffer=4096), await place.call()
        sending = asyncio.create_task(send(greedy, GET * 50_000))
        await until(lambda: place.store.asked >= MAX_PIPELINED // 10)
        for _ in range(20):
            await asyncio.wait_for(other.ask(PING, PONG), 1)
        assert place.store.asked < MAX_PIPELINED + MAX_UNSENT // len(VALUE) + 1000
        sending.cancel()

    play(scene)


async def send(caller: Caller, content: bytes) -> None:
    caller.writer.write(content)
    await caller.writer.drain()


def test_who_reads_late_loses_nothing() -> None:
    async def scene(place: Place) -> None:
        caller = await place.call(buffer=4096)
        sending = asyncio.create_task(send(caller, GET * 3000))
        await asyncio.sleep(0.2)
        answer = b"$%d\r\n%s\r\n" % (len(VALUE), VALUE)
        for _ in range(3000):
            assert await caller.reader.readexactly(len(answer)) == answer
        await sending

    play(scene)


@pytest.mark.parametrize(
    "limit",
    [OutputLimit(hard=500_000, soft=0, seconds=0), OutputLimit(hard=0, soft=200_000, seconds=0)],
    ids=["hard", "soft"],
)
def test_who_leaves_too_much_unread_is_dropped(
    limit: OutputLimit, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(place: Place) -> None:
        caller, other = await place.call(buffer=4096), await place.call()
        caller.writer.write(GET * 5000)
        await until(lambda: place.connected == 1)
        await other.ask(PING, PONG)

    play(scene, ClientLimits(client_output_buffer_limit=limit))
    assert said(caplog, "client dropped") == ["it exceeds client-output-buffer-limit"]


def test_of_all_that_clients_hold_the_largest_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(place: Place) -> None:
        small, large, other = [await place.call() for _ in range(3)]
        small.writer.write(b"*2\r\n$3\r\nGET\r\n$90000\r\n" + b"x" * 40_000)
        large.writer.write(b"*2\r\n$3\r\nGET\r\n$90000\r\n" + b"x" * 80_000)
        assert await large.heard() == b""
        await small.ask(b"x" * 50_000 + b"\r\n", b"-ERR a command is at most")
        await other.ask(PING, PONG)

    play(scene, ClientLimits(maxmemory_clients=100_000))
    assert said(caplog, "client dropped") == ["it exceeds maxmemory-clients"]


def test_one_client_too_many_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(place: Place) -> None:
        served = [await place.call() for _ in range(2)]
        for caller in served:
            await caller.ask(PING, PONG)
        more = await place.call()
        more.writer.write(PING)
        assert await more.heard() == b"-ERR max number of clients reached\r\n"
        for caller in served:
            await caller.ask(PING, PONG)
        assert place.port.counts()["rejected_connections"] == 1
        served[0].writer.close()
        await until(lambda: place.connected == 1)
        await (await place.call()).ask(PING, PONG)

    play(scene, ClientLimits(maxclients=2))
    assert said(caplog, "client refused") == ["max number of clients reached"]


def test_many_connections_too_many_do_not_harm_those_that_are_served() -> None:
    async def scene(place: Place) -> None:
        served = await place.call()
        await served.ask(PING, PONG)
        for _ in range(200):
            await place.call()
        await asyncio.wait_for(served.ask(PING, PONG), 1)
        await until(lambda: place.connected == 1)

    play(scene, ClientLimits(maxclients=1))


def test_who_is_idle_is_dropped_and_who_waits_for_an_answer_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(place: Place) -> None:
        place.store.is_slow = True
        idle, waiting = await place.call(), await place.call()
        waiting.writer.write(GET)
        assert await idle.heard() == b""
        await asyncio.sleep(0.3)
        place.store.waiting[0](Value(b"1"))
        await waiting.ask(b"", b"$1\r\n1\r\n")

    play(scene, ClientLimits(timeout=1))
    assert said(caplog, "client dropped") == ["it exceeds timeout"]


def test_who_is_to_go_and_does_not_read_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "ENDS_WITHIN", 0.3)

    async def scene(place: Place) -> None:
        place.store.reply = Value(b"x" * 10_000_000)
        caller = await place.call(buffer=4096)
        caller.writer.write(GET + b"?")
        await until(lambda: place.port._connections)
        await until(lambda: not place.port._connections)

    play(scene)


def test_connections_are_kept_alive() -> None:
    async def scene(place: Place) -> None:
        await (await place.call()).ask(PING, PONG)
        (connection,) = place.port._connections
        assert connection._transport is not None
        connected = connection._transport.get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 20

    play(scene, ClientLimits(tcp_keepalive=60))


# --- the limits ----------------------------------------------------------------------------------


def test_limits_are_written_as_in_redis() -> None:
    given: dict[str, int | str] = {
        "maxclients": 5,
        "timeout": "7",
        "tcp-keepalive": "0",
        "proto-max-bulk-len": "1mb",
        "client-query-buffer-limit": "300k",
        "client-output-buffer-limit": "normal 2GB 1kb 9",
        "maxmemory-clients": "0",
    }
    assert list(given) == list(NAMES)
    assert client_limits(given) == ClientLimits(
        maxclients=5,
        timeout=7,
        tcp_keepalive=0,
        proto_max_bulk_len=2**20,
        client_query_buffer_limit=300_000,
        client_output_buffer_limit=OutputLimit(2 * 2**30, 2**10, 9),
        maxmemory_clients=0,
    )
    assert client_limits({}) == ClientLimits()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("maxclient", 1, "a limit is one of maxclients, .*, and not maxclient"),
        ("maxclients", 0, "maxclients must be at least 1, not 0"),
        ("maxclients", "-1", "maxclients is a number, such as 10000 or 64mb, not '-1'"),
        ("timeout", "1 s", "timeout is a number"),
        ("proto-max-bulk-len", "1kb", "must be at least 131072, not 1024"),
        ("client-output-buffer-limit", "1mb", "is 'normal HARD SOFT SECONDS', not '1mb'"),
        ("client-output-buffer-limit", "replica 1 1 1", "is 'normal HARD SOFT SECONDS'"),
        ("maxmemory-clients", "٣", "is a number"),
    ],
)
def test_a_limit_that_cannot_be_had_is_refused(name: str, value: int | str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        client_limits({name: value})


def test_a_value_of_any_length_that_the_store_takes_can_be_sent() -> None:
    async def scene(place: Place) -> None:
        caller = await place.call()
        place.store.reply = Value(b"")
        words = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000\r\n" + b"x" * 60_000 + b"\r\n"
        await caller.ask(words, b"$0\r\n\r\n")
        too_long = words.replace(b"60000", b"70000").replace(b"\r\nx", b"\r\n" + b"x" * 10_001)
        await caller.ask(
            too_long, b"-ERR a command is at most 65536 bytes long, written as JSON\r\n"
        )

    play(scene)
