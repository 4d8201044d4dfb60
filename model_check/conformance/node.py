"""A foreign server as a node to explore, within the same bounds as our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

from model_check.conformance.learner import Learner
from model_check.conformance.observed import (
    Arrival,
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    Sent,
    as_core_output,
    newly_committed,
    witnessed,
)
from model_check.conformance.protocol import EventName
from model_check.conformance.table import LocalEvent, kind_of_failure
from model_check.raft import Bounds, environment_events
from model_check.system import Action, Node, Occur, Outcome
from model_check.watch import PropertyWatch
from raft_ref import (
    ClientRequest,
    ElectionTimeout,
    HeartbeatTimeout,
    NodeId,
    Output,
    Restart,
)
from spec.forms import Step
from spec.shadow import Witnessed


class ForeignNode(Node[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]):
    """What the servers behind an adapter do, as far as it was learnt; the rest is learnt now."""

    def __init__(self, learner: Learner, bounds: Bounds) -> None:
        self._learner = learner
        self._bounds = bounds
        self._unsupported = tuple(_EVENTS[name] for name in learner.table.init.unsupported)
        self.failing: str | None = None
        """The kind of failure that counts as a violation. Runs that fail otherwise end there."""
        self.failures: dict[str, str] = {}
        """By kind, how a server failed on a step that was asked for."""

    @property
    def count(self) -> int:
        return self._bounds.servers

    def initial(self, node: NodeId) -> ObservedState:
        return self._learner.table.initial[node - 1]

    def events(self, node: NodeId, state: ObservedState) -> Iterator[ForeignEvent]:
        """What the bounds allow and the adapter can cause."""
        return (
            event
            for event in environment_events(self._bounds, node, state)
            if not isinstance(event, self._unsupported)
        )

    def step(
        self, node: NodeId, state: ObservedState, event: ForeignEvent
    ) -> Outcome[ObservedState, ForeignOutput, ForeignMessage]:
        learnt = self._learner.step((node, state, event))
        if learnt.failure is not None:
            kind = kind_of_failure(learnt.failure)
            self.failures.setdefault(kind, learnt.failure)
            return Outcome(state, failure=learnt.failure if kind == self.failing else None)
        committed = newly_committed(state, learnt.state)
        return Outcome(learnt.state, (*map(Sent, learnt.messages), *committed), learnt.messages)

    def foresee(self, steps: Iterable[LocalEvent]) -> None:
        self._learner.learn(steps)

    def arrival(self, message: ForeignMessage) -> tuple[NodeId, ForeignEvent]:
        return message.destination, Arrival(message)

    def sender(self, message: ForeignMessage) -> NodeId:
        return message.source

    def is_restart(self, event: ForeignEvent) -> bool:
        return isinstance(event, Restart)


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
            (action.node, action.event) for action in actions if isinstance(action, Occur)
        }

    def events(self, node: NodeId, state: ObservedState) -> Iterator[ForeignEvent]:
        return (event for at, event in self._events if at == node)

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
        """The step in the terms of the core, without the messages that are not understood."""
        outputs = (as_core_output(output) for output in step.outputs)
        translated = replace(
            cast("Step[ObservedState, Witnessed, Output]", step),
            event=witnessed(step.event),
            outputs=tuple(output for output in outputs if output is not None),
        )
        return cast("Step[ObservedState, ForeignEvent, ForeignOutput]", translated)
