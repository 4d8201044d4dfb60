"""``raft-ref cluster simulate``: many runs under a simulated clock, network and disk, judged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import click
from rich.console import Console

from model_check.cluster.history import HISTORY
from model_check.cluster.questions import Answer
from model_check.cluster.report import never_simulated, simulation_report
from model_check.cluster.simulated import Judged, Series, Total, keep, run_and_judge_all
from model_check.commands.output import usable, write_json
from model_check.commands.summary import as_rows
from raft_ref.cluster.simulation import SETTLES, simulate


def run_simulations(
    series: Series, jobs: int, chosen: Path | None, json_path: Path | None
) -> Answer:
    """Run and judge."""
    start = monotonic()
    total = _all_of_them(series, jobs)
    seconds = monotonic() - start
    kept = _kept(series, total, chosen)
    if json_path is not None:
        write_json(simulation_report(series, total, seconds, kept), json_path)
    if str(json_path) != "-":
        click.echo("\n".join(_summary(series, total, seconds)))
    return total.answer


def _all_of_them(series: Series, jobs: int) -> Total:
    """Run them, and show on a terminal how far they have come."""
    total = Total()
    terminal = Console(stderr=True, highlight=False)
    with terminal.status("simulating") as status:
        try:
            for each in run_and_judge_all(series, jobs):
                total.add(each)
                status.update(f"{total.runs:,} of {series.runs:,} runs")
        except KeyboardInterrupt:
            total.is_interrupted = True
    return total


def _kept(series: Series, total: Total, chosen: Path | None) -> str | None:
    """Where the files are of the last run, which is the one that violates something, if any."""
    if total.runs == 0 or (chosen is None and total.answer != "violated"):
        return None
    seed = series.seed + total.runs - 1
    directory = Path(tempfile.mkdtemp(prefix="raft-ref-")) if chosen is None else chosen
    with usable(directory):
        keep(simulate(seed, series.scale), directory)
    click.echo(f"{HISTORY} and the servers' traces of seed {seed} are in {directory}", err=True)
    return str(directory)


# --- words ---------------------------------------------------------------------------------------


def _summary(series: Series, total: Total, seconds: float) -> Iterator[str]:
    for each in total.wrong:
        yield from _told(each)
    if total.is_interrupted:
        yield f"inconclusive: stopped by an interrupt after {total.runs:,} of {series.runs:,} runs"
    if total.answer == "holds":
        last = series.seed + total.runs - 1
        yield f"holds: {total.runs:,} runs, of the seeds from {series.seed} to {last}"
    scale, counts = series.scale, {name: f"{count:,}" for name, count in total.counts.items()}
    yield from as_rows(
        [
            (
                "each run",
                f"{scale.servers} servers, {scale.clients} clients, {scale.session_clients} in a "
                "session, "
                f"{scale.seconds:g} s of simulated time, and {SETTLES:g} s in peace",
            ),
            ("servers", _listed(counts, "crashes", "pauses", "partitions")),
            ("messages", _listed(counts, "frames", "lost", "repeated")),
            ("disks", _listed(counts, "writes")),
            ("operations", _listed(counts, "ok", "failed", "unknown")),
            ("traces", f"of {counts.get('traces', 0)} runs judged"),
            ("time", f"{seconds:.1f} s, {60 * total.runs / seconds:,.0f} runs a minute"),
        ]
    )
    missing = never_simulated(series, total)
    if missing:
        yield f"warning: this says little; never happened: {', '.join(missing)} (--runs, --seconds)"


def _told(judged: Judged) -> Iterator[str]:
    for each in judged.wrong:
        yield f"{each.answer}: seed {judged.seed}: {each.question}: {each.reason}"
        yield from each.details


def _listed(counts: dict[str, str], *names: str) -> str:
    return ", ".join(f"{counts.get(name, '0')} {name}" for name in names)
