"""What goes over the pipe to an adapter and back, as types; see ``spec/adapter_protocol.md``.

The types are the schema: whatever is written or read is checked against them, and
``spec/schemas/adapter.schema.json`` is made of them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

PROTOCOL_VERSION: Literal[1] = 1

Natural = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A term, an index or the like: what every language's JSON can carry."""
NodeNumber = Annotated[int, Meta(ge=1, le=2**53 - 1)]
StateField: TypeAlias = Literal["current_term", "voted_for", "role", "log", "commit_index"]
Report: TypeAlias = Literal["applied", "redirect"]
"""What not every adapter can see of an event: see `InitOk.reports`."""
EventName: TypeAlias = Literal["election_timeout", "heartbeat_timeout", "propose", "restart"]
RoleName: TypeAlias = Literal["follower", "candidate", "leader"]


class ProtocolError(Exception):
    """An adapter does not keep to the protocol: what is wrong with a reply."""


# --- requests --------------------------------------------------------------------------------


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Something to do, answered in the order of asking."""

    msg_id: Natural


class Init(Request, frozen=True, kw_only=True, tag="init"):
    """Start the cluster."""

    protocol_version: Literal[1]
    nodes: list[NodeNumber]
    options: dict[str, str]


class NodeRequest(Request, frozen=True, kw_only=True):
    """Something to do to one server."""

    node: NodeNumber


class Reset(NodeRequest, frozen=True, kw_only=True, tag="reset"):
    """Put a server back to how it was after `Init`."""


class ElectionTimeoutRequest(NodeRequest, frozen=True, kw_only=True, tag="election_timeout"):
    """Let the election timer fire."""


class HeartbeatTimeoutRequest(NodeRequest, frozen=True, kw_only=True, tag="heartbeat_timeout"):
    """Let the heartbeat timer fire."""


class Propose(NodeRequest, frozen=True, kw_only=True, tag="propose"):
    """Hand over a client's command."""

    command: str


class DeliverRequest(
    NodeRequest, frozen=True, kw_only=True, tag="deliver", rename={"source": "from"}
):
    """Hand over a message."""

    source: NodeNumber
    payload: str


class Crash(NodeRequest, frozen=True, kw_only=True, tag="crash"):
    """Lose what is not durable."""


class RestartRequest(NodeRequest, frozen=True, kw_only=True, tag="restart"):
    """Come back with what is durable."""


AnyRequest: TypeAlias = (
    Init
    | Reset
    | ElectionTimeoutRequest
    | HeartbeatTimeoutRequest
    | Propose
    | DeliverRequest
    | Crash
    | RestartRequest
)

