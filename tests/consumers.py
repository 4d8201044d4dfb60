"""What is done with messages, by name: what each place makes of a kind, and what it leaves out.

Each consumer says of a kind and its samples what it does not handle, as ``Kind`` or ``Kind.field``;
an exception is a refusal, and says it of the kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_check import strategies
from model_check.conformance.observed import ForeignMessage, understood
from model_check.renaming import rename_message
from model_check.render import describe_way
from model_check.study.diagram import brief
from model_check.traces.happening import Place
from model_check.traces.lines import ToldPart
from model_check.traces.own_parts import Parts
from model_check.traces.record import recorded
from model_check.vectors import values
from raft_ref import (
    Candidate,
    Config,
    ConflictHint,
    Entry,
    Follower,
    IndexMap,
    Leader,
    Log,
    Message,
    NodeState,
    PersistentState,
    Receive,
    Role,
    Send,
)
from raft_ref.cluster.coalescing import Step as ServerStep
from raft_ref.cluster.frames import RaftFrame
from raft_ref.cluster.tracing import lines_of
from raft_ref.cluster.wire import LENGTH_SIZE, decode_frame, encode_frame
from raft_ref.codec import decode_message, encode
from raft_ref.wellformed import MalformedEvent, check_message
from spec.forms import Renaming, Step
from spec.freest import GUARDS
from spec.proof import vocabulary
from spec.properties import RaftStep
from spec.shadow import NO_EVIDENCE, Evidence, Shadow, learn
from spec.speech import Speech
from spec.universe import Universe
from tests.every_kind import (
    COMMANDS,
    PERSISTENT,
    SERVERS,
    named,
    unread,
    untold,
)

Samples: TypeAlias = tuple[Any, ...]
Consumer: TypeAlias = Callable[[type, Samples], Iterable[str]]

_SPECIFICATION = (Path(__file__).parent.parent / "spec" / "raft.tla").read_text()
TLA = re.sub(r"\\\*.*|\(\*[\s\S]*?\*\)", "", _SPECIFICATION)
"""The specification in TLA+, without its comments."""
CONFIG = Config(id=1, servers=frozenset({1, 2, 3}))
STATE = NodeState(PERSISTENT)


def codec(kind: type, samples: Samples) -> list[str]:
    return unread(lambda message: decode_message(encode(message)), samples)


def wire(kind: type, samples: Samples) -> list[str]:
    def again(message: Message) -> Message:
        frame = decode_frame(encode_frame(RaftFrame(message))[LENGTH_SIZE:], CONFIG, 2, 3)
        assert isinstance(frame, RaftFrame)
        return frame.message

    told = untold(lambda message: encode_frame(RaftFrame(message)), kind, samples)
    return [*told, *(kind.__name__ for sample in samples if again(sample) != sample)]


_BAD: Mapping[str, object] = {
    "NodeId": 4,
    "Term": -1,
    "Index": -1,
    "tuple[Entry, ...]": (Entry(99, "a"),),
    "ConflictHint | None": ConflictHint(0, None),
}
"""By the type of a field: what no message may have there."""


def wellformed(kind: type, samples: Samples) -> list[str]:
    """Each sample is well-formed, but not with a bad value in any of its fields."""
    for sample in samples:
        check_message(sample, receiver=1, known=CONFIG.servers)
    return [
        name
        for field, name in zip(fields(kind), named(kind), strict=True)
        if str(field.type) not in _BAD or not _is_refused(samples, field.name, str(field.type))
    ]


def _is_refused(samples: Samples, field: str, annotation: str) -> bool:
    try:
        for sample in samples:
            bad = replace(sample, **{field: _BAD[annotation]})
            check_message(bad, receiver=1, known=CONFIG.servers)
    except MalformedEvent:
        return True
    return False


def generated(kind: type, samples: Samples) -> list[str]:
    return _constant(kind, drawn(strategies.messages(CONFIG)))


def malformed(kind: type, samples: Samples) -> list[str]:
    """Each field is spoilt in some malformed message of the kind."""
    spoilt = set()
    own: list[Any] = [
        each for each in drawn(strategies.malformed_messages(CONFIG)) if type(each) is kind
    ]
    for message in own:
        with pytest.raises(MalformedEvent) as refused:
            check_message(message, receiver=1, known=CONFIG.servers)
        spoilt.add(refused.value.field)
    if not spoilt:
        return [kind.__name__]
    return [
        name
        for name in named(kind)
        if not any(each.startswith(name.split(".")[1]) for each in spoilt)
    ]


@cache
def drawn(strategy: st.SearchStrategy[Any]) -> tuple[Any, ...]:
    """Some hundreds of examples, always the same."""
    found: list[object] = []

    @settings(max_examples=400, database=None, derandomize=True, deadline=None)
    @given(strategy)
    def draw(value: object) -> None:
        found.append(value)

    draw()
    return tuple(found)


def _constant(kind: type, found: Iterable[object]) -> list[str]:
    """The fields of ``kind`` that are the same in all that was found; the kind if none was."""
    own = [each for each in found if type(each) is kind]
    if not own:
        return [kind.__name__]
    return [
        name
        for field, name in zip(fields(kind), named(kind), strict=True)
        if len({getattr(each, field.name) for each in own}) < 2
    ]


def rendering(kind: type, samples: Samples) -> list[str]:
    return untold(describe_way, kind, samples)


def drawing(kind: type, samples: Samples) -> list[str]:
    return untold(brief, kind, samples)


def renaming(kind: type, samples: Samples) -> list[str]:
    """What holds a server or a command gets another name, and nothing else."""
    wrong = []
    swapped = Renaming((2, 1, 3), (("a", "b"), ("b", "a")))
    for sample in samples:
        renamed = rename_message(sample, swapped)
        if rename_message(renamed, swapped) != sample:
            wrong.append(kind.__name__)
        for field, name in zip(fields(kind), named(kind), strict=True):
            is_renamed = getattr(renamed, field.name) != getattr(sample, field.name)
            has_names = any(word in str(field.type) for word in (*SERVERS, *COMMANDS))
            wrong += [name] if is_renamed != has_names else []
    return wrong


def cluster_traces(kind: type, samples: Samples) -> list[str]:
    def line(message: Message) -> bytes:
        return lines_of(1, [ServerStep(Receive(message), STATE, STATE, ())])

    return untold(line, kind, samples)


def traces(kind: type, samples: Samples) -> list[str]:
    def again(message: Message) -> object:
        step: RaftStep = Step(1, STATE, Receive(message), STATE, (Send(message),))
        received, sent = (json.loads(line) for line in list(recorded((STATE,), [step]))[2:])
        assert received["message"] == sent["message"]
        part = msgspec.json.decode(msgspec.json.encode(received["message"]), type=ToldPart)
        return Parts((1, 2, 3, 4)).told(Place(1), part)

    return unread(again, samples)


def adapters(kind: type, samples: Samples) -> list[str]:
    def again(message: Message) -> object:
        text = encode(message)
        assert isinstance(text, dict)
        name, source, destination = (text.pop(key) for key in ("type", "source", "destination"))
        assert isinstance(source, int)
        assert isinstance(destination, int)
        foreign = ForeignMessage(source, destination, str(name), json.dumps(text), "")
        return understood(foreign)

    return unread(again, samples)


def vectors(kind: type, samples: Samples) -> list[str]:
    part = getattr(values, f"{kind.__name__}Part", None)
    if part is None:
        return [kind.__name__]
    known = {field.name for field in msgspec.structs.fields(part)}
    return [name for name in named(kind) if name.split(".")[1] not in known]


def monitor(kind: type, samples: Samples) -> list[str]:
    """It learns from a kind, and each field makes a difference."""

    def learnt(message: Message) -> Evidence:
        return learn(Shadow(1, CONFIG.servers, STATE), Receive(message), STATE)

    if all(learnt(sample) == NO_EVIDENCE for sample in samples):
        return [kind.__name__]
    return untold(learnt, kind, samples)


def most_general(kind: type, samples: Samples) -> list[str]:
    return _constant(kind, _said())


@cache
def _said() -> frozenset[Message]:
    """All that the most general server says, in the states of a small universe."""
    universe = Universe(servers=3, max_term=2, max_log=2)
    speech, servers = Speech(universe, GUARDS), frozenset({1, 2, 3})
    roles: tuple[Role, ...] = (Follower(), Candidate(frozenset()), Leader(IndexMap(), IndexMap()))
    logs = Log(), Log((Entry(1, "v1"), Entry(1, "v1")))
    return frozenset(
        message
        for server, term, vote, log, role, index in product(
            (1, 2, 3), (1, 2), (1, 2, 3), logs, roles, (0, 1, 2)
        )
        for message in speech.messages(
            Shadow(
                server,
                servers,
                NodeState(PersistentState(term, vote, log), role, index, index),
                Evidence(confirmed=index),
            )
        )
    )


_SYMBOLS = {"term": "message_term", "entries": "sent_entry"}


def proof(kind: type, samples: Samples) -> list[str]:
    if not hasattr(vocabulary, _separated(kind.__name__, "_").upper()):
        return [kind.__name__]
    return [
        name
        for field, name in zip(fields(kind), named(kind), strict=True)
        if not hasattr(vocabulary, _SYMBOLS.get(field.name, field.name))
    ]


def tla(kind: type, samples: Samples) -> list[str]:
    if f'kind |-> "{kind.__name__}"' not in TLA:
        return [kind.__name__]
    return [name for name in named(kind) if not names(TLA, camel_case(name.split(".")[1]))]


def names(text: str, word: str) -> bool:
    """Whether ``text`` has ``word`` as a word."""
    return re.search(rf"\b{word}\b", text) is not None


def camel_case(name: str) -> str:
    """A name in TLA+'s spelling."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _separated(name: str, separator: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", separator, name)


CONSUMERS: Mapping[str, Consumer] = {
    consumer.__name__: consumer
    for consumer in (
        adapters,
        cluster_traces,
        codec,
        drawing,
        generated,
        malformed,
        monitor,
        most_general,
        proof,
        renaming,
        rendering,
        tla,
        traces,
        vectors,
        wellformed,
        wire,
    )
}
"""By name. A consumer that is new belongs here."""
