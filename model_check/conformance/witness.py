"""A run of the cluster to a step that a rule is suspected to be broken by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from model_check.check import Setup, replayed
from model_check.conformance.finding import first_breach, until
from model_check.conformance.node import (
    ForeignNode,
    ForeignReplay,
    ForeignSystem,
    foreign_system,
)
from model_check.conformance.observed import ForeignEvent, ForeignMessage, witnessed
from model_check.conformance.suspicion import Suspicion, judged_node
from model_check.counterexample import replay
from model_check.deadline import Deadline
from model_check.explore import Exploration
from model_check.judged import Bench, Obeyed
from raft_ref import Event, NodeState, Output
from spec.forms import StepProperty
from spec.judge import Judge
from spec.properties import RaftStep


class Explore(Protocol):
    """Whoever explores a system, as far as a budget goes, which may be a smaller one than usual."""

    def __call__(
        self, system: ForeignSystem, max_states: int | None = None
    ) -> Exploration[ForeignEvent, ForeignMessage]:
        """What was found."""


@dataclass(frozen=True)
class Testimony:
    """What came of a suspicion."""

    suspicion: Suspicion
    run: ForeignReplay | None
    """A run in which the rule is broken by the last action."""
    stopped_by: str | None = None
    """Why it is not known whether there is one. If there is none, the step breaks nothing."""


def follow_up(
    suspicion: Suspicion,
    node: ForeignNode,
    space: Setup,
    judge: Judge,
    explore: Explore,
    deadline: Deadline | None = None,
) -> Testimony:
    """Look for a run in which the rule is really broken.

    A shortest run to the suspected step will mostly do. If more has arrived on the way than the
    rule can stand, all runs are looked at, with the judge's evidence in the state of each server.
    """
    rule = suspicion.rule
    judged = cast(ForeignNode, judged_node(node, [rule]))
    for system in (
        foreign_system(node, space, [_Taken(suspicion)]),
        foreign_system(judged, space, [Obeyed(rule, Bench(node.count, judge))]),
    ):
        found = explore(system)
        if found.violation is not None:
            actions = [moment.action for moment in replayed(system, found, deadline).moments]
            run = replay(foreign_system(node, space, ()), actions)
            breach = first_breach(run, judge, rule)
            if breach is not None:
                return Testimony(suspicion, until(run, breach))
        elif found.stopped_by is not None:
            return Testimony(suspicion, None, found.stopped_by)
    return Testimony(suspicion, None)


class _Taken(StepProperty[NodeState, Event, Output]):
    """Violated by the step that is wanted."""

    def __init__(self, suspicion: Suspicion) -> None:
        self._wanted = suspicion
        self._event = witnessed(suspicion.event)

    @property
    def name(self) -> str:
        """The rule's id."""
        return self._wanted.rule.id

    def violation(self, step: RaftStep) -> str | None:
        wanted = self._wanted
        is_it = (step.node, step.before, step.event) == (wanted.node, wanted.before, self._event)
        return str(wanted.broken) if is_it else None
