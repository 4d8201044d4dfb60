"""What a check found, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from model_check.check import CheckResult, RaftReplay, Setup
from model_check.conformance.node import ForeignReplay
from model_check.explore import Exploration
from model_check.mutants import MUTANTS
from model_check.render import describe_action, server_name
from model_check.system import TOTALITY, M, Violation
from spec.forms import AtMost, E
from spec.milestones import DESCRIPTIONS, MILESTONES, RaftMilestone
from spec.proof.guards import WITHOUT_GUARD
from spec.properties import PROPERTIES
from spec.rule import Rule
from spec.rules import RULES, RULES_BY_ID


def summary(result: CheckResult) -> str:
    """Verdict, bounds, figures, what was reached, and what nothing could have broken."""
    found = result.exploration
    rows = [
        ("mutant", _describe_mutant(result.setup)),
        ("bounds", describe_bounds(result.setup)),
        ("explored", describe_figures(found)),
        ("by", describe_means(result)),
        ("properties", ", ".join(result.setup.properties)),
        ("rules", f"all {len(RULES)}" if result.setup.rules else ""),
        *reached_rows(found.reached, result.setup.bounds.milestones),
    ]
    return "\n".join([_headline(result), *as_rows(rows), *warnings(found, result.vacuous)])


def _describe_mutant(setup: Setup) -> str:
    return "" if setup.mutant is None else f"{setup.mutant}: {MUTANTS[setup.mutant].title}"


def as_rows(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Lines of a label and a text, without those that have nothing to say."""
    return (f"  {label:<12} {text}" for label, text in rows if text)


def describe_figures(found: Exploration[E, M]) -> str:
    """What was explored, in figures."""
    return (
        f"{found.states:,} states, {found.transitions:,} transitions, depth {found.depth}, "
        f"in {found.seconds:.1f} s ({found.states / max(found.seconds, 1e-9):,.0f} states/s)"
    )


def reached_rows(
    reached: Mapping[str, int], milestones: Iterable[RaftMilestone] = MILESTONES
) -> Iterator[tuple[str, str]]:
    """Which milestones were reached, each with the fewest actions to it, and which were not."""
    names = [item.name for item in milestones]
    by_depth = sorted(reached.items(), key=lambda item: (item[1], names.index(item[0])))
    yield "reached", ", ".join(f"{name} ({least})" for name, least in by_depth)
    yield "not reached", ", ".join(name for name in names if name not in reached)


def describe_bounds(setup: Setup, *, of_our_core: bool = True) -> str:
    """The bounds in words, the network's included."""
    bounds = setup.bounds
    parts = [
        count(bounds.servers, "server"),
        f"terms to {bounds.max_term}",
        f"logs to {bounds.max_log}",
        count(bounds.values, "value"),
    ]
    if of_our_core:
        parts.append(f"{count(bounds.max_entries, 'entry', 'entries')} a message")
        parts += ["conflict hints"] if bounds.conflict_hints else []
        parts += [f"a window of {bounds.window}"] if bounds.window is not None else []
    parts.append("any restarts" if bounds.restarts else "no restarts")
    if not bounds.heartbeats:
        parts.append("no heartbeats")
    if bounds.redirects:
        parts.append("redirects")
    if bounds.only_timeout:
        parts.append(f"only {' and '.join(map(server_name, bounds.only_timeout))} timing out")
    parts += [
        f"{limit.most} {limit.name.removeprefix('max_').replace('_', ' ')} at most"
        for limit in bounds.limits
        if isinstance(limit, AtMost)
    ]
    if bounds.script:
        parts.append(f"nothing but {', '.join(bounds.script)}, in this order")
    parts.append(f"{setup.network} network")
    if setup.network == "fifo":
        parts.append(f"{count(setup.max_in_flight, 'message')} a link")
        parts.append("with loss" if setup.loss else "without loss")
    return ", ".join(parts)


