"""What an adapter shows, in the terms of the reference core.

So the properties and milestones of `spec` judge a foreign server just as they judge our own, and a
run of it is shown just as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from model_check.conformance.protocol import (
    AppendEntriesFields,
    AppendEntriesReplyFields,
    EntryPart,
    EventReply,
    HintPart,
    MessagePart,
    ProposeOk,
    ProtocolError,
    Report,
    RequestVoteFields,
    RequestVoteReplyFields,
    ResetOk,
    RoleName,
    StateField,
    StatePart,
    decode_strictly,
)
from model_check.system import T
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    ConflictHint,
    ElectionTimeout,
    Entry,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Log,
    Message,
    NodeId,
    NodeState,
    NotLeader,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Role,
    Send,
)
from spec.shadow import Unread, Witnessed
from spec.words import servers_text


@dataclass(frozen=True, slots=True)
class ObservedState(NodeState):
    """The state of a foreign server, as far as it can be observed.

    What cannot is as in a server that has just started; `fingerprint` tells apart what looks the
    same.
    """

    fingerprint: str = ""

    def __hash__(self) -> int:
        return hash(self.fingerprint)


@dataclass(frozen=True, slots=True)
class ForeignMessage:
    """A message between foreign servers."""

    source: NodeId
    destination: NodeId
    kind: str
    fields: str
    """Its fields as a JSON object, for readers and for rules that look into messages."""
    payload: str
    """What the adapter understands."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A foreign message has arrived."""

    message: ForeignMessage


@dataclass(frozen=True, slots=True)
class Sent:
    """A foreign server sent a message."""

    message: ForeignMessage


EnvironmentEvent: TypeAlias = ElectionTimeout | HeartbeatTimeout | ClientRequest | Restart
ForeignEvent: TypeAlias = EnvironmentEvent | Arrival
ForeignOutput: TypeAlias = Sent | Apply | NotLeader


def observe(
    part: StatePart, fingerprint: str, unobservable: frozenset[StateField]
) -> ObservedState:
    """The state that ``part`` describes.

    Raises:
        ProtocolError: if a field is missing that is not unobservable, or there all the same.
    """
    for field in sorted(_FIELDS):
        given = getattr(part, field) is not UNSET
        if given == (field in unobservable):
            raise ProtocolError(
                f"state has the field {field!r}, which was said to be unobservable"
                if given
                else f"state lacks the field {field!r}, which was not said to be unobservable"
            )
    return ObservedState(
        persistent=PersistentState(
            current_term=_given(part.current_term, 0),
            voted_for=_given(part.voted_for, None),
            log=Log(_entries(_given(part.log, [])), part.snapshot_index, part.snapshot_term),
        ),
        role=_ROLES[_given(part.role, "follower")],
        commit_index=_given(part.commit_index, 0),
        fingerprint=fingerprint,
    )


_FIELDS: frozenset[StateField] = frozenset(
    {"current_term", "voted_for", "role", "log", "commit_index"}
)

_ROLES: dict[RoleName, Role] = {
    "follower": Follower(),
    "candidate": Candidate(frozenset()),
    "leader": Leader(IndexMap(), IndexMap()),
}


def foreign_message(part: MessagePart, sender: NodeId) -> ForeignMessage:
    """The message that ``part`` describes, sent by ``sender``, to whatever address.

    Raises:
        ProtocolError: if it is not from ``sender``, or to itself, or of a kind of Figure 2 whose
            fields it does not have.
    """
    if part.source != sender:
        raise ProtocolError(f"server {sender} sent a message from server {part.source}")
    if part.destination == sender:
        raise ProtocolError(f"server {sender} sent a message to itself")
    # The same fields are the same text, however they were spaced.
    text = msgspec.json.format(msgspec.json.encode(part.fields), indent=-1).decode()
    message = ForeignMessage(sender, part.destination, part.kind, text, part.payload)
    understood(message)
    return message


def describe_undelivered(addresses: Iterable[NodeId]) -> str:
    """What became of messages to ``addresses`` that are none of the cluster's."""
    return (
        f"messages to {servers_text(addresses)}, not among the nodes of init, were judged and not "
        "delivered"
    )


