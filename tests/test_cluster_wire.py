"""Frames on the wire: what is well-formed comes through, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref import AppendEntries, AppendEntriesReply, Config, Entry, RequestVote, RequestVoteReply
from raft_ref.cluster.commands import MAX_TEXT
from raft_ref.cluster.frames import Answer, Forward, Frame, Malformed, RaftFrame, Tag
from raft_ref.cluster.replies import Count, Done, Failed, Value
from raft_ref.cluster.wire import (
    LENGTH_SIZE,
    MAX_ENTRY,
    MAX_FRAME,
    MAX_NUMBER,
    MAX_RISE,
    decode_frame,
    decode_length,
    encode_frame,
)
from tests.cluster_frames import send_frames

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
    Forward(Tag(5, 6), 7, '["GET",{"base64":"/w=="}]'),
    Answer(Tag(5, 6), None),
    Answer(Tag(5, 6), Done()),
    Answer(Tag(5, 6), Value(b"\xff")),
    Answer(Tag(5, 6), Value(None)),
    Answer(Tag(5, 6), Count(-1)),
    Answer(Tag(5, 6), Failed("ERR", "no")),
]


def content(frame: Frame) -> bytes:
    return encode_frame(frame)[LENGTH_SIZE:]


def decoded(frame: bytes, current_term: int = 0) -> Frame:
    """As S1 reads what S2 has sent it."""
    return decode_frame(frame, CONFIG, 2, current_term)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_comes_through(frame: Frame) -> None:
    encoded = encode_frame(frame)
    assert decode_length(encoded[:LENGTH_SIZE]) == len(encoded) - LENGTH_SIZE
    assert decoded(encoded[LENGTH_SIZE:]) == frame


def changed(frame: Frame, **fields: object) -> bytes:
    """A message of Raft with other fields than a server writes."""
    raft = json.loads(content(frame))
    raft["message"] |= fields
    return json.dumps(raft).encode()


def vote(**fields: object) -> bytes:
    return changed(FRAMES[0], **fields)


def forward(command: str, number: int = 1, term: int = 1) -> bytes:
    return content(Forward(Tag(1, number), term, command))


GET = '["GET","k"]'


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
        (vote(source=3), "server 2 speaks in the name of server 3"),
        (vote(source=4), "source must be one of the other servers"),
        (vote(destination=2), "destination must be this server"),
        (vote(term=0), "term must be at least 1"),
        (vote(term=2**53), "a number above"),
        (vote(term=True), "expected an integer"),
        (vote(extra=1), "has no field 'extra'"),
        (vote(term=10**30), "a number above"),
        (vote(term=MAX_NUMBER, last_log_index=MAX_NUMBER + 1, last_log_term=1), "a number above"),
        (vote(term=MAX_NUMBER), f"term {MAX_NUMBER} cannot be"),
        (vote(term=MAX_RISE + 1), "is the highest that this server takes"),
        (changed(FRAMES[2], match_index=2**53 - 1), "a number above"),
        (changed(FRAMES[3], leader_commit=2**53), "a number above"),
        (changed(FRAMES[3], entries=[{"term": 1, "command": "x" * (MAX_ENTRY + 1)}]), "the most"),
        (changed(FRAMES[3], entries=[{"term": 1, "command": "\ud800"}]), "hex escape"),
        (forward("[]"), "empty command"),
        (forward(""), "not a command"),
        (forward(f"{GET},{GET}"), "not a command"),
        (forward(f"[{GET}]"), "not a command"),
        (forward(f"{GET} {{}}"), "not a command"),
        (forward('["GET",{"base64":"?"}]'), "not a command"),
        (forward('["FLUSHALL"]'), "unknown command"),
        (forward('["GET"]'), "wrong number of arguments"),
        (forward(f'["GET","{"x" * MAX_TEXT}"]'), "more than 65536 bytes"),
        (forward(GET, number=-1), "`int` >= 0"),
        (forward(GET, number=2**53), "`int` <"),
        (forward(GET, term=2**53 - 1), "cannot be"),
        (content(Answer(Tag(-1, 6), None)), "`int` >= 0"),
        (content(Answer(Tag(1, 6), Count(2**63))), "out of range|`int`"),
        (content(Answer(Tag(1, 6), Failed("ERR\r\n+OK", ""))), "matching regex"),
    ],
)
def test_what_is_no_frame_is_malformed(frame: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        decoded(frame)


@given(some.binary())
def test_rubbish_is_malformed_and_nothing_worse(rubbish: bytes) -> None:
    with pytest.raises(Malformed):
        decoded(rubbish)


def test_a_frame_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(Malformed, match="are the most"):
        decode_length((MAX_FRAME + 1).to_bytes(LENGTH_SIZE, "big"))


def test_a_term_is_taken_as_long_as_elections_can_have_led_to_it() -> None:
    frame = RaftFrame(
        RequestVote(source=2, destination=1, term=7 + MAX_RISE, last_log_index=0, last_log_term=0)
    )
    assert decoded(content(frame), current_term=7) == frame
    with pytest.raises(Malformed, match="cannot be"):
        decoded(content(frame), current_term=6)


def test_whatever_another_server_sends_is_refused_or_taken_up_and_no_server_gives_up() -> None:
    tally = send_frames(5000, seed=1)
    assert tally.taken > 1000
    assert tally.refused > 1000
