"""Raft as a closed system: the core's `step`, an environment with bounds, a network, properties."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, assert_never, cast

from model_check.renaming import rename_event, rename_message, rename_state
from model_check.system import Action, Network, Node, Outcome, Q, System, T
from model_check.watch import Memory, PropertyWatch
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Candidate,
    ClientRequest,
    Command,
    Config,
    ElectionTimeout,
    Event,
    Follower,
    HeartbeatTimeout,
    Leader,
    Message,
    NodeId,
    NodeState,
    Output,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Role,
    Send,
    Window,
)
from raft_ref import node as core
from spec.forms import AtMost, InOrder, Limit, Property, Renaming
from spec.milestones import MILESTONES, PIPELINED, SKIPPED_BY_HINT, RaftMilestone
from spec.properties import PROPERTIES

RaftAction: TypeAlias = Action[Event, Message]
RaftNetwork: TypeAlias = Network[Message, Hashable]
RaftSystem: TypeAlias = System[NodeState, Event, Output, Message, Hashable, Memory]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Which part of Raft's infinite space is explored; within it, everything is.

    Raises:
        ValueError: if a bound is below its minimum.
    """

    servers: int = 3
    max_term: int = 1
    """Servers at this term do not time out any more."""
    max_log: int = 1
    """Leaders with so many entries get no more client requests."""
    values: int = 2
    """How many distinct commands clients choose from. One alone would hide that two servers hold
    different entries at the same index and term."""
    max_entries: int = 1
    """At most so many entries travel in one AppendEntries."""
    conflict_hints: bool = False
    """Whether rejections carry hints; see `raft_ref.extensions.conflict_hints`."""
    window: int | None = None
    """Entries that a leader may have sent to a peer without an acknowledgement; see
    `raft_ref.extensions.pipelining`. If None, it does not pipeline."""
    restarts: bool = False
    """Whether any server may crash and restart at any moment, any number of times. That multiplies
    the states by four to ten."""
    heartbeats: bool = True
    """Whether leaders' heartbeat timers fire."""
    redirects: bool = False
    """Whether clients also ask servers that do not lead, which may name the leader to them. That
    changes no server, so it adds transitions and no states."""
    only_timeout: tuple[NodeId, ...] = ()
    """The servers whose election timers fire; all, if none is named."""
    max_election_timeouts: int | None = None
    """At most so many in a run; any number, if None. So for the next three."""
    max_heartbeats: int | None = None
    max_client_requests: int | None = None
    max_restarts: int | None = None
    script: tuple[str, ...] = ()
    """All that the environment does, and in which order: ``timeout 1``, ``request 1``, ``heartbeat
    1``, ``restart 1``. Only the network is free then; with the line ``heartbeats`` anywhere in it,
    so are they. Anything, if this is empty."""

    def __post_init__(self) -> None:
        minimums = {"servers": 1, "max_term": 0, "max_log": 0, "values": 1, "max_entries": 1}
        for bound, minimum in minimums.items():
            value = getattr(self, bound)
            if value < minimum:
                raise ValueError(f"{bound} must be at least {minimum}, not {value}")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1, not {self.window}")
        for name in _LIMITED:
            most = getattr(self, name)
            if most is not None and most < 0:
                raise ValueError(f"{name} must be at least 0, not {most}")
        for line in self.script:
            self._check_script(line)
        for server in self.only_timeout:
            if not 1 <= server <= self.servers:
                raise ValueError(f"only_timeout: there is no server {server}")

    def _check_script(self, line: str) -> None:
        match line.split():
            case [word] if word == _FREE_HEARTBEATS:
                if not self.heartbeats:
                    raise ValueError(f"{line!r} in the script needs heartbeats")
            case ["restart", _] if not self.restarts:
                raise ValueError(f"{line!r} in the script needs restarts")
            case ["heartbeat", _] if not self.heartbeats:
                raise ValueError(f"{line!r} in the script needs heartbeats")
            case [word, number] if word in _SCRIPTED.values() and number.isdecimal():
                # As it is written there, or the event would never be the one in the script.
                if number not in map(str, range(1, self.servers + 1)):
                    raise ValueError(f"script: there is no server {number}")
            case _:
                words = ", ".join(_SCRIPTED.values())
                raise ValueError(
                    f"{line!r} in the script is none of {words}, and a server; nor is it "
                    f"{_FREE_HEARTBEATS}"
                )

    def config(self, server: NodeId) -> Config:
        """The configuration of ``server`` within these bounds."""
        return Config(
            id=server,
            servers=frozenset(range(1, self.servers + 1)),
            max_entries_per_append=self.max_entries,
            conflict_hints=self.conflict_hints,
            pipelining=None if self.window is None else Window(self.window),
        )

    @property
    def limits(self) -> tuple[Limit[Hashable], ...]:
        """What may happen so and so often only, or in this order."""
        at_most = (
            AtMost(name, most, partial(_is_of, kind))
            for name, kind in _LIMITED.items()
            if (most := getattr(self, name)) is not None
        )
        if not self.script:
            return tuple(at_most)
        ordered = tuple(line for line in self.script if line != _FREE_HEARTBEATS)
        label = scripted if ordered == self.script else _scripted_but_heartbeats
        return (*at_most, InOrder(ordered, label))

    @property
    def milestones(self) -> tuple[RaftMilestone, ...]:
        """The milestones of Figure 2, and those of the extensions that are on."""
        of_extensions = {
            SKIPPED_BY_HINT: self.conflict_hints,
            PIPELINED: self.window is not None,
        }
        return (*MILESTONES, *(each for each, is_on in of_extensions.items() if is_on))

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands that clients send: ``v1``, ``v2``, ..."""
        return tuple(f"v{number}" for number in range(1, self.values + 1))


OF_THE_CORE = ("max_entries", "conflict_hints", "window")
"""Bounds that say how the core is configured; another implementation decides that for itself."""

_LIMITED: dict[str, type] = {
    "max_election_timeouts": ElectionTimeout,
    "max_heartbeats": HeartbeatTimeout,
    "max_client_requests": ClientRequest,
    "max_restarts": Restart,
}


_FREE_HEARTBEATS = "heartbeats"

_SCRIPTED: dict[type, str] = {
    ElectionTimeout: "timeout",
    HeartbeatTimeout: "heartbeat",
    ClientRequest: "request",
    Restart: "restart",
}


def scripted(node: NodeId, event: Hashable) -> str | None:
    """How a script calls an event at a server."""
    word = _SCRIPTED.get(type(event))
    return None if word is None else f"{word} {node}"


def _scripted_but_heartbeats(node: NodeId, event: Hashable) -> str | None:
    """Likewise, where they may come at any time."""
    return None if isinstance(event, HeartbeatTimeout) else scripted(node, event)


def _is_of(kind: type, event: Hashable) -> bool:
    return isinstance(event, kind)


def environment_events(
    bounds: Bounds, node: NodeId, state: NodeState
) -> Iterator[ElectionTimeout | HeartbeatTimeout | ClientRequest | Restart]:
    """Timeouts, requests and restarts, where they can change anything at all."""
    if isinstance(state.role, Leader):
        if bounds.heartbeats:
            yield HeartbeatTimeout()
        if state.log.last_index < bounds.max_log:
            yield from map(ClientRequest, bounds.commands)
    else:
        if state.current_term < bounds.max_term and node in (bounds.only_timeout or (node,)):
            yield ElectionTimeout()
        if bounds.redirects:
            yield from map(ClientRequest, bounds.commands)
    if bounds.restarts:
        yield Restart()


class RaftNode(Node[NodeState, Event, Output, Message]):
    """The pure core as a `model_check.system.Node`."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._configs = {server: bounds.config(server) for server in range(1, bounds.servers + 1)}

    @property
    def count(self) -> int:
        return self.bounds.servers

    def initial(self, node: NodeId) -> NodeState:
        return NodeState()

    def events(self, node: NodeId, state: NodeState) -> Iterator[Event]:
        return environment_events(self.bounds, node, state)

    def step(
        self, node: NodeId, state: NodeState, event: Event
    ) -> Outcome[NodeState, Output, Message]:
        transition = core.step(self._configs[node], state, event)
        messages = tuple(
            output.message for output in transition.outputs if isinstance(output, Send)
        )
        return Outcome(transition.state, transition.outputs, messages)

    def arrival(self, message: Message) -> tuple[NodeId, Event]:
        return message.destination, Receive(message)

    def sender(self, message: Message) -> NodeId:
        return message.source

    def is_outdated(self, state: NodeState, message: Message) -> bool:
        """Replies of an old term, to a candidacy that is over, or of no news to a leader.

        Terms never fall; in one term a server is a candidate before it is a leader, and neither
        again once it is not; a leader's ``match_index`` never falls.
        """
        match message:
            case RequestVote() | AppendEntries():
                return False
            case _ if state.current_term != message.term:
                return state.current_term > message.term
            case RequestVoteReply():
                return not isinstance(state.role, Candidate)
            case AppendEntriesReply():
                return _is_no_news(message, state.role)
            case _:
                assert_never(message)

    def is_restart(self, event: Event) -> bool:
        return isinstance(event, Restart)

    def renamings(self) -> Iterator[Renaming]:
        """Raft does not tell one server, or one command, from another; bounds may."""
        special = frozenset(self.bounds.only_timeout)
        scripted = {int(line.split()[1]) for line in self.bounds.script if " " in line}
        return (
            renaming
            for renaming in Renaming.all_of(self.count, self.bounds.commands)
            if frozenset(map(renaming.node, special)) == special
            and all(renaming.node(server) == server for server in scripted)
        )

    def rename(self, value: T, renaming: Renaming) -> T:
        match value:
            case NodeState():
                return cast(T, rename_state(value, renaming))
            case RequestVote() | RequestVoteReply() | AppendEntries() | AppendEntriesReply():
                return cast(T, rename_message(value, renaming))
            case _:
                return cast(T, rename_event(cast(Event, value), renaming))


def _is_no_news(reply: AppendEntriesReply, role: Role) -> bool:
    """Whether it can no longer do anything to a server in this role, in the reply's term."""
    match role:
        case Follower():
            return True
        case Candidate():
            return False
        case Leader(match_index=known):
            return reply.success and known[reply.source] >= reply.match_index
        case _:
            assert_never(role)


def raft_system(
    node: RaftNode, network: Network[Message, Q], properties: Iterable[Property] = PROPERTIES
) -> System[NodeState, Event, Output, Message, Q, Memory]:
    """Raft as ``node`` has it, within its bounds, on ``network``, with ``properties`` to hold."""
    limits = node.bounds.limits
    return System(node, network, PropertyWatch(properties, node.bounds.milestones, limits))
