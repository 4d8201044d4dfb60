"""What an exploration of an implementation found, in words."""

from __future__ import annotations

from collections.abc import Iterator

from model_check.commands.account import (
    Account,
    describe_adapter,
    describe_rules,
    note_on_unconfirmed,
    notes_on_stop,
)
from model_check.commands.summary import (
    count,
    describe_bounds,
    describe_figures,
    describe_reductions,
    describe_stop,
    reached_rows,
    warnings,
)
from model_check.conformance.coverage import describe_shortfalls
from model_check.conformance.explore import Conformance
from model_check.render import server_name


def account_of_conformance(result: Conformance) -> Account:
    """Verdict, bounds, figures, and every finding."""
    found, setup = result.exploration, result.setup
    rows = (
        *describe_adapter(result.name, setup),
        ("bounds", describe_bounds(setup.space, of_our_core=False)),
        ("explored", describe_figures(found)),
        ("by", _describe_means(result)),
        ("properties", ", ".join(item.name for item in result.judged)),
        ("rules", describe_rules(setup, result.unjudged, result.steps_judged)),
        *reached_rows(found.reached),
    )
    return Account(
        setup=setup,
        name=result.name,
        verdict=result.verdict,
        otherwise=_otherwise(result),
        rows=rows,
        unjudged=result.unjudged,
        notes=tuple(_notes(result)),
        findings=result.findings,
        hidden=result.hidden,
    )


def _otherwise(result: Conformance) -> str:
    if result.verdict == "inconclusive":
        return _describe_doubt(result)
    return "everything within the bounds was explored, and nothing is violated"


def _describe_means(result: Conformance) -> str:
    found = result.exploration
    parts = [f"{result.engine} engine", count(found.workers, "worker")]
    parts += describe_reductions(found)
    parts.append(f"{result.local_states:,} local states")
    parts.append(f"{result.adapter_calls:,} steps asked of the adapter")
    if found.state_bytes is not None:
        parts.append(f"{found.state_bytes / max(found.orbits, 1):.0f} bytes a stored state")
    return ", ".join(parts)


def _describe_doubt(result: Conformance) -> str:
    if result.unconfirmed is not None:
        return (
            f"stopped by {result.exploration.stopped_by}, before what was found had been done again"
        )
    if result.exploration.stopped_by is not None:
        return describe_stop(result.exploration)
    if not (result.unresolved or result.suspected):
        return describe_shortfalls(result.shortfalls)
    if not result.unresolved:
        rules = ", ".join(result.suspected)
        return f"nothing else is violated, but {rules} may be broken, which was not looked into"
    doubt = result.unresolved[0]
    suspicion = doubt.suspicion
    return (
        f"{server_name(suspicion.node)} would break {suspicion.rule.id} "
        f"({suspicion.broken}), if a run of the cluster can bring it there; "
        f"looking for one was stopped by {doubt.stopped_by}"
    )


def _notes(result: Conformance) -> Iterator[str]:
    if result.suspected and result.findings:
        yield f"note: {', '.join(result.suspected)} may be broken, too; mend the others first"
    if result.findings:
        yield from notes_on_stop(result.exploration.stopped_by)
    yield from note_on_unconfirmed(result.unconfirmed)
    if result.other_failures:
        yield f"note: {result.other_failures} more kinds of failed steps are not shown"
    for each in result.shortfalls:
        yield f"note: {each}"
    yield from warnings(result.exploration, result.vacuous)
