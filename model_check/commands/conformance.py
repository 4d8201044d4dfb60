"""What an exploration of an implementation found, and any finding, in words and diagrams."""

from __future__ import annotations

from collections.abc import Sequence

import click

from model_check.commands.options import Rendering
from model_check.commands.output import console
from model_check.commands.summary import (
    as_rows,
    describe_bounds,
    describe_figures,
    describe_reductions,
    describe_stop,
    describe_unreproduced,
    describe_violation,
    reached_rows,
    warnings,
)
from model_check.conformance.explore import Conformance, ForeignSetup, schedule_of
from model_check.conformance.finding import Finding
from model_check.conformance.node import ForeignReplay
from model_check.conformance.schedule import write_schedule
from model_check.judged import Breach
from model_check.render import as_foreign_pytest, as_mermaid, as_table, server_name
from spec.rules import RULES


def show_conformance(result: Conformance, rendering: Rendering) -> None:
    """Verdict, bounds, figures, and every finding with its run."""
    found, space = result.exploration, result.setup.space
    rows = [
        ("judged", f"{result.name} ({' '.join(result.setup.adapter.command)})"),
        ("bounds", describe_bounds(space, of_our_core=False)),
        ("explored", describe_figures(found)),
        ("by", _describe_means(result)),
        ("properties", ", ".join(item.name for item in result.judged)),
        ("rules", _describe_rules(result)),
        *reached_rows(found),
    ]
    click.echo("\n".join([_headline(result), *as_rows(rows), *_warnings(result)]))
    show_findings(result.setup, result.findings, rendering)


def show_findings(setup: ForeignSetup, findings: Sequence[Finding], rendering: Rendering) -> None:
    """All runs; what the first one leads to has been said already."""
    for number, finding in enumerate(findings):
        click.echo("" if number == 0 else f"\n{describe_finding(finding)}")
        _show_run(setup, finding.run, rendering)


def _headline(result: Conformance) -> str:
    match result.verdict:
        case "conforms":
            return "conforms: everything within the bounds was explored, and nothing is violated"
        case "inconclusive":
            return _describe_doubt(result)
    return describe_finding(result.findings[0])


def describe_finding(finding: Finding) -> str:
    """What is violated, and the first rule that was broken on the way."""
    violation, actions = finding.violation, len(finding.run.moments)
    if finding.is_failure:
        words = f"failed-step: after {actions} actions: {violation.explanation}"
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


def _describe_means(result: Conformance) -> str:
    found = result.exploration
    parts = [f"{result.engine} engine", f"{found.workers} workers"]
    parts += describe_reductions(found)
    parts.append(f"{result.local_states:,} local states")
    parts.append(f"{result.adapter_calls:,} steps asked of the adapter")
    if found.state_bytes is not None:
        parts.append(f"{found.state_bytes / max(found.orbits, 1):.0f} bytes a stored state")
    return ", ".join(parts)


def _describe_rules(result: Conformance) -> str:
    if not result.setup.space.rules:
        return ""
    profile = result.setup.profile.name
    return f"all {len(RULES)}, on {result.steps_judged:,} steps; profile {profile}"


def _describe_doubt(result: Conformance) -> str:
    if result.exploration.stopped_by is not None:
        return "inconclusive: " + describe_stop(result.exploration)
    doubt = result.unresolved[0]
    suspicion = doubt.suspicion
    return (
        f"inconclusive: {server_name(suspicion.node)} would break {suspicion.rule.id} "
        f"({suspicion.broken}), if a run of the cluster can bring it there; "
        f"looking for one was stopped by {doubt.stopped_by}"
    )


def _warnings(result: Conformance) -> list[str]:
    lines = [
        f"not judged: {name}, since {', '.join(lacking)} cannot be observed"
        for name, lacking in result.unjudged.items()
    ]
    if result.suspected:
        lines.append(
            f"note: {', '.join(result.suspected)} may be broken, too; mend the others first"
        )
    if result.other_failures:
        lines.append(f"note: {result.other_failures} more kinds of failed steps are not shown")
    return [*lines, *warnings(result.exploration, result.vacuous)]


def _show_run(setup: ForeignSetup, run: ForeignReplay, rendering: Rendering) -> None:
    match rendering:
        case "table":
            console().print(as_table(run))
        case "mermaid":
            click.echo(as_mermaid(run), nl=False)
        case "pytest":
            schedule = write_schedule(schedule_of(setup, run))
            click.echo(as_foreign_pytest(run, schedule, setup.adapter.command), nl=False)


def show_replay(
    setup: ForeignSetup, run: ForeignReplay, breach: Breach | None, rendering: Rendering
) -> None:
    """What became of a schedule that was done again."""
    if run.violation is not None:
        click.echo(f"{describe_finding(Finding(run, breach))}\n")
        _show_run(setup, run, rendering)
    else:
        click.echo(describe_unreproduced(run))
