"""The lines of the adapter protocol: what is understood, and that nothing else is."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from model_check.conformance import protocol, schedule
from model_check.conformance.process import AdapterFailed
from model_check.conformance.protocol import (
    DeliverOk,
    DeliverRequest,
    EntryPart,
    ErrorReply,
    MessagePart,
    ProtocolError,
    StatePart,
    decode_reply,
    encode_request,
)
from model_check.raft import Bounds
from tests.test_conform import explore

DELIVER = DeliverRequest(msg_id=7, node=2, source=1, payload="x")
STATE: dict[str, Any] = {
    "current_term": 1,
    "voted_for": None,
    "role": "leader",
    "log": [],
    "commit_index": 0,
}
MESSAGE = {"from": 2, "to": 1, "kind": "k", "fields": {"a": [1]}, "payload": "p"}
REPLY: dict[str, Any] = {
    "type": "deliver_ok",
    "in_reply_to": 7,
    "messages": [MESSAGE],
    "state": {**STATE, "log": [{"term": 1, "command": "v1"}]},
    "fingerprint": "f",
}


def text_of(name: str) -> str:
    return files("spec").joinpath(f"schemas/{name}.schema.json").read_text("utf-8")


VALIDATOR = Draft202012Validator(json.loads(text_of("adapter")))


@pytest.mark.parametrize(
    ("name", "schema"), [("adapter", protocol.schema()), ("schedule", schedule.schema())]
)
def test_the_published_schema_is_that_of_the_types(name: str, schema: dict[str, object]) -> None:
    assert text_of(name) == json.dumps(schema, indent=2) + "\n"


def test_a_request_is_a_line() -> None:
    line = encode_request(DELIVER)
    assert line == b'{"type":"deliver","msg_id":7,"node":2,"from":1,"payload":"x"}\n'
    VALIDATOR.validate(json.loads(line))


def test_a_reply_is_understood() -> None:
    VALIDATOR.validate(REPLY)
    reply = decode_reply(json.dumps(REPLY).encode(), DELIVER)
    assert isinstance(reply, DeliverOk)
    (message,) = reply.messages
    assert isinstance(message, MessagePart)
    assert (message.source, message.destination, message.payload) == (2, 1, "p")
    assert {name: bytes(raw) for name, raw in message.fields.items()} == {"a": b"[1]"}
    assert reply.state == StatePart(
        current_term=1,
        voted_for=None,
        role="leader",
        log=[EntryPart(term=1, command="v1")],
        commit_index=0,
    )


def test_an_error_answers_any_request() -> None:
    line = b'{"type": "error", "in_reply_to": 7, "code": 13, "text": "panic"}'
    assert decode_reply(line, DELIVER) == ErrorReply(in_reply_to=7, code=13, text="panic")


def changed(path: str, value: object) -> dict[str, Any]:
    """The reply with something in it replaced, or taken out."""
    reply = json.loads(json.dumps(REPLY))
    *way, last = (int(step) if step.isdecimal() else step for step in path.split("."))
    place = reply
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return reply  # type: ignore[no-any-return] # JSON


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("type", "propose_ok", "ProposeOk is no reply to DeliverRequest"),
        ("type", "deliver", "Invalid value 'deliver'"),
        ("in_reply_to", 8, "a reply to request 8, where that to 7 is due"),
        ("in_reply_to", -1, "Expected `int` >= 0"),
        ("messages", ..., "missing required field `messages`"),
        ("messages.0.payload", 1, "Expected `str`, got `int`"),
        ("messages.0.more", 1, "unknown field `more`"),
        ("state.role", "king", "Invalid enum value 'king'"),
        ("state.voted_for", 0, "Expected `int` >= 1"),
        ("state.log.0.term", 1.5, "Expected `int`, got `float`"),
        ("state.commit_index", 2**53, "Expected `int` <= 9007199254740991"),
        ("fingerprint", None, "Expected `str`, got `null`"),
    ],
)
def test_what_is_wrong_is_said(path: str, value: object, complaint: str) -> None:
    reply = changed(path, value)
    with pytest.raises(ProtocolError, match=complaint):
        decode_reply(json.dumps(reply).encode(), DELIVER)


SIMPLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from([2**64, -1])
)
JSON = st.recursive(
    SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
PLACES = [
    *("type", "in_reply_to", "messages", "messages.0", "messages.0.from", "messages.0.fields"),
    *("state", "state.current_term", "state.log", "state.log.0", "state.voted_for", "fingerprint"),
]


@given(st.sampled_from(PLACES), JSON)
def test_types_and_schema_agree_on_what_a_reply_is(path: str, value: object) -> None:
    reply = changed(path, value)
    text = json.dumps(reply, allow_nan=True)
    try:
        decode_reply(text.encode(), DELIVER)
    except ProtocolError:
        return
    VALIDATOR.validate(json.loads(text))


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda data: json.dumps(data).encode()))
def test_garbage_is_no_reply(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(line, DELIVER)


INIT_OK = {
    "type": "init_ok",
    "in_reply_to": 1,
    "name": "garbage",
    "unobservable": [],
    "unsupported": [],
    "states": [{"node": 1, "state": {**STATE, "role": "follower"}, "fingerprint": ""}],
}

LINES = st.lists(
    st.one_of(
        st.binary(max_size=40).filter(lambda line: b"\n" not in line),
        st.sampled_from([REPLY, INIT_OK, {}]).map(lambda data: json.dumps(data).encode()),
        st.integers(0, 300).map(lambda end: json.dumps(REPLY).encode()[:end]),
    ),
    max_size=4,
)


@given(greets=st.booleans(), lines=LINES)
@settings(max_examples=25)
def test_an_adapter_that_talks_garbage_never_conforms(
    tmp_path_factory: pytest.TempPathFactory, greets: bool, lines: list[bytes]
) -> None:
    path: Path = tmp_path_factory.mktemp("garbage") / "lines"
    greeting = [json.dumps(INIT_OK).encode()] if greets else []
    path.write_bytes(b"\n".join([*greeting, *lines]))
    try:
        result = explore(("cat", str(path)), Bounds(servers=1, max_term=2), step_timeout=5.0)
    except AdapterFailed:
        return
    # To die on an event, each time, is what a server does that fails.
    assert greets
    assert result.verdict == "failed-step"
