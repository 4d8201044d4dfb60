"""``raft-ref conform``: judge an implementation of Raft behind an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

import click

from model_check.check import FASTEST, Means
from model_check.commands.account import (
    account_of_failure,
    annotate,
    show_failure,
)
from model_check.commands.conformance import account_of_conformance
from model_check.commands.options import (
    POSITIVE,
    BudgetOptions,
    MeansOptions,
    Rendering,
    SpaceOptions,
    budget_from,
    budget_options,
    deadline_of,
    given,
    json_option,
    means_from,
    means_options,
    refuse,
    refuse_to_share_stdout,
    setup_from,
    show_option,
    space_options,
)
from model_check.commands.outlets import Outlets, html_option
from model_check.commands.output import (
    STARTING,
    live_progress,
    require_writable,
    usable,
)
from model_check.commands.redo import redo_and_show
from model_check.commands.trial import account_of_trial, trial_progress
from model_check.conformance.explore import (
    Conformance,
    ForeignSetup,
    Judgement,
    conform,
    schedule_of,
)
from model_check.conformance.finding import Finding
from model_check.conformance.learner import Adapter
from model_check.conformance.plan import SCHEDULE_KINDS, WALKS, Plan, ScheduleKind
from model_check.conformance.process import STEP_TIMEOUT, AdapterFailed
from model_check.conformance.report import (
    conform_report,
    failure_report,
    trial_report,
)
from model_check.conformance.schedule import write_schedule
from model_check.conformance.table import TableError
from model_check.conformance.trial import Trial, try_out
from model_check.deadline import Deadline, enforced
from model_check.explore import Budget
from spec.profiles import PAPER, PROFILES

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
    *(
        "replay_path",
        "json_path",
        "html_path",
        "show",
        "adapter_options",
        "step_timeout",
        "command",
    ),
    *("properties", "rules", "profile"),
)
"""All else that one can be told of a run stands in its schedule."""


OF_TRIAL_ALONE = ("schedules", "walks")
OF_TRIAL = (
    *(*OF_TRIAL_ALONE, "seed", "workers", "max_seconds", "servers", "properties"),
    *("network", "max_in_flight", "loss", "adapter_options", "step_timeout", "rules", "profile"),
    *("schedule_path", "github", "show", "json_path", "html_path", "command"),
)
"""What says how runs are played."""


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
@click.option(
    "--schedules",
    type=click.Choice(SCHEDULE_KINDS),
    multiple=True,
    help="Which runs to play, if nothing else is asked for; may be given several times; by "
    "default, all. mutants: those that betray the bugs of the catalogue. cover: those that take "
    "each local step of the core in two terms. random: walks that prefer what was done least.",
)
@click.option(
    "--walks",
    type=click.IntRange(1),
    default=WALKS,
    show_default=True,
    help="How many walks at random.",
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
    type=POSITIVE,
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
@click.option(
    "--github",
    is_flag=True,
    help="Also say what was found in lines that GitHub makes annotations of.",
)
@show_option
@json_option
@html_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def conform_command(
    context: click.Context,
    *,
    explore: bool,
    replay_path: Path | None,
    schedules: tuple[ScheduleKind, ...],
    walks: int,
    adapter_options: tuple[tuple[str, str], ...],
    step_timeout: float,
    table_path: Path | None,
    schedule_path: Path | None,
    rules: bool,
    profile: str,
    github: bool,
    show: Rendering,
    json_path: Path | None,
    html_path: Path | None,
    command: tuple[str, ...],
    **options: Unpack[ConformOptions],
) -> int:
    """Judge the Raft implementation behind the adapter COMMAND, which follows --.

    spec/adapter_protocol.md says how to write an adapter. Runs of the reference core are played on
    its servers (--schedules), and all that these do is judged. With --explore, everything that a
    cluster can do within the bounds is tried, on what its servers were seen to do. A run that
    violates a property, or breaks a rule, is done again on a fresh process before it is shown.

    Exit codes: 0 conforms (or a replayed schedule violates nothing any more), 1 violates, or a
    server failed on a step, 2 usage or malformed input, 3 the adapter is at fault, 4 inconclusive.
    """
    _refuse_what_does_not_belong(context, explore, replay_path)
    refuse_to_share_stdout(show, json_path)
    require_writable(json_path, schedule_path, html_path)
    space = setup_from(options, context, rules=rules)
    adapter = Adapter(
        command=command,
        servers=space.bounds.servers,
        options=adapter_options,
        step_timeout=step_timeout,
    )
    setup = ForeignSetup(adapter=adapter, space=space, profile=PROFILES[profile])
    means = means_from(options, context, symmetry=False, forget=False) if explore else FASTEST
    outlets = Outlets(show, json_path, html_path)
    try:
        if replay_path is not None:
            verdict = redo_and_show(replay_path, setup, outlets)
            return 0 if verdict is None else EXIT_CODES[verdict]
        result: Conformance | Trial
        if explore:
            result = _explore(setup, means, budget_from(options), table_path, outlets)
        else:
            deadline = deadline_of(options["max_seconds"])
            result = _try_out(setup, _plan(schedules, walks, options), deadline, outlets)
    except AdapterFailed as failed:
        return _adapter_failed(failed, setup, _task(explore, replay_path), outlets)
    except TableError as error:
        raise click.ClickException(str(error)) from None
    if github:
        annotate(result.findings, err=outlets.keeps_stdout)
    unconfirmed = () if result.unconfirmed is None else (result.unconfirmed,)
    _save(setup, result.findings or unconfirmed, schedule_path)
    return EXIT_CODES[result.verdict]


def _refuse_what_does_not_belong(
    context: click.Context, explore: bool, replay_path: Path | None
) -> None:
    if explore:
        refuse(["--replay"] * (replay_path is not None), "does not go with --explore")
        refuse(given(context, OF_TRIAL_ALONE), "does not go with --explore")
    elif replay_path is not None:
        others = [name for name in context.params if name not in OF_REPLAY]
        refuse(given(context, others), "does not go with --replay: the schedule says it")
    else:
        others = [name for name in context.params if name not in OF_TRIAL]
        refuse(given(context, others), "belongs to --explore")


def _explore(
    setup: ForeignSetup, means: Means, budget: Budget, table_path: Path | None, outlets: Outlets
) -> Conformance:
    with live_progress(STARTING) as on_progress, enforced(budget.deadline):
        result = conform(setup, budget, means, table_path, on_progress)
    outlets.show(partial(conform_report, result), account_of_conformance(result))
    return result


def _try_out(setup: ForeignSetup, plan: Plan, deadline: Deadline, outlets: Outlets) -> Trial:
    with trial_progress() as on_progress, enforced(deadline):
        result = try_out(setup, plan, on_progress, deadline)
    outlets.show(partial(trial_report, result), account_of_trial(result))
    return result


def _plan(schedules: tuple[ScheduleKind, ...], walks: int, options: ConformOptions) -> Plan:
    return Plan(
        kinds=schedules or SCHEDULE_KINDS,
        walks=walks,
        seed=options["seed"],
        workers=options["workers"],
    )


def _save(setup: ForeignSetup, findings: Sequence[Finding], path: Path | None) -> None:
    """Write the first run that was found, if one was, and where to."""
    if path is not None and findings:
        with usable(path):
            schedule = schedule_of(setup, findings[0].run)
            path.write_text(write_schedule(schedule), "utf-8")


def _task(explore: bool, replay_path: Path | None) -> str:
    if explore:
        return "--explore"
    return "--schedules" if replay_path is None else "--replay"


def _adapter_failed(failed: AdapterFailed, setup: ForeignSetup, task: str, outlets: Outlets) -> int:
    account = account_of_failure(setup, failed)
    outlets.report(partial(failure_report, f"conform {task}", failed), account)
    show_failure(account, err=outlets.keeps_stdout)
    return EXIT_CODES["adapter-failed"]
