"""``raft-ref conform``: judge an implementation of Raft behind an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from model_check.check import Setup
from model_check.commands.options import (
    BudgetOptions,
    MeansOptions,
    Rendering,
    SpaceOptions,
    budget_from,
    budget_options,
    given,
    json_option,
    means_from,
    means_options,
    refuse,
    setup_from,
    show_option,
    space_options,
)
from model_check.commands.output import (
    STARTING,
    console,
    live_progress,
    require_writable,
    usable,
    write_json,
)
from model_check.commands.summary import (
    as_rows,
    describe_bounds,
    describe_figures,
    describe_reductions,
    describe_stop,
    describe_violation,
    reached_rows,
    warnings,
)
from model_check.conformance.explore import (
    Conformance,
    Finding,
    ForeignSetup,
    Judgement,
    conform,
    replay_schedule,
    schedule_of,
)
from model_check.conformance.learner import Adapter
from model_check.conformance.node import ForeignReplay
from model_check.conformance.process import STEP_TIMEOUT, AdapterFailed
from model_check.conformance.protocol import ProtocolError
from model_check.conformance.report import conform_replay_report, conform_report, failure_report
from model_check.conformance.schedule import Schedule, parse_schedule, write_schedule
from model_check.conformance.table import TableError
from model_check.judged import Breach
from model_check.raft import Bounds
from model_check.render import as_foreign_pytest, as_mermaid, as_table, describe_action, server_name
from spec.profiles import PAPER, PROFILES
from spec.rules import RULES

EXIT_CODES: dict[Judgement, int] = {
    "conforms": 0,
    "violates": 1,
    "failed-step": 1,
    "malformed": 2,
    "adapter-failed": 3,
    "inconclusive": 4,
}


class ConformOptions(SpaceOptions, MeansOptions, BudgetOptions):
    """What the options that say what to explore, and how, hand to the command."""


OF_REPLAY = (
    *("replay_path", "json_path", "show", "adapter_options", "step_timeout", "command"),
    *("properties", "rules", "profile"),
)
"""All else that one can be told of a run stands in its schedule."""


def _adapter_options(
    _context: object, _option: object, texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise click.BadParameter("an option of an adapter looks like NAME=VALUE")
    return tuple(sorted((name, value) for name, _, value in pairs))


@click.command("conform")
@click.option("--explore", is_flag=True, help="Explore it exhaustively, within bounds.")
@click.option(
    "--replay",
    "replay_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Do the schedule in this file again instead.",
)
@space_options
@means_options
@budget_options
@click.option(
    "--option",
    "adapter_options",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_adapter_options,
    help="An option for the adapter; may be given several times.",
)
@click.option(
    "--step-timeout",
    type=click.FloatRange(0, min_open=True),
    default=STEP_TIMEOUT,
    show_default=True,
    help="Seconds in which the adapter must answer.",
)
@click.option(
    "--table",
    "table_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep what is learnt in this file, and use what it has.",
)
@click.option(
    "--save-schedule",
    "schedule_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the run to what was found to this file, for --replay.",
)
@click.option(
    "--rules/--no-rules",
    default=True,
    show_default=True,
    help="Hold every step against the rules, too (see raft-ref rules).",
)
@click.option(
    "--profile",
    type=click.Choice(sorted(PROFILES)),
    default=PAPER.name,
    show_default=True,
    help="Whose departures from the rules to tolerate (see raft-ref rules --profiles).",
)
@show_option
@json_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def conform_command(
    context: click.Context,
    *,
    explore: bool,
    replay_path: Path | None,
    adapter_options: tuple[tuple[str, str], ...],
    step_timeout: float,
    table_path: Path | None,
    schedule_path: Path | None,
    rules: bool,
    profile: str,
    show: Rendering,
    json_path: Path | None,
    command: tuple[str, ...],
    **options: Unpack[ConformOptions],
) -> int:
    """Judge the Raft implementation behind the adapter COMMAND, which follows --.

    spec/adapter_protocol.md says how to write an adapter. With --explore, everything that a cluster
    can do within the bounds is tried, on what its servers were seen to do; a run that violates a
    property is done again on a fresh process before it is shown.

    Exit codes: 0 conforms (or a replayed schedule violates nothing any more), 1 violates, or a
    server failed on a step, 2 usage or malformed input, 3 the adapter is at fault, 4 inconclusive.
    """
    if explore == (replay_path is not None):
        raise click.UsageError("say what to do: either --explore or --replay FILE")
    for path in (json_path, schedule_path):
        if path is not None and str(path) != "-":
            require_writable(path)
    space = setup_from(options, context, rules=rules)
    adapter = Adapter(
        command=command,
        servers=space.bounds.servers,
        options=adapter_options,
        step_timeout=step_timeout,
    )
    setup = ForeignSetup(adapter=adapter, space=space, profile=PROFILES[profile])
    try:
        if replay_path is not None:
            others = [name for name in context.params if name not in OF_REPLAY]
            refuse(given(context, others), "does not go with --replay: the schedule says it")
            return _replay(replay_path, setup, show, json_path)
        means, budget = (
            means_from(options, context, symmetry=False, forget=False),
            budget_from(options),
        )
        with live_progress(STARTING[means.chosen_engine]) as on_progress:
            result = conform(setup, budget, means, table_path, on_progress)
    except AdapterFailed as failed:
        return _adapter_failed(failed, replay_path, json_path)
    except TableError as error:
        raise click.ClickException(str(error)) from None
    if json_path is not None:
        write_json(conform_report(result), json_path)
    if str(json_path) != "-":
        _show(result, show)
    if schedule_path is not None and result.findings:
        with usable(schedule_path):
            schedule = schedule_of(setup, result.findings[0].run)
            schedule_path.write_text(write_schedule(schedule), "utf-8")
    return EXIT_CODES[result.verdict]


def _show(result: Conformance, rendering: Rendering) -> None:
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
    for number, finding in enumerate(result.findings):
        click.echo("" if number == 0 else f"\n{_describe_finding(finding)}")
        _show_run(result.setup, finding.run, rendering)


def _headline(result: Conformance) -> str:
    match result.verdict:
        case "conforms":
            return "conforms: everything within the bounds was explored, and nothing is violated"
        case "inconclusive":
            return _describe_doubt(result)
    return _describe_finding(result.findings[0])


def _describe_finding(finding: Finding) -> str:
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


def _replay(path: Path, given: ForeignSetup, rendering: Rendering, json_path: Path | None) -> int:
    """Do a schedule again; 1 if it still leads to a finding."""
    schedule = _read_schedule(path)
    setup = _setup_of(schedule, given)
    run, breach = replay_schedule(setup, schedule)
    if json_path is not None:
        write_json(conform_replay_report(run, breach), json_path)
    if str(json_path) != "-":
        _show_replay(setup, run, breach, rendering)
    return 0 if run.violation is None else EXIT_CODES["violates"]


def _read_schedule(path: Path) -> Schedule:
    try:
        return parse_schedule(path.read_bytes())
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}") from None
    except ProtocolError as error:
        raise click.ClickException(f"{path} is no schedule: {error}") from None


def _setup_of(schedule: Schedule, given: ForeignSetup) -> ForeignSetup:
    """What a schedule is to be done on: the options given override its own."""
    network, adapter, space = schedule.network, given.adapter, given.space
    return ForeignSetup(
        adapter=Adapter(
            command=adapter.command,
            servers=schedule.servers,
            options=tuple(sorted({**schedule.options, **dict(adapter.options)}.items())),
            step_timeout=adapter.step_timeout,
        ),
        space=Setup(
            bounds=Bounds(servers=schedule.servers),
            network=network.name,
            max_in_flight=network.max_in_flight,
            loss=network.loss,
            properties=space.properties,
            rules=space.rules,
        ),
        profile=given.profile,
    )


def _show_replay(
    setup: ForeignSetup, run: ForeignReplay, breach: Breach | None, rendering: Rendering
) -> None:
    if run.violation is not None:
        click.echo(f"{_describe_finding(Finding(run, breach))}\n")
        _show_run(setup, run, rendering)
    elif run.not_enabled is not None:
        click.echo(
            f"not reproduced: after {len(run.moments)} actions the next one cannot happen: "
            f"{describe_action(run.not_enabled)}"
        )
    else:
        click.echo(f"not reproduced: all {len(run.moments)} actions, and nothing is violated")


def _adapter_failed(failed: AdapterFailed, replay_path: Path | None, json_path: Path | None) -> int:
    if json_path is not None:
        command = "conform --explore" if replay_path is None else "conform --replay"
        write_json(failure_report(command, failed), json_path)
    lines = [f"adapter-failed: {failed.reason}"]
    lines += [f"  request  {failed.request}"] if failed.request else []
    lines += [f"  reply    {failed.reply}"] if failed.reply else []
    lines += [f"  stderr   {line}" for line in failed.stderr]
    click.echo("\n".join(lines), err=str(json_path) == "-")
    return EXIT_CODES["adapter-failed"]
