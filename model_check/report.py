"""The report of a check as JSON, both ways; see ``spec/schemas/check_report.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from model_check.check import CheckResult, RaftReplay, Setup
from model_check.explore import Exploration
from model_check.raft import Bounds, RaftAction
from model_check.system import Deliver, Lose, M, Occur
from raft_ref.codec import JSON, CodecError, decode_event, decode_message, encode
from spec.forms import E
from spec.milestones import MILESTONES, RaftMilestone

SCHEMA_VERSION = 1

Report: TypeAlias = Mapping[str, object]
"""A report as JSON data."""


class ReportError(ValueError):
    """A file is not the report of a check: where, and what is wrong with it."""


def report(result: CheckResult) -> Report:
    """What ``result`` says, as JSON data that the schema accepts."""
    setup, found = result.setup, result.exploration
    violation = None
    if found.violation is not None:
        violation = {
            "property": found.violation.property,
            "explanation": found.violation.explanation,
            "depth": found.depth,
            "actions": [encode_action(action) for action in found.actions],
        }
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "check",
        "verdict": found.verdict,
        "engine": result.engine,
        "orbits": found.orbits,
        "renamings": found.renamings,
        "core_calls": found.core_calls,
        **figures(found, setup.bounds.milestones),
        "mutant": setup.mutant,
        "network": setup.network,
        "bounds": setup.described_bounds(),
        "properties": list(setup.properties),
        "rules": setup.rules,
        "vacuous": {name: list(lacking) for name, lacking in result.vacuous.items()},
        "violation": violation,
    }


def figures(
    found: Exploration[E, M], milestones: Iterable[RaftMilestone] = MILESTONES
) -> dict[str, object]:
    """What every report of an exploration says of it."""
    return {
        "stopped_by": found.stopped_by,
        "states": found.states,
        "transitions": found.transitions,
        "depth": found.depth,
        "frontier": found.frontier,
        "seconds": round(found.seconds, 3),
        "workers": found.workers,
        "reduced": found.is_reduced,
        "beam": None if found.beam is None else asdict(found.beam),
        "shortest": found.is_shortest,
        "state_bytes": found.state_bytes,
        "memory_bytes": found.memory_bytes,
        "notes": found.notes,
        "reached": reached_report(found.reached, milestones),
    }


def reached_report(
    reached: Mapping[str, int], milestones: Iterable[RaftMilestone] = MILESTONES
) -> dict[str, int | None]:
    """Every milestone, with the fewest actions to it if it was reached."""
    return {item.name: reached.get(item.name) for item in milestones}


def replay_report(run: RaftReplay) -> Report:
    """What became of a counterexample that was replayed."""
    violation = run.violation
    not_enabled = None if run.not_enabled is None else encode_action(run.not_enabled)
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "check --replay",
        "verdict": "not_reproduced" if violation is None else "violated",
        "property": None if violation is None else violation.property,
        "explanation": None if violation is None else violation.explanation,
        "actions_taken": len(run.moments),
        "not_enabled": not_enabled,
    }


def parse_report(text: str) -> tuple[Setup, list[RaftAction]]:
    """What the report in ``text`` checked, and the run to its violation.

    Raises:
        ReportError: if ``text`` is not such a report, or reports no violation.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"not JSON: {error}") from None
    problem = best_match(_validator().iter_errors(data))
    if problem is not None:
        raise ReportError(f"at {problem.json_path}: {problem.message[:200]}")
    if data["violation"] is None:
        raise ReportError("it reports no violation, so there is nothing to replay")
    setup = _decode_setup(data)
    return setup, [
        decode_action(action, f"$.violation.actions[{position}]", setup.bounds.servers)
        for position, action in enumerate(data["violation"]["actions"])
    ]


@cache
def _validator() -> Draft202012Validator:
    schema = files("spec").joinpath("schemas/check_report.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(schema))


def encode_action(action: RaftAction) -> JSON:
    """``action`` as JSON data."""
    match action:
        case Occur(node, event):
            return {"action": "occur", "node": node, "event": encode(event)}
        case Deliver(message):
            return {"action": "deliver", "message": encode(message)}
        case Lose(message):
            return {"action": "lose", "message": encode(message)}


def decode_action(data: Any, path: str, servers: int) -> RaftAction:
    """The action that ``data`` describes, found at ``path`` of something whose schema was checked.

    Raises:
        ReportError: if it happens to a server that there is not, or has no such message or event.
    """
    try:
        match data["action"]:
            case "occur":
                if data["node"] > servers:
                    raise ReportError(f"at {path}: there is no server {data['node']}")
                return Occur(data["node"], decode_event(data["event"]))
            case "deliver":
                return Deliver(decode_message(data["message"]))
            case _:
                return Lose(decode_message(data["message"]))
    except CodecError as error:
        raise ReportError(f"in {path}: {error}") from None


def _decode_setup(data: Any) -> Setup:
    """The setup of a report whose schema has been checked."""
    bounds = dict(data["bounds"])
    for name in ("only_timeout", "script"):
        bounds[name] = tuple(bounds.pop(name, ()))
    of_fifo = {name: bounds.pop(name) for name in ("max_in_flight", "loss") if name in bounds}
    try:
        return Setup(
            bounds=Bounds(**bounds),
            network=data["network"],
            properties=tuple(data["properties"]),
            mutant=data.get("mutant"),
            rules=data.get("rules", False),
            **of_fifo,
        )
    except ValueError as error:
        raise ReportError(str(error)) from None
