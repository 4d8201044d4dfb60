"""The values of the core as they are written, as types; `raft_ref.codec` writes and reads them.

The types are the schema: they say no more than the codec does, but in a form that others can check.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

Natural = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A term, an index or the like: what every language's JSON can carry."""
Positive = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Server = Annotated[int, Meta(ge=1, le=2**53 - 1)]
IndexMapPart: TypeAlias = dict[Annotated[str, Meta(pattern="^[1-9][0-9]*$")], Natural]
"""By server, its number as a string: an index."""


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a file of vectors."""


def _without_part(name: str) -> str:
    return name.removesuffix("Part")


class Tagged(Part, frozen=True, kw_only=True, tag_field="type", tag=_without_part):
    """A member of a sum type, which says which one it is."""


class WindowPart(Part, frozen=True, kw_only=True):
    """How much may be sent to a peer that it has not acknowledged."""

    max_entries: Positive
    max_size: Positive | None


class ConfigPart(Part, frozen=True, kw_only=True):
    """What one server knows from the start and never changes.

    A field that is not required belongs to an extension, which is off where it is missing.
    """

    id: Server
    servers: list[Server]
    max_entries_per_append: Positive
    max_size_per_append: Positive | UnsetType = UNSET
    conflict_hints: bool | UnsetType = UNSET
    pipelining: WindowPart | UnsetType = UNSET


# --- state -----------------------------------------------------------------------------------


class EntryPart(Part, frozen=True, kw_only=True):
    """An entry of a log."""

    term: Natural
    command: str


class LogPart(Part, frozen=True, kw_only=True):
    """A log, after what a snapshot has replaced; nothing is replaced here."""

    entries: list[EntryPart]
    snapshot_index: Natural
    snapshot_term: Natural


class PersistentStatePart(Part, frozen=True, kw_only=True):
    """What must be durable before any output of a step leaves."""

    current_term: Natural
    voted_for: Server | None
    log: LogPart


class FollowerPart(Tagged, frozen=True, kw_only=True):
    """A follower, and the leader of its term, if it knows it."""

    leader: Server | None


class CandidatePart(Tagged, frozen=True, kw_only=True):
    """A candidate, and who has granted it a vote."""

    votes_granted: list[Server]


class LeaderPart(Tagged, frozen=True, kw_only=True):
    """A leader, and what it knows of the others."""

    next_index: IndexMapPart
    match_index: IndexMapPart


class NodeStatePart(Part, frozen=True, kw_only=True):
    """All of one server's state."""

    persistent: PersistentStatePart
    role: FollowerPart | CandidatePart | LeaderPart
    commit_index: Natural
    last_applied: Natural


# --- messages --------------------------------------------------------------------------------


class MessagePart(Tagged, frozen=True, kw_only=True):
    """A message from one server to another."""

    source: Server
    destination: Server
    term: Natural


class RequestVotePart(MessagePart, frozen=True, kw_only=True):
    """A candidate asks for a vote."""

    last_log_index: Natural
    last_log_term: Natural


class RequestVoteReplyPart(MessagePart, frozen=True, kw_only=True):
    """The answer to it."""

    vote_granted: bool


class AppendEntriesPart(MessagePart, frozen=True, kw_only=True):
    """A leader's entries; with none, a heartbeat."""

    prev_log_index: Natural
    prev_log_term: Natural
    entries: list[EntryPart]
    leader_commit: Natural


class ConflictHintPart(Part, frozen=True, kw_only=True):
    """Where the log of a follower conflicts with the request that it rejects."""

    index: Positive
    term: Positive | None


class AppendEntriesReplyPart(MessagePart, frozen=True, kw_only=True):
    """The answer to them, with the last index that the request confirmed."""

    success: bool
    match_index: Natural
    hint: ConflictHintPart | UnsetType = UNSET


AnyMessagePart: TypeAlias = (
    RequestVotePart | RequestVoteReplyPart | AppendEntriesPart | AppendEntriesReplyPart
)

# --- what happens ----------------------------------------------------------------------------


class ElectionTimeoutPart(Tagged, frozen=True, kw_only=True):
    """The election timer fires."""


class HeartbeatTimeoutPart(Tagged, frozen=True, kw_only=True):
    """The heartbeat timer fires."""


class ClientRequestPart(Tagged, frozen=True, kw_only=True):
    """A client asks for a command."""

    command: str


class ReceivePart(Tagged, frozen=True, kw_only=True):
    """A message arrives."""

    message: AnyMessagePart


class RestartPart(Tagged, frozen=True, kw_only=True):
    """The server crashes, and comes back with what is durable."""


EventPart: TypeAlias = (
    ElectionTimeoutPart | HeartbeatTimeoutPart | ClientRequestPart | ReceivePart | RestartPart
)

# --- what comes out --------------------------------------------------------------------------


class SendPart(Tagged, frozen=True, kw_only=True):
    """Send a message."""

    message: AnyMessagePart


class ApplyPart(Tagged, frozen=True, kw_only=True):
    """Apply a committed entry."""

    index: Natural
    entry: EntryPart


class AppendedPart(Tagged, frozen=True, kw_only=True):
    """Tell the client: the command is in the log, not yet committed."""

    index: Natural
    term: Natural


class NotLeaderPart(Tagged, frozen=True, kw_only=True):
    """Tell the client: ask the leader, if one is known."""

    leader: Server | None


class ResetElectionTimerPart(Tagged, frozen=True, kw_only=True):
    """Start a new election timeout."""


OutputPart: TypeAlias = SendPart | ApplyPart | AppendedPart | NotLeaderPart | ResetElectionTimerPart
