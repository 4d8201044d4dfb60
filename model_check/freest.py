"""Clusters of the freest server (`spec.freest`), as closed systems to explore.

The judge's evidence is part of a server's state, as it is in `model_check.judged`. More evidence
never forbids anything: a server that knows more simulates one that knows less. Explorers may make
use of that, and let evidence arrive at once (`model_check.engine.layout.EAGER`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

from model_check.counterexample import Replay
from model_check.judged import Judged, judged
from model_check.network import Replayable
from model_check.renaming import rename_event, rename_evidence, rename_message, rename_state
from model_check.system import Network, Node, Outcome, System, T
from model_check.watch import Memory, PropertyWatch
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Event,
    Message,
    NodeId,
    NodeState,
    Output,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Send,
)
from spec.forms import Property, Renaming
from spec.freest import GUARDS, Freest
from spec.rule import Rule
from spec.shadow import Evidence, Shadow
from spec.universe import Universe


@dataclass(frozen=True, slots=True)
class Forged:
    """A message in another server's name."""

    sender: NodeId
    """Who really sent it."""
    message: Message

    @property
    def source(self) -> NodeId:
        """Whom it names as its sender."""
        return self.message.source

    @property
    def destination(self) -> NodeId:
        """To whom it goes."""
        return self.message.destination


Sent: TypeAlias = Message | Forged
FreestRun: TypeAlias = Replay[NodeState, Event, Output, Sent]
FreestSystem: TypeAlias = System[NodeState, Event, Output, Sent, Hashable, Memory]


class FreestNode(Node[NodeState, Event, Output, Sent]):
    """Servers that do whatever the rules allow."""

    def __init__(self, universe: Universe, guards: Iterable[Rule] = GUARDS) -> None:
        self.universe = universe
        self._freest = Freest(universe, guards)
        self._servers = frozenset(range(1, universe.servers + 1))

    @property
    def count(self) -> int:
        return self.universe.servers

    def initial(self, node: NodeId) -> NodeState:
        return judged(NodeState())

    def events(self, node: NodeId, state: NodeState) -> Iterator[Event]:
        return self._freest.events(state)

    def outcomes(
        self, node: NodeId, state: NodeState, event: Event
    ) -> tuple[Outcome[NodeState, Output, Sent], ...]:
        before = self._shadow(node, state)
        return tuple(
            Outcome(
                judged(choice.after.state, choice.after.evidence),
                choice.outputs,
                tuple(
                    _sent(node, output.message)
                    for output in choice.outputs
                    if isinstance(output, Send)
                ),
            )
            for choice in self._freest.choices(before, event)
        )

    def is_outdated(self, state: NodeState, message: Sent) -> bool:
        said = _said(message)
        return self._freest.is_outdated(self._shadow(said.destination, state), said)

    def simulates(self, state: NodeState, other: NodeState) -> bool:
        own, less = cast(Judged, state), cast(Judged, other)
        return own.server == less.server and _includes(own.evidence, less.evidence)

    def arrival(self, message: Sent) -> tuple[NodeId, Event]:
        said = _said(message)
        return said.destination, Receive(said)

    def sender(self, message: Sent) -> NodeId:
        return message.sender if isinstance(message, Forged) else message.source

    def is_restart(self, event: Event) -> bool:
        return isinstance(event, Restart)

    def renamings(self) -> Iterator[Renaming]:
        """Neither servers nor commands mean anything, but for what the universe says of them."""
        candidates, participants = self.universe.candidates, self.universe.participants
        for renaming in Renaming.all_of(self.count, self.universe.commands):
            if all(renaming.node(server) == server for server in candidates) and all(
                frozenset(map(renaming.node, servers)) == frozenset(servers)
                for servers in participants
            ):
                yield renaming

    def _shadow(self, node: NodeId, state: NodeState) -> Shadow:
        own = cast(Judged, state)
        return Shadow(node, self._servers, own.server, own.evidence)

    def rename(self, value: T, renaming: Renaming) -> T:
        match value:
            case Judged(server=server, evidence=evidence):
                renamed = rename_state(server, renaming), rename_evidence(evidence, renaming)
                return cast(T, judged(*renamed))
            case Forged(sender, message):
                forged = Forged(renaming.node(sender), rename_message(message, renaming))
                return cast(T, forged)
            case RequestVote() | RequestVoteReply() | AppendEntries() | AppendEntriesReply():
                return cast(T, rename_message(value, renaming))
            case _:
                return cast(T, rename_event(cast(Event, value), renaming))


def freest_system(
    universe: Universe, properties: Iterable[Property], guards: Iterable[Rule] = GUARDS
) -> FreestSystem:
    """Freest servers that obey ``guards``, on a network that keeps all it carries."""
    watch: PropertyWatch[NodeState, Event, Output, Sent] = PropertyWatch(properties)
    network = cast("Network[Sent, Hashable]", Replayable())
    return System(FreestNode(universe, guards), network, watch)


def _sent(node: NodeId, message: Message) -> Sent:
    return message if message.source == node else Forged(node, message)


def _said(message: Sent) -> Message:
    return message.message if isinstance(message, Forged) else message


def _includes(evidence: Evidence, less: Evidence) -> bool:
    """Whether all of ``less`` is known, too."""
    return (
        evidence.grants >= less.grants
        and evidence.confirmed >= less.confirmed
        and evidence.claimed >= less.claimed
        and evidence.leaders >= less.leaders
        and evidence.of_applying() == less.of_applying()
        and all(
            evidence.acknowledged.get(server, 0) >= index
            for server, index in less.acknowledged.items()
        )
    )
