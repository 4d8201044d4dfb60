"""Traces of runs, in the format of raft-ref."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias, assert_never

import msgspec
from msgspec import UNSET, structs

from model_check.conformance.observed import (
    Arrival,
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
)
from model_check.conformance.observed import Sent as ForeignSent
from model_check.conformance.protocol import EntryPart
from model_check.traces.happening import RoleName
from model_check.traces.lines import (
    AnyLine,
    ApplyLine,
    ElectionTimeoutLine,
    Header,
    HeartbeatTimeoutLine,
    LogPart,
    ProposeLine,
    ReceiveLine,
    RedirectLine,
    RestartLine,
    SeenPart,
    SendLine,
    StartLine,
    ToldPart,
)
from raft_ref import (
    Appended,
    Apply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    Index,
    Leader,
    Log,
    Message,
    NodeId,
    NodeState,
    NotLeader,
    Output,
    Receive,
    ResetElectionTimer,
    Restart,
    Send,
)
from raft_ref.codec import encode
from spec.conduct import differences
from spec.forms import Step

AnyStep: TypeAlias = (
    Step[NodeState, Event, Output] | Step[ObservedState, ForeignEvent, ForeignOutput]
)


def recorded(
    initial: Sequence[NodeState],
    steps: Iterable[AnyStep],
    unobservable: frozenset[str] = frozenset(),
) -> Iterator[bytes]:
    """The lines of a trace of a run that began with these states, but for some of their fields;
    and complete, as to what was applied, unless ``applied`` is among these."""
    encoder = msgspec.json.Encoder()
    servers = list(range(1, len(initial) + 1))
    header = Header(
        format="raft-ref",
        version=1,
        servers=list(servers),
        complete=() if "applied" in unobservable else ("apply", "start"),
    )
    yield encoder.encode(header) + b"\n"
    for line in _lines(initial, steps, unobservable):
        yield encoder.encode(line) + b"\n"


def _lines(
    initial: Sequence[NodeState], steps: Iterable[AnyStep], unobservable: frozenset[str]
) -> Iterator[AnyLine]:
    hidden = dict.fromkeys(unobservable - {"applied", "redirect"}, UNSET)
    for server, state in enumerate(initial, start=1):
        seen = _state(Log(), state, is_start=True)
        yield StartLine(server=server, state=structs.replace(seen, **hidden))
    for step in steps:
        seen = _state(step.before.log, step.after)
        yield _step_line(step.node, step.event, structs.replace(seen, **hidden))
        for output in step.outputs:
            match output:
                case Send(message) | ForeignSent(message):
                    yield SendLine(server=step.node, message=_message(message))
                case Apply(index, entry):
                    yield ApplyLine(server=step.node, index=index, entry=_entry(entry))
                case NotLeader(leader):
                    if leader is not None:
                        yield RedirectLine(server=step.node, leader=leader)
                case Appended() | ResetElectionTimer():
                    pass  # a trace tells neither: no rule asks for them
                case _:
                    assert_never(output)


def _step_line(server: NodeId, event: Event | ForeignEvent, state: SeenPart) -> AnyLine:
    match event:
        case ElectionTimeout():
            return ElectionTimeoutLine(server=server, state=state)
        case HeartbeatTimeout():
            return HeartbeatTimeoutLine(server=server, state=state)
        case ClientRequest(command):
            return ProposeLine(server=server, state=state, command=command)
        case Restart():
            return RestartLine(server=server, state=state)
        case Receive(message) | Arrival(message):
            return ReceiveLine(server=server, state=state, message=_message(message))
        case _:
            assert_never(event)


def _state(before: Log, after: NodeState, *, is_start: bool = False) -> SeenPart:
    start = _first_change(before, after.log)
    hides = is_start and after.log.snapshot_index > 0
    return SeenPart(
        current_term=after.current_term,
        voted_for=after.voted_for,
        role=_role(after),
        commit_index=after.commit_index,
        log=LogPart(
            start=start,
            entries=[_entry(each) for each in after.log.between(start - 1, after.log.last_index)],
        ),
        snapshot_index=after.log.snapshot_index if hides else UNSET,
        snapshot_term=after.log.snapshot_term if hides else UNSET,
    )


def _first_change(before: Log, after: Log) -> Index:
    """From where on a log is other than it was; just beyond its end, if nothing is."""
    if after.entries[: len(before.entries)] == before.entries:  # mostly, and quicker
        return max(before.last_index, after.snapshot_index) + 1
    changed = next(differences(before, after))
    return max(min(changed, after.last_index + 1), after.snapshot_index + 1)


def _role(state: NodeState) -> RoleName:
    match state.role:
        case Follower():
            return "follower"
        case Candidate():
            return "candidate"
        case Leader():
            return "leader"


def _entry(entry: Entry) -> EntryPart:
    return EntryPart(term=entry.term, command=entry.command)


def _message(message: Message | ForeignMessage) -> ToldPart:
    if isinstance(message, ForeignMessage):
        kind, fields = message.kind, message.fields.encode()
    else:
        kind, fields = type(message).__name__, _fields(message)
    return ToldPart(
        source=message.source,
        destination=message.destination,
        kind=kind,
        fields=msgspec.Raw(fields),
    )


def _fields(message: Message) -> bytes:
    fields = encode(message)
    assert isinstance(fields, dict)
    own = {name: value for name, value in fields.items() if name not in _ENVELOPE}
    return msgspec.json.encode(own)


_ENVELOPE = ("type", "source", "destination")
