"""``raft-ref rules``: what one server owes in one step."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.table import Table

from model_check.commands.claims import (
    exit_code_of,
    exit_code_of_needs,
    explore_needs,
    explore_sufficiency,
    known_need,
    necessity_report,
    necessity_table,
    run_lines,
    sufficiency_report,
    sufficiency_table,
)
from model_check.commands.options import deadline_of, json_option, max_seconds_option, refuse
from model_check.commands.output import require_writable, usable, write_json
from model_check.commands.summary import describe_exercised, without_guard
from model_check.commands.tables import show_table
from model_check.deadline import Deadline
from model_check.mutants.catalogue import breaking, name_of
from model_check.necessity import NECESSITY, SUFFICIENT
from model_check.report import SCHEMA_VERSION, Report
from spec.milestones import DESCRIPTIONS
from spec.profiles import PROFILES
from spec.proof.guards import WITHOUT_GUARD
from spec.rule import Rule
from spec.rules import RULES, RULES_BY_ID


def _ids(_context: object, _option: object, ids: tuple[str, ...]) -> tuple[str, ...]:
    for each in ids:
        if each not in RULES_BY_ID:
            raise click.BadParameter(f"there is no rule {each!r}: see raft-ref rules")
    return ids


@click.command("rules")
@click.option(
    "--id", "ids", multiple=True, callback=_ids, help="Only this one; may be given several times."
)
@click.option(
    "--sufficient",
    is_flag=True,
    help="Explore the freest server, which does whatever the rules allow: do all properties hold?",
)
@click.option(
    "--necessary",
    is_flag=True,
    help="Take away one rule at a time: what breaks? With --id, also show the run.",
)
@click.option(
    "--profiles",
    is_flag=True,
    help="Show instead what implementations do otherwise on purpose, and may be allowed to.",
)
@max_seconds_option
@json_option
@click.option(
    "--html",
    "html_path",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write a page of all rules, rules.html, into this directory; best into that of "
    "raft-ref mutants --html.",
)
def rules_command(
    *,
    ids: tuple[str, ...],
    sufficient: bool,
    necessary: bool,
    profiles: bool,
    max_seconds: float | None,
    json_path: Path | None,
    html_path: Path | None,
) -> int:
    """Show the rules of Raft: what one server owes in one step, whatever else it does.

    Each with where the paper says so, which function of the core obeys it, what must have happened
    before it can be broken, which mutants break it before any other, and what breaks without it.
    raft-ref check --rules holds every step of the core against them.

    Exit codes: 0; 1 something breaks with --sufficient, or with --necessary something else than is
    known; 2 usage; 4 inconclusive: a budget ran out.
    """
    _refuse_what_does_not_belong(
        [("--sufficient", sufficient), ("--necessary", necessary), ("--profiles", profiles)],
        [
            ("--id", bool(ids)),
            ("--max-seconds", max_seconds is not None),
            ("--html", bool(html_path)),
        ],
    )
    require_writable(json_path)
    if profiles:
        _show(_profiles_table(), json_path, _profiles_report())
        return 0
    chosen = [RULES_BY_ID[each] for each in ids] or list(RULES)
    deadline = deadline_of(max_seconds)
    if sufficient:
        return _sufficient(deadline, json_path)
    if necessary:
        return _necessary(chosen, deadline, json_path, shows_runs=bool(ids))
    _show(_table(chosen), json_path, _report(chosen))
    if str(json_path) != "-":
        for line in without_guard(rule.id for rule in chosen):
            click.echo(line)
    if html_path is not None:
        # Imported here, since not everyone has a use for templates.
        from model_check.study.pages import write_rules

        with usable(html_path):
            write_rules(html_path)
    return 0


_BELONGING = {
    "--sufficient": ["--max-seconds"],
    "--necessary": ["--max-seconds", "--id"],
    "--profiles": [],
    "the table of rules": ["--id", "--html"],
}
"""What goes with each of the things that the command can do."""


def _refuse_what_does_not_belong(
    tasks: Iterable[tuple[str, bool]], others: Iterable[tuple[str, bool]]
) -> None:
    chosen = [name for name, is_given in tasks if is_given]
    refuse(chosen[1:], f"does not go with {''.join(chosen[:1])}")
    task = chosen[0] if chosen else "the table of rules"
    strange = [name for name, is_given in others if is_given and name not in _BELONGING[task]]
    refuse(strange, f"does not go with {task}")


def _show(table: Table, json_path: Path | None, report: Report) -> None:
    if json_path is not None:
        write_json(report, json_path)
    if str(json_path) != "-":
        show_table(table)


def _sufficient(deadline: Deadline, json_path: Path | None) -> int:
    explored = explore_sufficiency(deadline)
    stopped_by = deadline.ended
    _show(sufficiency_table(explored), json_path, sufficiency_report(explored, stopped_by))
    _show_stop(stopped_by, f"{len(explored)} of {len(SUFFICIENT)}", json_path)
    return exit_code_of(explored, stopped_by)


def _necessary(
    chosen: list[Rule], deadline: Deadline, json_path: Path | None, *, shows_runs: bool
) -> int:
    runs = explore_needs(chosen, deadline)
    stopped_by = deadline.ended
    _show(necessity_table(runs), json_path, necessity_report(runs, stopped_by))
    _show_stop(stopped_by, f"{len(runs)} of {len(chosen)}", json_path)
    if shows_runs and str(json_path) != "-":
        for run in runs:
            for line in run_lines(run):
                click.echo(line)
    return exit_code_of_needs(runs, stopped_by)


def _show_stop(stopped_by: str | None, begun: str, json_path: Path | None) -> None:
    if stopped_by is not None and str(json_path) != "-":
        click.echo(f"stopped by {stopped_by}: {begun} rules begun")


def _table(chosen: list[Rule]) -> Table:
    table = Table(show_lines=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("statement", ratio=4)
    table.add_column("cites", ratio=3)
    table.add_column("obeyed by", ratio=3, overflow="fold")
    table.add_column("can be broken once", ratio=3)
    table.add_column("mutants that break it first", ratio=3, overflow="fold")
    table.add_column("what breaks without it", ratio=3)
    for rule in chosen:
        mutants = ", ".join(breaking(rule))
        where, need = name_of(rule.implemented_by), str(NECESSITY[rule.id])
        needs = describe_exercised(rule)
        table.add_row(rule.id, rule.statement, rule.citation, where, needs, mutants, need)
    return table


def _profiles_table() -> Table:
    table = Table(show_lines=True)
    for name in ("profile", "departure", "from the rule"):
        table.add_column(name, no_wrap=True)
    table.add_column("what is tolerated, and why")
    for profile in PROFILES.values():
        for each in profile.departures:
            table.add_row(profile.name, each.id, each.rule.id, each.statement)
        if not profile.departures:
            table.add_row(profile.name, "none", "", "")
    return table


def _profiles_report() -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "rules --profiles",
        "profiles": {
            profile.name: [
                {"id": each.id, "rule": each.rule.id, "statement": each.statement}
                for each in profile.departures
            ]
            for profile in PROFILES.values()
        },
    }


def _report(chosen: list[Rule]) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "rules",
        "rules": [
            {
                "id": rule.id,
                "group": rule.group,
                "statement": rule.statement,
                "citation": rule.citation,
                "observes": sorted(rule.observes),
                "exercised_by": {name: DESCRIPTIONS[name] for name in sorted(rule.exercised_by)},
                "not_assumed": WITHOUT_GUARD.get(rule.id),
                "implemented_by": name_of(rule.implemented_by),
                "mutants": breaking(rule),
                "necessity": known_need(rule),
            }
            for rule in chosen
        ],
    }
