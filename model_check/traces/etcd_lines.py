"""A line of the traces that etcd writes, and what it tells; see `etcd`."""

from __future__ import annotations

from msgspec import Struct

from model_check.traces.happening import (
    Place,
    RoleName,
    Told,
    TraceError,
    Unreadable,
    counted,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    NodeId,
    RequestVote,
    RequestVoteReply,
)

MOST_DIGITS = 20
"""Of the number of a server, which has 64 bits."""
MOST_ENTRIES = 1 << 20
"""In one message."""


class HardState(Struct, frozen=True):
    """What etcd calls the hard state of a server."""

    term: int
    vote: str
    commit: int


class EtcdMessage(Struct, frozen=True, rename={"source": "from", "log_term": "logTerm"}):
    """A message."""

    type: str
    term: int
    source: str
    to: str
    entries: int
    log_term: int
    index: int
    commit: int
    reject: bool


class ConfChange(Struct, frozen=True):
    """A configuration that is applied."""

    newconf: tuple[str, ...] = ()


class Details(Struct, frozen=True):
    """What else is told of an event."""

    cc: ConfChange = ConfChange()


class EtcdEvent(Struct, frozen=True):
    """What happens."""

    name: str
    nid: str
    state: HardState
    role: str
    log: int
    conf: tuple[tuple[str, ...], ...] = ()
    """The voters that the server knows of; of a joint configuration, both halves."""
    msg: EtcdMessage | None = None
    prop: Details | None = None


ROLES: dict[str, RoleName] = {
    "StateFollower": "follower",
    "StateCandidate": "candidate",
    "StateLeader": "leader",
}


def number_of(place: Place, name: str) -> NodeId:
    """The number of a server."""
    if not name.isascii() or not name.isdecimal() or len(name) > MOST_DIGITS:
        raise TraceError(f"{place}: {name[:40]!r} is no number of a server")
    return int(name)


def told_by(place: Place, event: EtcdEvent) -> Told:
    """The message of an event."""
    message = event.msg
    if message is None:
        raise TraceError(f"{place}: a {event.name} without a message")
    source, destination = number_of(place, message.source), number_of(place, message.to)
    if not 0 <= message.entries <= MOST_ENTRIES:
        raise TraceError(f"{place}: a message with {message.entries} entries")
    match message.type:
        case "MsgVote":
            return RequestVote(
                source=source,
                destination=destination,
                term=message.term,
                last_log_index=message.index,
                last_log_term=message.log_term,
            )
        case "MsgVoteResp":
            return RequestVoteReply(
                source=source,
                destination=destination,
                term=message.term,
                vote_granted=not message.reject,
            )
        case "MsgApp" | "MsgHeartbeat":
            request = AppendEntries(
                source=source,
                destination=destination,
                term=message.term,
                prev_log_index=message.index,
                prev_log_term=message.log_term,
                entries=(),
                leader_commit=message.commit,
            )
            return counted(request, message.entries)
        case "MsgAppResp" | "MsgHeartbeatResp":
            return AppendEntriesReply(
                source=source,
                destination=destination,
                term=message.term,
                success=not message.reject,
                match_index=0 if message.reject else message.index,
            )
        case _:
            return Unreadable(source, destination, message.type)


def vote_in(event: EtcdEvent) -> NodeId | None:
    """For whom the server has voted."""
    vote = event.state.vote
    return int(vote) if vote.isdecimal() and len(vote) <= MOST_DIGITS and vote != "0" else None
