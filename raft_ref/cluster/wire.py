"""Frames as bytes: four for the length, then JSON; Raft's messages within them as `raft_ref.codec`.

What cannot be read, is too large, or makes no sense in this cluster is *malformed*; whoever sent it
does not keep to the protocol, and the connection is closed.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from raft_ref import codec
from raft_ref.cluster.commands import MAX_TEXT, NoCommand, as_words
from raft_ref.cluster.frames import Answer, Forward, Frame, Malformed, RaftFrame, Tag
from raft_ref.cluster.machine import refusal
from raft_ref.cluster.replies import Reply
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Config, NodeId, Term
from raft_ref.wellformed import MalformedEvent, check_message

MAX_FRAME = 32 * 2**20
"""In bytes. So many as the entries of one AppendEntries can be (see `settings`), and more."""

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

_Number = Annotated[int, Meta(ge=0, lt=2**53)]


class _Raft(Struct, frozen=True, tag="raft", forbid_unknown_fields=True):
    message: Raw


class _Forward(Struct, frozen=True, tag="forward", forbid_unknown_fields=True):
    life: _Number
    number: _Number
    term: _Number
    command: str


class _Answer(Struct, frozen=True, tag="answer", forbid_unknown_fields=True):
    life: _Number
    number: _Number
    reply: Reply | None


_Wire: TypeAlias = _Raft | _Forward | _Answer

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[_Wire] = msgspec.json.Decoder(_Wire)


def with_length(content: bytes) -> bytes:
    """The content of a frame with its length before it."""
    return len(content).to_bytes(LENGTH_SIZE, "big") + content


def encode_frame(frame: Frame) -> bytes:
    """A frame with its length before it."""
    return with_length(_encoder.encode(_on_the_wire(frame)))


def _on_the_wire(frame: Frame) -> _Wire:
    match frame:
        case RaftFrame(message):
            return _Raft(Raw(codec.dumps(message).encode()))
        case Forward(tag, term, command):
            return _Forward(tag.life, tag.number, term, command)
        case Answer(tag, reply):
            return _Answer(tag.life, tag.number, reply)


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
        case _Raft(message):
            return RaftFrame(_message(bytes(message), config, source))
        case _Forward(life, number, term, command):
            _require_one_command(command)
            return Forward(Tag(life, number), term, command)
        case _Answer(life, number, reply):
            return Answer(Tag(life, number), reply)


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


def _message(content: bytes, config: Config, source: NodeId) -> Message:
    try:
        message = codec.decode_message(codec.parse(content.decode()))
        check_message(message, receiver=config.id, known=config.servers)
    except (codec.CodecError, MalformedEvent, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from None
    if message.source != source:
        raise Malformed(f"server {source} speaks in the name of server {message.source}")
    if max(_numbers(message)) > MAX_NUMBER:
        raise Malformed(f"a number above {MAX_NUMBER}")
    if isinstance(message, AppendEntries):
        longest = max((len(entry.command.encode()) for entry in message.entries), default=0)
        if longest > MAX_ENTRY:
            raise Malformed(f"an entry of {longest:,} bytes; {MAX_ENTRY:,} are the most")
    return message


def _numbers(message: Message) -> tuple[int, ...]:
    match message:
        case RequestVote():
            return message.term, message.last_log_index
        case RequestVoteReply():
            return (message.term,)
        case AppendEntries():
            return message.term, message.prev_log_index, message.leader_commit
        case AppendEntriesReply():
            return message.term, message.match_index


def _term(frame: Frame) -> Term:
    match frame:
        case RaftFrame(message):
            return message.term
        case Forward(_, term):
            return term
        case Answer():
            return 0
