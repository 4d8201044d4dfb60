"""Frames on the wire: what is well-formed comes through, and nothing else does."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields, replace
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Config,
    ConflictHint,
    Entry,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.cluster.commands import MAX_TEXT
from raft_ref.cluster.frames import VERSION, Answer, Forward, Frame, Malformed, RaftFrame, Tag
from raft_ref.cluster.replies import Count, Done, Failed, Value
from raft_ref.cluster.wire import (
    LENGTH_SIZE,
    MAX_ENTRY,
    MAX_FRAME,
    MAX_FRAME_ENTRIES,
    MAX_NUMBER,
    MAX_RISE,
    decode_frame,
    decode_length,
    encode_frame,
)
from tests.cluster_frames import send_frames

CONFIG = Config(id=1, servers=frozenset({1, 2, 3}))
APPEND_ENTRIES = AppendEntries(
    source=2,
    destination=1,
    term=2,
    prev_log_index=1,
    prev_log_term=1,
    entries=(Entry(1, "é"), Entry(2, '["SET","k","\\u0000"]')),
    leader_commit=1,
)


def rejection(hint: ConflictHint | None) -> Frame:
    return RaftFrame(
        AppendEntriesReply(source=2, destination=1, term=1, success=False, match_index=0, hint=hint)
    )


FRAMES: list[Frame] = [
    RaftFrame(RequestVote(source=2, destination=1, term=1, last_log_index=0, last_log_term=0)),
    RaftFrame(RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)),
    RaftFrame(AppendEntriesReply(source=2, destination=1, term=1, success=True, match_index=3)),
    rejection(ConflictHint(4, 1)),
    rejection(ConflictHint(3, None)),
    RaftFrame(APPEND_ENTRIES),
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


def test_whoever_changes_the_format_increases_the_version() -> None:
    digest = sha256(b"".join(map(encode_frame, FRAMES))).hexdigest()
    assert (VERSION, digest[:16]) == (4, "cafb2b03b79ccf8f")


def test_entries_are_neither_escaped_nor_made_longer() -> None:
    command = '[["SET","k","\\u0000\\"' + "x" * 60_000 + '"]]'
    encoded = content(entries(*[Entry(1, command)] * 10))
    assert encoded.count(command.encode()) == 10
    assert len(encoded) < 10 * len(command) + 100


def entries(*carried: Entry) -> Frame:
    return RaftFrame(replace(APPEND_ENTRIES, entries=carried))


def changed(frame: Frame, *more: object, **changes: object) -> bytes:
    """A message of Raft with other fields than a server writes."""
    assert isinstance(frame, RaftFrame)
    names = ["type", *(field.name for field in fields(frame.message))]
    values = dict(zip(names, msgspec.msgpack.decode(content(frame)), strict=True)) | changes
    return packed(*values.values(), *more)


def packed(*values: object) -> bytes:
    return msgspec.msgpack.encode(values)


def vote(**fields: object) -> bytes:
    return changed(FRAMES[0], **fields)


def forward(command: str, number: int = 1, term: int = 1) -> bytes:
    return content(Forward(Tag(1, number), term, command))


GET = '["GET","k"]'


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (b"", "truncated"),
        (b"{}", "Expected `array`"),
        (packed(), "Expected `array` of at least length 1"),
        (b"\xc1", "malformed"),
        (b"\x91" * 100_000, "Expected `int`"),
        (b"\x94\x06\x01\x01" + b"\x91" * 100_000, "Expected `object"),
        (packed(7), "Invalid value 7"),
        (packed(True), "Expected `int`"),
        (content(FRAMES[0])[:-1], "truncated"),
        (content(FRAMES[0]) + b"\0", "trailing"),
        (content(FRAMES[0]) * 2, "trailing"),
        (b'{"type":"raft","message":{"type":"RequestVote","source":2}}', "Expected `array`"),
        (packed(5, 1, 1, 1), "at least length 5"),
        (packed(5, 1, 1, 1, b'["GET","k"]'), "Expected `str`"),
        (packed(6, 1, 1, {"type": "Jump"}), "Jump"),
        (packed(6, 1, 1, {"type": "Value", "data": 1}), "Expected `bytes"),
        (packed(6, 1, 1, {"type": "Done", "more": 1}), "more"),
        (vote(source=3), "server 2 speaks in the name of server 3"),
        (vote(source=4), "source must be one of the other servers"),
        (vote(destination=2), "destination must be this server"),
        (vote(term=0), "term must be at least 1"),
        (vote(term=2**53), "`int` <= 4503599627370496"),
        (vote(term=-1), "`int` >= 0"),
        (vote(term=True), "Expected `int`"),
        (vote(term=1.0), "Expected `int`"),
        (vote(term="1"), "Expected `int`"),
        (changed(FRAMES[0], 1), "Expected `array` of at most length 5"),
        (changed(FRAMES[1], vote_granted=1), "Expected `bool`"),
        (vote(term=2**64 - 1), "`int` <="),
        (vote(term=MAX_NUMBER, last_log_index=MAX_NUMBER + 1, last_log_term=1), "`int` <="),
        (vote(term=MAX_NUMBER), f"term {MAX_NUMBER} cannot be"),
        (vote(term=MAX_RISE + 1), "is the highest that this server takes"),
        (changed(FRAMES[2], match_index=2**53 - 1), "`int` <="),
        (changed(rejection(None), hint=[MAX_NUMBER + 1, 1]), "`int` <="),
        (changed(rejection(None), hint=[1]), "length 2"),
        (content(rejection(ConflictHint(0, None))), "hint.index must be at least 1"),
        (content(rejection(ConflictHint(1, 2))), "hint.term must be absent, or from 1 to"),
        (changed(RaftFrame(APPEND_ENTRIES), leader_commit=2**53), "`int` <="),
        (content(entries(Entry(1, "x" * (MAX_ENTRY + 1)))), "length <= "),
        (content(entries(Entry(1, "é" * (MAX_ENTRY // 2 + 1)))), "the most"),
        (content(entries(*[Entry(1, "")] * (MAX_FRAME_ENTRIES + 1))), "length <= 16384"),
        (content(entries(Entry(2, ""), Entry(1, ""))), "terms that never decrease"),
        (content(entries(Entry(1, "é"))).replace("é".encode(), b"\xed\xa0"), "UTF-8"),
        (changed(RaftFrame(APPEND_ENTRIES), entries=[[1]]), "length 2"),
        (changed(RaftFrame(APPEND_ENTRIES), entries=[[1, "", ""]]), "length 2"),
        (changed(RaftFrame(APPEND_ENTRIES), entries=[[MAX_NUMBER + 1, ""]]), "`int` <="),
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
        (content(Answer(Tag(1, 6), Count(-(2**63)))) + b"\0", "trailing"),
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


ANYTHING = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**64 - 1)
    | some.sampled_from([0, 1, 2, 3, 2**31, MAX_NUMBER, MAX_NUMBER + 1, 2**53])
    | some.floats()
    | some.text(max_size=5)
    | some.binary(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(some.data())
def test_whatever_stands_in_a_field_is_malformed_or_comes_through_again(
    data: some.DataObject,
) -> None:
    values: list[object] = msgspec.msgpack.decode(content(data.draw(some.sampled_from(FRAMES))))
    for _ in range(data.draw(some.integers(1, 3))):
        values[data.draw(some.integers(0, len(values) - 1))] = data.draw(ANYTHING)
    try:
        frame = decoded(packed(*values))
    except Malformed:
        return
    assert decoded(content(frame)) == frame


@given(some.data())
def test_changed_bytes_are_malformed_or_come_through_again(data: some.DataObject) -> None:
    changing = bytearray(content(data.draw(some.sampled_from(FRAMES))))
    for _ in range(data.draw(some.integers(1, 3))):
        changing[data.draw(some.integers(0, len(changing) - 1))] = data.draw(some.integers(0, 255))
    try:
        frame = decoded(bytes(changing))
    except Malformed:
        return
    assert decoded(content(frame)) == frame


@pytest.mark.parametrize("prefix", [b"\x98\x03\x02\x01\x02\x01\x01", b"\x94\x06\x01\x01", b""])
@pytest.mark.parametrize("kind", [0xC6, 0xC9, 0xDB, 0xDD, 0xDF])
@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 2**24])
def test_announced_lengths_take_no_memory(prefix: bytes, kind: int, length: int) -> None:
    """Of bytes, extensions, text, arrays and maps."""
    announced = prefix + bytes([kind]) + length.to_bytes(4, "big") + b"\0" * 10
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            decoded(announced)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2**20


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