# --- parts of replies ------------------------------------------------------------------------


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a reply, or of a message."""


class EntryPart(Part, frozen=True, kw_only=True):
    """An entry of a log."""

    term: Natural
    command: str


class AppliedPart(Part, frozen=True, kw_only=True):
    """An entry that a server has handed to its state machine."""

    index: Natural
    term: Natural
    command: str


class StatePart(Part, frozen=True, kw_only=True):
    """What can be observed of a server."""

    current_term: Natural | UnsetType = UNSET
    voted_for: NodeNumber | UnsetType | None = UNSET
    role: RoleName | UnsetType = UNSET
    log: list[EntryPart] | UnsetType = UNSET
    commit_index: Natural | UnsetType = UNSET
    snapshot_index: Natural = 0
    snapshot_term: Natural = 0


class MessagePart(Part, frozen=True, kw_only=True, rename={"source": "from", "destination": "to"}):
    """A message that a server sent."""

    source: NodeNumber
    destination: NodeNumber
    kind: str
    fields: dict[str, msgspec.Raw]
    payload: str


class RequestVoteFields(Part, frozen=True, kw_only=True):
    """The fields of a ``RequestVote``."""

    term: Natural
    last_log_index: Natural
    last_log_term: Natural


class RequestVoteReplyFields(Part, frozen=True, kw_only=True):
    """The fields of a ``RequestVoteReply``."""

    term: Natural
    vote_granted: bool


class AppendEntriesFields(Part, frozen=True, kw_only=True):
    """The fields of an ``AppendEntries``."""

    term: Natural
    prev_log_index: Natural
    prev_log_term: Natural
    entries: list[EntryPart]
    leader_commit: Natural


class HintPart(Part, frozen=True, kw_only=True):
    """Where the log of a follower conflicts with the request that it rejects (end of §5.3)."""

    index: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """Index of its first entry of ``term``; without a term, one beyond its last entry."""
    term: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None
    """Term of its entry at ``prev_log_index``; null or missing where it has none."""


class AppendEntriesReplyFields(Part, frozen=True, kw_only=True):
    """The fields of an ``AppendEntriesReply``."""

    term: Natural
    success: bool
    match_index: Natural
    hint: HintPart | UnsetType = UNSET
    """Only in a rejection, and only if the implementation sends hints."""


# --- replies ---------------------------------------------------------------------------------


class Reply(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """An answer to the request with the ``msg_id`` of ``in_reply_to``."""

    in_reply_to: Natural


class InitialState(Part, frozen=True, kw_only=True):
    """How one server starts."""

    node: NodeNumber
    state: StatePart
    fingerprint: str


class InitOk(Reply, frozen=True, kw_only=True, tag="init_ok"):
    """The cluster has started."""

    name: str
    unobservable: list[StateField]
    unsupported: list[EventName]
    reports: list[Report] = []
    """What the replies to events tell besides: ``applied``, or in that to `Propose`, ``redirect``.
    None of it, where this is missing."""
    states: list[InitialState]


class EventReply(Reply, frozen=True, kw_only=True):
    """What a server did, and what it is like now."""

    messages: list[MessagePart]
    state: StatePart
    fingerprint: str
    applied: list[AppliedPart] | UnsetType = UNSET
    """The entries that it has handed to its state machine, in this order."""


class ResetOk(EventReply, frozen=True, kw_only=True, tag="reset_ok"):
    """It is as it was after `Init`."""


class ElectionTimeoutOk(EventReply, frozen=True, kw_only=True, tag="election_timeout_ok"):
    """The election timer has fired."""


class HeartbeatTimeoutOk(EventReply, frozen=True, kw_only=True, tag="heartbeat_timeout_ok"):
    """The heartbeat timer has fired."""


class ProposeOk(EventReply, frozen=True, kw_only=True, tag="propose_ok"):
    """The command was handed over."""

    redirect: NodeNumber | UnsetType | None = UNSET
    """The leader that the server named to the client; null if it named none."""


class DeliverOk(EventReply, frozen=True, kw_only=True, tag="deliver_ok"):
    """The message was handed over."""


class CrashOk(Reply, frozen=True, kw_only=True, tag="crash_ok"):
    """The server is down."""


class RestartOk(EventReply, frozen=True, kw_only=True, tag="restart_ok"):
    """The server is back."""


class ErrorReply(Reply, frozen=True, kw_only=True, tag="error"):
    """The request could not be done."""

    CRASH: ClassVar[int] = 13
    """The code that says: the implementation failed on this event."""

    code: Literal[10, 12, 13]
    text: str


AnyEventReply: TypeAlias = (
    ResetOk | ElectionTimeoutOk | HeartbeatTimeoutOk | ProposeOk | DeliverOk | RestartOk
)
AnyReply: TypeAlias = InitOk | AnyEventReply | CrashOk | ErrorReply

_T = TypeVar("_T")

_ENCODER = msgspec.json.Encoder()
_REPLIES: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)
_ANSWERS: dict[type[Request], type[Reply]] = {
    Init: InitOk,
    Reset: ResetOk,
    ElectionTimeoutRequest: ElectionTimeoutOk,
    HeartbeatTimeoutRequest: HeartbeatTimeoutOk,
    Propose: ProposeOk,
    DeliverRequest: DeliverOk,
    Crash: CrashOk,
    RestartRequest: RestartOk,
}


def encode_request(request: AnyRequest) -> bytes:
    """``request`` as a line."""
    return _ENCODER.encode(request) + b"\n"


def decode_reply(line: bytes, request: AnyRequest) -> AnyReply:
    """The reply to ``request`` in ``line``.

    Raises:
        ProtocolError: if it is none.
    """
    reply = decode_strictly(line, _REPLIES)
    if reply.in_reply_to != request.msg_id:
        raise ProtocolError(
            f"a reply to request {reply.in_reply_to}, where that to {request.msg_id} is due"
        )
    if type(reply) not in (_ANSWERS[type(request)], ErrorReply):
        raise ProtocolError(f"{type(reply).__name__} is no reply to {type(request).__name__}")
    return reply


def looks_like_reply(line: bytes) -> bool:
    """Whether ``line`` is meant as a reply, if not a good one: a JSON object of some type."""
    try:
        return "type" in msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def decode_strictly(text: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    """What ``text`` is as the type of ``decoder``.

    Raises:
        ProtocolError: if it is nothing of that type.
    """
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(str(error)) from None


def schema() -> dict[str, object]:
    """The JSON schema of a line, whichever way it goes."""
    (requests, replies, *_), definitions = msgspec.json.schema_components(
        (
            AnyRequest,
            AnyReply,
            RequestVoteFields,
            RequestVoteReplyFields,
            AppendEntriesFields,
            AppendEntriesReplyFields,
        ),
        ref_template="#/$defs/{name}",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of the adapter protocol, version 1",
        "description": "Explained in spec/adapter_protocol.md. The types ...Fields are those of "
        "the field `fields` of a message of that kind.",
        "anyOf": [{"title": "A request", **requests}, {"title": "A reply", **replies}],
        "$defs": dict(sorted(definitions.items())),
    }
