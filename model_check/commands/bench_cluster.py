"""``raft-ref bench --cluster``: how much a cluster can do, as a table and as a report."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from model_check.cluster.bench import OURS, TIMES, ClusterMeasurement
from model_check.cluster.catch_up import LARGE, CatchUp
from model_check.report import SCHEMA_VERSION, Report


def cluster_report(measurements: Sequence[ClusterMeasurement], caught_up: CatchUp) -> Report:
    """What was measured, as JSON data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "bench --cluster",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "measurements": [
            {
                "system": each.system,
                "clients": each.clients,
                "seconds": each.seconds,
                "operations": each.operations,
                "operations_per_second": round(each.operations_per_second),
                "latency_seconds": {f"p{n}": value for n, value in each.percentiles.items()},
                "saves": each.saves,
                "shares": None if each.shares is None else dict(each.shares),
                "times_ours": _ratio(measurements, each),
            }
            for each in measurements
        ],
        "catch_up": {**asdict(caught_up), "elections": caught_up.elections},
    }


def cluster_table(measurements: Sequence[ClusterMeasurement]) -> Table:
    """Operations and latencies, side by side; each also as a ratio to ours."""
    table = Table(title="three servers, on loopback; each client writes one thing after the other")
    table.add_column("clients", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("writes/s", "times ours", "p50 ms", "p90 ms", "p99 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for clients in dict.fromkeys(each.clients for each in measurements):
        table.add_section()
        for each in measurements:
            if each.clients == clients:
                table.add_row(
                    f"{clients:,}" if each.system == OURS else "",
                    each.system,
                    f"{each.operations_per_second:,.0f}",
                    f"{_ratio(measurements, each):.2f}",
                    *(f"{value * 1000:.1f}" for value in each.percentiles.values()),
                )
    return table


def table_of_shares(measurements: Sequence[ClusterMeasurement]) -> Table:
    """Where the time goes in our leader."""
    table = Table(title="where the time of our leader goes")
    columns = ("clients", "writes shared by one save", "disk", "Raft, store", "frames", "all else")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for each in measurements:
        if each.shares is not None:
            disk, handle, encode, decode = (each.shares[name] for name in TIMES)
            rest = max(0.0, 1 - disk - handle - encode - decode)
            shares = (disk, handle, encode + decode, rest)
            table.add_row(
                f"{each.clients:,}",
                f"{each.operations_per_save or 0:.1f}",
                *(f"{share:.0%}" for share in shares),
            )
    return table


def catch_up_text(caught_up: CatchUp) -> str:
    """How long a server that was down took to catch up, in a sentence."""
    backlog = caught_up.backlog
    elections = "no election" if not caught_up.elections else f"{caught_up.elections} elections"
    return textwrap.fill(
        f"A server that was down, started again after another was elected, has applied "
        f"{backlog.tiny:,} tiny entries and {backlog.large:,} of {LARGE // 1000} kB, in the place "
        f"of {backlog.conflicting:,} of its own, after {caught_up.seconds:.1f} s: "
        f"{caught_up.rejections} rejections, {elections} on the way.",
        98,
    )


def remarks(has_pysyncobj: bool) -> str:
    """What the figures do and do not say."""
    ours = (
        "The clients and all servers share the processors of this machine. While a save is waited "
        "for (disk), the event loop goes on; all else is the event loop, sockets, the clients' "
        "protocol, and waiting."
    )
    theirs = (
        "The clients of PySyncObj are functions in its leader's process, and cross no connection. "
        "Its journal is not flushed to the disk unless it is made to; then each entry is by itself."
    )
    hint = "PySyncObj is not installed; for a comparison: pip install 'raft-ref[bench]'"
    return "\n".join(textwrap.fill(text, 98) for text in (ours, theirs if has_pysyncobj else hint))


def _ratio(measurements: Sequence[ClusterMeasurement], each: ClusterMeasurement) -> float:
    """How many times the operations of ours, with as many clients."""
    ours = next(m for m in measurements if m.system == OURS and m.clients == each.clients)
    return each.operations_per_second / ours.operations_per_second
