"""Reports on clusters that ran, as JSON.

See ``torture_report.schema.json`` and ``simulation_report.schema.json`` in ``spec/schemas``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields

from model_check.cluster.questions import Judgement, overall
from model_check.cluster.simulated import Series, Total
from model_check.report import SCHEMA_VERSION, Report
from raft_ref.cluster.history import Operation
from raft_ref.cluster.simulation import Metrics
from raft_ref.cluster.torture.run import Outcome, Scale

BEFALLS = (
    *("kills", "restarts", "pauses", "partitions", "one_way_partitions", "storms", "resets"),
    *("lost", "repeated", "reordered", "delayed"),
)
"""What a run of any length should have seen."""


def certainties(operations: Sequence[Operation]) -> dict[str, int]:
    """How many operations ended how."""
    found = Counter(each.certainty for each in operations)
    return {name: found[name] for name in ("ok", "failed", "unknown")}


def never_happened(outcome: Outcome, scale: Scale) -> list[str]:
    """What the run says nothing about, since it did not come to it."""
    tally = asdict(outcome.tally)
    due = BEFALLS if scale.servers > 1 else ("kills", "restarts", "pauses")
    missing = [name.replace("_", " ") for name in due if tally[name] == 0]
    if scale.servers > 1 and len(outcome.terms) < 2:
        missing.append("change of leader")
    return missing


def torture_report(
    scale: Scale, outcome: Outcome, judged: Sequence[Judgement], directory: str | None
) -> Report:
    """What a run has come to, as JSON data that the schema accepts."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "cluster torture",
        "verdict": overall(judged),
        "scale": asdict(scale),
        "faults": asdict(outcome.tally),
        "leaders": len(outcome.terms),
        "operations": certainties(outcome.operations),
        "never_happened": never_happened(outcome, scale),
        "judgements": _as_json(judged),
        "directory": directory,
    }


def _as_json(judged: Sequence[Judgement]) -> list[Report]:
    return [{**asdict(each), "details": list(each.details)} for each in judged]


# --- simulated runs ------------------------------------------------------------------------------

HAPPENS = ("crashes", "partitions", "pauses", "lost", "repeated", "unknown")
"""What many simulated runs should have seen."""


def never_simulated(series: Series, total: Total) -> list[str]:
    """What the runs say nothing about, since they did not come to it."""
    due = HAPPENS if series.scale.servers > 1 else ("crashes", "pauses")
    return [name for name in due if total.counts[name] == 0]


def simulation_report(
    series: Series, total: Total, seconds: float, directory: str | None
) -> Report:
    """What simulated runs have come to, as JSON data that the schema accepts."""
    counts = total.counts
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "cluster simulate",
        "verdict": total.answer,
        "scale": asdict(series.scale),
        "first_seed": series.seed,
        "runs": total.runs,
        "interrupted": total.is_interrupted,
        "traces_judged": counts["traces"],
        "seconds": round(seconds, 3),
        "happened": {field.name: counts[field.name] for field in fields(Metrics)},
        "operations": {name: counts[name] for name in ("ok", "failed", "unknown")},
        "never_happened": never_simulated(series, total),
        "wrong": [{"seed": each.seed, "judgements": _as_json(each.wrong)} for each in total.wrong],
        "directory": directory,
    }
