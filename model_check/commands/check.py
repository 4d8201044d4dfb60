"""``raft-ref check``: explore the reference core, and say what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from model_check.check import CheckResult, RaftReplay, Setup, check
from model_check.commands.options import (
    BudgetOptions,
    MeansOptions,
    Rendering,
    SpaceOptions,
    budget_from,
    budget_options,
    core_options,
    forget_option,
    given,
    json_option,
    means_from,
    means_options,
    refuse,
    refuse_to_share_stdout,
    setup_from,
    show_option,
    symmetry_option,
)
from model_check.commands.output import (
    STARTING,
    live_progress,
    require_writable,
    usable,
    write_json,
)
from model_check.commands.summary import describe_unreproduced, summary
from model_check.commands.tables import show_table
from model_check.counterexample import replay
from model_check.deadline import enforced
from model_check.explore import AsymmetryError, Budget, MistakenClaim, Verdict
from model_check.graph import GRAPH_LIMIT, WRITERS, GraphTooLarge, write_graph
from model_check.render import as_mermaid, as_table
from model_check.render_pytest import as_pytest
from model_check.report import ReportError, parse_report, replay_report, report

EXIT_CODES: dict[Verdict, int] = {"holds": 0, "violated": 1, "inconclusive": 4}


class CheckOptions(SpaceOptions, MeansOptions, BudgetOptions):
    """What the options that say what to explore, and how, hand to the command."""


WITH_REPLAY = ("replay_path", "json_path", "show")
"""All else that `check` can be told stands in the report to replay."""


def _graph_path(_context: object, _option: object, path: Path | None) -> Path | None:
    if path is not None and path.suffix not in WRITERS:
        raise click.BadParameter(f"{path} must end in {', '.join(WRITERS)}")
    return path


@click.command("check")
@core_options
@means_options
@symmetry_option
@forget_option
@budget_options
@show_option
@json_option
@click.option(
    "--graph",
    "graph_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_graph_path,
    help=f"First write the state graph, in the format of the suffix ({', '.join(WRITERS)}); "
    f"no more than {GRAPH_LIMIT:,} states.",
)
@click.option(
    "--replay",
    "replay_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Replay the counterexample of this report on the core as it is now.",
)
@click.pass_context
def check_command(
    context: click.Context,
    *,
    max_entries: int,
    conflict_hints: bool,
    window: int | None,
    mutant: str | None,
    rules: bool,
    symmetry: bool | None,
    forget: bool,
    show: Rendering,
    json_path: Path | None,
    graph_path: Path | None,
    replay_path: Path | None,
    **options: Unpack[CheckOptions],
) -> int:
    """Explore the reference core exhaustively within bounds.

    Everything that can happen within the bounds is tried, and every property is checked after every
    step. A counterexample is shortest, and replayed on the core before it is shown.

    Exit codes: 0 all properties hold within the bounds (or a replay no longer violates one), 1 one
    is violated, 2 usage, 4 inconclusive: a budget ran out, or Ctrl-C came.
    """
    setup = setup_from(
        options,
        context,
        max_entries=max_entries,
        conflict_hints=conflict_hints,
        window=window,
        mutant=mutant,
        rules=rules,
    )
    refuse_to_share_stdout(show, json_path)
    require_writable(json_path, graph_path)
    if replay_path is not None:
        others = [name for name in context.params if name not in WITH_REPLAY]
        refuse(given(context, others), "does not go with --replay: the report says what to check")
        return _replay(replay_path, show, json_path)
    means, budget = (
        means_from(options, context, symmetry=symmetry, forget=forget),
        budget_from(options),
    )
    if graph_path is not None:
        _write_graph(setup, graph_path, budget)
    with live_progress(STARTING) as on_progress, enforced(budget.deadline):
        try:
            result = check(setup, budget, means, on_progress)
        except AsymmetryError as error:
            raise click.UsageError(f"--symmetry is not possible: {error}") from None
        except MistakenClaim as error:
            raise click.UsageError(f"--forget is not possible: {error}") from None
    if json_path is not None:
        write_json(report(result), json_path)
    if str(json_path) != "-":
        _show(result, show)
    return EXIT_CODES[result.exploration.verdict]


def _show(result: CheckResult, rendering: Rendering) -> None:
    click.echo(summary(result), err=rendering != "table")
    if result.counterexample is not None:
        _show_run(result.setup, result.counterexample, rendering)


def _show_run(setup: Setup, run: RaftReplay, rendering: Rendering) -> None:
    match rendering:
        case "table":
            click.echo()
            show_table(as_table(run))
        case "mermaid":
            click.echo(as_mermaid(run), nl=False)
        case "pytest":
            click.echo(as_pytest(setup, run), nl=False)


def _write_graph(setup: Setup, path: Path, budget: Budget) -> None:
    """Write the state graph, or refuse to, before anything else is done."""
    budget, deadline = budget.begun()
    with usable(path), enforced(deadline), deadline.phase("writing the state graph"):
        try:
            write_graph(setup.system(), path, deadline)
        except GraphTooLarge as error:
            raise click.ClickException(f"{path} not written: {error}") from None


def _replay(path: Path, rendering: Rendering, json_path: Path | None) -> int:
    """Take the actions of a report again; 1 if they still lead to a violation."""
    try:
        setup, actions = parse_report(path.read_text("utf-8"))
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{path} is not a report of a check: not UTF-8 text") from None
    except ReportError as error:
        raise click.ClickException(
            f"{path} is not a report of a check to replay: {error}"
        ) from None
    run = replay(setup.system(), actions)
    if json_path is not None:
        write_json(replay_report(run), json_path)
    if str(json_path) != "-":
        _show_replay(setup, run, rendering)
    return 0 if run.violation is None else EXIT_CODES["violated"]


def _show_replay(setup: Setup, run: RaftReplay, rendering: Rendering) -> None:
    is_beside = rendering != "table"
    if run.violation is not None:
        words = f"violated: {run.violation.property}: {run.violation.explanation}"
        click.echo(words, err=is_beside)
        _show_run(setup, run, rendering)
    else:
        click.echo(describe_unreproduced(run), err=is_beside)
