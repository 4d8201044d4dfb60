"""One server of the cluster, without effects of its own.

What has happened goes in, all that is ready at once; what is to be done comes out, as a `Batch`. So
the same server runs on sockets and a real clock, and in a simulation. It knows no clock: whoever
calls it says what time it is, and calls again when `Server.deadline` has come.

What it adds to `raft_ref.step`: when timeouts happen, what becomes of clients' requests, and what
applying does. All of Raft is in `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias, assert_never

from raft_ref import step
from raft_ref.cluster.coalescing import Coalescing, Step
from raft_ref.cluster.commands import as_entry, as_text, grouped
from raft_ref.cluster.frames import Answer, Forward, Frame, RaftFrame
from raft_ref.cluster.machine import NOOP, Machine
from raft_ref.cluster.replies import Reply
from raft_ref.cluster.requests import Request, Requests, Ticket, ToClient, ToServer
from raft_ref.cluster.storage import Change, change_between
from raft_ref.cluster.timers import Seconds, Timers, Timing
from raft_ref.events import (
    Appended,
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    NotLeader,
    Receive,
    ResetElectionTimer,
    Restart,
    Send,
)
from raft_ref.types import (
    Candidate,
    Command,
    Config,
    Follower,
    Leader,
    NodeId,
    NodeState,
    PersistentState,
    Term,
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame has arrived from another server, well-formed and really from that one."""

    source: NodeId
    frame: Frame


@dataclass(frozen=True, slots=True)
class Asked:
    """A client of this server asks for a command; ``ticket`` is new."""

    ticket: Ticket
    command: Command


Input: TypeAlias = Arrived | Asked


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be done, in this order; see `driver`."""

    steps: tuple[Step, ...] = ()
    change: Change | None = None
    """To be made durable before anything leaves."""
    sends: tuple[tuple[NodeId, Frame], ...] = ()
    answers: tuple[tuple[Ticket, Reply], ...] = ()


class Server:
    """One server: its Raft state, its state machine, its timers and its clients' requests."""

    def __init__(
        self,
        config: Config,
        persistent: PersistentState,
        timing: Timing,
        chance: Random,
        now: Seconds,
    ) -> None:
        self.config = config
        self.state = step(config, NodeState(persistent), Restart()).state
        self.machine = Machine()
        self._timing = timing
        self._timers = Timers(timing, chance)
        self._timers.restart_election(now)
        self._requests = Requests(chance.getrandbits(53), persistent.current_term)
        self._coalescing = Coalescing(config)
        self._steps: list[Step] = []
        self._frames: list[tuple[NodeId, Frame]] = []
        self._now = now

    @property
    def deadline(self) -> Seconds:
        """When `handle` must be called again, even if nothing happens until then."""
        request_deadline = self._requests.deadline
        if request_deadline is None:
            return self._timers.deadline
        return min(self._timers.deadline, request_deadline)

    @property
    def is_leader(self) -> bool:
        """Whether this server takes itself for the leader."""
        return isinstance(self.state.role, Leader)

    @property
    def _leads(self) -> Term | None:
        """The term that this server leads, if any."""
        return self.state.current_term if self.is_leader else None

    @property
    def leader(self) -> NodeId | None:
        """The leader of the current term, as far as this server knows."""
        match self.state.role:
            case Leader():
                return self.config.id
            case Follower(leader):
                return leader
            case Candidate():
                return None

    @property
    def open_requests(self) -> int:
        """How many requests of clients are under way here."""
        return self._requests.open_count

    def handle(self, now: Seconds, inputs: Iterable[Input]) -> Batch:
        """Take up what has happened, and say what is to be done.

        What arrived is taken up before the time is looked at: if the server was held up, the
        heartbeat may have been in time.
        """
        self._now = max(now, self._now)
        before = self.state.persistent
        for each in inputs:
            self._take_up(each)
        if self._timers.deadline <= self._now:
            self._time_out()
        self._requests.expire(self._now)
        self._pass_on()
        return self._batch(before)

    def _take_up(self, happened: Input) -> None:
        match happened:
            case Asked(ticket, command):
                self._requests.add(command, ticket, self._request_deadline())
            case Arrived(source, frame):
                self._take_up_frame(source, frame)
            case _:
                assert_never(happened)

    def _take_up_frame(self, source: NodeId, frame: Frame) -> None:
        match frame:
            case RaftFrame(message):
                self._step(Receive(message))
            case Forward():
                self._requests.take_up(source, frame, self._leads, self._request_deadline())
            case Answer():
                self._requests.answered(frame)
            case _:
                assert_never(frame)

    def _request_deadline(self) -> Seconds:
        return self._now + self._timing.request_timeout

    def _time_out(self) -> None:
        if self.is_leader:
            self._timers.restart_heartbeat(self._now)
            self._step(HeartbeatTimeout())
        else:
            self._step(ElectionTimeout())

    def _pass_on(self) -> None:
        """Bring what waits for a leader to it: into the own log, or on the way."""
        leader, term = self.leader, self.state.current_term
        waiting = self._requests.waiting(self._leads)
        if leader == self.config.id:
            for group in grouped(waiting, lambda request: request.command):
                self._append(group)
            return
        for request in waiting:
            if leader is not None and self._requests.may_forward(term):
                self._frames.append((leader, self._requests.forward(request, term)))
            else:
                self._requests.keep_waiting(request)

    def _append(self, group: Sequence[Request]) -> None:
        self._step(
            ClientRequest(as_entry(request.command for request in group)),
            on_appended=lambda at: self._requests.appended(group, at.index, at.term),
        )

    def _step(self, event: Event, on_appended: Callable[[Appended], None] | None = None) -> None:
        before = self.state
        transition = step(self.config, before, event)
        self.state = transition.state
        self._steps.append(Step(event, before, transition.state, transition.outputs))
        for output in transition.outputs:
            match output:
                case Appended():
                    if on_appended is not None:
                        on_appended(output)
                case Apply(index, entry):
                    replies = self.machine.apply(entry.command)
                    self._requests.applied(index, entry.term, replies)
                case ResetElectionTimer():
                    self._timers.restart_election(self._now)
                case Send():
                    pass  # it leaves with the batch
                case NotLeader():
                    pass  # requests are forwarded instead
                case _:
                    assert_never(output)
        if self.is_leader and not isinstance(before.role, Leader):
            self._begin_to_lead()

    def _begin_to_lead(self) -> None:
        """Commit something of the new term; what is older cannot be counted alone (§5.4.2)."""
        self._timers.restart_heartbeat(self._now)
        self._step(ClientRequest(as_entry((as_text(NOOP),))))

    def _batch(self, before: PersistentState) -> Batch:
        steps = self._coalescing.coalesced(self._steps)
        told, frames = self._requests.told, self._frames
        self._steps, self._frames, self._requests.told = [], [], []
        sends: list[tuple[NodeId, Frame]] = [
            (output.message.destination, RaftFrame(output.message))
            for each in steps
            for output in each.outputs
            if isinstance(output, Send)
        ]
        sends += frames
        sends += [(each.server, each.answer) for each in told if isinstance(each, ToServer)]
        return Batch(
            steps,
            change_between(before, self.state.persistent),
            tuple(sends),
            tuple((each.ticket, each.reply) for each in told if isinstance(each, ToClient)),
        )
