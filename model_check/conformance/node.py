"""A foreign server as a node to explore, within the same bounds as our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias, cast

from model_check.check import Setup
from model_check.conformance.learner import Learner
from model_check.conformance.observed import (
    Arrival,
    EnvironmentEvent,
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    Sent,
    as_core_output,
    witnessed,
)
from model_check.conformance.protocol import EventName
from model_check.conformance.table import LearntStep, LocalEvent, Table, kind_of_failure
from model_check.counterexample import Replay
from model_check.raft import Bounds, environment_events
from model_check.system import Action, Network, Node, Occur, Outcome, System
from model_check.watch import Memory, PropertyWatch
from raft_ref import (
    ClientRequest,
    ElectionTimeout,
    HeartbeatTimeout,
    NodeId,
    NotLeader,
    Output,
    Restart,
)
from spec.forms import Milestone, Property, S, Step
from spec.milestones import MILESTONES
from spec.shadow import Witnessed

ForeignSystem: TypeAlias = System[
    ObservedState, ForeignEvent, ForeignOutput, ForeignMessage, object, Memory
]
ForeignReplay: TypeAlias = Replay[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]
ForeignMilestone: TypeAlias = Milestone[ObservedState, ForeignEvent, ForeignOutput]


class ForeignServers(Node[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]):
    """The servers behind an adapter, but for what they do."""

    def __init__(self, table: Table) -> None:
        self._initial = table.initial
        self._unsupported = tuple(_EVENTS[name] for name in table.init.unsupported)

    @property
    def count(self) -> int:
        return len(self._initial)

    def initial(self, node: NodeId) -> ObservedState:
        return self._initial[node - 1]

    def supported(self, events: Iterable[EnvironmentEvent]) -> Iterator[EnvironmentEvent]:
        """Those of ``events`` that the adapter can cause."""
        return (event for event in events if not isinstance(event, self._unsupported))

    def unsupported(self, event: EnvironmentEvent) -> EventName | None:
        """The name of ``event``, if the adapter cannot cause it."""
        if not isinstance(event, self._unsupported):
            return None
        return next(name for name, kind in _EVENTS.items() if isinstance(event, kind))

    def arrival(self, message: ForeignMessage) -> tuple[NodeId, ForeignEvent]:
        return message.destination, Arrival(message)

    def sender(self, message: ForeignMessage) -> NodeId:
        return message.source

    def is_restart(self, event: ForeignEvent) -> bool:
        return isinstance(event, Restart)


class ForeignNode(ForeignServers):
    """What the servers behind an adapter do, as far as it was learnt; the rest is learnt now."""

    def __init__(self, learner: Learner, bounds: Bounds) -> None:
        super().__init__(learner.table)
        self._learner = learner
        self._bounds = bounds
        self.failing: str | None = None
        """The kind of failure that counts as a violation. Runs that fail otherwise end there."""
        self.failures: dict[str, str] = {}
        """By kind, how a server failed on a step that was asked for."""

    def events(self, node: NodeId, state: ObservedState) -> Iterator[ForeignEvent]:
        """What the bounds allow and the adapter can cause."""
        return self.supported(environment_events(self._bounds, node, state))

    def step(
        self, node: NodeId, state: ObservedState, event: ForeignEvent
    ) -> Outcome[ObservedState, ForeignOutput, ForeignMessage]:
        learnt = self._learner.step((node, state, event))
        if learnt.failure is not None:
            kind = kind_of_failure(learnt.failure)
            self.failures.setdefault(kind, learnt.failure)
            return Outcome(state, failure=learnt.failure if kind == self.failing else None)
        return outcome_of(learnt, self.count)

    def foresee(self, steps: Iterable[LocalEvent]) -> None:
        self._learner.learn(steps)


def outcome_of(
    learnt: LearntStep, servers: int
) -> Outcome[ObservedState, ForeignOutput, ForeignMessage]:
    """A step that a server has survived, as an outcome, in a cluster of so many ``servers``.

    A message to anybody else is put out, and judged, but no network carries it.
    """
    carried = tuple(each for each in learnt.messages if each.destination <= servers)
    redirects = () if learnt.redirect is None else (NotLeader(learnt.redirect),)
    outputs = (*map(Sent, learnt.messages), *learnt.applied, *redirects)
    return Outcome(learnt.state, outputs, carried)


_EVENTS: dict[EventName, type] = {
    "election_timeout": ElectionTimeout,
    "heartbeat_timeout": HeartbeatTimeout,
    "propose": ClientRequest,
    "restart": Restart,
}


class ScheduledNode(ForeignNode):
    """To which nothing happens but what a schedule says; a failure of any kind is a violation."""

    def __init__(
        self,
        learner: Learner,
        bounds: Bounds,
        actions: Iterable[Action[ForeignEvent, ForeignMessage]],
    ) -> None:
        super().__init__(learner, bounds)
        self._events = {
            (action.node, action.event)
            for action in actions
            if isinstance(action, Occur) and not isinstance(action.event, Arrival)
        }

    def events(self, node: NodeId, state: ObservedState) -> Iterator[ForeignEvent]:
        return self.supported(event for at, event in self._events if at == node)

    def step(
        self, node: NodeId, state: ObservedState, event: ForeignEvent
    ) -> Outcome[ObservedState, ForeignOutput, ForeignMessage]:
        outcome = super().step(node, state, event)
        return replace(outcome, failure=next(iter(self.failures.values()), None))


class ForeignWatch(PropertyWatch[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]):
    """Properties and milestones of our own core, watching foreign servers."""

    def seen(
        self, step: Step[ObservedState, ForeignEvent, ForeignOutput]
    ) -> Step[ObservedState, ForeignEvent, ForeignOutput]:
        """The step in the terms of the core."""
        return cast("Step[ObservedState, ForeignEvent, ForeignOutput]", in_core_terms(step))


def in_core_terms(step: Step[S, ForeignEvent, ForeignOutput]) -> Step[S, Witnessed, Output]:
    """A step of a foreign server as one of ours, without the messages that are not understood."""
    outputs = (as_core_output(output) for output in step.outputs)
    understood = tuple(output for output in outputs if output is not None)
    return Step(step.node, step.before, witnessed(step.event), step.after, understood)


def foreign_system(
    node: Node[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage],
    space: Setup,
    properties: Iterable[Property],
) -> ForeignSystem:
    """Foreign servers within the bounds of ``space``, on its network; ``properties`` must hold."""
    network = cast("Network[ForeignMessage, object]", space.network_object())
    milestones = cast("tuple[ForeignMilestone, ...]", MILESTONES)  # of what the watch translates
    return System(node, network, ForeignWatch(properties, milestones, space.bounds.limits))


def judgeable(
    properties: Iterable[Property], hidden: frozenset[str]
) -> tuple[tuple[Property, ...], dict[str, tuple[str, ...]]]:
    """The properties that can be judged, and what the others lack."""
    lacking = {item: tuple(sorted(_lacking(item, hidden))) for item in properties}
    judged = tuple(item for item, fields in lacking.items() if not fields)
    return judged, {item.name: fields for item, fields in lacking.items() if fields}


def _lacking(item: Property, hidden: frozenset[str]) -> frozenset[str]:
    """What cannot be observed that the property looks at, if nothing else is enough for it."""
    is_enough = item.observes_instead and not item.observes_instead & hidden
    return frozenset() if is_enough else item.observes & hidden
