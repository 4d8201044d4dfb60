"""``raft-ref bench``: how fast the explorers are on this machine."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from model_check.bench import (
    SIZES,
    Comparison,
    Measurement,
    Size,
    compare_with_tlc,
    measure,
)
from model_check.commands.cluster import complaining
from model_check.commands.options import POSITIVE, json_option
from model_check.commands.output import (
    STARTING,
    live_progress,
    prepare_explorer,
    require_writable,
    usable,
    write_json,
)
from model_check.commands.tables import show_table
from model_check.report import SCHEMA_VERSION, Report
from model_check.tlc import TlcMissing, require_tlc

LEAST_STORED = 10_000
"""With fewer states than this, bytes a state are not shown."""


def _plot_path(_context: object, _option: object, path: Path | None) -> Path | None:
    if path is not None and path.suffix != ".svg":
        raise click.BadParameter(f"{path} must end in .svg")
    return path


@click.command("bench")
@click.option(
    "--size",
    type=click.Choice(SIZES),
    default="medium",
    show_default=True,
    help="small: a minute, 180,000 states. medium: some minutes, 5 million. large: half an hour, "
    "160 million states, 8 GiB.",
)
@json_option
@click.option(
    "--plot",
    "plot_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_plot_path,
    help="Also draw time and memory against states, as an .svg file (needs raft-ref[plot]).",
)
@click.option(
    "--against-tlc",
    is_flag=True,
    help="Also let TLC explore spec/raft.tla, the same system (needs raft-ref[tla], and Java).",
)
@click.option(
    "--cluster",
    "is_cluster",
    is_flag=True,
    help="Measure a live cluster instead (needs raft-ref[cluster]), beside PySyncObj if that is "
    "installed (raft-ref[bench]).",
)
@click.option(
    "--clients",
    type=click.IntRange(1, 10_000),
    multiple=True,
    default=(1, 20, 100),
    show_default=True,
    help="--cluster alone: so many at once; may be given several times.",
)
@click.option(
    "--seconds",
    type=POSITIVE,
    default=5.0,
    show_default=True,
    help="--cluster alone: how long each measurement takes.",
)
def bench_command(
    *,
    size: Size,
    json_path: Path | None,
    plot_path: Path | None,
    against_tlc: bool,
    is_cluster: bool,
    clients: tuple[int, ...],
    seconds: float,
) -> int:
    """Measure the explorers, or a live cluster, on this machine, in one run.

    The reference explorer and the compiled one, the latter with and without symmetry, with one
    worker and with two, explore the same configurations of three servers one after the other; what
    they find must be equal. "faster" is in transitions a second, times those of the reference
    explorer on the same configuration. Then the reductions: they must keep the verdict, and "fewer"
    is how many times fewer states they have than the whole.

    With --cluster: three servers on loopback that make every write durable, and clients that each
    write one thing after the other; what share of the leader's time goes where; PySyncObj, in the
    same run; and how long a server that was down takes to catch up.

    Exit codes: 0 measured, 2 usage, or it could not be measured.
    """
    _require(json_path, plot_path, is_cluster=is_cluster, against_tlc=against_tlc)
    if is_cluster:
        _bench_cluster(clients, seconds, json_path)
        return 0
    prepare_explorer()
    with live_progress(STARTING) as on_progress:
        measurements = list(measure(size, on_progress))
    with live_progress("TLC") if against_tlc else nullcontext():
        comparisons = list(compare_with_tlc(size)) if against_tlc else []
    if json_path is not None:
        write_json(_report(size, measurements, comparisons), json_path)
    if str(json_path) != "-":
        show_table(_table(measurements))
        if comparisons:
            show_table(_table_of_tlc(comparisons))
    if plot_path is not None:
        # Imported here: it takes a second, and is an extra.
        from model_check.plot import plot

        with usable(plot_path):
            plot(measurements, plot_path)
    return 0


def _require(
    json_path: Path | None, plot_path: Path | None, *, is_cluster: bool, against_tlc: bool
) -> None:
    """What is asked for can be had, before anything takes long."""
    if is_cluster and (plot_path is not None or against_tlc):
        raise click.UsageError("--plot and --against-tlc are not for --cluster")
    require_writable(json_path, plot_path)
    if plot_path is not None:
        _require_matplotlib()
    if against_tlc:
        _require_tlc()


def _bench_cluster(clients: tuple[int, ...], seconds: float, json_path: Path | None) -> None:
    with complaining():  # what it needs is an extra
        from model_check.cluster.bench import BenchError, has_pysyncobj, measure_catch_up
        from model_check.cluster.bench import measure as measure_cluster
        from model_check.commands.bench_cluster import (
            catch_up_text,
            cluster_report,
            cluster_table,
            remarks,
            table_of_shares,
        )

        try:
            with Console(stderr=True).status("measuring") as status:
                found = list(measure_cluster(clients, seconds, status.update))
                caught_up = measure_catch_up(status.update)
        except BenchError as error:
            raise click.ClickException(str(error)) from None
    if json_path is not None:
        write_json(cluster_report(found, caught_up), json_path)
    if str(json_path) != "-":
        show_table(cluster_table(found))
        show_table(table_of_shares(found))
        click.echo(catch_up_text(caught_up))
        click.echo(remarks(has_pysyncobj()))


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401 - is it there?
    except ImportError:
        raise click.ClickException("--plot needs matplotlib: pip install raft-ref[plot]") from None


def _require_tlc() -> None:
    try:
        require_tlc()
    except TlcMissing as missing:
        raise click.ClickException(f"--against-tlc: {missing}") from None


def _report(
    size: Size, measurements: Sequence[Measurement], comparisons: Sequence[Comparison]
) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "bench",
        "size": size,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "measurements": [
            asdict(each)
            | {
                "states_per_second": round(each.states_per_second),
                "transitions_per_second": round(each.transitions_per_second),
                "bytes_per_state": each.bytes_per_state,
            }
            for each in measurements
        ],
        "against_tlc": [asdict(each) | {"ratio": each.ratio} for each in comparisons],
    }


def _table(measurements: Sequence[Measurement]) -> Table:
    table = Table()
    table.add_column("three servers", no_wrap=True)
    for name in (
        *("states", "stored", "transitions", "seconds", "states/s", "trans./s", "bytes"),
        *("faster", "fewer"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    configuration = ""
    for each in measurements:
        if configuration != each.configuration:
            configuration = each.configuration
            table.add_section()
            table.add_row(configuration)
        table.add_row(
            f"  {_way(each)}",
            *(f"{figure:,}" for figure in (each.states, each.orbits, each.transitions)),
            f"{each.seconds:.1f}",
            f"{each.states_per_second:,.0f}",
            f"{each.transitions_per_second:,.0f}",
            _bytes(each),
            _times(each.speedup),
            _times(each.reduction),
        )
    return table


def _table_of_tlc(comparisons: Sequence[Comparison]) -> Table:
    table = Table()
    table.add_column("three servers, no properties", no_wrap=True)
    for name in ("states", "transitions", "TLC, s", "compiled, s", "times faster"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in comparisons:
        table.add_row(
            each.configuration,
            f"{each.states:,}",
            f"{each.transitions:,}",
            f"{each.tlc_seconds:.1f}",
            f"{each.seconds:.1f}",
            _times(each.ratio),
        )
    return table


def _way(each: Measurement) -> str:
    if each.engine == "reference":
        return "reference" if each.complete else "reference, in part"
    ways = [name for name in ("symmetry", "eager", "forget") if getattr(each, name)]
    return ", ".join(["compiled", *ways, *(["2 workers"] if each.workers > 1 else [])])


def _bytes(each: Measurement) -> str:
    # Of a small space it would say how large the smallest tables are.
    if each.bytes_per_state is None or each.orbits < LEAST_STORED:
        return ""
    return f"{each.bytes_per_state:.0f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:,.1f}"
