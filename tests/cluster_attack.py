"""``python -m tests.cluster_attack``: attack a running cluster, and check that it is not harmed.

Attackers without the secret send random and mutated streams to the ports for clients and servers;
1,000 connections hold unfinished commands; slow readers pipeline requests and read no answers. In
addition, valid, invalid and mutated frames are given to servers in this script's own processes.
Meanwhile, PING is sent to each server on old and new connections, and keys are written.

Checked are: acknowledged writes are there, no stranger completes a handshake, no server ends,
memory is bounded, every PING is answered in time, and every line of the logs is JSON.

Exit codes: 0 holds, 1 violated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random

import psutil

from raft_ref.cluster.client import ClientError, Stream
from raft_ref.cluster.processes import LOG, LocalCluster, Member
from raft_ref.cluster.settings import Address
from raft_ref.cluster.storage import Identity
from raft_ref.cluster.timers import Seconds
from tests.cluster_frames import Tally, send_frames
from tests.cluster_streams import client_stream, packed, server_stream

VALUE = "x" * 1000
QUIET: Seconds = 0.02
"""A server that has said nothing for so long waits for more of what it was sent."""

CLOSES_WITHIN: Seconds = 0.1
"""After that, the last connection that was aborted is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large an attack is."""

    streams: int = 800_000
    """Connections with hostile input; half to each kind of port."""
    frames: int = 0
    """Frames given to servers in the script's own processes."""
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
    """Observations."""

    streams: int = 0
    frames: int = 0
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


# --- attackers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and how it is called by others."""

    client: Address
    server: Address
    identity: Identity
    """The identity of another server of its cluster."""
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
    count, loop = scale.processes, asyncio.get_running_loop()
    streams, frames = scale.streams // count, scale.frames // count
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        runs = [
            loop.run_in_executor(pool, attack, targets, streams, scale.at_once, scale.seed + number)
            for number in range(count)
        ]
        outcome.welcome = sum(await asyncio.gather(*runs))
        tallies: list[Tally] = await asyncio.gather(
            *(
                loop.run_in_executor(pool, send_frames, frames, scale.seed + number)
                for number in range(count)
            )
        )
    outcome.streams = streams * count
    outcome.frames = sum(each.taken + each.refused for each in tallies)


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
    """Keys whose last acknowledged value, or a later one, is not there."""
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
    """Attack a cluster of three, and print the result."""
    parser = argparse.ArgumentParser("python -m tests.cluster_attack", description=__doc__)
    parser.add_argument("--streams", type=int, default=800_000)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    scale = Scale(
        streams=given.streams,
        frames=given.frames,
        connections=given.connections,
        seed=given.seed,
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = scale.connections + scale.slow_readers + 300
    if hard < needed:
        parser.error(f"{hard} file descriptors are allowed, and {needed} needed: see ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
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
        f"{outcome.streams:,} streams and {outcome.frames:,} frames in {seconds:.0f} s; "
        f"{outcome.writes:,} writes acknowledged; "
        f"slowest PING {outcome.slowest_ping * 1000:.0f} ms; "
        f"{outcome.memory / 2**20:.0f} MiB at most; terms {outcome.terms[0]} to {outcome.terms[1]}"
    )
    print(
        "\n".join(f"violated: {problem}" for problem in problems)
        or "holds: the cluster was not harmed"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
