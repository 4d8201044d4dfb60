"""``python -m tests.cluster_attack``: a cluster is attacked from outside, and nothing comes of it.

Clients and would-be servers that know no secret send what is random, and what is a mutation of what
they should send; 1,000 connections hold commands that never end; some clients ask for much and read
nothing. Meanwhile each server is asked PING, on an old connection and on new ones, and is written
to. In the end: nothing acknowledged is lost, no stranger was welcome, no server has ended, used too
much memory, or kept a PING waiting, and all their logs are lines of JSON.

Exit codes: 0 nothing came of it, 1 something did.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

from raft_ref.cluster.client import ClientError, Stream
from raft_ref.cluster.handshake import Connecting
from raft_ref.cluster.processes import LOG, LocalCluster, Member
from raft_ref.cluster.settings import Address
from raft_ref.cluster.storage import Identity
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.wire import with_length

VALUE = "x" * 1000
QUIET: Seconds = 0.02
"""A server that has said nothing for so long waits for more of what it was sent."""

CLOSES_WITHIN: Seconds = 0.1
"""After that, the last connection that was aborted is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large an attack is."""

    streams: int = 1_000_000
    """Of clients and of would-be servers, half each: a connection, and what is sent on it."""
    connections: int = 1000
    slow_readers: int = 20
    at_once: int = 50
    """Attackers in each process, each of whom opens one connection after the other."""
    processes: int = 2
    seed: int = 0
    ping_within: Seconds = 1.0
    memory: int = 512 * 2**20
    """The most that a server may have resident, in bytes."""


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    streams: int = 0
    welcome: int = 0
    """Strangers that were let in."""
    slowest_ping: Seconds = 0.0
    memory: int = 0
    """The most that a server had resident, in bytes."""
    writes: int = 0
    """Acknowledged."""
    lost: list[str] = field(default_factory=list)
    """Keys of acknowledged writes that are not there."""
    ended: list[str] = field(default_factory=list)
    """The last words of servers that have ended."""
    no_json: list[str] = field(default_factory=list)
    """Lines of logs that are something else."""
    terms: tuple[int, int] = (0, 0)
    """Before and after: elections need not, but may, have been held."""
    refused: int = 0
    """Times that a server could not be connected to, or did not answer a PING."""

    def problems(self, scale: Scale) -> list[str]:
        """All that is wrong."""
        found = {
            f"{self.welcome} strangers were let in": self.welcome,
            f"PING took {self.slowest_ping:.2f} s": self.slowest_ping > scale.ping_within,
            f"PING was not answered {self.refused} times": self.refused,
            f"a server used {self.memory / 2**20:.0f} MiB": self.memory > scale.memory,
            f"acknowledged and lost: {self.lost[:5]}": self.lost,
            f"ended: {self.ended}": self.ended,
            f"not JSON: {self.no_json[:5]}": self.no_json,
            "nothing was written": not self.writes,
        }
        return [problem for problem, is_so in found.items() if is_so]


# --- what is sent --------------------------------------------------------------------------------


def packed(*words: bytes) -> bytes:
    """A command."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


LARGE = (
    b"*1000000000",
    b">300000000",
    b"*-5",
    b"*1\r\n$999999999",
    b"%99999999",
    b"~99",
    b"*1\r\n",
)
COMMANDS = (
    packed(b"PING"),
    packed(b"SET", b"attack", b"v" * 50),
    packed(b"GET", b"attack"),
    packed(b"HELLO", b"3"),
    packed(b"MULTI") + packed(b"INCR", b"attack:n") + packed(b"EXEC"),
    packed(b"RAFT.CALL", b"1", b"1", b"GET", b"attack"),
    packed(b"INFO"),
    packed(b"CLIENT", b"SETNAME", b"x"),
    packed(b"ECHO", b"\x00\xff\r\n"),
)


def client_stream(chance: Random) -> bytes:
    """What a client might send that should not."""
    match chance.randrange(4):
        case 0:
            return chance.randbytes(chance.randint(1, 2000))
        case 1:
            return chance.choice(LARGE) * chance.randint(1, 50) + b"\r\n"
        case _:
            commands = chance.choices(COMMANDS, k=chance.randint(1, 5))
            return mutated(chance, b"".join(commands))


