"""The files of a vector suite, as types; see ``spec/vectors.md``.

The types are the schema: what is written or read is checked against them, and
``spec/schemas/vectors.schema.json`` is made of them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Annotated, Literal, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Meta

from model_check.conformance.protocol import decode_strictly
from model_check.raft import Bounds
from model_check.vectors.values import (
    ConfigPart,
    EventPart,
    Natural,
    NodeStatePart,
    OutputPart,
    Part,
    Server,
)
from raft_ref import Transition
from raft_ref.codec import JSON, decode_transition

FORMAT_VERSION: Literal[1] = 1
SCHEMA: Literal["vectors.schema.json"] = "vectors.schema.json"

MOST_SERVERS = 7
"""So many can be covered: their local steps are compared under all names."""

_P = TypeVar("_P")

Positive = Annotated[int, Meta(ge=1, le=2**53 - 1)]

# --- the envelope ----------------------------------------------------------------------------


class GeneratorPart(Part, frozen=True, kw_only=True):
    """Who wrote a file."""

    name: str
    version: str


class BoundsPart(Part, frozen=True, kw_only=True):
    """Within which everything is covered; see ``raft-ref check --help``."""

    servers: Annotated[int, Meta(ge=1, le=MOST_SERVERS)]
    max_term: Natural
    max_log: Natural
    values: Positive
    max_entries: Positive
    restarts: bool

    def as_bounds(self) -> Bounds:
        """The same for an explorer."""
        return Bounds(**{name: getattr(self, name) for name in self.__struct_fields__})


class RulePart(Part, frozen=True, kw_only=True):
    """A rule that cases exercise, or that forbidden answers break."""

    statement: str
    citation: str


class FlagPart(Part, frozen=True, kw_only=True):
    """A known bug."""

    title: str
    """What a server does that has it."""
    explanation: str
    """Why that loses something."""
    figure_2: str
    """The rule of Figure 2 that is broken, or the section of the paper."""
    breaks: str | None
    """The rule that it breaks before any other, by id."""
    violates: list[str]
    """The property that it leads to a violation of; of several, any may come first."""
    seen_in: list[str]
    """Implementations that had it, with where that is told."""


class CountsPart(Part, frozen=True, kw_only=True):
    """How much there is."""

    cases: Natural
    covering: Natural
    """How many of them, the first ones, are of the covering runs; the others, of runs of bugs."""
    rules: dict[str, Natural]
    """By rule: the cases that exercise it."""
    flags: dict[str, Natural]
    """By flag: the cases that have it."""


class Envelope(Part, frozen=True, kw_only=True, tag_field="kind"):
    """A file of vectors, without its cases."""

    schema: Literal["vectors.schema.json"]
    schema_version: Literal[1]
    generator: GeneratorPart
    bounds: BoundsPart
    counts: CountsPart
    flags: dict[str, FlagPart]
    rules: dict[str, RulePart]


# --- cases -----------------------------------------------------------------------------------


class PlacePart(Part, frozen=True, kw_only=True):
    """An action of a trace."""

    trace: str
    """The id of the trace."""
    action: Natural
    """Which of its actions, from 0 on."""


class ForbiddenPart(Part, frozen=True, kw_only=True):
    """An answer that breaks a rule."""

    post: NodeStatePart
    outputs: list[OutputPart]
    flags: list[str]
    """The known bugs that answer so."""
    breaks: list[str]
    """The rules broken by that."""


class StepCase(Part, frozen=True, kw_only=True):
    """What the core makes of one event at one server."""

    id: str
    config: ConfigPart
    pre: NodeStatePart
    event: EventPart
    post: NodeStatePart
    outputs: list[OutputPart]
    rules: list[str]
    """The rules that it exercises."""
    flags: list[str]
    """The known bugs that answer otherwise."""
    forbidden: list[ForbiddenPart]
    taken_in: PlacePart
    """Where a trace does this, in whose light other answers are judged."""


class SentPart(Part, frozen=True, kw_only=True):
    """An output of an action."""

    action: Natural
    output: Natural


class ActionPart(Part, frozen=True, kw_only=True):
    """What happens to one server of a cluster, and what it makes of that."""

    node: Server
    event: EventPart
    sent_in: SentPart | None
    """Of a message that arrives: where it was sent, the last time before this."""
    post: NodeStatePart
    outputs: list[OutputPart]


class TraceCase(Part, frozen=True, kw_only=True):
    """A run of a cluster of cores."""

    id: str
    configs: list[ConfigPart]
    initial: list[NodeStatePart]
    actions: list[ActionPart]
    rules: list[str]
    """The rules that it exercises."""
    flags: list[str]
    """The known bugs that answer otherwise somewhere in it."""


class StepFile(Envelope, frozen=True, kw_only=True, tag="step"):
    """``step.json``."""

    cases: list[StepCase]


class TraceFile(Envelope, frozen=True, kw_only=True, tag="trace"):
    """``trace.json``."""

    cases: list[TraceCase]


VectorFile: TypeAlias = StepFile | TraceFile
Case: TypeAlias = StepCase | TraceCase

STEP_FILE = "step.json"
TRACE_FILE = "trace.json"
README = "README.md"
"""A copy of ``spec/vectors.md``."""

_FILES: msgspec.json.Decoder[VectorFile] = msgspec.json.Decoder(VectorFile)

# --- both ways -------------------------------------------------------------------------------


def part_of(data: JSON, kind: type[_P]) -> _P:
    """What the codec wrote, as a part of this ``kind``."""
    return msgspec.convert(data, kind)


def bounds_part(bounds: Bounds) -> BoundsPart:
    """``bounds`` as they are written."""
    known = asdict(bounds)
    return BoundsPart(**{name: known[name] for name in BoundsPart.__struct_fields__})


def answer_of(case: StepCase | ForbiddenPart | ActionPart) -> Transition:
    """The answer that is written there.

    Raises:
        CodecError: if the core has no such values.
    """
    return decode_transition(data_of({"state": case.post, "outputs": case.outputs}))


def data_of(part: object) -> JSON:
    """A part as the codec reads it."""
    return cast(JSON, msgspec.to_builtins(part))


def step_id(config: object, pre: object, event: object) -> str:
    """The id of a step case: it depends on what is asked, and on nothing else in the suite."""
    return f"step-{_digest([config, pre, event])}"


def trace_id(configs: object, initial: object, events: list[tuple[int, object]]) -> str:
    """The id of a trace case, likewise."""
    return f"trace-{_digest([configs, initial, events])}"


def id_of(case: Case) -> str:
    """The id that ``case`` should have."""
    if isinstance(case, StepCase):
        return step_id(case.config, case.pre, case.event)
    events: list[tuple[int, object]] = [(action.node, action.event) for action in case.actions]
    return trace_id(case.configs, case.initial, events)


def _digest(data: object) -> str:
    text = json.dumps(msgspec.to_builtins(data), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def text_of(file: VectorFile) -> bytes:
    """A file as it is written: one case a line, so that differences can be read."""
    envelope = msgspec.to_builtins(file)
    del envelope["cases"]
    head = json.dumps(envelope, indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = b",\n".join(map(msgspec.json.encode, file.cases))
    return head.encode() + b',\n  "cases": [\n' + lines + b"\n  ]\n}\n"


def parse_file(text: bytes) -> VectorFile:
    """What `text_of` wrote.

    Raises:
        ProtocolError: if it is no file of vectors: where, and what is wrong with it.
    """
    return decode_strictly(text, _FILES)


def schema() -> dict[str, object]:
    """The JSON schema of a file."""
    (file,), definitions = msgspec.json.schema_components(
        (VectorFile,), ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A file of the vector suite, version 1",
        "description": "Explained in spec/vectors.md.",
        **file,
        "$defs": dict(sorted(definitions.items())),
    }
