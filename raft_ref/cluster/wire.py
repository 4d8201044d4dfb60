"""Frames as bytes: four for the length, then MessagePack.

Every kind of frame is a `Struct` with limits on each field: an array that begins with the number of
its kind. Lengths and numbers are checked while a frame is decoded, before anything is built from
it; then a Raft message is checked as a whole, as the core checks it.

A frame with the most entries that servers send (see `replication`) is encoded in about 0.5 ms and
decoded in 5 ms, far less than an election timeout, so both are done in the event loop.

What cannot be read, is too large, or makes no sense in this cluster is *malformed*; whoever sent it
does not keep to the protocol, and the connection is closed. Another version of the format is
refused by the `handshake`; see `frames.VERSION`.
"""

from __future__ import annotations

from itertools import starmap
from typing import Annotated, TypeAlias, assert_never

import msgspec
from msgspec import Meta, Struct

from raft_ref.cluster.commands import MAX_TEXT, NoCommand, as_words
from raft_ref.cluster.frames import Answer, Forward, Frame, Malformed, RaftFrame, Tag
from raft_ref.cluster.machine import refusal
from raft_ref.cluster.replies import Reply
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    ConflictHint,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Config, Entry, NodeId, Term
from raft_ref.wellformed import MalformedEvent, check_message

MAX_FRAME = 8 * 2**20
"""In bytes: twice as many as the longest AppendEntries takes (see `replication`)."""

MAX_FRAME_ENTRIES = 2**14
"""In one AppendEntries. An entry takes at least 3 bytes, but 100 in memory."""

MAX_ENTRY = 2 * MAX_TEXT
"""The longest command of an entry, in bytes: several joined commands of clients."""

MAX_NUMBER = 2**52
"""The highest term or index accepted from another server, far beyond what a cluster reaches.
Storage and traces can hold twice as much."""

MAX_RISE = 2**32
"""How far the term of a frame may be above this server's own. Elections every half second take 68
years to raise a term by as much. A forged higher term would be persisted by all servers, and one
forged message could use up all terms, so that no election could ever follow."""

LENGTH_SIZE = 4

_TLS_HANDSHAKE = b"\x16\x03"
"""How every TLS connection begins; as a length it would be too large."""

_Node = Annotated[int, Meta(ge=0, lt=2**53)]
_Limited = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
"""A term or an index."""
_Number = Annotated[int, Meta(ge=0, lt=2**53)]
_Entries = Annotated[
    tuple[tuple[_Limited, Annotated[str, Meta(max_length=MAX_ENTRY)]], ...],
    Meta(max_length=MAX_FRAME_ENTRIES),
]
"""Each with its term."""


class _RequestVote(Struct, frozen=True, tag=1, array_like=True, forbid_unknown_fields=True):
    source: _Node
    destination: _Node
    term: _Limited
    last_log_index: _Limited
    last_log_term: _Limited


class _RequestVoteReply(Struct, frozen=True, tag=2, array_like=True, forbid_unknown_fields=True):
    source: _Node
    destination: _Node
    term: _Limited
    vote_granted: bool


class _AppendEntries(Struct, frozen=True, tag=3, array_like=True, forbid_unknown_fields=True):
    source: _Node
    destination: _Node
    term: _Limited
    prev_log_index: _Limited
    prev_log_term: _Limited
    entries: _Entries
    leader_commit: _Limited


class _AppendEntriesReply(Struct, frozen=True, tag=4, array_like=True, forbid_unknown_fields=True):
    source: _Node
    destination: _Node
    term: _Limited
    success: bool
    match_index: _Limited
    hint: tuple[_Limited, _Limited | None] | None
    """Index and term."""


class _Forward(Struct, frozen=True, tag=5, array_like=True, forbid_unknown_fields=True):
    life: _Number
    number: _Number
    term: _Number
    command: str


class _Answer(Struct, frozen=True, tag=6, array_like=True, forbid_unknown_fields=True):
    life: _Number
    number: _Number
    reply: Reply | None


_WireMessage: TypeAlias = _RequestVote | _RequestVoteReply | _AppendEntries | _AppendEntriesReply
_Wire: TypeAlias = _WireMessage | _Forward | _Answer

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Wire] = msgspec.msgpack.Decoder(_Wire)


def with_length(content: bytes) -> bytes:
    """The content of a frame with its length before it."""
    return len(content).to_bytes(LENGTH_SIZE, "big") + content


def encode_frame(frame: Frame) -> bytes:
    """A frame with its length before it."""
    return with_length(_encoder.encode(_on_the_wire(frame)))


