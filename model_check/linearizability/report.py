"""The report on a history as JSON; see ``spec/schemas/linearizable_report.schema.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from model_check.linearizability.check import (
    Linearizable,
    NotLinearizable,
    Undecided,
    Verdict,
)
from model_check.linearizability.format import KeyValueOperation, as_line
from model_check.linearizability.history import Pending
from model_check.linearizability.models import KeyValueAction, KeyValueResult
from model_check.linearizability.words import explain, headline

KeyValueVerdict: TypeAlias = Verdict[KeyValueAction, str | None, KeyValueResult]
Report: TypeAlias = dict[str, object]
"""A report as JSON data."""

SCHEMA_VERSION = 1


def history_report(
    found: KeyValueVerdict, history: Sequence[KeyValueOperation], paths: Sequence[Path]
) -> Report:
    """What ``found`` says of ``history``, as JSON data that the schema accepts."""
    return {
        **_head(paths),
        **_findings(found),
        "operations": len(history),
        "unknown": sum(isinstance(each, Pending) for each in history),
        "searched": {
            "keys": found.work.keys,
            "operations": found.work.operations,
            "configurations": found.work.configurations,
            "seconds": found.work.seconds,
        },
    }


def malformed_report(paths: Sequence[Path], reason: str) -> Report:
    """That a history cannot be read."""
    return {**_head(paths), "verdict": "malformed", "reason": reason}


def _head(paths: Sequence[Path]) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "linearizable",
        "files": [str(path) for path in paths],
    }


def _findings(found: KeyValueVerdict) -> Report:
    match found:
        case Linearizable(orders):
            witness = {str(key): _as_lines(order) for key, order in orders.items()}
            return {"verdict": "linearizable", "orders": witness}
        case NotLinearizable():
            return {"verdict": "not-linearizable", "impasse": _impasse(found)}
        case Undecided(keys):
            exhausted = {str(key): resource for key, resource in keys.items()}
            return {"verdict": "undecided", "exhausted": exhausted}


def _impasse(found: NotLinearizable[KeyValueAction, str | None, KeyValueResult]) -> Report:
    impasse = found.impasse
    return {
        "key": found.key,
        "explanation": headline(found),
        "details": list(explain(found)),
        "order": _as_lines(impasse.order),
        "state": impasse.state,
        "refused": [
            {"operation": as_line(each.operation), "expected": each.expected}
            for each in impasse.refusals
        ],
        "unknown": _as_lines(impasse.unknown),
    }


def _as_lines(operations: Sequence[KeyValueOperation]) -> list[Report]:
    return [as_line(each) for each in operations]
