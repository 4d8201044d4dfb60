"""A run of the cluster to a step that a rule is suspected to be broken by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, cast

from model_check.check import Setup, replayed
from model_check.conformance.node import (
    ForeignNode,
    ForeignReplay,
    ForeignSystem,
    foreign_system,
    in_core_terms,
)
from model_check.conformance.observed import Arrival, ForeignEvent, ForeignMessage, witnessed
from model_check.conformance.suspicion import Suspicion, judged_node
from model_check.counterexample import replay
from model_check.explore import Exploration
from model_check.judged import Bench, Breach, Obeyed, WitnessedStep, breaches, step_of
from model_check.system import Action, Deliver, Lose, Occur, Violation
from raft_ref import Event, NodeState, Output
from spec.forms import StepProperty
from spec.judge import Judge
from spec.properties import RaftStep
from spec.rule import Rule


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
    suspicion: Suspicion, node: ForeignNode, space: Setup, judge: Judge, explore: Explore
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
            actions = [moment.action for moment in replayed(system, found).moments]
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


def first_breach(run: ForeignReplay, judge: Judge, rule: Rule | None = None) -> Breach | None:
    """The first rule that is broken in a run, or where ``rule`` is."""
    found = breaches(run.initial, _witnessed_steps(run), judge)
    return next((each for each in found if rule in (None, each.rule)), None)


def until(run: ForeignReplay, breach: Breach) -> ForeignReplay:
    """A run up to the action that breaks a rule."""
    violation = Violation(breach.rule.id, f"S{breach.node}: {breach.broken}")
    return replace(run, moments=run.moments[: breach.action], violation=violation, not_enabled=None)


def _witnessed_steps(run: ForeignReplay) -> Iterator[WitnessedStep | None]:
    for moment in run.moments:
        event = event_of(moment.action)
        if event is None or moment.outcome is None or moment.outcome.failure is not None:
            yield None
        else:
            yield cast("WitnessedStep", in_core_terms(step_of(moment, event)))


def event_of(action: Action[ForeignEvent, ForeignMessage]) -> ForeignEvent | None:
    """What happens to a server by an action; nothing, when a message is lost."""
    match action:
        case Deliver(message):
            return Arrival(message)
        case Occur(event=event):
            return event
        case Lose():
            return None
