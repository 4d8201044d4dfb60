"""Frames as bytes: four for the length, then JSON; Raft's messages within them as `raft_ref.codec`.

What cannot be read, is too large, or makes no sense in this cluster is *malformed*; whoever sent it
does not keep to the protocol, and the connection is closed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from raft_ref import codec
from raft_ref.cluster.frames import Answer, Forward, Frame, RaftFrame, Tag
from raft_ref.cluster.replies import Reply
from raft_ref.messages import AppendEntries, AppendEntriesReply, Message, RequestVote
from raft_ref.types import Config, NodeId
from raft_ref.wellformed import MalformedEvent, check_message

MAX_FRAME = 32 * 2**20
"""In bytes. So many as the entries of one AppendEntries can be (see `settings`), and more."""

MAX_NUMBER = 2**53 - 1
"""The largest term or index; storage and traces hold no larger ones."""

LENGTH_SIZE = 4

_TLS_HANDSHAKE = b"\x16\x03"
"""How every TLS connection begins; as a length it would be too large."""


class Malformed(Exception):
    """What has arrived is no frame, or not from who sent it."""


class Hello(Struct, frozen=True, tag="hello", forbid_unknown_fields=True):
    """The first frame of a connection: who has opened it, and to whom they want to talk."""

    version: Literal[1]
    cluster: str
    source: NodeId
    destination: NodeId


class _Raft(Struct, frozen=True, tag="raft", forbid_unknown_fields=True):
    message: Raw


class _Forward(Struct, frozen=True, tag="forward", forbid_unknown_fields=True):
    life: int
    number: int
    term: int
    command: str


class _Answer(Struct, frozen=True, tag="answer", forbid_unknown_fields=True):
    life: int
    number: int
    reply: Reply | None


_Wire: TypeAlias = Hello | _Raft | _Forward | _Answer

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[_Wire] = msgspec.json.Decoder(_Wire)


def encode_frame(frame: Frame | Hello) -> bytes:
    """A frame with its length before it."""
    content = _encoder.encode(_on_the_wire(frame))
    return len(content).to_bytes(LENGTH_SIZE, "big") + content


def _on_the_wire(frame: Frame | Hello) -> _Wire:
    match frame:
        case RaftFrame(message):
            return _Raft(Raw(codec.dumps(message).encode()))
        case Forward(tag, term, command):
            return _Forward(tag.life, tag.number, term, command)
        case Answer(tag, reply):
            return _Answer(tag.life, tag.number, reply)
        case Hello():
            return frame


def decode_length(prefix: bytes) -> int:
    """How long a frame is. Raises `Malformed` if it is too long."""
    if prefix.startswith(_TLS_HANDSHAKE):
        raise Malformed("it speaks TLS, and this server has no certificates")
    length = int.from_bytes(prefix, "big")
    if length > MAX_FRAME:
        raise Malformed(f"a frame of {length:,} bytes; {MAX_FRAME:,} are the most")
    return length


def decode_hello(content: bytes) -> Hello:
    """The first frame of a connection. Raises `Malformed` if it is another."""
    match _decode(content):
        case Hello() as hello:
            return hello
        case _:
            raise Malformed("the first frame must be a hello")


def decode_frame(content: bytes, config: Config, source: NodeId) -> Frame:
    """A frame that this server was sent by that one. Raises `Malformed` if it is none."""
    match _decode(content):
        case Hello():
            raise Malformed("a second hello")
        case _Raft(message):
            return RaftFrame(_message(bytes(message), config, source))
        case _Forward(life, number, term, command):
            return Forward(Tag(life, number), term, command)
        case _Answer(life, number, reply):
            return Answer(Tag(life, number), reply)


def _decode(content: bytes) -> _Wire:
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def _message(content: bytes, config: Config, source: NodeId) -> Message:
    try:
        message = codec.decode_message(codec.parse(content.decode()))
        check_message(message, receiver=config.id, known=config.servers)
    except (codec.CodecError, MalformedEvent) as error:
        raise Malformed(str(error)) from None
    if message.source != source:
        raise Malformed(f"server {source} speaks in the name of server {message.source}")
    if max(_numbers(message)) > MAX_NUMBER:
        raise Malformed(f"a number above {MAX_NUMBER}")
    return message


def _numbers(message: Message) -> tuple[int, ...]:
    match message:
        case RequestVote():
            return message.term, message.last_log_index
        case AppendEntries():
            return message.term, message.prev_log_index, message.leader_commit
        case AppendEntriesReply():
            return message.term, message.match_index
        case _:
            return (message.term,)
