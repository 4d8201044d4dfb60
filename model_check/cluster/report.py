"""The report on a torture run as JSON; see ``spec/schemas/torture_report.schema.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from model_check.cluster.verdicts import Judgement, overall
from model_check.report import SCHEMA_VERSION, Report
from raft_ref.cluster.history import Operation
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
        "judgements": [{**asdict(each), "details": list(each.details)} for each in judged],
        "directory": directory,
    }