def server_stream(chance: Random, identity: Identity, peer: int) -> bytes:
    """What somebody might send who wants to be taken for a server, and knows no secret."""
    hello = Connecting(identity, peer, None).hello
    proof = b'{"type":"proof","proof":"' + b"A" * 43 + b'="}'
    vote = b'{"type":"raft","message":{"type":"RequestVote","source":%d,"destination":%d,' % (
        identity.server,
        peer,
    )
    vote += b'"term":9007199254740991,"last_log_index":9,"last_log_term":9}}'
    match chance.randrange(5):
        case 0:
            return chance.randbytes(chance.randint(1, 2000))
        case 1:
            return with_length(chance.randbytes(chance.randint(0, 500)))
        case 2:
            return b"".join(map(with_length, (hello, proof, vote)))
        case 3:
            return with_length(hello) + mutated(chance, b"".join(map(with_length, (proof, vote))))
        case _:
            return mutated(chance, with_length(hello))


def mutated(chance: Random, content: bytes) -> bytes:
    """Something like it: with bytes changed, left out, repeated, or a number exchanged."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[place : place + 1] = chance.randbytes(1)
            case 1:
                del changed[place : place + chance.randint(1, 20)]
            case 2:
                changed[place:place] = changed[place : place + chance.randint(1, 50)]
            case 3:
                changed[place:place] = b"%d" % (10 ** chance.randint(1, 12))
            case _:
                changed[place:place] = chance.choice(LARGE)
    return bytes(changed)


# --- attackers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and how it is called by others."""

    client: Address
    server: Address
    identity: Identity
    """Of another server of its cluster."""
    number: int


def attack(targets: Sequence[Target], streams: int, at_once: int, seed: int) -> int:
    """Send so many streams; how many were welcome."""
    return asyncio.run(_attack(targets, streams, at_once, seed))


async def _attack(targets: Sequence[Target], streams: int, at_once: int, seed: int) -> int:
    left, welcome = iter(range(streams)), 0

    async def attacker(chance: Random) -> None:
        nonlocal welcome
        for number in left:
            target = chance.choice(targets)
            if number % 2:
                await _send(target.client, client_stream(chance))
            else:
                content = server_stream(chance, target.identity, target.number)
                welcome += b"welcome" in await _send(target.server, content)

    async with asyncio.TaskGroup() as group:
        for number in range(at_once):
            group.create_task(attacker(Random(f"{seed} {number}")))  # noqa: S311 - no secret
    await asyncio.sleep(CLOSES_WITHIN)
    return welcome


async def _send(address: Address, content: bytes) -> bytes:
    """Send something; what was answered until the connection was closed, or nothing more came."""
    heard = b""
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(content)
            while part := await asyncio.wait_for(reader.read(65536), QUIET):
                heard += part
        finally:
            writer.transport.abort()
    return heard


