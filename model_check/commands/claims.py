"""``raft-ref rules --sufficient`` and ``--necessary``: claims about the rules, explored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TypeVar

from rich.table import Table

from model_check.commands.output import live_progress
from model_check.deadline import Deadline, enforced
from model_check.explore import Budget, Figures
from model_check.necessity import (
    NECESSITY,
    SUFFICIENT,
    Explored,
    RuleRun,
    Search,
    find_need,
    find_sufficiency,
)
from model_check.render import changes, describe_action
from model_check.report import SCHEMA_VERSION, Report
from spec.rule import Rule

_Asked = TypeVar("_Asked")
_Found = TypeVar("_Found")

# --- finding out ---------------------------------------------------------------------------------


def explore_sufficiency(deadline: Deadline) -> list[Explored]:
    """Explore the freest server wherever the rules are said to be enough, as far as there is
    time."""
    return list(_in_turn(SUFFICIENT, "{}", find_sufficiency, deadline))


def explore_needs(chosen: Sequence[Rule], deadline: Deadline) -> list[RuleRun]:
    """Take away one rule at a time, as far as there is time."""
    return list(_in_turn(chosen, "without {.id}", find_need, deadline))


def _in_turn(
    asked: Sequence[_Asked],
    described: str,
    find: Callable[[_Asked, Budget, Callable[[Figures], None]], _Found],
    deadline: Deadline,
) -> Iterator[_Found]:
    """What is found of each, until the deadline comes, or an interrupt."""
    budget = Budget(deadline=deadline)
    try:
        for number, each in enumerate(asked, start=1):
            if number > 1:
                deadline.check()
            starting = f"{number} of {len(asked)}: {described.format(each)}"
            with live_progress(starting) as on_progress, enforced(deadline):
                found = find(each, budget, on_progress)
            yield found
    except KeyboardInterrupt as interrupt:
        deadline.interrupted(interrupt)


def exit_code_of(explored: Sequence[Explored], stopped_by: str | None) -> int:
    """0 if all hold, 1 if one does not, 4 if something came before the end."""
    verdicts = {each.exploration.verdict for each in explored}
    return 1 if "violated" in verdicts else 4 if stopped_by or "inconclusive" in verdicts else 0


def exit_code_of_needs(runs: Sequence[RuleRun], stopped_by: str | None) -> int:
    """0 if all is as it is known, 1 if something is not, 4 if only since something came before the
    end."""
    needs = {run.need for run in runs if not run.is_as_known}
    if needs - {"inconclusive"}:
        return 1
    return 4 if needs or stopped_by else 0


# --- for people ----------------------------------------------------------------------------------


def sufficiency_table(explored: Iterable[Explored]) -> Table:
    """A row for each search."""
    table = Table()
    table.add_column("the freest server, within", ratio=1)
    for name in ("verdict", "states", "orbits", "depth", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in explored:
        found = each.exploration
        figures = (f"{found.states:,}", f"{found.orbits:,}", str(found.depth))
        table.add_row(str(each.search), found.verdict, *figures, f"{found.seconds:.1f}")
    return table


def necessity_table(runs: Iterable[RuleRun]) -> Table:
    """A row for each rule taken away."""
    table = Table()
    for name in ("without", "need", "breaks"):
        table.add_column(name, no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    table.add_column("within", ratio=1)
    for name in ("states", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        found = [each.exploration for each in run.explored]
        table.add_row(
            run.rule.id,
            run.need,
            run.breaks or "",
            steps_of(run),
            "; and ".join(str(each.search) for each in run.explored),
            f"{sum(each.states for each in found):,}",
            f"{sum(each.seconds for each in found):.1f}",
        )
    return table


def steps_of(run: RuleRun) -> str:
    """The length of the run to what breaks."""
    if run.breaks is None:
        return ""
    found = run.explored[-1].exploration
    return f"{'' if found.is_shortest else '≤ '}{found.depth}"


def run_lines(run: RuleRun) -> Iterator[str]:
    """The run to what breaks without the rule: what happens, and what the server makes of it."""
    found = run.explored[-1]
    if found.run is None or found.run.violation is None:
        return
    yield f"\nWithout {run.rule.id}: {run.rule.statement}\n"
    for number, moment in enumerate(found.run.moments, start=1):
        assert moment.before is not None
        assert moment.outcome is not None
        made = "; ".join(changes(moment.before, moment.outcome.state)) or "takes note"
        yield f"{number:4}  {describe_action(moment.action)}: {made}"
    yield f"\n{found.run.violation.property}: {found.run.violation.explanation}"


# --- for programs --------------------------------------------------------------------------------


def sufficiency_report(explored: Iterable[Explored], stopped_by: str | None) -> Report:
    """As JSON data that the schema accepts."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "rules --sufficient",
        "stopped_by": stopped_by,
        "searches": [_searched(each) for each in explored],
    }


def necessity_report(runs: Iterable[RuleRun], stopped_by: str | None) -> Report:
    """As JSON data that the schema accepts."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "rules --necessary",
        "stopped_by": stopped_by,
        "rules": [
            {
                "id": run.rule.id,
                "need": run.need,
                "as_known": run.is_as_known,
                "property": run.breaks,
                "searches": [_searched(each) for each in run.explored],
                "run": _run(run.explored[-1]),
            }
            for run in runs
        ],
    }


def known_need(rule: Rule) -> dict[str, object]:
    """What is known of the need for a rule."""
    known = NECESSITY[rule.id]
    return {
        "need": known.need,
        "property": known.breaks,
        "steps": known.steps,
        "shortest": known.breaks is not None and not known.searches[0].reduced,
        "proved_needless": known.proved_needless,
        "searched": [_search(search) for search in known.searches],
    }


def _search(search: Search) -> dict[str, object]:
    return {**asdict(search.universe), "reduced": search.reduced}


def _searched(each: Explored) -> dict[str, object]:
    found = each.exploration
    return {
        "within": _search(each.search),
        "verdict": found.verdict,
        "stopped_by": found.stopped_by,
        "states": found.states,
        "orbits": found.orbits,
        "transitions": found.transitions,
        "depth": found.depth,
        "shortest": found.violation is not None and found.is_shortest,
        "seconds": round(found.seconds, 3),
        "notes": found.notes,
    }


def _run(each: Explored) -> dict[str, object] | None:
    if each.run is None or each.run.violation is None:
        return None
    return {
        "explanation": each.run.violation.explanation,
        "actions": [describe_action(moment.action) for moment in each.run.moments],
    }
