"""The steps of a server that etcd's lines tell of; see `etcd`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from msgspec import UNSET

from model_check.traces.etcd_lines import ROLES, EtcdEvent, told_by, vote_in
from model_check.traces.happening import (
    Arrived,
    Base,
    Beyond,
    Cause,
    Happening,
    Place,
    Seen,
    Sending,
    Start,
    TraceError,
)
from raft_ref import (
    ClientRequest,
    ElectionTimeout,
    HeartbeatTimeout,
    Index,
    NodeId,
    Restart,
    Term,
)


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
class Story:
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
        servers = {*map(str, self.servers)}
        voters, *outgoing = event.conf or ((),)
        is_outsider = self.server not in self.servers and event.name not in _BOOTSTRAP
        is_learner = {*voters} == servers  # if it is an outsider
        is_new = not self.is_starting and {*changes} not in (set(), servers)
        is_changing = event.name == "ChangeConf" or is_new or any(outgoing)
        if is_changing or (is_outsider and not is_learner):
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

    def happenings(self, terms: dict[tuple[str, Index], Term]) -> Iterator[Happening]:
        """The steps, as a judge wants them."""
        for step in self.steps:
            if isinstance(step.cause, Start):
                yield from self._beginning(step, terms)
            else:
                yield self._happening(step)

    def _beginning(self, step: _Step, terms: dict[tuple[str, Index], Term]) -> Iterator[Happening]:
        """A start; and if it was seen once more how the server was then, that nothing is new."""
        *_, (place, event) = (each for each in step.lines if each[1].name != "Ready")
        base = Base(event.log, terms.get((event.nid, event.log), 0))
        seen = replace(_all_of(event), last_log_index=UNSET, base=base if base.index else UNSET)
        yield Happening(step.place, self.server, step.cause, seen)
        if step.next is not None:
            yield Happening(place, self.server, HeartbeatTimeout(), _all_of(step.next))

    def _happening(self, step: _Step) -> Happening:
        sent = [
            Sending(place, told_by(place, event), _seal(event))
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
    return Arrived(told_by(place, event), _seal(event))


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
            # The hard state is read after InitState.
            is_back = isinstance(step.cause, Restart)
            is_settled = is_back or event.name in ("BecomeCandidate", "BecomeLeader")
            vote = vote_in(event) if is_settled else seen.voted_for
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
        voted_for=vote_in(event),
        role=ROLES.get(event.role, UNSET),
        commit_index=event.state.commit,
        last_log_index=event.log,
    )
