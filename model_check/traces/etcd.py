"""The traces that etcd's Raft writes when it is built with the tag ``with_tla``.

They were made for validation against a TLA+ model, and tell less than they seem to:

- ``Receive...`` shows the state *before* the message is handled; ``Become...``, ``Commit`` and
  ``Send...`` show it as it is then, within the step; in the others it is not reliable. A vote is
  recorded after the answer that grants it.
- Of entries only the number is told, so logs are inferred: a leader appends in its own term.
- A log may begin with a snapshot whose term is not told; the first message to name it tells.
- What a server sends to itself is told as well.
- A crash shows as a second ``InitState``. What happened since the last ``Ready`` was not durable,
  nor had it been sent.
- Snapshots are append requests of type ``MsgSnap``; pre-votes show only in the role.
- Learners are named nowhere. A server that knows of the voters, and is none of them, is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType

from model_check.traces.etcd_lines import MOST_DIGITS, EtcdEvent, number_of
from model_check.traces.etcd_steps import Story
from model_check.traces.happening import (
    Beyond,
    Place,
    PlacedLines,
    Start,
    Trace,
    TraceError,
)
from raft_ref import (
    Index,
    NodeId,
    Restart,
    Term,
)


class Line(Struct, frozen=True):
    """A line, as etcd's logger writes it, among others."""

    event: EtcdEvent | UnsetType = UNSET


_NO_STEP = (Start, Restart, Beyond)
"""What befalls a server that has yet to join, too."""
_LINE = msgspec.json.Decoder(Line)
_BARE = msgspec.json.Decoder(EtcdEvent)


def read(lines: PlacedLines) -> Trace:
    """The trace in ``lines``, of which those are passed over that tell of something else.

    Raises:
        TraceError: if there is nothing of the kind in it, or it cannot be understood.
    """
    found = [(place, event) for place, line in lines if (event := _event(place, line)) is not None]
    if not found:
        raise TraceError(
            "no line has an event of etcd's, which writes them if it is built with the tag with_tla"
        )
    servers = _first_configuration(event for _, event in found)
    stories: dict[NodeId, Story] = {}
    for place, event in found:
        server = number_of(place, event.nid)
        story = stories.setdefault(server, Story(server, servers))
        story.add(place, event)
    terms = _snapshot_terms([event for _, event in found])
    happenings = [each for story in stories.values() for each in story.happenings(terms)]
    happenings.sort(key=lambda each: each.place)
    judged = (each.server for each in happenings if not isinstance(each.cause, _NO_STEP))
    learners = frozenset(judged) - servers
    addresses = (address for each in happenings for address in each.addresses)
    names = {server: str(server) for server in (*servers, *stories, *addresses)}
    return Trace(servers, tuple(happenings), len(found), names, learners)


def _event(place: Place, line: bytes) -> EtcdEvent | None:
    """What a line tells; None if it is no line of a trace."""
    if b'"nid"' not in line:
        return None
    try:
        found = _LINE.decode(line).event
        return _BARE.decode(line) if isinstance(found, UnsetType) else found
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise TraceError(f"{place}: no event as etcd writes it: {error}") from None


def _first_configuration(events: Iterable[EtcdEvent]) -> frozenset[NodeId]:
    """The servers that the cluster has before any message is sent."""
    servers: set[str] = set()
    for event in events:
        if event.msg is not None:
            break
        servers.update(event.prop.cc.newconf if event.prop is not None else ())
    numbers = (server for server in servers if server.isdecimal() and len(server) <= MOST_DIGITS)
    return frozenset(map(int, numbers))


def _snapshot_terms(events: Sequence[EtcdEvent]) -> dict[tuple[str, Index], Term]:
    """By server and index: of which term the entry there is, as the first message says that names
    it: one that the server itself sends, otherwise any."""
    own: dict[tuple[str, Index], Term] = {}
    any_of: dict[Index, Term] = {}
    for event in events:
        message = event.msg
        if message is not None and message.type in ("MsgVote", "MsgApp"):
            any_of.setdefault(message.index, message.log_term)
            own.setdefault((message.source, message.index), message.log_term)
    servers = {event.nid for event in events}
    return {(server, index): term for server in servers for index, term in any_of.items()} | own
