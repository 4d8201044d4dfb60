"""Lines of traces in the format of raft-ref, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from model_check.traces import own
from model_check.traces.judge import judge_trace
from model_check.traces.verdict import TraceVerdict
from spec.profiles import PROFILES
from tests.recorded import placed

Json: TypeAlias = dict[str, Any]

HEAD = {"format": "raft-ref", "version": 1, "servers": [1, 2]}
START = {"event": "start", "server": 1}
GRANT = {"kind": "RequestVoteReply", "fields": {"term": 1, "vote_granted": True}}


def verdict_on(lines: list[bytes], profile: str = "paper") -> TraceVerdict:
    """What is said of a trace."""
    return judge_trace(own.read(placed(lines)), PROFILES[profile])


def changed(lines: list[bytes], change: Callable[[int, Json], Json | None]) -> list[bytes]:
    """``lines`` but the first, changed, or left out."""
    found = [change(number, json.loads(line)) for number, line in enumerate(lines[1:])]
    return [lines[0], *(json.dumps(line).encode() + b"\n" for line in found if line is not None)]


def one_step(**line: Any) -> list[bytes]:
    """A server that starts, and does something by itself; then ``line``."""
    head = {**HEAD, "servers": [1, 2, 3]}
    log = {"from": 1, "entries": []}
    step = {"event": "heartbeat_timeout", "server": 1, "state": {"log": log}}
    return [json.dumps(each).encode() for each in (head, START, step, {"server": 1, **line})]


def arrival(*, term: int, entries: list[Json], leader_commit: int) -> Json:
    fields: Json = {"term": term, "prev_log_index": 0, "prev_log_term": 0}
    fields |= {"entries": entries, "leader_commit": leader_commit}
    message = {"from": 2, "to": 1, "kind": "AppendEntries", "fields": fields}
    return {"event": "receive", "server": 1, "message": message}


def encoded(lines: Iterable[Json]) -> list[bytes]:
    """``lines``, as they stand in a file."""
    return [json.dumps(line).encode() + b"\n" for line in lines]
