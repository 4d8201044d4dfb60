"""A line of a trace in the format of raft-ref; see ``spec/trace_format.md``.

The types are the schema: every line is checked against them, and ``spec/schemas/trace.schema.json``
is made of them.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from model_check.conformance.protocol import (
    AppendEntriesFields,
    AppendEntriesReplyFields,
    EntryPart,
    Natural,
    Part,
    RequestVoteFields,
    RequestVoteReplyFields,
)
from model_check.traces.happening import (
    RoleName,
)

Name: TypeAlias = int | str
"""What a trace calls a server."""


class Header(Part, frozen=True, kw_only=True):
    """The first line of a trace."""

    format: Literal["raft-ref"]
    version: Literal[1]
    servers: Annotated[list[Name], Meta(min_length=1)]
    """All that have a vote, those included of which the trace has no lines."""
    learners: tuple[Name, ...] = ()
    """Servers without a vote that the trace has lines of."""
    unobserved: tuple[Literal["sends"], ...] = ()
    """``sends``: not every message that was sent has a line."""
    complete: tuple[Literal["apply", "start"], ...] = ()
    """``apply``: every entry that was applied has a line. ``start``: so has every time that a
    server started or restarted."""


class LogPart(Part, frozen=True, kw_only=True, rename={"start": "from"}):
    """How a log looks now: up to before this index as it was, and then these entries, no more."""

    start: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    entries: list[EntryPart]


class SeenPart(Part, frozen=True, kw_only=True):
    """What was seen of a server after a step. Any field may be left out."""

    current_term: Natural | UnsetType = UNSET
    voted_for: Name | UnsetType | None = UNSET
    role: RoleName | UnsetType = UNSET
    commit_index: Natural | UnsetType = UNSET
    log: LogPart | UnsetType = UNSET
    last_log_index: Natural | UnsetType = UNSET
    last_log_term: Natural | UnsetType = UNSET
    snapshot_index: Natural | UnsetType = UNSET
    """Only at a start: up to where a snapshot has replaced the log."""
    snapshot_term: Natural | UnsetType = UNSET
    """The term of the last entry that it has replaced."""


class ToldPart(Part, frozen=True, kw_only=True, rename={"source": "from", "destination": "to"}):
    """A message."""

    source: Name
    destination: Name
    kind: str
    fields: msgspec.Raw
    """An object. For the kinds of Figure 2, their fields by the paper's names."""


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="event"):
    """Something that a server does, or that happens to it."""

    server: Name


class StepLine(Line, frozen=True, kw_only=True):
    """A line with which a step of the server begins."""

    state: SeenPart = SeenPart()
    """What it is like after the step."""


class StartLine(StepLine, frozen=True, kw_only=True, tag="start"):
    """The server starts for the first time, or the trace begins to tell of it."""


class RestartLine(StepLine, frozen=True, kw_only=True, tag="restart"):
    """The server has crashed and is back."""


class ElectionTimeoutLine(StepLine, frozen=True, kw_only=True, tag="election_timeout"):
    """The server has waited for a leader for too long."""


class HeartbeatTimeoutLine(StepLine, frozen=True, kw_only=True, tag="heartbeat_timeout"):
    """The server does something by itself, other than becoming a candidate."""


class ProposeLine(StepLine, frozen=True, kw_only=True, tag="propose"):
    """A client asks the server for a command."""

    command: str


class ReceiveLine(StepLine, frozen=True, kw_only=True, tag="receive"):
    """A message has arrived."""

    message: ToldPart


class BeyondLine(StepLine, frozen=True, kw_only=True, tag="beyond"):
    """The server does something that the rules do not cover."""

    feature: str
    """What, in a few words."""


class SendLine(Line, frozen=True, kw_only=True, tag="send"):
    """The last step of the server sends a message."""

    message: ToldPart


class ApplyLine(Line, frozen=True, kw_only=True, tag="apply"):
    """The last step of the server hands an entry to its state machine."""

    index: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    entry: EntryPart | UnsetType = UNSET


class RedirectLine(Line, frozen=True, kw_only=True, tag="redirect"):
    """In the last step of the server, it names a leader to a client."""

    leader: Name


OutputLine: TypeAlias = SendLine | ApplyLine | RedirectLine
"""What belongs to the last step of a server."""
AnyStepLine: TypeAlias = (
    StartLine
    | RestartLine
    | ElectionTimeoutLine
    | HeartbeatTimeoutLine
    | ProposeLine
    | ReceiveLine
    | BeyondLine
)
AnyLine: TypeAlias = AnyStepLine | OutputLine


class CountedFields(Part, frozen=True, kw_only=True):
    """The fields of an ``AppendEntries`` of whose entries only the number is known."""

    term: Natural
    prev_log_index: Natural
    prev_log_term: Natural
    entry_count: Annotated[int, Meta(ge=0, le=2**20)]
    leader_commit: Natural


def schema() -> dict[str, object]:
    """The JSON schema of a line."""
    (header, line, *_), definitions = msgspec.json.schema_components(
        (
            Header,
            AnyLine,
            RequestVoteFields,
            RequestVoteReplyFields,
            AppendEntriesFields,
            AppendEntriesReplyFields,
            CountedFields,
        ),
        ref_template="#/$defs/{name}",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a trace in the format of raft-ref, version 1",
        "description": "Explained in spec/trace_format.md. The types ...Fields are those of the "
        "field `fields` of a message of that kind.",
        "anyOf": [
            {"title": "The first line", **header},
            {"title": "Any other", **line},
        ],
        "$defs": dict(sorted(definitions.items())),
    }
