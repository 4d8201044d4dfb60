"""A run, action by action, on the system itself.

What an explorer says it found is never shown as it is: its actions are taken again here, one by
one, through the node's own step function and the properties, without numbers, tables or caches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from model_check.deadline import Deadline
from model_check.system import (
    Action,
    Lose,
    M,
    Outcome,
    Q,
    State,
    System,
    Violation,
    attempt,
)
from spec.forms import E, H, NodeNumber, O, S


@dataclass(frozen=True)
class Moment(Generic[S, E, O, M]):
    """One action of a run, and the step it caused; a lost message causes none."""

    action: Action[E, M]
    node: NodeNumber | None
    before: S | None
    outcome: Outcome[S, O, M] | None


@dataclass(frozen=True)
class Replay(Generic[S, E, O, M]):
    """What became of a run."""

    initial: tuple[S, ...]
    moments: tuple[Moment[S, E, O, M], ...]
    """The actions taken, up to the first violation or the first that was not enabled."""
    violation: Violation | None
    not_enabled: Action[E, M] | None
    """The action the system, as it is now, does not offer at that point."""

    @property
    def last(self) -> tuple[S, ...]:
        """The state of each server at the end."""
        states = list(self.initial)
        for moment in self.moments:
            if moment.node is not None and moment.outcome is not None:
                states[moment.node - 1] = moment.outcome.state
        return tuple(states)


def replay(system: System[S, E, O, M, Q, H], actions: Iterable[Action[E, M]]) -> Replay[S, E, O, M]:
    """Take ``actions`` from the initial state on, as far as they go."""
    state = system.initial()
    initial = state.nodes
    violation = system.initial_violation()
    moments: list[Moment[S, E, O, M]] = []
    for action in actions:
        if violation is not None:
            break
        taken = system.take(state, action)
        if taken is None:
            return Replay(initial, tuple(moments), None, action)
        moments.append(_moment(system, state, action))
        state, violation, _ = taken
    return Replay(initial, tuple(moments), violation, None)


def shorten(
    system: System[S, E, O, M, Q, H],
    actions: Iterable[Action[E, M]],
    broken: str,
    deadline: Deadline | None = None,
) -> Replay[S, E, O, M]:
    """A run to a violation of the property ``broken`` in which every action is needed.

    ``actions`` lead to such a violation. Actions are left out one by one, the last first, as long
    as the others still do; what is left need not be the shortest run of all. When the deadline
    comes, or an interrupt, it is as short as it is by then.
    """
    shortest, deadline = replay(system, actions), deadline or Deadline()
    shortened = True
    try:
        with deadline.phase("shortening the run"):
            while shortened:
                shortened = False
                for position in reversed(range(len(shortest.moments))):
                    deadline.check()
                    kept = [moment.action for moment in shortest.moments]
                    run = replay(system, kept[:position] + kept[position + 1 :])
                    if run.violation is not None and run.violation.property == broken:
                        shortest, shortened = run, True
                        break
    except KeyboardInterrupt as interrupt:
        deadline.interrupted(interrupt)
    return shortest


def _moment(
    system: System[S, E, O, M, Q, H], state: State[S, Q, H], action: Action[E, M]
) -> Moment[S, E, O, M]:
    step = system.step_of(state, action)
    if step is None or isinstance(action, Lose):
        return Moment(action, None, None, None)
    node, before, event = step
    return Moment(action, node, before, attempt(system.node, node, before, event)[action.choice])
