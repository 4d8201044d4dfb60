"""The lines of a server's trace, in the format of ``spec/schemas/trace.schema.json``.

Each step is a line with the state after it, followed by a line for each message that leaves and
each entry that is applied. All servers' traces together are what ``raft-ref trace`` judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

import msgspec

from raft_ref.cluster.coalescing import Step
from raft_ref.cluster.storage import first_difference
from raft_ref.codec import encode
from raft_ref.events import (
    Appended,
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    NotLeader,
    Receive,
    ResetElectionTimer,
    Restart,
    Send,
)
from raft_ref.messages import Message
from raft_ref.types import Candidate, Config, Entry, Follower, Leader, Log, NodeId, NodeState

Part = Mapping[str, object]

_encoder = msgspec.json.Encoder()


def header(config: Config) -> bytes:
    """The first line of a trace."""
    return _line(
        {
            "format": "raft-ref",
            "version": 1,
            "servers": sorted(config.servers),
            # Lines are written before anything is applied, and a server begins with one.
            "complete": ["apply", "start"],
        }
    )


def beginning(server: NodeId, state: NodeState, *, is_restart: bool) -> bytes:
    """The line that says what a server is like when it starts, or starts again."""
    event = "restart" if is_restart else "start"
    return _line({"event": event, "server": server, "state": _state(Log(), state)})


def lines_of(server: NodeId, steps: Sequence[Step]) -> bytes:
    """The lines of some steps."""
    return b"".join(line for step in steps for line in _lines(server, step))


def _lines(server: NodeId, step: Step) -> Iterator[bytes]:
    yield _line(
        {
            **_cause(step.event),
            "server": server,
            "state": _state(step.before.log, step.after),
        }
    )
    for output in step.outputs:
        match output:
            case Send(message):
                yield _line({"event": "send", "server": server, "message": _message(message)})
            case Apply(index, entry):
                applied = {"event": "apply", "server": server, "index": index}
                yield _line({**applied, "entry": _entry(entry)})
            case NotLeader(leader):
                if leader is not None:
                    yield _line({"event": "redirect", "server": server, "leader": leader})
            case Appended() | ResetElectionTimer():
                pass  # a trace tells neither: no rule asks for them
            case _:
                assert_never(output)


def _line(line: Part) -> bytes:
    return _encoder.encode(line) + b"\n"


def _cause(event: Event) -> Part:
    match event:
        case ElectionTimeout():
            return {"event": "election_timeout"}
        case HeartbeatTimeout():
            return {"event": "heartbeat_timeout"}
        case ClientRequest(command):
            return {"event": "propose", "command": command}
        case Receive(message):
            return {"event": "receive", "message": _message(message)}
        case Restart():
            return {"event": "restart"}
        case _:
            assert_never(event)


def _state(before: Log, after: NodeState) -> Part:
    start = first_difference(before, after.log)
    new = after.log.between(start - 1, after.log.last_index)
    return {
        "current_term": after.current_term,
        "voted_for": after.voted_for,
        "role": _role(after),
        "commit_index": after.commit_index,
        "log": {"from": start, "entries": [_entry(each) for each in new]},
    }


def _role(state: NodeState) -> str:
    match state.role:
        case Follower():
            return "follower"
        case Candidate():
            return "candidate"
        case Leader():
            return "leader"


def _entry(entry: Entry) -> Part:
    return {"term": entry.term, "command": entry.command}


def _message(message: Message) -> Part:
    return {
        "from": message.source,
        "to": message.destination,
        "kind": type(message).__name__,
        "fields": _fields(message),
    }


def _fields(message: Message) -> Part:
    fields = encode(message)
    assert isinstance(fields, dict)
    return {name: value for name, value in fields.items() if name not in _ENVELOPE}


_ENVELOPE = ("type", "source", "destination")