def describe_means(result: CheckResult) -> str:
    """How it was explored."""
    found = result.exploration
    parts = [f"{result.engine} engine", count(found.workers, "worker")]
    if found.renamings > 1:
        parts.append(f"{found.orbits:,} states stored, up to {found.renamings} renamings each")
    parts += describe_reductions(found)
    parts.append(f"{found.core_calls:,} calls of the core")
    if found.state_bytes is not None and found.orbits:
        parts.append(f"{found.state_bytes / found.orbits:.0f} bytes a stored state")
    return ", ".join(parts)


def describe_reductions(found: Exploration[E, M]) -> Iterator[str]:
    """What was left out of the exploration."""
    if found.is_reduced:
        yield "reduced (so are the figures)"
    if found.beam is not None:
        yield f"a beam of width {found.beam.width}, seed {found.beam.seed}"


def count(number: int, one: str, many: str = "") -> str:
    """A number of things, the noun in the singular for one."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _headline(result: CheckResult) -> str:
    found = result.exploration
    if found.violation is not None:
        return "violated: " + describe_violation(found.violation, found.depth)
    if found.stopped_by is not None:
        return "inconclusive: " + describe_stop(found)
    return "holds: everything within the bounds was explored, and no property is violated"


def describe_violation(violation: Violation, depth: int) -> str:
    """What is violated, how, and what the property or rule says."""
    label = "rule" if violation.property in RULES_BY_ID else "property"
    statement = statement_of(violation.property).split("\n\n")[0]
    return (
        f"{violation.property} after {depth} actions: {violation.explanation}\n"
        f"  {label:<12} {' '.join(statement.split())}"
    )


def statement_of(name: str) -> str:
    """What the property or rule of this name says."""
    rule = RULES_BY_ID.get(name)
    return STATEMENTS[name] if rule is None else f"{rule.statement} ({rule.citation})"


STATEMENTS = {item.name: item.statement for item in PROPERTIES} | {
    TOTALITY: "A step is defined for everything that can happen."
}
"""What each property says."""


def describe_stop(found: Exploration[E, M]) -> str:
    """What ended an exploration before its end."""
    return (
        f"stopped by {found.stopped_by}, with {found.frontier:,} states still to expand; "
        "no violation in what was explored"
    )


def describe_unreproduced(run: RaftReplay | ForeignReplay) -> str:
    """What became of a run that led to a violation once, and does not any more."""
    if run.not_enabled is None:
        return f"not reproduced: all {len(run.moments)} actions, and nothing is violated"
    return (
        f"not reproduced: after {len(run.moments)} actions the next one cannot happen any more: "
        f"{describe_action(run.not_enabled)}"
    )


def warnings(found: Exploration[E, M], vacuous: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """What one should know before believing what was found."""
    for note in found.notes:
        yield f"note: {note}"
    if found.states:  # before the first state, a warning for each property would say nothing
        where = "these bounds" if found.stopped_by is None else "what was explored so far"
        yield from describe_vacuous(vacuous, where)


def describe_vacuous(vacuous: Mapping[str, Iterable[str]], where: str) -> Iterator[str]:
    """What could not have been broken, for want of the same milestones in a sentence each."""
    by_lacking: dict[str, list[str]] = {}
    for name, lacking in vacuous.items():
        by_lacking.setdefault(", ".join(lacking), []).append(name)
    for milestones, names in by_lacking.items():
        yield (
            f"warning: nothing could have broken {', '.join(names)}: {where} never reached "
            f"{milestones}"
        )


def describe_exercised(rule: Rule) -> str:
    """The milestones without which a rule cannot be broken, in words."""
    words = sorted(DESCRIPTIONS[name] for name in rule.exercised_by)
    return " and ".join(words) or "at any time"


def without_guard(ids: Iterable[str]) -> Iterator[str]:
    """A line for each of these rules that the proof does not assume, with the reason."""
    for each in ids:
        if each in WITHOUT_GUARD:
            yield f"not assumed by raft-ref prove: {each}, since {WITHOUT_GUARD[each]}"
