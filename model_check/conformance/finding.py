"""What is found of an implementation: a run to something that should not be, and its diagnosis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from model_check.conformance.node import ForeignReplay, in_core_terms
from model_check.conformance.observed import Arrival, ForeignEvent, ForeignMessage
from model_check.judged import Breach, WitnessedStep, breaches, step_of
from model_check.system import TOTALITY, Action, Deliver, Lose, Occur, Violation
from spec.judge import Judge
from spec.rule import Rule


@dataclass(frozen=True)
class Finding:
    """A run, done again on a fresh process, to something that should not be."""

    run: ForeignReplay
    breach: Breach | None
    """The first rule that is broken in it: the diagnosis."""

    @property
    def violation(self) -> Violation:
        """What is violated at its end: a property, a rule, or that a server survives."""
        assert self.run.violation is not None
        return self.run.violation

    @property
    def is_failure(self) -> bool:
        """Whether a server failed on a step."""
        return self.violation.property == TOTALITY


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
