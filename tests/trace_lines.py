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


# --- server 1, of three, of which little is seen --------------------------------------------------

SPARSE: Json = {**HEAD, "servers": [1, 2, 3], "unobserved": ["sends"]}
ENTRY = {"term": 1, "command": "x"}
SECOND: Json = {"term": 2, "command": "y"}
TIMEOUT: Json = {"event": "election_timeout", "server": 1}
BEAT: Json = {"event": "heartbeat_timeout", "server": 1}
RESTART: Json = {"event": "restart", "server": 1}


def showing(line: Json, **state: Any) -> Json:
    """A line that shows some of the state after its step."""
    return line | {"state": line.get("state", {}) | state}


def receives(kind: str, source: int = 2, **fields: Any) -> Json:
    message = {"from": source, "to": 1, "kind": kind, "fields": fields}
    return {"event": "receive", "server": 1, "message": message}


def sends(kind: str, destination: int = 2, **fields: Any) -> Json:
    message = {"from": 1, "to": destination, "kind": kind, "fields": fields}
    return {"event": "send", "server": 1, "message": message}


def applies(index: int) -> Json:
    return {"event": "apply", "server": 1, "index": index}


def campaign(term: int, source: int = 3) -> Json:
    """A candidate of another term asks for a vote, whose log is better than any."""
    return receives("RequestVote", source, term=term, last_log_index=9, last_log_term=term - 1)


def request(term: int, entries: list[Json], leader_commit: int, prev: Json | None = None) -> Json:
    """An AppendEntries arrives that begins after the entry of ``prev``, its index and term."""
    line = arrival(term=term, entries=entries, leader_commit=leader_commit)
    line["message"]["fields"] |= prev or {}
    return line


def after_third(term: int = 1) -> Json:
    return {"prev_log_index": 3, "prev_log_term": term}


def granted(term: int) -> Json:
    return receives("RequestVoteReply", term=term, vote_granted=True)


UNREAD = receives("Gossip")
"""A message that nobody can read arrives."""


LEADS: list[Json] = [TIMEOUT, showing(granted(1), role="leader")]
"""Server 1 becomes leader of term 1."""


def after_start(*lines: Json) -> TraceVerdict:
    return verdict_on(encoded([SPARSE, START, *lines]))
