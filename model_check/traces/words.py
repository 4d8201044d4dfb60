"""Traces, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from msgspec import UnsetType

from model_check.render import describe_entries, describe_event, describe_way, server_name
from model_check.traces.happening import (
    Arrived,
    Base,
    Beyond,
    Counted,
    Happening,
    Seen,
    Spliced,
    Start,
    Told,
    Unreadable,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    HeartbeatTimeout,
    RequestVote,
    RequestVoteReply,
    Restart,
)
from spec.words import entry_text


def describe_told(told: Told) -> str:
    """A message, with its source and destination."""
    match told:
        case Counted(rest, count):
            return describe_way(rest).replace("entries=[]", f"{count} entries")
        case Unreadable(source, destination, kind):
            return f"{kind} from {server_name(source)} to {server_name(destination)}"
        case RequestVote() | RequestVoteReply() | AppendEntries() | AppendEntriesReply():
            return describe_way(told)
        case _:
            assert_never(told)


def describe_happening(happening: Happening) -> str:
    """What happened to a server, as a sentence."""
    server, cause = happening.server, happening.cause
    match cause:
        case Start():
            return f"{server_name(server)} starts"
        case Beyond(feature):
            return f"{server_name(server)}: {feature}"
        case Arrived(told):
            return f"{server_name(server)} receives {describe_told(told)}"
        case ElectionTimeout() | HeartbeatTimeout() | ClientRequest() | Restart():
            return describe_event(server, cause)
        case _:
            assert_never(cause)


def describe_seen(seen: Seen) -> str:
    """What was seen of a server after a step."""
    return ", ".join(_parts(seen)) or "nothing"


def _parts(seen: Seen) -> Iterator[str]:
    if not isinstance(seen.current_term, UnsetType):
        yield f"term {seen.current_term}"
    if not isinstance(seen.voted_for, UnsetType):
        vote = "nobody" if seen.voted_for is None else server_name(seen.voted_for)
        yield f"a vote for {vote}"
    if not isinstance(seen.role, UnsetType):
        yield seen.role
    if not isinstance(seen.commit_index, UnsetType):
        yield f"commit index {seen.commit_index}"
    if isinstance(seen.log, Spliced):
        yield f"a log with {describe_entries(seen.log.entries)} from {seen.log.start} on"
    if not isinstance(seen.last_log_index, UnsetType):
        yield f"a log up to {seen.last_log_index}"
    if not isinstance(seen.last_log_term, UnsetType):
        yield f"a last entry of term {seen.last_log_term}"
    if isinstance(seen.base, Base):
        yield f"a snapshot up to {seen.base.index}, of term {seen.base.term}"


def describe_sent(happening: Happening) -> Iterator[str]:
    """What a step put out."""
    for sending in happening.sent:
        yield f"sends {describe_told(sending.told)}"
    for applying in happening.applied:
        entry = "" if isinstance(applying.entry, UnsetType) else f", {entry_text(applying.entry)}"
        yield f"applies index {applying.index}{entry}"
