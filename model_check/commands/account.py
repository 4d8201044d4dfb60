"""What came of judging an implementation, in words: for a terminal, and for a page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import click

from model_check.commands.options import Rendering
from model_check.commands.summary import as_rows, describe_unreproduced, describe_violation
from model_check.commands.tables import show_table
from model_check.conformance.explore import ForeignSetup, schedule_of
from model_check.conformance.finding import Finding
from model_check.conformance.process import AdapterFailed
from model_check.conformance.redo import Redone
from model_check.conformance.schedule import write_schedule
from model_check.render import as_mermaid, as_table, server_name
from model_check.render_pytest import Redoing, as_foreign_pytest
from spec.rules import RULES
from spec.words import describe_undecidable


@dataclass(frozen=True, kw_only=True)
class Account:
    """A verdict, on whom, on what grounds."""

    setup: ForeignSetup
    name: str
    """What the adapter calls the implementation."""
    verdict: str
    otherwise: str
    """What it comes to if nothing was found."""
    rows: tuple[tuple[str, str], ...]
    """What was judged, how, and how much of it: a label and a text each."""
    unjudged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The properties and rules that could not be judged, and for want of what."""
    notes: tuple[str, ...] = ()
    """What else to know before believing the verdict."""
    findings: tuple[Finding, ...] = ()
    hidden: frozenset[str] = frozenset()
    """The fields of a server's state that the adapter does not show."""

    @property
    def headline(self) -> str:
        """The verdict, and the first finding."""
        if self.findings:
            return describe_finding(self.findings[0])
        return f"{self.verdict}: {self.otherwise}"


def show_account(account: Account, rendering: Rendering) -> None:
    """All of it, every finding with its run."""
    unjudged = [
        f"not judged: {name}, since {describe_undecidable(lacking, account.hidden)}"
        for name, lacking in account.unjudged.items()
    ]
    lines = [account.headline, *as_rows(account.rows), *unjudged, *account.notes]
    click.echo("\n".join(lines), err=rendering != "table")
    show_findings(account, rendering)


def show_findings(account: Account, rendering: Rendering) -> None:
    """All runs; what the first one leads to has been said already."""
    match rendering:
        case "table":
            for number, finding in enumerate(account.findings):
                click.echo("" if number == 0 else f"\n{describe_finding(finding)}")
                show_table(as_table(finding.run))
        case "mermaid":
            # A file holds one diagram: the others are beside it.
            for number, finding in enumerate(account.findings):
                is_first = number == 0
                if not is_first:
                    click.echo(f"\n{describe_finding(finding)}", err=True)
                click.echo(as_mermaid(finding.run), nl=False, err=not is_first)
        case "pytest":
            for finding in account.findings[1:]:
                click.echo(f"\n{describe_finding(finding)}", err=True)
            if account.findings:
                click.echo(_as_pytest(account.setup, account.findings), nl=False)


def _as_pytest(setup: ForeignSetup, findings: Sequence[Finding]) -> str:
    runs = [
        Redoing(
            finding.violation, write_schedule(schedule_of(setup, finding.run)), setup.profile.name
        )
        for finding in findings
    ]
    return as_foreign_pytest(runs, setup.adapter.command)


def describe_finding(finding: Finding) -> str:
    """What is violated, and the first rule that was broken on the way."""
    violation, actions = finding.violation, len(finding.run.moments)
    if finding.is_failure:
        # What a server died of may be a whole stack; the run shows it.
        first, *_ = violation.explanation.splitlines() or [""]
        words = f"failed-step: after {actions} actions: {first}"
    else:
        words = f"violates: {describe_violation(violation, actions)}"
    breach = finding.breach
    if breach is None or breach.rule.id == violation.property:
        return words
    return (
        f"{words}\n  {'broken first':<12} {breach.rule.id} by action {breach.action}: "
        f"{server_name(breach.node)}: {breach.broken}\n"
        f"  {'':<12} {breach.rule.statement} ({breach.rule.citation})"
    )


