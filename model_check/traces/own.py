"""Reading traces in the format of raft-ref; see ``spec/trace_format.md``."""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from model_check.conformance.protocol import ProtocolError, decode_strictly
from model_check.traces.happening import (
    Applying,
    Happening,
    Place,
    PlacedLines,
    Redirecting,
    Seen,
    Sending,
    Start,
    Trace,
    TraceError,
)
from model_check.traces.lines import (
    AnyLine,
    AnyStepLine,
    ApplyLine,
    Header,
    Name,
    OutputLine,
    RedirectLine,
    SendLine,
)
from model_check.traces.own_parts import Parts, entry_of
from raft_ref import Index, NodeId

T = TypeVar("T")

_HEADER = msgspec.json.Decoder(Header)
_LINE = msgspec.json.Decoder(AnyLine)


def read(lines: PlacedLines) -> Trace:
    """The trace in ``lines``, each file of which begins with a header, the same in all.

    Raises:
        TraceError: if it is none.
    """
    reader: _Reader | None = None
    file: str | None = None
    for place, line in lines:
        if place.file != file:
            file, header = place.file, _header(place, line.removeprefix(BOM_UTF8))
            reader = reader or _Reader(header)
            if reader.header != header:
                raise TraceError(
                    f"{place}: another first line than that of the files before; all name all "
                    "servers, in the same order"
                )
        elif line.strip():
            assert reader is not None
            if b'"format"' in line and b'"event"' not in line:
                raise TraceError(f"{place}: a second first line; name the files one by one")
            reader.add(place, _decoded(place, line, _LINE))
    if reader is None:
        raise TraceError("the trace is empty; see spec/trace_format.md")
    trace = reader.trace()
    if not trace.happenings:
        raise TraceError("the trace tells of nothing: there is only its first line")
    return trace


def _header(place: Place, line: bytes) -> Header:
    if b'"event"' in line or not line.strip():
        raise TraceError(
            f'{place}: the first line is {{"format": "raft-ref", "version": 1, "servers": [...]}}, '
            "and names all servers; see spec/trace_format.md"
        )
    header = _decoded(place, line, _HEADER)
    names = [str(name) for name in (*header.servers, *header.learners)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TraceError(
            f"{place}: server {twice} is named twice among the servers and learners "
            '(1 and "1" look alike)'
        )
    return header


def _decoded(place: Place, line: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decode_strictly(line, decoder)
    except ProtocolError as error:
        raise TraceError(f"{place}: {error}; see spec/trace_format.md") from None


@dataclass(slots=True)
class _Draft:
    """A step, line by line."""

    beginning: Happening
    """As its first line tells of it."""
    sent: list[Sending] = field(default_factory=list)
    applied: list[Applying] = field(default_factory=list)
    redirected: list[Redirecting] = field(default_factory=list)

    @property
    def happening(self) -> Happening:
        """All that was told of it."""
        outputs: list[Sending | Applying | Redirecting] = [
            *self.sent,
            *self.applied,
            *self.redirected,
        ]
        return replace(
            self.beginning,
            sent=tuple(self.sent),
            applied=tuple(self.applied),
            redirected=tuple(self.redirected),
            ends=max((each.place for each in outputs), default=None),
        )


@dataclass(slots=True)
class _Reader:
    """Makes steps of lines."""

    header: Header
    _parts: Parts = field(init=False)
    _done: list[_Draft] = field(default_factory=list)
    _open: dict[NodeId, _Draft] = field(default_factory=dict)
    """By server: its last step."""
    _ends: dict[NodeId, Index | None] = field(default_factory=dict)
    """By server: where its log ends, as far as the last step has told."""
    _lines: int = 0

    def __post_init__(self) -> None:
        self._parts = Parts([*self.header.servers, *self.header.learners])

    def add(self, place: Place, line: AnyLine) -> None:
        """The next line."""
        self._lines += 1
        server = self._parts.number(place, line.server)
        try:
            if isinstance(line, OutputLine):
                self._add_output(place, server, line)
            else:
                self._add_step(place, server, line)
        except ProtocolError as error:
            raise TraceError(f"{place}: {error}; see spec/trace_format.md") from None

    def trace(self) -> Trace:
        """All that was read."""
        numbers = self._parts.numbers
        return Trace(
            servers=frozenset(numbers[name] for name in self.header.servers),
            learners=frozenset(numbers[name] for name in self.header.learners),
            happenings=tuple(draft.happening for draft in self._done),
            lines=self._lines,
            names={number: str(name) for name, number in numbers.items()},
            sends_seen="sends" not in self.header.unobserved,
            applying_seen={"apply", "start"} <= set(self.header.complete),
        )

    def _add_step(self, place: Place, server: NodeId, line: AnyStepLine) -> None:
        cause = self._parts.cause(place, server, line)
        if server not in self._open and not isinstance(cause, Start):
            raise TraceError(
                f"{place}: the first that is told of server {line.server!r} is {_event(line)}; "
                "begin with a start, which says what it was like, also after a crash"
            )
        if isinstance(cause, Start) and server in self._open:
            raise TraceError(
                f"{place}: server {line.server!r} starts a second time; after a crash, it is a "
                "restart"
            )
        seen = self._parts.seen(place, line.state, is_start=isinstance(cause, Start))
        self._require_log(place, server, line.server, seen)
        draft = self._open[server] = _Draft(Happening(place, server, cause, seen))
        self._done.append(draft)

    def _require_log(self, place: Place, server: NodeId, name: Name, seen: Seen) -> None:
        """What is told of a log goes on where it was told to end."""
        beginning = 0 if isinstance(seen.base, UnsetType) else seen.base.index
        end = self._ends.get(server, beginning)
        if isinstance(seen.log, UnsetType):
            self._ends[server] = None
            return
        last = seen.log.start - 1 + len(seen.log.entries)
        if seen.last_log_index not in (UNSET, last):
            raise TraceError(
                f"{place}: the log of server {name!r} ends at {last}, but last_log_index is "
                f"{seen.last_log_index}"
            )
        if end is not None and seen.log.start > end + 1:
            raise TraceError(
                f"{place}: the log of server {name!r} changes from {seen.log.start} on, but ended "
                f"at {end}"
            )
        self._ends[server] = last

    def _add_output(self, place: Place, server: NodeId, line: OutputLine) -> None:
        draft = self._open.get(server)
        if draft is None:
            raise TraceError(
                f"{place}: server {line.server!r} does {_event(line)} before it starts"
            )
        if isinstance(draft.beginning.cause, Start):
            raise TraceError(
                f"{place}: server {line.server!r} does {_event(line)} when it has only started; "
                "say first what makes it do so"
            )
        match line:
            case SendLine():
                _require_own(place, line)
                draft.sent.append(Sending(place, self._parts.told(place, line.message)))
            case ApplyLine():
                entry = UNSET if isinstance(line.entry, UnsetType) else entry_of(line.entry)
                draft.applied.append(Applying(place, line.index, entry))
            case RedirectLine():
                leader = self._parts.number(place, line.leader)
                draft.redirected.append(Redirecting(place, leader))


def _require_own(place: Place, line: SendLine) -> None:
    message = line.message
    if message.source != line.server or message.destination == line.server:
        raise TraceError(
            f"{place}: server {line.server!r} sends a message from {message.source!r} to "
            f"{message.destination!r}; what it sends to itself is no message"
        )


def _event(line: AnyLine) -> str:
    name = str(line.__struct_config__.tag)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
