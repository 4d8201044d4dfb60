"""``raft-ref conform --schedules``: what became of runs that were played on an implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from model_check.commands.conformance import describe_finding, show_findings
from model_check.commands.options import Rendering
from model_check.commands.summary import as_rows
from model_check.conformance.trial import Progress, Trial
from spec.rules import RULES


def show_trial(trial: Trial, rendering: Rendering) -> None:
    """Verdict, what was played and judged, and every finding with its run."""
    found = trial.findings
    headline = describe_finding(found[0]) if found else _headline(trial)
    click.echo("\n".join([headline, *_lines(trial)]))
    show_findings(trial.setup, found, rendering)


def _lines(trial: Trial) -> Iterator[str]:
    setup, progress = trial.setup, trial.progress
    rows = [
        ("judged", f"{trial.name} ({' '.join(setup.adapter.command)})"),
        ("servers", f"{setup.adapter.servers}, {setup.space.network} network"),
        ("played", _describe_runs(trial)),
        ("steps", f"{progress.steps:,}, in {progress.seconds:.1f} s"),
        ("properties", ", ".join(setup.space.properties)),
        ("rules", f"all {len(RULES)}; profile {setup.profile.name}" if setup.space.rules else ""),
    ]
    yield from as_rows(rows)
    for name, lacking in trial.unjudged.items():
        yield f"not judged: {name}, since {', '.join(lacking)} cannot be observed"


def _headline(trial: Trial) -> str:
    if trial.stopped_by is None:
        return (
            "conforms: all was played, and nothing is violated (which is no proof: see --explore)"
        )
    return f"inconclusive: stopped by {trial.stopped_by}; no violation in what was played"


def _describe_runs(trial: Trial) -> str:
    progress = trial.progress
    runs = ", ".join(f"{count:,} {kind}" for kind, count in progress.runs.items())
    return (
        f"{runs} ({progress.actions:,} actions, of which {progress.left_out:,} had nothing like "
        f"them); seed {trial.plan.seed}"
    )


@contextmanager
def trial_progress() -> Iterator[Callable[[Progress], None]]:
    """Show on a terminal how far a trial has come; elsewhere, nothing."""
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal:
        yield lambda _: None
        return
    with terminal.status("starting the adapter") as status:

        def show(progress: Progress) -> None:
            runs = ", ".join(f"{count:,} {kind}" for kind, count in progress.runs.items())
            speed = progress.steps / max(progress.seconds, 1e-9)
            status.update(f"{runs}: {progress.steps:,} steps judged ({speed:,.0f}/s)")

        yield show
