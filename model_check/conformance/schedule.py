"""Foreign events and actions as JSON: what a table keeps, and a schedule to do again.

A schedule is a run as a list of actions, for the cluster of one adapter; see
``spec/schemas/schedule.schema.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, assert_never

import msgspec
from msgspec import Meta, Struct

from model_check.conformance.observed import Arrival, ForeignEvent, ForeignMessage, foreign_message
from model_check.conformance.protocol import MessagePart, NodeNumber, ProtocolError, decode_strictly
from model_check.system import Action, Deliver, Lose, Occur
from raft_ref import ClientRequest, ElectionTimeout, HeartbeatTimeout, Restart

ForeignAction: TypeAlias = Action[ForeignEvent, ForeignMessage]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a schedule."""


class EventPart(Part, frozen=True, kw_only=True, tag_field="action"):
    """Something that the environment does to a server."""

    node: NodeNumber


class ElectionTimeoutPart(EventPart, frozen=True, kw_only=True, tag="election_timeout"):
    """The election timer fires."""


class HeartbeatTimeoutPart(EventPart, frozen=True, kw_only=True, tag="heartbeat_timeout"):
    """The heartbeat timer fires."""


class ProposePart(EventPart, frozen=True, kw_only=True, tag="propose"):
    """A client asks for a command."""

    command: str


class RestartPart(EventPart, frozen=True, kw_only=True, tag="restart"):
    """The server crashes and restarts."""


class DeliverPart(Part, frozen=True, kw_only=True, tag_field="action", tag="deliver"):
    """A message arrives."""

    message: MessagePart


class LosePart(Part, frozen=True, kw_only=True, tag_field="action", tag="lose"):
    """A message is lost."""

    message: MessagePart


ActionPart: TypeAlias = (
    ElectionTimeoutPart | HeartbeatTimeoutPart | ProposePart | RestartPart | DeliverPart | LosePart
)


class NetworkPart(Part, frozen=True, kw_only=True):
    """The network of a schedule; see `model_check.check.Setup`."""

    name: Literal["replayable", "once", "fifo"]
    max_in_flight: Annotated[int, Meta(ge=1)] = 2
    loss: bool = True


class SchedulePart(Part, frozen=True, kw_only=True):
    """A run, and what it needs."""

    schema_version: Literal[1] = 1
    servers: Annotated[int, Meta(ge=1, le=1000)]
    options: dict[str, str]
    network: NetworkPart
    finding: str = ""
    """What the run leads to, for readers."""
    actions: list[ActionPart]


_ACTIONS = msgspec.json.Decoder(ActionPart)
_SCHEDULES = msgspec.json.Decoder(SchedulePart)


def encode_action(action: ForeignAction) -> ActionPart:
    """``action`` as it is written."""
    match action:
        case Deliver(message):
            return DeliverPart(message=_message_part(message))
        case Lose(message):
            return LosePart(message=_message_part(message))
        case Occur(node, event):
            return _event_part(node, event)


def _event_part(node: int, event: ForeignEvent) -> ActionPart:
    match event:
        case ElectionTimeout():
            return ElectionTimeoutPart(node=node)
        case HeartbeatTimeout():
            return HeartbeatTimeoutPart(node=node)
        case ClientRequest(command):
            return ProposePart(node=node, command=command)
        case Restart():
            return RestartPart(node=node)
        case Arrival(message):
            return DeliverPart(message=_message_part(message))
        case _:
            assert_never(event)


def _message_part(message: ForeignMessage) -> MessagePart:
    return MessagePart(
        source=message.source,
        destination=message.destination,
        kind=message.kind,
        fields=msgspec.json.decode(message.fields, type=dict[str, msgspec.Raw]),
        payload=message.payload,
    )


def decode_action(part: ActionPart, servers: int) -> ForeignAction:
    """The action that ``part`` describes, in a cluster of so many ``servers``.

    Raises:
        ProtocolError: if it happens to, or between, servers that there are not.
    """
    if isinstance(part, EventPart) and part.node > servers:
        raise ProtocolError(f"there is no server {part.node}")
    match part:
        case ElectionTimeoutPart(node=node):
            return Occur(node, ElectionTimeout())
        case HeartbeatTimeoutPart(node=node):
            return Occur(node, HeartbeatTimeout())
        case ProposePart(node=node, command=command):
            return Occur(node, ClientRequest(command))
        case RestartPart(node=node):
            return Occur(node, Restart())
        case DeliverPart(message=message):
            return Deliver(_decode_message(message, servers))
        case LosePart(message=message):
            return Lose(_decode_message(message, servers))


def _decode_message(part: MessagePart, servers: int) -> ForeignMessage:
    if part.source > servers:
        raise ProtocolError(f"there is no server {part.source}")
    if part.destination > servers:
        raise ProtocolError(f"a message to server {part.destination}, of {servers}")
    return foreign_message(part, part.source)


def encode_local_event(node: int, event: ForeignEvent) -> str:
    """What happens to ``node``, as one line of JSON."""
    return msgspec.json.encode(_event_part(node, event)).decode()


def decode_local_event(text: str, servers: int) -> ForeignEvent:
    """What `encode_local_event` wrote.

    Raises:
        ProtocolError: if ``text`` is no such thing.
    """
    match decode_action(decode_strictly(text.encode(), _ACTIONS), servers):
        case Occur(_, event):
            return event
        case Deliver(message):
            return Arrival(message)
        case Lose():
            raise ProtocolError("a lost message happens to no server")


def schema() -> dict[str, object]:
    """The JSON schema of a schedule."""
    (schedule,), definitions = msgspec.json.schema_components(
        (SchedulePart,), ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A schedule: a run to do again with raft-ref conform --replay",
        **schedule,
        "$defs": dict(sorted(definitions.items())),
    }


@dataclass(frozen=True)
class Schedule:
    """A run to do again on an adapter."""

    servers: int
    options: dict[str, str]
    network: NetworkPart
    finding: str
    actions: tuple[ForeignAction, ...]


def write_schedule(schedule: Schedule) -> str:
    """``schedule`` as JSON text."""
    part = SchedulePart(
        servers=schedule.servers,
        options=schedule.options,
        network=schedule.network,
        finding=schedule.finding,
        actions=[encode_action(action) for action in schedule.actions],
    )
    return msgspec.json.format(msgspec.json.encode(part), indent=2).decode() + "\n"


def parse_schedule(text: bytes) -> Schedule:
    """The schedule in ``text``.

    Raises:
        ProtocolError: if it is none: where, and what is wrong with it.
    """
    part = decode_strictly(text, _SCHEDULES)
    actions = tuple(decode_action(action, part.servers) for action in part.actions)
    return Schedule(part.servers, part.options, part.network, part.finding, actions)
