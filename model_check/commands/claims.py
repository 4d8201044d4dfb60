"""``raft-ref rules --sufficient`` and ``--necessary``: claims about the rules, explored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from rich.table import Table

from model_check.commands.output import live_progress
from model_check.explore import INTERRUPT, Budget
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

# --- finding out ---------------------------------------------------------------------------------


def explore_sufficiency(budget: Budget) -> Iterator[Explored]:
    """Explore the freest server wherever the rules are said to be enough."""
    for number, search in enumerate(SUFFICIENT, start=1):
        with live_progress(f"{number} of {len(SUFFICIENT)}: {search}") as on_progress:
            explored = find_sufficiency(search, budget, on_progress)
        yield explored
        if _is_interrupted(explored):
            return


def explore_needs(chosen: Sequence[Rule], budget: Budget) -> Iterator[RuleRun]:
    """Take away one rule at a time."""
    for number, rule in enumerate(chosen, start=1):
        with live_progress(f"{number} of {len(chosen)}: without {rule.id}") as on_progress:
            run = find_need(rule, budget, on_progress)
        yield run
        if any(map(_is_interrupted, run.explored)):
            return


def _is_interrupted(explored: Explored) -> bool:
    """Then what comes after it is not explored, either."""
    return explored.exploration.stopped_by == INTERRUPT


def exit_code_of(explored: Iterable[Explored]) -> int:
    """0 if all hold, 1 if one does not, 4 if a budget ran out."""
    verdicts = {each.exploration.verdict for each in explored}
    return 1 if "violated" in verdicts else 4 if "inconclusive" in verdicts else 0


def exit_code_of_needs(runs: Sequence[RuleRun]) -> int:
    """0 if all is as it is known, 1 if something is not, 4 if only for want of a budget, or if an
    interrupt came."""
    needs = {run.need for run in runs if not run.is_as_known}
    is_cut_short = any(_is_interrupted(each) for run in runs for each in run.explored)
    if needs - {"inconclusive"}:
        return 1
    return 4 if needs or is_cut_short else 0


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


def sufficiency_report(explored: Iterable[Explored]) -> Report:
    """As JSON data that the schema accepts."""
    searches = [_searched(each) for each in explored]
    return {"schema_version": SCHEMA_VERSION, "command": "rules --sufficient", "searches": searches}


def necessity_report(runs: Iterable[RuleRun]) -> Report:
    """As JSON data that the schema accepts."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "rules --necessary",
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
