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
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import msgspec
from msgspec import UNSET, Struct, UnsetType

from model_check.traces.happening import (
    Arrived,
    Base,
    Beyond,
    Cause,
    Counted,
    Happening,
    Place,
    PlacedLines,
    RoleName,
    Seen,
    Sending,
    Start,
    Told,
    Trace,
    TraceError,
    Unreadable,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    HeartbeatTimeout,
    Index,
    NodeId,
    RequestVote,
    RequestVoteReply,
    Restart,
    Term,
)

# --- lines ---------------------------------------------------------------------------------------


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
    msg: EtcdMessage | None = None
    prop: Details | None = None


class Line(Struct, frozen=True):
    """A line, as etcd's logger writes it, among others."""

    event: EtcdEvent | UnsetType = UNSET


_LINE = msgspec.json.Decoder(Line)
_BARE = msgspec.json.Decoder(EtcdEvent)

_ROLES: dict[str, RoleName] = {
    "StateFollower": "follower",
    "StateCandidate": "candidate",
    "StateLeader": "leader",
}

# --- reading -------------------------------------------------------------------------------------


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
    stories: dict[NodeId, _Story] = {}
    for place, event in found:
        server = _number(place, event.nid)
        story = stories.setdefault(server, _Story(server, servers))
        story.add(place, event)
    terms = _snapshot_terms(event for _, event in found)
    happenings = [each for story in stories.values() for each in story.happenings(terms)]
    happenings.sort(key=lambda each: each.place)
    names = {server: str(server) for server in servers}
    return Trace(servers, tuple(happenings), len(found), names)


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
    return frozenset(int(server) for server in servers if server.isdecimal())


def _snapshot_terms(events: Iterable[EtcdEvent]) -> dict[Index, Term]:
    """By index: of which term the entry there is, as the first message says that names it."""
    terms: dict[Index, Term] = {}
    for event in events:
        message = event.msg
        if message is not None and message.type in ("MsgVote", "MsgApp"):
            terms.setdefault(message.index, message.log_term)
    return terms


def _number(place: Place, name: str) -> NodeId:
    if not name.isascii() or not name.isdecimal() or len(name) > 20:
        raise TraceError(f"{place}: {name[:40]!r} is no number of a server")
    return int(name)


# --- steps ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Step:
    """A step, line by line."""

    place: Place
    cause: Cause
    lines: list[tuple[Place, EtcdEvent]] = field(default_factory=list)
    next: EtcdEvent | None = None
    """The event that shows how it was before the next step."""


_UNRELIABLE = ("InitState", "ApplyConfChange", "Ready", "Replicate")
_BOOTSTRAP = ("InitState", "ApplyConfChange", "Ready", "BecomeFollower")


