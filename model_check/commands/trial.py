"""``raft-ref conform --schedules``: what became of runs that were played on an implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from model_check.commands.account import (
    Account,
    describe_adapter,
    describe_rules,
    notes_on_stop,
)
from model_check.conformance.trial import Progress, Trial


def account_of_trial(trial: Trial) -> Account:
    """Verdict, what was played and judged, and every finding."""
    setup, progress = trial.setup, trial.progress
    rows = (
        *describe_adapter(trial.name, setup),
        ("servers", f"{setup.adapter.servers}, {setup.space.network} network"),
        ("played", _describe_runs(trial)),
        ("steps", f"{progress.steps:,}, in {progress.seconds:.1f} s"),
        ("properties", ", ".join(trial.judged)),
        ("rules", describe_rules(setup, trial.unjudged)),
    )
    return Account(
        setup=setup,
        name=trial.name,
        verdict=trial.verdict,
        otherwise=_otherwise(trial),
        rows=rows,
        unjudged=trial.unjudged,
        notes=tuple(notes_on_stop(trial.stopped_by)) if trial.findings else (),
        findings=trial.findings,
        hidden=trial.hidden,
    )


def _otherwise(trial: Trial) -> str:
    if trial.stopped_by is None:
        return "all was played, and nothing is violated (which is no proof: see --explore)"
    return f"stopped by {trial.stopped_by}; no violation in what was played"


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