def _on_the_wire(frame: Frame) -> _Wire:
    match frame:
        case RaftFrame(message):
            return _message_on_the_wire(message)
        case Forward(tag, term, command):
            return _Forward(tag.life, tag.number, term, command)
        case Answer(tag, reply):
            return _Answer(tag.life, tag.number, reply)
        case _:
            assert_never(frame)


def _message_on_the_wire(message: Message) -> _WireMessage:
    ends = message.source, message.destination
    match message:
        case RequestVote():
            return _RequestVote(*ends, message.term, message.last_log_index, message.last_log_term)
        case RequestVoteReply():
            return _RequestVoteReply(*ends, message.term, message.vote_granted)
        case AppendEntries():
            return _AppendEntries(
                *ends,
                message.term,
                message.prev_log_index,
                message.prev_log_term,
                tuple((entry.term, entry.command) for entry in message.entries),
                message.leader_commit,
            )
        case AppendEntriesReply():
            hint = None if (h := message.hint) is None else (h.index, h.term)
            return _AppendEntriesReply(
                *ends, message.term, message.success, message.match_index, hint
            )
        case _:
            assert_never(message)


def decode_length(prefix: bytes, most: int = MAX_FRAME) -> int:
    """How long a frame is. Raises `Malformed` if it is longer than ``most``."""
    if prefix.startswith(_TLS_HANDSHAKE):
        raise Malformed("it speaks TLS, and this server has no certificates")
    length = int.from_bytes(prefix, "big")
    if length > most:
        raise Malformed(f"a frame of {length:,} bytes; {most:,} are the most")
    return length


def decode_frame(content: bytes, config: Config, source: NodeId, current_term: Term) -> Frame:
    """Decode and validate a frame from ``source``, received in ``current_term``.

    Raises:
        Malformed: if it is invalid, or no server of the cluster can have sent it.
    """
    frame = _decode(content, config, source)
    highest = min(MAX_NUMBER, current_term + MAX_RISE)
    term = _term(frame)
    if term > highest:
        raise Malformed(f"term {term} cannot be: {highest} is the highest that this server takes")
    return frame


def _decode(content: bytes, config: Config, source: NodeId) -> Frame:
    try:
        decoded = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
    match decoded:
        case _Forward(life, number, term, command):
            _require_one_command(command)
            return Forward(Tag(life, number), term, command)
        case _Answer(life, number, reply):
            return Answer(Tag(life, number), reply)
        case _:
            message = _message(decoded)
            _check(message, config, source)
            return RaftFrame(message)


def _require_one_command(text: str) -> None:
    """Refuse a command that the forwarding server should have refused itself."""
    if len(text.encode()) > MAX_TEXT:
        raise Malformed(f"a command of more than {MAX_TEXT} bytes is forwarded")
    try:
        refused = refusal(as_words(text))
    except NoCommand as error:
        raise Malformed(f"what is forwarded is {error}") from None
    if refused is not None:
        raise Malformed(f"what is forwarded is refused: {refused.reason}")


def _message(found: _WireMessage) -> Message:
    match found:
        case _RequestVote():
            return RequestVote(
                source=found.source,
                destination=found.destination,
                term=found.term,
                last_log_index=found.last_log_index,
                last_log_term=found.last_log_term,
            )
        case _RequestVoteReply():
            return RequestVoteReply(
                source=found.source,
                destination=found.destination,
                term=found.term,
                vote_granted=found.vote_granted,
            )
        case _AppendEntries():
            return AppendEntries(
                source=found.source,
                destination=found.destination,
                term=found.term,
                prev_log_index=found.prev_log_index,
                prev_log_term=found.prev_log_term,
                entries=tuple(starmap(Entry, found.entries)),
                leader_commit=found.leader_commit,
            )
        case _AppendEntriesReply():
            return AppendEntriesReply(
                source=found.source,
                destination=found.destination,
                term=found.term,
                success=found.success,
                match_index=found.match_index,
                hint=None if found.hint is None else ConflictHint(*found.hint),
            )


def _check(message: Message, config: Config, source: NodeId) -> None:
    """Refuse a Raft message that ``source`` cannot have sent to this server."""
    try:
        check_message(message, receiver=config.id, known=config.servers)
    except MalformedEvent as error:
        raise Malformed(str(error)) from None
    if message.source != source:
        raise Malformed(f"server {source} speaks in the name of server {message.source}")
    if isinstance(message, AppendEntries):
        longest = max((len(entry.command.encode()) for entry in message.entries), default=0)
        if longest > MAX_ENTRY:
            raise Malformed(f"an entry of {longest:,} bytes; {MAX_ENTRY:,} are the most")


def _term(frame: Frame) -> Term:
    match frame:
        case RaftFrame(message):
            return message.term
        case Forward(_, term):
            return term
        case Answer():
            return 0
        case _:
            assert_never(frame)
