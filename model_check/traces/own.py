"""Reading traces in the format of raft-ref; see ``spec/trace_format.md``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from model_check.conformance.observed import ForeignMessage, understood
from model_check.conformance.protocol import (
    EntryPart,
    ProtocolError,
    decode_strictly,
)
from model_check.traces.happening import (
    Applying,
    Arrived,
    Base,
    Beyond,
    Cause,
    Counted,
    Happening,
    Place,
    PlacedLines,
    Seen,
    Sending,
    Spliced,
    Start,
    Told,
    Trace,
    TraceError,
    Unreadable,
)
from model_check.traces.lines import (
    AnyLine,
    AnyStepLine,
    ApplyLine,
    BeyondLine,
    CountedFields,
    ElectionTimeoutLine,
    Header,
    HeartbeatTimeoutLine,
    LogPart,
    Name,
    ProposeLine,
    ReceiveLine,
    RestartLine,
    SeenPart,
    SendLine,
    StartLine,
    ToldPart,
)
from raft_ref import (
    AppendEntries,
    ClientRequest,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    Index,
    NodeId,
    Restart,
)

T = TypeVar("T")

_HEADER = msgspec.json.Decoder(Header)
_LINE = msgspec.json.Decoder(AnyLine)
_COUNTED = msgspec.json.Decoder(CountedFields)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])

FEATURES = {
    "InstallSnapshot": "snapshots",
    "InstallSnapshotReply": "snapshots",
    "PreVote": "pre-vote",
    "PreVoteReply": "pre-vote",
}
"""Kinds of messages that belong to what the rules do not cover."""


def read(lines: PlacedLines) -> Trace:
    """The trace in ``lines``, each file of which begins with a header, the same in all.

    Raises:
        TraceError: if it is none.
    """
    reader: _Reader | None = None
    file: str | None = None
    for place, line in lines:
        if place.file != file:
            file, header = place.file, _header(place, line)
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
    if b'"event"' in line:
        raise TraceError(
            f'{place}: the first line is {{"format": "raft-ref", "version": 1, "servers": [...]}}, '
            "and names all servers; see spec/trace_format.md"
        )
    header = _decoded(place, line, _HEADER)
    if len(set(header.servers)) < len(header.servers):
        raise TraceError(f"{place}: a server is named twice among the servers")
    return header


def _decoded(place: Place, line: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decode_strictly(line, decoder)
    except ProtocolError as error:
        raise TraceError(f"{place}: {error}; see spec/trace_format.md") from None


@dataclass(slots=True)
class _Reader:
    """Makes steps of lines."""

    header: Header
    _numbers: dict[Name, NodeId] = field(init=False)
    _done: list[Happening] = field(default_factory=list)
    _open: dict[NodeId, int] = field(default_factory=dict)
    """By server: which of these is its last step."""
    _ends: dict[NodeId, Index | None] = field(default_factory=dict)
    """By server: where its log ends, as far as the last step has told."""
    _lines: int = 0

    def __post_init__(self) -> None:
        self._numbers = {name: n for n, name in enumerate(self.header.servers, start=1)}

    def add(self, place: Place, line: AnyLine) -> None:
        """The next line."""
        self._lines += 1
        server = self._number(place, line.server)
        try:
            if isinstance(line, SendLine | ApplyLine):
                self._add_output(place, server, line)
            else:
                self._add_step(place, server, line)
        except ProtocolError as error:
            raise TraceError(f"{place}: {error}; see spec/trace_format.md") from None

    def trace(self) -> Trace:
        """All that was read."""
        return Trace(
            servers=frozenset(self._numbers.values()),
            happenings=tuple(self._done),
            lines=self._lines,
            names={number: str(name) for name, number in self._numbers.items()},
            sends_seen="sends" not in self.header.unobserved,
        )

    def _add_step(self, place: Place, server: NodeId, line: AnyStepLine) -> None:
        cause = self._cause(place, server, line)
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
        seen = self._seen(place, line.state, is_start=isinstance(cause, Start))
        self._require_log(place, server, line.server, seen)
        self._open[server] = len(self._done)
        self._done.append(Happening(place, server, cause, seen))

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

    def _add_output(self, place: Place, server: NodeId, line: SendLine | ApplyLine) -> None:
        number = self._open.get(server)
        if number is None:
            raise TraceError(
                f"{place}: server {line.server!r} does {_event(line)} before it starts"
            )
        step = self._done[number]
        if isinstance(step.cause, Start):
            raise TraceError(
                f"{place}: server {line.server!r} does {_event(line)} when it has only started; "
                "say first what makes it do so"
            )
        if isinstance(line, SendLine):
            self._require_own(place, line)
            sending = Sending(place, self._told(place, line.message))
            step = replace(step, sent=(*step.sent, sending), ends=place)
        else:
            entry = line.entry if isinstance(line.entry, UnsetType) else _entry(line.entry)
            step = replace(step, applied=(*step.applied, Applying(place, line.index, entry)))
            step = replace(step, ends=place)
        self._done[number] = step

    def _require_own(self, place: Place, line: SendLine) -> None:
        message = line.message
        if message.source != line.server or message.destination == line.server:
            raise TraceError(
                f"{place}: server {line.server!r} sends a message from {message.source!r} to "
                f"{message.destination!r}; what it sends to itself is no message"
            )

    def _cause(self, place: Place, server: NodeId, line: AnyStepLine) -> Cause:
        match line:
            case StartLine():
                return Start()
            case RestartLine():
                return Restart()
            case ElectionTimeoutLine():
                return ElectionTimeout()
            case HeartbeatTimeoutLine():
                return HeartbeatTimeout()
            case ProposeLine(command=command):
                return ClientRequest(command)
            case BeyondLine(feature=feature):
                return Beyond(feature)
            case ReceiveLine(message=message):
                return self._arrival(place, server, message)

    def _arrival(self, place: Place, server: NodeId, message: ToldPart) -> Cause:
        told = self._told(place, message)
        destination = self._number(place, message.destination)
        if destination != server:
            raise TraceError(
                f"{place}: a message to server {message.destination!r} arrives at another"
            )
        if message.kind in FEATURES:
            return Beyond(FEATURES[message.kind])
        return Arrived(told)

    def _told(self, place: Place, message: ToldPart) -> Told:
        source = self._number(place, message.source)
        destination = self._number(place, message.destination)
        text = bytes(message.fields)
        if message.kind == "AppendEntries" and "entry_count" in decode_strictly(text, _OBJECT):
            return _counted(source, destination, decode_strictly(text, _COUNTED))
        try:
            fields = text.decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(str(error)) from None
        foreign = ForeignMessage(source, destination, message.kind, fields, "")
        found = understood(foreign)
        return Unreadable(source, destination, message.kind) if found is None else found

    def _seen(self, place: Place, part: SeenPart, *, is_start: bool) -> Seen:
        vote: NodeId | UnsetType | None
        match part.voted_for:
            case int() | str() as name:
                vote = self._number(place, name)
            case nobody_or_unset:
                vote = nobody_or_unset
        begins = not isinstance(part.snapshot_index, UnsetType)
        if (begins or not isinstance(part.snapshot_term, UnsetType)) and not is_start:
            raise TraceError(
                f"{place}: snapshot_index and snapshot_term belong to a start; a snapshot taken "
                'later is {"event": "beyond", "feature": "snapshots", ...}'
            )
        return Seen(
            current_term=part.current_term,
            voted_for=vote,
            role=part.role,
            commit_index=part.commit_index,
            log=part.log if isinstance(part.log, UnsetType) else _spliced(part.log),
            last_log_index=part.last_log_index,
            last_log_term=part.last_log_term,
            base=_base(part) if begins else UNSET,
        )

    def _number(self, place: Place, name: Name) -> NodeId:
        number = self._numbers.get(name)
        if number is None:
            among = ", ".join(map(repr, self.header.servers))
            raise TraceError(f"{place}: no server {name!r} among those of the first line: {among}")
        return number


def _event(line: AnyLine) -> str:
    name = str(line.__struct_config__.tag)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _entry(part: EntryPart) -> Entry:
    return Entry(part.term, part.command)


def _spliced(part: LogPart) -> Spliced:
    return Spliced(part.start, tuple(map(_entry, part.entries)))


def _base(part: SeenPart) -> Base:
    index, term = part.snapshot_index, part.snapshot_term
    return Base(
        0 if isinstance(index, UnsetType) else index, 0 if isinstance(term, UnsetType) else term
    )


def _counted(source: NodeId, destination: NodeId, fields: CountedFields) -> Counted:
    rest = AppendEntries(
        source=source,
        destination=destination,
        term=fields.term,
        prev_log_index=fields.prev_log_index,
        prev_log_term=fields.prev_log_term,
        entries=(),
        leader_commit=fields.leader_commit,
    )
    return Counted(rest, fields.entry_count)
