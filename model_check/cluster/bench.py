"""How much a cluster of three servers can do on this machine, and where the time goes.

Beside it, in the same run, PySyncObj with its journal on: as it comes; sending each command at
once; sending what has come every two milliseconds; and so that, as with ours, what it acknowledges
is on the disk. Its clients live in its leader's own process, ours are connected.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from statistics import quantiles
from threading import Thread

import msgspec

from model_check.cluster.catch_up import Backlog, CatchUp, catch_up
from raft_ref.cluster.load import Load, write_for
from raft_ref.cluster.processes import HOST, LocalCluster, Member, free_ports
from raft_ref.cluster.timers import Seconds

SERVERS = 3
OURS = "raft-ref"
TIMES = ("save_seconds", "handle_seconds", "encode_seconds", "decode_seconds")
"""Of the leader, as its ``INFO`` tells: the disk, Raft and the store, frames both ways."""

PERIOD: Seconds = 0.002
"""So often a PySyncObj that is made to hurry sends."""
WAYS: Mapping[str, Mapping[str, object]] = {
    "PySyncObj": {},
    "PySyncObj, sending at once": {"batches": False},
    f"PySyncObj, sending every {PERIOD * 1000:g} ms": {"period": PERIOD},
    "the same, flushing each entry": {"period": PERIOD, "flushes": True},
}
START_WITHIN: Seconds = 60.0

BACKLOG = Backlog()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMeasurement:
    """So many clients of one cluster that each write one thing after the other."""

    system: str
    clients: int
    seconds: Seconds
    """How long they did."""
    operations: int
    percentiles: Mapping[int, Seconds]
    """By percent: so many of the operations took no longer."""
    saves: int | None = None
    """Writes to the leader's disk; of ours alone, as is what follows."""
    shares: Mapping[str, float] | None = None
    """What took which share of the time, in the leader; the disk is waited for in a thread."""

    @property
    def operations_per_second(self) -> float:
        """How many were done in a second."""
        return self.operations / self.seconds

    @property
    def operations_per_save(self) -> float | None:
        """How many shared one write to the disk."""
        return None if not self.saves else self.operations / self.saves


class BenchError(Exception):
    """A cluster could not be measured."""


def has_pysyncobj() -> bool:
    """Whether PySyncObj is installed."""
    return find_spec("pysyncobj") is not None


def measure(
    clients: Sequence[int], seconds: Seconds, on_progress: Callable[[str], None]
) -> Iterator[ClusterMeasurement]:
    """Measure our cluster, then PySyncObj in several ways, if it is there.

    Raises:
        BenchError: if PySyncObj does not do what it is asked for.
        ClientError: if our servers do not.
        TimeoutError: if none of them becomes leader.
    """
    on_progress(OURS)
    yield from _measure_ours(clients, seconds)
    for system, options in WAYS.items() if has_pysyncobj() else ():
        on_progress(system)
        yield from _measure_pysyncobj(system, clients, seconds, options)


def measure_catch_up(on_progress: Callable[[str], None]) -> CatchUp:
    """Measure how long a server of ours that was down takes to catch up; see `catch_up`."""
    on_progress(f"{OURS}, a server that was down")
    with tempfile.TemporaryDirectory(prefix="raft-ref-") as directory:
        return catch_up(Path(directory), BACKLOG)


def _measure_ours(clients: Sequence[int], seconds: Seconds) -> Iterator[ClusterMeasurement]:
    with tempfile.TemporaryDirectory(prefix="raft-ref-") as directory:
        cluster = LocalCluster(Path(directory), SERVERS, trace=False)
        try:
            cluster.start()
            leader = cluster.wait_for_leader()
            time.sleep(0.5)  # so that the others know
            for count in clients:
                yield _measure_leader(leader, count, seconds)
        finally:
            cluster.stop()


def _measure_leader(leader: Member, clients: int, seconds: Seconds) -> ClusterMeasurement:
    before = _totals(leader)
    load = asyncio.run(write_for(leader.settings.client, clients, seconds))
    after = _totals(leader)
    return _measured(
        OURS,
        load,
        saves=round(after["saves"] - before["saves"]),
        shares={name: (after[name] - before[name]) / seconds for name in TIMES},
    )


def _totals(member: Member) -> dict[str, float]:
    with member.connect() as client:
        told = client.info()
    return {name: float(told[name]) for name in ("saves", *TIMES)}


def _measured(
    system: str,
    load: Load,
    saves: int | None = None,
    shares: Mapping[str, float] | None = None,
) -> ClusterMeasurement:
    if len(load.latencies) < 2:
        raise BenchError(f"{system}: nothing was done in {load.seconds:g} seconds")
    cuts = quantiles(load.latencies, n=100)
    return ClusterMeasurement(
        system=system,
        clients=load.clients,
        seconds=load.seconds,
        operations=len(load.latencies),
        percentiles={percent: cuts[percent - 1] for percent in (50, 90, 99)},
        saves=saves,
        shares=shares,
    )


# --- PySyncObj -----------------------------------------------------------------------------------


def _measure_pysyncobj(
    system: str, clients: Sequence[int], seconds: Seconds, options: Mapping[str, object]
) -> Iterator[ClusterMeasurement]:
    addresses = [f"{HOST}:{port}" for port in free_ports(SERVERS)]
    with tempfile.TemporaryDirectory(prefix="raft-ref-") as directory:
        orders = [
            {
                "server": server,
                "addresses": addresses,
                "journal": str(Path(directory) / f"journal-{server}"),
                "clients": list(clients),
                "seconds": seconds,
                **options,
            }
            for server in range(SERVERS)
        ]
        lines: Queue[bytes] = Queue()
        processes = [_start(order) for order in orders]
        threads = [Thread(target=_hand_on, args=(each, lines)) for each in processes]
        try:
            for thread in threads:
                thread.start()
            for _ in clients:
                yield _measured(system, _next_load(lines, seconds))
        finally:
            for process in processes:
                process.kill()
            for thread in threads:
                thread.join()


def _start(order: Mapping[str, object]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "model_check.cluster.pysyncobj_node", json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _hand_on(process: subprocess.Popen[bytes], lines: Queue[bytes]) -> None:
    """Whoever leads says something; the others do not."""
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)


def _next_load(lines: Queue[bytes], seconds: Seconds) -> Load:
    try:
        return msgspec.json.decode(lines.get(timeout=START_WITHIN + seconds), type=Load)
    except Empty:
        raise BenchError(f"PySyncObj did not begin within {START_WITHIN:g} seconds") from None
