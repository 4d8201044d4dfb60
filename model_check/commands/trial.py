"""``raft-ref conform --schedules``: what became of runs that were played on an implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from model_check.commands.account import (
    Account,
    describe_adapter,
    describe_rules,
    note_on_unconfirmed,
    notes_on_stop,
)
from model_check.commands.summary import describe_vacuous, reached_rows
from model_check.conformance.coverage import Coverage, describe_shortfalls
from model_check.conformance.observed import describe_undelivered
from model_check.conformance.trial import Progress, Trial


def account_of_trial(trial: Trial) -> Account:
    """Verdict, what was played, judged and reached, and every finding."""
    setup, progress = trial.setup, trial.progress
    rows = (
        *describe_adapter(trial.name, setup),
        ("servers", f"{setup.adapter.servers}, {setup.space.network} network"),
        ("played", _describe_runs(trial)),
        *coverage_rows(progress),
        ("steps", f"{progress.steps:,}, in {progress.seconds:.1f} s"),
        ("properties", ", ".join(trial.judged)),
        ("rules", describe_rules(setup, trial.unjudged)),
        *reached_rows(progress.reached),
    )
    return Account(
        setup=setup,
        name=trial.name,
        verdict=trial.verdict,
        otherwise=_otherwise(trial),
        rows=rows,
        unjudged=trial.unjudged,
        notes=tuple(_notes(trial)),
        findings=trial.findings,
        hidden=trial.hidden,
    )


def _otherwise(trial: Trial) -> str:
    if trial.unconfirmed is not None:
        return f"stopped by {trial.stopped_by}, before what was found had been done again"
    if trial.stopped_by is not None:
        return f"stopped by {trial.stopped_by}; no violation in what was played"
    if trial.shortfalls:
        return describe_shortfalls(trial.shortfalls)
    return "no run that was played violates anything (for all runs within bounds: --explore)"


def _notes(trial: Trial) -> Iterator[str]:
    if trial.findings:
        yield from notes_on_stop(trial.stopped_by)
    yield from note_on_unconfirmed(trial.unconfirmed)
    for each in trial.shortfalls:
        yield f"note: {each}"
    yield from describe_vacuous(trial.vacuous, "these runs")
    if trial.progress.undelivered:
        yield f"note: {describe_undelivered(trial.progress.undelivered)}"


def _describe_runs(trial: Trial) -> str:
    runs = ", ".join(f"{count:,} {kind}" for kind, count in trial.progress.runs.items())
    return f"{runs} ({trial.progress.actions:,} actions); seed {trial.plan.seed}"


def coverage_rows(cover: Coverage) -> Iterator[tuple[str, str]]:
    """What of the runs could be played."""
    skipped = f"{cover.deliveries_left_out - cover.deliveries_gone:,} skipped: no matching message"
    gone = f"; {cover.deliveries_gone:,} skipped: the message is not in flight any more"
    rest = gone if cover.deliveries_gone else ""
    yield "deliveries", f"{cover.deliveries:,}, of which {skipped}{rest}"
    unsupported = (f"{count:,} {name}" for name, count in sorted(cover.unsupported.items()))
    yield "unsupported", ", ".join(unsupported)
    yield "other kinds", ", ".join(f"{cover.sent[kind]:,} {kind}" for kind in cover.unknown)


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
