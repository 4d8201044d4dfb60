"""``raft-ref cluster torture``: let everything go wrong that can, then judge all there is."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from model_check.cluster.history import HISTORY, write_history
from model_check.cluster.questions import Answer, Judgement, overall
from model_check.cluster.report import certainties, never_happened, torture_report
from model_check.cluster.tortured import judgements
from model_check.commands.cluster_run import table_of
from model_check.commands.output import write_json
from model_check.commands.summary import as_rows
from model_check.commands.tables import fitted
from raft_ref.cluster.processes import LocalCluster
from raft_ref.cluster.torture.run import Look, OnLook, Outcome, Scale, torture
from raft_ref.cluster.torture.tally import Tally


def run_torture(scale: Scale, chosen: Path | None, json_path: Path | None) -> Answer:
    """Run and judge.

    Raises:
        SettingsError: if the directory cannot be used.
        TimeoutError: if there is no leader to begin with.
    """
    is_quiet = str(json_path) == "-"
    directory = Path(tempfile.mkdtemp(prefix="raft-ref-")) if chosen is None else chosen
    is_worth_keeping = True
    try:
        outcome = _suffer(directory, scale)
        judged = []
        for each in _judging(outcome, directory, scale):
            judged.append(each)
            if not is_quiet:
                click.echo("\n".join(_told(each)))
        is_worth_keeping = chosen is not None or overall(judged) != "holds"
        kept = str(directory) if is_worth_keeping else None
        if json_path is not None:
            write_json(torture_report(scale, outcome, judged, kept), json_path)
        if not is_quiet:
            click.echo("\n".join(_summary(scale, outcome, judged)))
    finally:
        if is_worth_keeping:
            click.echo(f"settings, logs, traces and {HISTORY} are in {directory}", err=True)
        else:
            shutil.rmtree(directory)
    return overall(judged)


def _suffer(directory: Path, scale: Scale) -> Outcome:
    """Let the run happen, and keep what clients saw."""
    with _display(scale) as on_look:
        outcome = asyncio.run(torture(directory, scale, on_look))
    write_history(outcome.operations, directory)
    return outcome


def _judging(outcome: Outcome, directory: Path, scale: Scale) -> Iterator[Judgement]:
    traces = LocalCluster(directory, scale.servers).traces
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal:
        yield from judgements(outcome, traces)
        return
    answers = judgements(outcome, traces)
    while True:
        with terminal.status("judging"):
            judgement = next(answers, None)
        if judgement is None:
            return
        # What is written meanwhile must not stand behind a spinner.
        yield judgement


@contextmanager
def _display(scale: Scale) -> Iterator[OnLook]:
    """Show on a terminal how it goes; elsewhere, nothing."""
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal:
        yield lambda _cluster, _look: None
        return
    with Live(console=terminal, auto_refresh=False, transient=True) as live:

        def show(cluster: LocalCluster, look: Look) -> None:
            faults = "\n".join(as_rows(_fault_rows(look.tally)))
            head = f"{look.seconds:.0f} of {scale.seconds:g} s, {look.operations:,} operations"
            table = fitted(table_of(cluster, look.infos), terminal.width)
            live.update(Group(Text(head), table, Text(faults)), refresh=True)

        yield show


# --- words ---------------------------------------------------------------------------------------


def _told(judgement: Judgement) -> Iterator[str]:
    took = f", in {judgement.seconds:.1f} s" if judgement.seconds >= 1 else ""
    yield f"{judgement.answer}: {judgement.question}: {judgement.reason}{took}"
    yield from judgement.details


def _summary(scale: Scale, outcome: Outcome, judged: Sequence[Judgement]) -> Iterator[str]:
    ended = certainties(outcome.operations)
    yield ""
    yield {
        "holds": "holds: all of this, whatever went wrong",
        "violated": "violated: see above",
        "inconclusive": "inconclusive: see above",
    }[overall(judged)]
    yield from as_rows(
        [
            ("ran", f"{scale.servers} servers, {scale.seconds:g} s, seed {scale.seed}"),
            *_fault_rows(outcome.tally),
            ("leaders", f"in {len(outcome.terms):,} terms"),
            (
                "operations",
                f"{ended['ok']:,} ok, {ended['failed']:,} failed, {ended['unknown']:,} of unknown "
                "outcome",
            ),
        ]
    )
    missing = never_happened(outcome, scale)
    if missing:
        yield f"warning: this says little; never happened: {', '.join(missing)} (--seconds)"


def _fault_rows(tally: Tally) -> list[tuple[str, str]]:
    counts = {name: f"{count:,}" for name, count in asdict(tally).items()}
    return [
        (
            "servers",
            "{kills} kills, {restarts} restarts, {pauses} pauses".format(**counts),
        ),
        (
            "network",
            "{partitions} partitions, {one_way_partitions} one-way ones, {storms} storms, "
            "{resets} connections reset".format(**counts),
        ),
        (
            "messages",
            "{messages}, of them {lost} lost, {repeated} repeated, {reordered} overtaken, "
            "{delayed} delayed".format(**counts),
        ),
    ]
