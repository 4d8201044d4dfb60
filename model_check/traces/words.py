"""Traces, in words."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UnsetType

from model_check.render import describe_event, describe_way, server_name
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


def describe_told(told: Told) -> str:
    """A message, with its source and destination."""
    match told:
        case Counted(rest, count):
            return f"{describe_way(rest)}, with {count} entries"
        case Unreadable(source, destination, kind):
            return f"{kind} from {server_name(source)} to {server_name(destination)}"
    return describe_way(told)


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
    return describe_event(server, cause)


def describe_seen(seen: Seen) -> str:
    """What was seen of a server after a step."""
    return ", ".join(_parts(seen)) or "nothing"


def _parts(seen: Seen) -> Iterator[str]:
    for name in ("current_term", "voted_for", "role", "commit_index"):
        value = getattr(seen, name)
        if not isinstance(value, UnsetType):
            yield f"{name} {value}"
    if isinstance(seen.log, Spliced):
        entries = ", ".join(map(str, seen.log.entries)) or "nothing"
        yield f"log from {seen.log.start} on: {entries}"
    for name in ("last_log_index", "last_log_term"):
        value = getattr(seen, name)
        if not isinstance(value, UnsetType):
            yield f"{name} {value}"
    if isinstance(seen.base, Base):
        yield f"log after {seen.base.index} of term {seen.base.term}"


def describe_sent(happening: Happening) -> Iterator[str]:
    """What a step put out."""
    for sending in happening.sent:
        yield f"sends {describe_told(sending.told)}"
    for applying in happening.applied:
        entry = "" if isinstance(applying.entry, UnsetType) else f", {applying.entry}"
        yield f"applies index {applying.index}{entry}"
