"""What the parts of a line say, in the format of raft-ref; see `own`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, UnsetType

from model_check.conformance.observed import ForeignMessage, understood
from model_check.conformance.protocol import EntryPart, ProtocolError, decode_strictly
from model_check.traces.happening import (
    Arrived,
    Base,
    Beyond,
    Cause,
    Counted,
    Place,
    Seen,
    Spliced,
    Start,
    Told,
    TraceError,
    Unreadable,
    counted,
)
from model_check.traces.lines import (
    AnyStepLine,
    BeyondLine,
    CountedFields,
    ElectionTimeoutLine,
    HeartbeatTimeoutLine,
    LogPart,
    Name,
    ProposeLine,
    ReceiveLine,
    RestartLine,
    SeenPart,
    StartLine,
    ToldPart,
)
from raft_ref import (
    AppendEntries,
    ClientRequest,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    NodeId,
    Restart,
)

_COUNTED = msgspec.json.Decoder(CountedFields)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])

FEATURES = {
    "InstallSnapshot": "snapshots",
    "InstallSnapshotReply": "snapshots",
    "PreVote": "pre-vote",
    "PreVoteReply": "pre-vote",
}
"""Kinds of messages that belong to what the rules do not cover."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Reads the parts of lines in which servers have these names.

    Raises:
        TraceError: if what a part says cannot be.
        ProtocolError: likewise, by whoever does not know the place.
    """

    names: Sequence[Name]
    """Of all servers and learners of the first line, in their order."""
    numbers: dict[Name, NodeId] = field(init=False)
    """By name: those of the first line, then all others as they are met."""

    def __post_init__(self) -> None:
        numbers = {name: number for number, name in enumerate(self.names, start=1)}
        object.__setattr__(self, "numbers", numbers)

    def number(self, place: Place, name: Name) -> NodeId:
        """The server of the first line that has this name."""
        number = self.numbers.get(name, 0)
        if not 1 <= number <= len(self.names):
            among = ", ".join(map(repr, self.names))
            raise TraceError(
                f"{place}: no server {name!r} among those of the first line: {among}; a server "
                'without a vote is named there among the "learners"'
            )
        return number

    def address(self, place: Place, name: Name) -> NodeId:
        """Anything that a server may name, send to or hear from, in the first line or not."""
        number = self.numbers.get(name)
        if number is None:
            alike = next((known for known in self.numbers if str(known) == str(name)), None)
            if alike is not None:
                raise TraceError(f"{place}: {name!r} is written {alike!r} before; write it one way")
            number = self.numbers[name] = len(self.numbers) + 1
        return number

    def cause(self, place: Place, server: NodeId, line: AnyStepLine) -> Cause:
        """What makes the server take the step that a line begins."""
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
        told = self.told(place, message)
        if self.address(place, message.destination) != server:
            raise TraceError(
                f"{place}: a message to server {message.destination!r} arrives at another"
            )
        if message.kind in FEATURES:
            return Beyond(FEATURES[message.kind])
        return Arrived(told)

    def told(self, place: Place, message: ToldPart) -> Told:
        """A message, as far as it is told."""
        source = self.address(place, message.source)
        destination = self.address(place, message.destination)
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

    def seen(self, place: Place, part: SeenPart, *, is_start: bool) -> Seen:
        """What is told of the server after a step."""
        if is_start:
            _require_all(place, part)
        elif (part.snapshot_index, part.snapshot_term) != (UNSET, UNSET):
            raise TraceError(
                f"{place}: snapshot_index and snapshot_term belong to a start; a snapshot taken "
                'later is {"event": "beyond", "feature": "snapshots", ...}'
            )
        vote: NodeId | UnsetType | None
        match part.voted_for:
            case int() | str() as name:
                vote = self.address(place, name)
            case nobody_or_unset:
                vote = nobody_or_unset
        return Seen(
            current_term=part.current_term,
            voted_for=vote,
            role=part.role,
            commit_index=part.commit_index,
            log=UNSET if isinstance(part.log, UnsetType) else spliced(part.log),
            last_log_index=part.last_log_index,
            last_log_term=part.last_log_term,
            base=UNSET if isinstance(part.snapshot_index, UnsetType) else _base(part),
        )


def _require_all(place: Place, part: SeenPart) -> None:
    """A start says all, or nothing."""
    fields = ("current_term", "voted_for", "role", "commit_index")
    missing = [name for name in fields if isinstance(getattr(part, name), UnsetType)]
    beginning = 0 if isinstance(part.snapshot_index, UnsetType) else part.snapshot_index
    if isinstance(part.log, UnsetType) and part.last_log_index != beginning:
        missing.append("log")
    if missing and part != SeenPart():
        raise TraceError(
            f"{place}: a start says all that the server is like (or, of one that has never run, "
            f"nothing): {', '.join(missing)} missing; see spec/trace_format.md"
        )


def entry_of(part: EntryPart) -> Entry:
    """An entry."""
    return Entry(part.term, part.command)


def spliced(part: LogPart) -> Spliced:
    """How a log has changed."""
    return Spliced(part.start, tuple(map(entry_of, part.entries)))


def _base(part: SeenPart) -> Base:
    index, term = part.snapshot_index, part.snapshot_term
    return Base(
        0 if isinstance(index, UnsetType) else index, 0 if isinstance(term, UnsetType) else term
    )


def _counted(source: NodeId, destination: NodeId, fields: CountedFields) -> Counted | AppendEntries:
    rest = AppendEntries(
        source=source,
        destination=destination,
        term=fields.term,
        prev_log_index=fields.prev_log_index,
        prev_log_term=fields.prev_log_term,
        entries=(),
        leader_commit=fields.leader_commit,
    )
    return counted(rest, fields.entry_count)
