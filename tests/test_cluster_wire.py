"""Frames on the wire: what is well-formed comes through, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref import AppendEntries, AppendEntriesReply, Config, Entry, RequestVote, RequestVoteReply
from raft_ref.cluster.frames import Answer, Forward, Frame, RaftFrame, Tag
from raft_ref.cluster.replies import Count, Done, Failed, Value
from raft_ref.cluster.wire import (
    LENGTH_SIZE,
    MAX_FRAME,
    Hello,
    Malformed,
    decode_frame,
    decode_hello,
    decode_length,
    encode_frame,
)

CONFIG = Config(id=1, servers=frozenset({1, 2, 3}))
FRAMES: list[Frame] = [
    RaftFrame(RequestVote(source=2, destination=1, term=1, last_log_index=0, last_log_term=0)),
    RaftFrame(RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)),
    RaftFrame(AppendEntriesReply(source=2, destination=1, term=1, success=True, match_index=3)),
    RaftFrame(
        AppendEntries(
            source=2,
            destination=1,
            term=2,
            prev_log_index=1,
            prev_log_term=1,
            entries=(Entry(1, "é"), Entry(2, '["SET","k","\\u0000"]')),
            leader_commit=1,
        )
    ),
    Forward(Tag(5, 6), 7, "[]"),
    Answer(Tag(5, 6), None),
    Answer(Tag(5, 6), Done()),
    Answer(Tag(5, 6), Value(b"\xff")),
    Answer(Tag(5, 6), Value(None)),
    Answer(Tag(5, 6), Count(-1)),
    Answer(Tag(5, 6), Failed("ERR", "no")),
]


def content(frame: Frame | Hello) -> bytes:
    return encode_frame(frame)[LENGTH_SIZE:]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_comes_through(frame: Frame) -> None:
    encoded = encode_frame(frame)
    assert decode_length(encoded[:LENGTH_SIZE]) == len(encoded) - LENGTH_SIZE
    assert decode_frame(encoded[LENGTH_SIZE:], CONFIG, 2) == frame


def test_a_hello_comes_through() -> None:
    hello = Hello(1, "c", 1, 2)
    assert decode_hello(content(hello)) == hello


def vote(**changed: object) -> bytes:
    raft = json.loads(content(FRAMES[0]))
    raft["message"] |= changed
    return json.dumps(raft).encode()


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (b"", "truncated"),
        (b"[]", "array"),
        (b"\xff", "malformed"),
        (b"[" * 100_000, "^."),
        (b'{"type":"jump"}', "Invalid value 'jump'"),
        (b'{"type":"raft","message":[]}', "expected an object"),
        (b'{"type":"forward","life":1,"number":1,"term":1}', "command"),
        (b'{"type":"answer","life":1,"number":1,"reply":{"type":"Jump"}}', "Jump"),
        (b'{"type":"answer","life":1,"number":1,"reply":{"type":"Value","data":"?"}}', "base64"),
        (content(Hello(1, "c", 1, 2)), "a second hello"),
        (vote(source=3), "server 2 speaks in the name of server 3"),
        (vote(source=4), "source must be one of the other servers"),
        (vote(destination=2), "destination must be this server"),
        (vote(term=0), "term must be at least 1"),
        (vote(term=2**53), "a number above"),
        (vote(term=True), "expected an integer"),
        (vote(extra=1), "has no field 'extra'"),
    ],
)
def test_what_is_no_frame_is_malformed(frame: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        decode_frame(frame, CONFIG, 2)


@given(some.binary())
def test_rubbish_is_malformed_and_nothing_worse(rubbish: bytes) -> None:
    with pytest.raises(Malformed):
        decode_frame(rubbish, CONFIG, 2)


def test_a_frame_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(Malformed, match="are the most"):
        decode_length((MAX_FRAME + 1).to_bytes(LENGTH_SIZE, "big"))


def test_only_a_hello_comes_first() -> None:
    with pytest.raises(Malformed, match="the first frame must be a hello"):
        decode_hello(content(FRAMES[0]))