@dataclass(slots=True)
class _Story:
    """What a server does, step by step."""

    server: NodeId
    servers: frozenset[NodeId]
    steps: list[_Step] = field(default_factory=list)
    is_open: bool = False
    """Whether more may belong to the last step."""
    is_starting: bool = False
    durable: int = 0
    """How many steps had been made durable at the last ``Ready``."""

    def add(self, place: Place, event: EtcdEvent) -> None:
        """The next line."""
        beyond = self._beyond(event)
        if beyond is not None:
            self._begin(place, Beyond(beyond))
        elif event.name == "InitState":
            self._start(place)
        elif self.is_starting and event.name not in _BOOTSTRAP:
            self.is_starting = False
            self._continue(place, event)
        elif not self.is_starting:
            self._continue(place, event)
        if self.steps:
            self._require_same_role(place, event)
            self.steps[-1].lines.append((place, event))
        if event.name == "Ready" and not self.is_starting:
            self.is_open, self.durable = False, len(self.steps)

    def _require_same_role(self, place: Place, event: EtcdEvent) -> None:
        """What a server has become, it is to the end of the step."""
        names = [each.name for _, each in self.steps[-1].lines] + [event.name]
        become = next((name for name in reversed(names) if name.startswith("Become")), None)
        is_told = event.name.startswith(("Become", "Send", "Commit"))
        if become is not None and is_told and event.role != become.replace("Become", "State"):
            raise TraceError(f"{place}: the role is {event.role}, after {become}")

    def _beyond(self, event: EtcdEvent) -> str | None:
        """What the rules do not cover."""
        if event.msg is not None and event.msg.type == "MsgSnap":
            return "snapshots"
        if event.role == "StatePreCandidate":
            return "pre-vote"
        changes = event.prop.cc.newconf if event.prop is not None else ()
        is_outsider = self.server not in self.servers and event.name not in _BOOTSTRAP
        is_new = not self.is_starting and {*changes} not in (set(), {*map(str, self.servers)})
        if event.name == "ChangeConf" or is_outsider or is_new:
            return "membership changes"
        return None

    def _start(self, place: Place) -> None:
        if self.steps:
            del self.steps[self.durable :]
            self._begin(place, Restart())
        else:
            self._begin(place, Start())
            self.is_starting = True
        self.durable = len(self.steps)

    def _continue(self, place: Place, event: EtcdEvent) -> None:
        """A line that may begin a step."""
        if event.name.startswith("Receive"):
            if self.steps:
                self.steps[-1].next = event
            self._begin(place, _arrival(place, event))
        elif event.name == "BecomeCandidate":
            self._begin(place, ElectionTimeout())
        elif event.name == "Replicate" and not self._continues("BecomeLeader"):
            self._begin(place, ClientRequest(""))
        elif self._is_of_a_tick(event) or not (self.is_open or event.name in _UNRELIABLE):
            self._begin(place, HeartbeatTimeout())

    def _is_of_a_tick(self, event: EtcdEvent) -> bool:
        """Whether it can be no part of the step before, though nothing has come in between."""
        if event.msg is not None and event.msg.type == "MsgHeartbeat":
            return not self.is_open or not isinstance(self.steps[-1].cause, HeartbeatTimeout)
        return event.name == "BecomeFollower" and not self._continues("Receive")

    def _continues(self, beginning: str) -> bool:
        """Whether the last line was of such a name, and its step may go on."""
        return self.is_open and self.steps[-1].lines[-1][1].name.startswith(beginning)

    def _begin(self, place: Place, cause: Cause) -> None:
        if not self.steps and not isinstance(cause, Start | Beyond):
            raise TraceError(f"{place}: server {self.server} does something before its InitState")
        self.steps.append(_Step(place, cause))
        self.is_open = True

    def happenings(self, terms: dict[Index, Term]) -> Iterator[Happening]:
        """The steps, as a judge wants them."""
        for step in self.steps:
            if isinstance(step.cause, Start):
                yield from self._beginning(step, terms)
            elif self.server in self.servers or isinstance(step.cause, Beyond):
                yield self._happening(step)

    def _beginning(self, step: _Step, terms: dict[Index, Term]) -> Iterator[Happening]:
        """A start; and if it was seen once more how the server was then, that nothing is new."""
        *_, (place, event) = (each for each in step.lines if each[1].name != "Ready")
        base = Base(event.log, terms.get(event.log, 0))
        seen = replace(_all_of(event), last_log_index=UNSET, base=base if base.index else UNSET)
        yield Happening(step.place, self.server, step.cause, seen)
        if step.next is not None:
            yield Happening(place, self.server, HeartbeatTimeout(), _all_of(step.next))

    def _happening(self, step: _Step) -> Happening:
        sent = [
            Sending(place, _told(place, event), _seal(event))
            for place, event in step.lines
            if event.name.startswith("Send")
        ]
        return Happening(
            step.place,
            self.server,
            step.cause,
            _seen(step),
            tuple(sent),
            glimpses=tuple(_glimpses(step)),
            ends=step.lines[-1][0],
        )


def _arrival(place: Place, event: EtcdEvent) -> Cause:
    return Arrived(_told(place, event), _seal(event))


def _seal(event: EtcdEvent) -> str:
    return repr(event.msg)


def _seen(step: _Step) -> Seen:
    """What the next step shows of how it was before; otherwise what the last reliable line does."""
    if step.next is not None:
        return _all_of(step.next)
    seen = Seen()
    for _, event in step.lines:
        if event.name == "Replicate":
            seen = replace(seen, last_log_index=UNSET)
        elif event.name not in _UNRELIABLE or event.name == "InitState":
            is_settled = event.name in ("BecomeCandidate", "BecomeLeader", "InitState")
            vote = _vote(event) if is_settled else seen.voted_for
            seen = replace(_all_of(event), voted_for=vote)
    return seen


def _glimpses(step: _Step) -> Iterator[Seen]:
    """What the reliable lines show within a step; the role is one of those it has in it."""
    has_become = any(event.name.startswith("Become") for _, event in step.lines)
    for _, event in step.lines:
        if event.name.startswith(("Become", "Send", "Commit")):
            seen = replace(_all_of(event), last_log_index=UNSET)
            yield replace(seen, role=UNSET) if has_become else seen


def _all_of(event: EtcdEvent) -> Seen:
    return Seen(
        current_term=event.state.term,
        voted_for=_vote(event),
        role=_ROLES.get(event.role, UNSET),
        commit_index=event.state.commit,
        last_log_index=event.log,
    )


def _vote(event: EtcdEvent) -> NodeId | None:
    return (
        int(event.state.vote) if event.state.vote.isdecimal() and event.state.vote != "0" else None
    )


def _told(place: Place, event: EtcdEvent) -> Told:
    """The message of an event."""
    message = event.msg
    if message is None:
        raise TraceError(f"{place}: a {event.name} without a message")
    source, destination = _number(place, message.source), _number(place, message.to)
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
            return Counted(request, message.entries) if message.entries else request
        case "MsgAppResp" | "MsgHeartbeatResp":
            return AppendEntriesReply(
                source=source,
                destination=destination,
                term=message.term,
                success=not message.reject,
                match_index=0 if message.reject else message.index,
            )
    return Unreadable(source, destination, message.type)
