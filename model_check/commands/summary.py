"""What a check found, in words."""

from __future__ import annotations

from collections.abc import Iterator

from model_check.check import CheckResult, Setup
from spec.milestones import MILESTONES
from spec.properties import PROPERTIES


def summary(result: CheckResult) -> str:
    """Verdict, bounds, figures, what was reached, and what nothing could have broken."""
    found = result.exploration
    rows = [
        ("bounds", describe_bounds(result.setup)),
        (
            "explored",
            f"{found.states:,} states, {found.transitions:,} transitions, depth {found.depth}, "
            f"in {found.seconds:.1f} s ({found.states / max(found.seconds, 1e-9):,.0f} states/s)",
        ),
        ("by", describe_means(result)),
        ("properties", ", ".join(result.setup.properties)),
        ("reached", ", ".join(f"{name} ({least})" for name, least in _by_depth(found.reached))),
        ("not reached", ", ".join(i.name for i in MILESTONES if i.name not in found.reached)),
    ]
    lines = [_headline(result)]
    lines += [f"  {label:<12} {text}" for label, text in rows if text]
    return "\n".join([*lines, *_warnings(result)])


def describe_bounds(setup: Setup) -> str:
    """The bounds in words, the network's included."""
    bounds = setup.bounds
    network = f"{setup.network} network"
    if setup.network == "fifo":
        loss = "with loss" if setup.loss else "without loss"
        network += f", {_count(setup.max_in_flight, 'message')} a link, {loss}"
    return (
        f"{_count(bounds.servers, 'server')}, terms to {bounds.max_term}, "
        f"logs to {bounds.max_log}, {_count(bounds.values, 'value')}, "
        f"{_count(bounds.max_entries, 'entry', 'entries')} a message, "
        f"{'any' if bounds.restarts else 'no'} restarts, {network}"
    )


def describe_means(result: CheckResult) -> str:
    """How it was explored."""
    found = result.exploration
    parts = [f"{result.engine} engine", _count(found.workers, "worker")]
    if found.renamings > 1:
        parts.append(f"{found.orbits:,} states stored, up to {found.renamings} renamings each")
    if found.is_reduced:
        parts.append("eager sends (figures are of the reduced space)")
    parts.append(f"{found.core_calls:,} calls of the core")
    if found.state_bytes is not None:
        parts.append(f"{found.state_bytes / found.orbits:.0f} bytes a stored state")
    return ", ".join(parts)


def _by_depth(reached: dict[str, int]) -> list[tuple[str, int]]:
    order = [item.name for item in MILESTONES]
    return sorted(reached.items(), key=lambda item: (item[1], order.index(item[0])))


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _headline(result: CheckResult) -> str:
    found = result.exploration
    if found.violation is not None:
        statement = next(
            (item.statement for item in PROPERTIES if item.name == found.violation.property),
            "A step is defined for everything that can happen.",
        )
        first_sentence = " ".join(statement.split("\n\n")[0].split())
        return (
            f"violated: {found.violation.property} after {found.depth} actions: "
            f"{found.violation.explanation}\n  {'property':<12} {first_sentence}"
        )
    if found.stopped_by is not None:
        return (
            f"inconclusive: stopped by {found.stopped_by}, with {found.frontier:,} states still to "
            f"expand; no violation in what was explored"
        )
    return "holds: everything within the bounds was explored, and no property is violated"


def _warnings(result: CheckResult) -> Iterator[str]:
    for note in result.exploration.notes:
        yield f"note: {note}"
    for name, lacking in result.vacuous.items():
        yield (
            f"warning: nothing could have broken {name}: these bounds never reached "
            f"{', '.join(lacking)}"
        )
