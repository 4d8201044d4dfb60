"""The report on a trace as JSON; see ``spec/schemas/trace_report.schema.json``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from model_check.report import SCHEMA_VERSION, Report
from model_check.traces.files import TraceFormat
from model_check.traces.happening import Place, Trace
from model_check.traces.verdict import Doubt, Offence, TraceVerdict
from model_check.traces.words import describe_happening, describe_seen, describe_sent
from raft_ref import NodeId
from spec.rules import RULES_BY_ID


def trace_report(verdict: TraceVerdict, paths: Sequence[Path], trace_format: TraceFormat) -> Report:
    """What ``verdict`` says, as JSON data that the schema accepts."""
    trace = verdict.trace
    return {
        **_head(paths, trace_format),
        "verdict": verdict.verdict,
        "profile": verdict.profile.name,
        "servers": _names(trace, trace.servers),
        "learners": _names(trace, trace.learners),
        "unlisted": _names(trace, trace.unlisted),
        "lines": trace.lines,
        "steps": len(trace.happenings),
        "steps_showing": trace.times_shown(),
        "steps_allowed": verdict.matched,
        "last_allowed": None if verdict.last is None else _place(verdict.last),
        "offence": None if verdict.offence is None else _offence(verdict.offence),
        "doubt": None if verdict.doubt is None else _doubt(verdict.doubt),
    }


def _names(trace: Trace, servers: Iterable[NodeId]) -> Report:
    return {str(server): trace.names[server] for server in sorted(servers)}


def malformed_report(paths: Sequence[Path], trace_format: TraceFormat, reason: str) -> Report:
    """That a trace cannot be read."""
    return {**_head(paths, trace_format), "verdict": "malformed", "reason": reason}


def _head(paths: Sequence[Path], trace_format: TraceFormat) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "trace",
        "files": [str(path) for path in paths],
        "format": trace_format,
    }


def _offence(offence: Offence) -> Report:
    happening = offence.happening
    return {
        "place": _place(happening.place),
        "server": happening.server,
        "rule": offence.name if offence.name in RULES_BY_ID else None,
        "name": offence.name,
        "explanation": offence.explanation,
        "event": describe_happening(happening),
        "seen": describe_seen(happening.seen),
        "outputs": list(describe_sent(happening)),
        "before": list(offence.before),
        "allowed": list(offence.allowed),
    }


def _doubt(doubt: Doubt) -> Report:
    happening = doubt.happening
    return {
        "place": _place(happening.place),
        "server": happening.server,
        "reason": doubt.reason,
        "event": describe_happening(happening),
    }


def _place(place: Place) -> Report:
    return {"line": place.number, "file": place.file or None}