async def _hold(address: Address, content: bytes) -> None:
    """Open a connection, send something, and read nothing; again when it is closed."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(*address, limit=1024)
            try:
                writer.write(content)
                while not writer.transport.is_closing() and not reader.at_eof():
                    await asyncio.sleep(0.5)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.1)


# --- those that are not to be harmed -------------------------------------------------------------


async def _ping(address: Address, outcome: Outcome, *, anew: bool) -> None:
    """Ask PING, again and again."""
    stream: Stream | None = None
    try:
        while True:
            start = time.monotonic()
            try:
                async with asyncio.timeout(30):
                    stream = stream or await Stream.open(address)
                    await stream.ask("PING")
            except OSError:
                outcome.refused += 1
                stream = None
            outcome.slowest_ping = max(outcome.slowest_ping, time.monotonic() - start)
            if stream is not None and anew:
                stream.close()
                stream = None
            await asyncio.sleep(0.05)
    finally:
        if stream is not None:
            stream.close()


async def _write(member: Member, key: str, outcome: Outcome, written: dict[str, int]) -> None:
    """Write ascending numbers."""
    stream = await Stream.open(member.settings.client)
    try:
        for number in range(10**9):
            if await stream.ask("SET", key, number) in (b"OK", "OK"):
                written[key] = number
                outcome.writes += 1
            await asyncio.sleep(0.02)
    finally:
        stream.close()


async def _weigh(cluster: LocalCluster, outcome: Outcome) -> None:
    processes = [psutil.Process(member.pid) for member in cluster.members.values() if member.pid]
    while True:
        with suppress(psutil.NoSuchProcess):
            outcome.memory = max(outcome.memory, *(p.memory_info().rss for p in processes))
        await asyncio.sleep(0.2)


# --- an attack -----------------------------------------------------------------------------------


async def attacked(cluster: LocalCluster, scale: Scale) -> Outcome:
    """Attack a cluster that runs."""
    outcome, written = Outcome(), dict[str, int]()
    before = _term(cluster)
    async with _running(_victims(cluster, outcome, written)):
        async with _running(_crowd(cluster, scale)):
            await _all_streams(cluster, scale, outcome)
        await asyncio.sleep(1)
    await asyncio.sleep(CLOSES_WITHIN)
    outcome.terms = before, _term(cluster)
    outcome.ended = [m.last_words() for m in cluster.members.values() if not m.is_running]
    if not outcome.ended:
        outcome.lost = await asyncio.to_thread(_lost, cluster, written)
    outcome.no_json = [line for m in cluster.members.values() for line in _no_json(m)]
    return outcome


async def _all_streams(cluster: LocalCluster, scale: Scale, outcome: Outcome) -> None:
    targets = list(_targets(cluster))
    share, loop = scale.streams // scale.processes, asyncio.get_running_loop()
    with ProcessPoolExecutor(scale.processes) as pool:
        runs = [
            loop.run_in_executor(pool, attack, targets, share, scale.at_once, scale.seed + number)
            for number in range(scale.processes)
        ]
        outcome.welcome = sum(await asyncio.gather(*runs))
    outcome.streams = share * scale.processes


def _targets(cluster: LocalCluster) -> Iterator[Target]:
    members = list(cluster.members.values())
    for number, member in enumerate(members):
        settings, other = member.settings, members[number - 1].settings
        yield Target(
            settings.client, settings.servers[member.number], other.identity, member.number
        )


def _victims(
    cluster: LocalCluster, outcome: Outcome, written: dict[str, int]
) -> Iterator[asyncio.Task[None]]:
    yield asyncio.create_task(_weigh(cluster, outcome))
    for member in cluster.members.values():
        for anew in (False, True):
            yield asyncio.create_task(_ping(member.settings.client, outcome, anew=anew))
        yield asyncio.create_task(_write(member, f"kept-{member.number}", outcome, written))


def _crowd(cluster: LocalCluster, scale: Scale) -> Iterator[asyncio.Task[None]]:
    members = list(cluster.members.values())
    unfinished = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000\r\n" + b"x" * 30_000
    asks = packed(b"SET", b"large", VALUE.encode()) + packed(b"GET", b"large") * 50_000
    for number in range(scale.connections):
        member = members[number % len(members)]
        yield asyncio.create_task(_hold(member.settings.client, unfinished))
    for number in range(scale.slow_readers):
        member = members[number % len(members)]
        yield asyncio.create_task(_hold(member.settings.client, asks))


@asynccontextmanager
async def _running(tasks: Iterator[asyncio.Task[None]]) -> AsyncIterator[None]:
    started = list(tasks)
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        for task in started:
            task.cancel()
        ends = await asyncio.gather(*started, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


def _term(cluster: LocalCluster) -> int:
    return max(int(info["term"]) for m in cluster.members.values() if (info := m.info()))


def _lost(cluster: LocalCluster, written: dict[str, int]) -> list[str]:
    """Whose last acknowledged write is not there; what was written after it may be."""
    lost = []
    for member in cluster.members.values():
        with member.connect() as client:
            for key, number in written.items():
                try:
                    found = client.call("GET", key)
                except ClientError as error:
                    found = str(error).encode()
                if not isinstance(found, bytes) or not found.isdigit() or int(found) < number:
                    lost.append(f"{key} = {number}, at S{member.number}: {found!r}")
    return lost


def _no_json(member: Member) -> Iterator[str]:
    for line in (member.path.parent / LOG).read_text("utf-8", "replace").splitlines():
        try:
            json.loads(line)
        except ValueError:
            yield line


def main() -> int:
    """Attack a cluster of three, and say what came of it."""
    parser = argparse.ArgumentParser("python -m tests.cluster_attack", description=__doc__)
    parser.add_argument("--streams", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    scale = Scale(streams=given.streams, connections=given.connections, seed=given.seed)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="raft-ref-") as directory:
        cluster = LocalCluster(Path(directory), 3, trace=False)
        try:
            cluster.start()
            cluster.wait_for_leader()
            outcome = asyncio.run(attacked(cluster, scale))
        finally:
            cluster.stop()
    problems = outcome.problems(scale)
    seconds = time.monotonic() - start
    print(
        f"{outcome.streams:,} streams in {seconds:.0f} s; {outcome.writes:,} writes acknowledged; "
        f"slowest PING {outcome.slowest_ping * 1000:.0f} ms; "
        f"{outcome.memory / 2**20:.0f} MiB at most; terms {outcome.terms[0]} to {outcome.terms[1]}"
    )
    print("\n".join(f"violated: {problem}" for problem in problems) or "holds: nothing came of it")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