@lru_cache(maxsize=1 << 16)
def understood(message: ForeignMessage) -> Message | None:
    """The message of Figure 2 that ``message`` is, or None if it is none.

    Raises:
        ProtocolError: if it says that it is one, but has not its fields.
    """
    source, destination, text = message.source, message.destination, message.fields.encode()
    match message.kind:
        case "RequestVote":
            vote = decode_strictly(text, _REQUEST_VOTE)
            return RequestVote(
                source=source,
                destination=destination,
                term=vote.term,
                last_log_index=vote.last_log_index,
                last_log_term=vote.last_log_term,
            )
        case "RequestVoteReply":
            granted = decode_strictly(text, _REQUEST_VOTE_REPLY)
            return RequestVoteReply(
                source=source,
                destination=destination,
                term=granted.term,
                vote_granted=granted.vote_granted,
            )
        case "AppendEntries":
            append = decode_strictly(text, _APPEND_ENTRIES)
            return AppendEntries(
                source=source,
                destination=destination,
                term=append.term,
                prev_log_index=append.prev_log_index,
                prev_log_term=append.prev_log_term,
                entries=_entries(append.entries),
                leader_commit=append.leader_commit,
            )
        case "AppendEntriesReply":
            reply = decode_strictly(text, _APPEND_ENTRIES_REPLY)
            return AppendEntriesReply(
                source=source,
                destination=destination,
                term=reply.term,
                success=reply.success,
                match_index=reply.match_index,
                hint=_hint(reply.hint),
            )
        case _:
            return None


def _hint(part: HintPart | UnsetType) -> ConflictHint | None:
    return None if isinstance(part, UnsetType) else ConflictHint(part.index, part.term)


_REQUEST_VOTE = msgspec.json.Decoder(RequestVoteFields)
_REQUEST_VOTE_REPLY = msgspec.json.Decoder(RequestVoteReplyFields)
_APPEND_ENTRIES = msgspec.json.Decoder(AppendEntriesFields)
_APPEND_ENTRIES_REPLY = msgspec.json.Decoder(AppendEntriesReplyFields)


def witnessed(event: ForeignEvent) -> Witnessed:
    """``event`` as a judge sees it."""
    if not isinstance(event, Arrival):
        return event
    message = understood(event.message)
    if message is None:
        return Unread(event.message.source, event.message.kind)
    return Receive(message)


def as_core_output(output: ForeignOutput) -> Output | None:
    """``output`` as the core's; None for a message that is not understood."""
    if isinstance(output, Apply | NotLeader):
        return output
    message = understood(output.message)
    return None if message is None else Send(message)


def applied_entries(reply: EventReply, reports: frozenset[Report]) -> tuple[Apply, ...]:
    """The entries that ``reply`` says were handed to the state machine.

    Raises:
        ProtocolError: if the field is missing though it is reported, or there all the same.
    """
    parts = reply.applied
    if isinstance(reply, ResetOk):
        return ()
    _require_as_reported("applied", not isinstance(parts, UnsetType), reports)
    return tuple(
        Apply(part.index, Entry(part.term, part.command))
        for part in (() if isinstance(parts, UnsetType) else parts)
    )


def redirection(reply: EventReply, reports: frozenset[Report]) -> NodeId | None:
    """The leader that ``reply`` says was named to a client, if any was.

    Raises:
        ProtocolError: if the field is missing though it is reported, or there all the same.
    """
    if not isinstance(reply, ProposeOk):
        return None
    _require_as_reported("redirect", not isinstance(reply.redirect, UnsetType), reports)
    return _given(reply.redirect, None)


def _require_as_reported(field: Report, is_given: bool, reports: frozenset[Report]) -> None:
    if is_given != (field in reports):
        raise ProtocolError(
            f"the reply has the field {field!r}, which init_ok did not name in reports"
            if is_given
            else f"the reply lacks the field {field!r}, which init_ok named in reports"
        )


def _entries(parts: list[EntryPart]) -> tuple[Entry, ...]:
    return tuple(Entry(part.term, part.command) for part in parts)


def _given(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if isinstance(value, UnsetType) else value
