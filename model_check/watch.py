"""Many properties and milestones, watched as one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias

from model_check.system import TOTALITY, M, Observation, Outcome, Violation, Watch
from spec.forms import (
    E,
    HistoryProperty,
    Milestone,
    NodeNumber,
    O,
    PairProperty,
    Property,
    S,
    Step,
    StepProperty,
)

Memory: TypeAlias = tuple[Hashable, ...]
"""What each history property remembers, in their order."""


class PropertyWatch(Watch[S, E, O, M, Memory]):
    """Evaluates properties on every step, and notes the milestones it reaches.

    Raises:
        TypeError: if a property has none of the forms of `spec.forms`.
    """

    def __init__(
        self, properties: Iterable[Property], milestones: Iterable[Milestone[S, E, O]] = ()
    ) -> None:
        self._step_properties: list[StepProperty[S, E, O]] = []
        self._pair_properties: list[PairProperty[S]] = []
        self._history_properties: list[HistoryProperty[S, E, O, Hashable]] = []
        self._milestones = tuple(milestones)
        for item in properties:
            match item:
                case StepProperty():
                    self._step_properties.append(item)
                case PairProperty():
                    self._pair_properties.append(item)
                case HistoryProperty():
                    self._history_properties.append(item)
                case _:
                    raise TypeError(f"{item.name} has none of the forms of spec.forms")

    def initial(self) -> Memory:
        """What is remembered before anything happened."""
        return tuple(item.initial() for item in self._history_properties)

    def observe(
        self, memory: Memory, node: NodeNumber, before: S, event: E, outcome: Outcome[S, O, M]
    ) -> Observation[Memory]:
        """What one step adds to the memory, breaks and reaches."""
        if outcome.failure is not None:
            return Observation(memory, Violation(TOTALITY, outcome.failure), ())
        step = Step(node, before, event, outcome.state, outcome.outputs)
        memory = tuple(
            item.observe(old, step)
            for item, old in zip(self._history_properties, memory, strict=True)
        )
        reached = tuple(item.name for item in self._milestones if item.reached_by(step))
        return Observation(memory, self._violation(step, memory), reached)

    def compare(
        self, node: NodeNumber, state: S, other: NodeNumber, other_state: S
    ) -> Violation | None:
        """What the states of two nodes at one moment break."""
        for item in self._pair_properties:
            explanation = item.violation(node, state, other, other_state)
            if explanation is not None:
                return Violation(item.name, explanation)
        return None

    def _violation(self, step: Step[S, E, O], memory: Memory) -> Violation | None:
        for item in self._step_properties:
            explanation = item.violation(step)
            if explanation is not None:
                return Violation(item.name, explanation)
        for history_item, remembered in zip(self._history_properties, memory, strict=True):
            explanation = history_item.violation(remembered)
            if explanation is not None:
                return Violation(history_item.name, explanation)
        return None
