"""``raft-ref mutants``: the bug catalogue, and whether the checker sees each bug."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from model_check.commands.options import deadline_of, json_option, max_seconds_option, refuse
from model_check.commands.output import (
    live_progress,
    require_writable,
    usable,
    write_json,
)
from model_check.commands.tables import show_table
from model_check.deadline import Deadline, enforced
from model_check.explore import Budget
from model_check.judged import Breach
from model_check.mutants import MUTANTS, Mutant
from model_check.mutants.run import MutantRun, run_mutant
from model_check.report import SCHEMA_VERSION, Report
from spec.properties import PROPERTY_NAMES


def _ids(_context: object, _option: object, ids: tuple[str, ...]) -> tuple[str, ...]:
    for each in ids:
        if each not in MUTANTS:
            raise click.BadParameter(f"there is no mutant {each!r}: see raft-ref mutants --list")
    return ids


@click.command("mutants")
@click.option(
    "--id", "ids", multiple=True, callback=_ids, help="Only this one; may be given several times."
)
@click.option("--list", "only_list", is_flag=True, help="List the mutants, without running them.")
@max_seconds_option
@click.option(
    "--without",
    type=click.Choice(PROPERTY_NAMES),
    help="As if the specification did not have this property: who survives then?",
)
@json_option
@click.option(
    "--html",
    "html_path",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write a page for each mutant, and an index, into this directory.",
)
def mutants_command(
    *,
    ids: tuple[str, ...],
    only_list: bool,
    max_seconds: float | None,
    without: str | None,
    json_path: Path | None,
    html_path: Path | None,
) -> int:
    """Explore known bugs of Raft, each a mutant of the core, and say which property sees it.

    A bug is killed if a property of Figure 3 is violated within its bounds, or an auxiliary one,
    where it is said to violate no other. Controls and equivalent mutants are changes that lose
    nothing, and must violate none of Figure 3. raft-ref check --mutant ID shows a run.

    Exit codes: 0 every bug is killed, and nothing else is; 1 a bug survived, or a control was
    killed; 2 usage; 4 inconclusive: a budget ran out.
    """
    chosen = [MUTANTS[each] for each in ids or MUTANTS]
    if only_list:
        given = {
            "--max-seconds": max_seconds,
            "--without": without,
            "--html": html_path,
        }
        refuse([name for name, value in given.items() if value is not None], "runs the mutants")
        require_writable(json_path)
        if json_path is not None:
            write_json(_list_report(chosen), json_path)
        if str(json_path) != "-":
            show_table(_list(chosen))
        return 0
    require_writable(json_path)
    if html_path is not None:
        with usable(html_path):
            html_path.mkdir(parents=True, exist_ok=True)
    deadline = deadline_of(max_seconds)
    runs = list(_run(chosen, deadline, without))
    stopped_by = deadline.ended
    if json_path is not None:
        write_json(_report(runs, without, stopped_by), json_path)
    if str(json_path) != "-":
        show_table(_table(runs))
        click.echo(_summary(runs))
        if stopped_by is not None:
            click.echo(f"stopped by {stopped_by}: {len(runs)} of {len(chosen)} mutants begun")
    if html_path is not None:
        # Imported here, since not everyone has a use for templates.
        from model_check.study.pages import write_mutants

        with usable(html_path):
            write_mutants(runs, html_path)
    return _exit_code(runs, stopped_by)


def _run(chosen: Sequence[Mutant], deadline: Deadline, without: str | None) -> Iterator[MutantRun]:
    """Run them, until the deadline comes, or an interrupt."""
    budget = Budget(deadline=deadline)
    try:
        for number, mutant in enumerate(chosen, start=1):
            if number > 1:
                deadline.check()
            starting = f"{number} of {len(chosen)}: {mutant.id}"
            with live_progress(starting) as on_progress, enforced(deadline):
                run = run_mutant(mutant, budget, on_progress, without=without)
            yield run
    except KeyboardInterrupt as interrupt:
        deadline.interrupted(interrupt)


def _exit_code(runs: Sequence[MutantRun], stopped_by: str | None) -> int:
    verdicts = {run.verdict for run in runs if not _is_well(run)}
    if not verdicts:
        return 0 if stopped_by is None else 4
    return 4 if verdicts == {"inconclusive"} else 1


def _is_well(run: MutantRun) -> bool:
    return run.verdict == ("killed" if run.mutant.kind == "bug" else run.mutant.kind)


# --- for people ----------------------------------------------------------------------------------


def _list(chosen: Iterable[Mutant]) -> Table:
    table = Table()
    for name in ("id", "kind", "rule", "what it does"):
        table.add_column(name, no_wrap=name == "id")
    for mutant in chosen:
        table.add_row(mutant.id, mutant.kind, mutant.rule, mutant.title)
    return table


def _table(runs: Iterable[MutantRun]) -> Table:
    table = Table()
    for name in ("id", "verdict", "by", "rule broken first"):
        table.add_column(name, no_wrap=True)
    for name in ("actions", "states", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        found = run.result.exploration
        table.add_row(
            run.mutant.id,
            run.verdict,
            _by(run),
            "" if run.first_breach is None else run.first_breach.rule.id,
            _length(run),
            f"{found.states:,}",
            f"{run.seconds:.1f}",
        )
    return table


def _by(run: MutantRun) -> str:
    if run.tripped:
        return f"{', '.join(run.tripped)} (auxiliary alone)"
    return run.killed_by or ""


def _length(run: MutantRun) -> str:
    found = run.result.exploration
    if found.violation is None:
        return ""
    return f"{'' if found.is_shortest else '≤ '}{found.depth}"


def _summary(runs: Sequence[MutantRun]) -> str:
    counts = {
        verdict: sum(run.verdict == verdict for run in runs)
        for verdict in dict.fromkeys(run.verdict for run in runs)
    }
    total = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    seconds = sum(run.seconds for run in runs)
    return (
        f"{len(runs)} mutants: {total}; in {seconds:.0f} s\n"
        "A length with ≤ is that of a run in which every action is needed, but not known to be the "
        "shortest."
    )


# --- for programs --------------------------------------------------------------------------------


def _report(runs: Iterable[MutantRun], without: str | None, stopped_by: str | None) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "mutants",
        "without": without,
        "stopped_by": stopped_by,
        "mutants": [_row(run) for run in runs],
    }


def _list_report(chosen: Iterable[Mutant]) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "mutants --list",
        "mutants": [_described(mutant) for mutant in chosen],
    }


def _described(mutant: Mutant) -> dict[str, object]:
    return {
        "id": mutant.id,
        "kind": mutant.kind,
        "title": mutant.title,
        "explanation": mutant.explanation,
        "rule": mutant.rule,
        "seen_in": list(mutant.seen_in),
        "bounds": asdict(mutant.bounds),
        "expected": list(mutant.expected),
    }


def _row(run: MutantRun) -> dict[str, object]:
    found, breach = run.result.exploration, run.first_breach
    return {
        **_described(run.mutant),
        "verdict": run.verdict,
        "property": run.killed_by,
        "tripped": list(run.tripped),
        "length": None if found.violation is None else found.depth,
        "shortest": found.violation is not None and found.is_shortest,
        "states": found.states,
        "seconds": round(run.seconds, 3),
        "stopped_by": found.stopped_by,
        "breach": None if breach is None else _breach(breach),
    }


def _breach(breach: Breach) -> dict[str, object]:
    return {
        "rule": breach.rule.id,
        "action": breach.action,
        "node": breach.node,
        **asdict(breach.broken),
    }
