"""What a trace tells: steps of servers, as far as they were seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from msgspec import UNSET, UnsetType

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    Index,
    Message,
    NodeId,
    RequestVote,
    RequestVoteReply,
    Restart,
    Term,
)

RoleName: TypeAlias = Literal["follower", "candidate", "leader"]


class TraceError(ValueError):
    """A trace cannot be read: where, what was found there, and what should be."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in a trace something stands."""

    number: int
    """Of the line, from 1."""
    file: str = ""
    """If there are several."""

    def __str__(self) -> str:
        return f"line {self.number} of {self.file}" if self.file else f"line {self.number}"


# --- messages ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """An AppendEntries of whose entries only the number was seen."""

    rest: AppendEntries
    """The request, but for its entries."""
    count: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message of a kind that Figure 2 does not know."""

    source: NodeId
    destination: NodeId
    kind: str


def counted(rest: AppendEntries, count: int) -> AppendEntries | Counted:
    """A request without its entries, of which there were so many; if none, that is all of it."""
    return Counted(rest, count) if count else rest


Told: TypeAlias = Message | Counted | Unreadable
"""A message, as far as it was seen."""


def from_whom(told: Told) -> NodeId:
    """Who is said to have sent it."""
    return ends_of_way(told)[0]


def ends_of_way(told: Told) -> tuple[NodeId, NodeId]:
    """By whom it was sent, and to whom."""
    message = told.rest if isinstance(told, Counted) else told
    return message.source, message.destination


def term_of(told: Told) -> Term:
    """Of which term it is; 0 if that cannot be read."""
    match told:
        case Counted(rest):
            return rest.term
        case Unreadable():
            return 0
        case RequestVote() | RequestVoteReply() | AppendEntries() | AppendEntriesReply():
            return told.term
        case _:
            assert_never(told)


# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """A server starts for the first time."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message has arrived."""

    told: Told
    seal: str = ""
    """All that was seen of it, if that is more; it is the same when it is sent."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Something happens that the rules do not cover."""

    feature: str


Cause: TypeAlias = (
    Start | ElectionTimeout | HeartbeatTimeout | ClientRequest | Restart | Arrived | Beyond
)
"""What makes a server take a step."""


# --- states --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spliced:
    """How a log was seen to change: from an index on, it holds these entries and no others."""

    start: Index
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Base:
    """With what a log begins: a snapshot that has replaced all up to an index."""

    index: Index
    term: Term


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a server after a step; `UNSET` where nothing was."""

    current_term: Term | UnsetType = UNSET
    voted_for: NodeId | UnsetType | None = UNSET
    role: RoleName | UnsetType = UNSET
    commit_index: Index | UnsetType = UNSET
    log: Spliced | UnsetType = UNSET
    last_log_index: Index | UnsetType = UNSET
    last_log_term: Term | UnsetType = UNSET
    base: Base | UnsetType = UNSET
    """Only when a server starts."""


NOTHING_SEEN = Seen()


@dataclass(frozen=True, slots=True)
class Sending:
    """A message leaves a server."""

    place: Place
    told: Told
    seal: str = ""
    """As of `Arrived`."""


@dataclass(frozen=True, slots=True)
class Applying:
    """A server hands an entry to its state machine; what entry may not have been seen."""

    place: Place
    index: Index
    entry: Entry | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Redirecting:
    """A server names a leader to a client."""

    place: Place
    leader: NodeId


@dataclass(frozen=True, slots=True)
class Happening:
    """A step of a server, as far as it was seen."""

    place: Place
    server: NodeId
    cause: Cause
    seen: Seen = NOTHING_SEEN
    sent: tuple[Sending, ...] = ()
    applied: tuple[Applying, ...] = ()
    redirected: tuple[Redirecting, ...] = ()
    glimpses: tuple[Seen, ...] = ()
    """What was seen within the step, when some of it was done."""
    ends: Place | None = None
    """Where it ends, if not where it begins."""

    @property
    def addresses(self) -> frozenset[NodeId]:
        """All that a message in it comes from or goes to."""
        told = [sending.told for sending in self.sent]
        if isinstance(self.cause, Arrived):
            told.append(self.cause.told)
        return frozenset(server for each in told for server in ends_of_way(each))

    @property
    def end(self) -> Place:
        """The last of its lines."""
        return self.place if self.ends is None else self.ends


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace, read."""

    servers: frozenset[NodeId]
    """Those that have a vote, and of which a majority is counted."""
    happenings: tuple[Happening, ...]
    lines: int
    names: Mapping[NodeId, str]
    """The names in the trace of all that send or receive a message in it, or are named first."""
    learners: frozenset[NodeId] = frozenset()
    """Servers without a vote of which the trace tells steps."""
    sends_seen: bool = True
    """Whether every message that a server sent is told, if its sender is in the trace at all."""
    applying_seen: bool = False
    """Whether every entry that a server applied is told, and every start and restart of it."""

    @property
    def unlisted(self) -> frozenset[NodeId]:
        """Those that only send or receive messages: nobody says what they are."""
        return frozenset(self.names) - self.servers - self.learners

    def times_shown(self) -> dict[str, int]:
        """By what may be seen of a server: in how many steps it was."""
        return {
            name: sum(getattr(each.seen, name) is not UNSET for each in self.happenings)
            for name in ("current_term", "voted_for", "role", "commit_index", "log")
        }


PlacedLines: TypeAlias = Iterable[tuple[Place, bytes]]
"""The lines of one file, or of several one after the other."""