def annotate(findings: Sequence[Finding], *, err: bool) -> None:
    """Say what was found once more, in lines that GitHub shows beside a workflow's run."""
    for finding in findings:
        title, _, text = describe_finding(finding).partition(": ")
        escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        click.echo(f"::error title=raft-ref {title}::{escaped}", err=err)


def describe_adapter(name: str, setup: ForeignSetup) -> Iterator[tuple[str, str]]:
    """Who is judged."""
    yield "judged", f"{name} ({shlex.join(setup.adapter.command)})"
    yield "options", _describe_options(setup)


def _describe_options(setup: ForeignSetup) -> str:
    return ", ".join(f"{name}={value}" for name, value in setup.adapter.options)


def notes_on_stop(stopped_by: str | None) -> Iterator[str]:
    """What one should know of findings if something came before all was done that follows them."""
    if stopped_by is not None:
        yield (
            f"note: stopped by {stopped_by}: a run may have actions that it does not need, and "
            "there may be more to find"
        )


def note_on_unconfirmed(finding: Finding | None) -> Iterator[str]:
    """The finding that was not confirmed, and why it does not count."""
    if finding is not None:
        yield (
            f"note: {finding.violation.property} was violated after {len(finding.run.moments)} "
            f"actions, and there was no time to do it again on a fresh process, so it does not "
            f"count: give it more --max-seconds, or do it again with --save-schedule and --replay"
        )


def describe_rules(
    setup: ForeignSetup, unjudged: Mapping[str, tuple[str, ...]], steps: int | None = None
) -> str:
    """How many rules, on how many steps, for whom."""
    if not setup.space.rules:
        return ""
    judged = sum(rule.id not in unjudged for rule in RULES)
    which = f"all {judged}" if judged == len(RULES) else f"{judged} of {len(RULES)}"
    where = "" if steps is None else f", on {steps:,} steps"
    return f"{which}{where}; profile {setup.profile.name}"


# --- what comes of a schedule that was done again ------------------------------------------------


def account_of_replay(redone: Redone) -> Account:
    """What became of it."""
    setup, run = redone.setup, redone.run
    space = setup.space
    unreproduced, _, otherwise = describe_unreproduced(run).partition(": ")
    rows = (
        *describe_adapter(redone.name, setup),
        ("servers", f"{space.bounds.servers}, {space.network} network"),
        ("done again", f"{len(run.moments)} actions of a schedule"),
        ("properties", ", ".join(redone.judged)),
        ("rules", describe_rules(setup, redone.unjudged)),
    )
    return Account(
        setup=setup,
        name=redone.name,
        verdict=redone.verdict or unreproduced,
        otherwise=otherwise,
        rows=rows,
        unjudged=redone.unjudged,
        findings=redone.findings,
        hidden=redone.hidden,
    )


def show_replay(account: Account, rendering: Rendering) -> None:
    """What became of it, without what stands in the schedule."""
    click.echo(account.headline, err=rendering != "table")
    show_findings(account, rendering)


# --- when nothing can be said of the implementation ----------------------------------------------


def account_of_failure(setup: ForeignSetup, failed: AdapterFailed) -> Account:
    """What the adapter did wrong."""
    rows = (
        ("request", failed.request),
        ("reply", failed.reply or ("none" if failed.request else "")),
        *(("stderr", line) for line in failed.stderr),
        ("adapter", shlex.join(setup.adapter.command)),
        ("options", _describe_options(setup)),
    )
    return Account(
        setup=setup,
        name="the adapter",
        verdict="adapter-failed",
        otherwise=failed.reason,
        rows=rows,
    )


def show_failure(account: Account, *, err: bool) -> None:
    """What the adapter did wrong, and what was said last."""
    click.echo(describe_failure(account), err=err)


def describe_failure(account: Account) -> str:
    """What the adapter did wrong, and what was said last."""
    return "\n".join([account.headline, *as_rows(account.rows)])
