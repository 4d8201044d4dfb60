"""Many properties and milestones, watched as one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias, cast

from model_check.system import TOTALITY, M, Observation, Outcome, Violation, Watch
from spec.forms import (
    E,
    GlobalProperty,
    HistoryProperty,
    Limit,
    Milestone,
    NodeNumber,
    O,
    PairProperty,
    Property,
    Renaming,
    S,
    Step,
    StepProperty,
)

Memory: TypeAlias = tuple[Hashable, ...]
"""What each history property remembers, in their order; then how far each limit has come, None if
too far."""


class PropertyWatch(Watch[S, E, O, M, Memory]):
    """Evaluates properties on every step, and notes the milestones it reaches.

    Of several violations at once, that of the property given first counts, after `TOTALITY`.

    Raises:
        TypeError: if a property has none of the forms of `spec.forms`.
        ValueError: if two properties have the same name, or one is called as `TOTALITY` is.
    """

    def __init__(
        self,
        properties: Iterable[Property],
        milestones: Iterable[Milestone[S, E, O]] = (),
        limits: Iterable[Limit[E]] = (),
    ) -> None:
        self._step_properties: list[StepProperty[S, E, O]] = []
        self._pair_properties: list[PairProperty[S, Hashable]] = []
        self._history_properties: list[HistoryProperty[S, E, O, Hashable, Hashable]] = []
        self._global_properties: list[GlobalProperty[S]] = []
        self._milestones = tuple(milestones)
        self._limits = tuple(limits)
        self._ranks = {TOTALITY: 0}
        for item in properties:
            if item.name in self._ranks:
                raise ValueError(f"two properties are called {item.name}: results name one")
            self._ranks[item.name] = len(self._ranks)
            match item:
                case StepProperty():
                    self._step_properties.append(item)
                case PairProperty():
                    self._pair_properties.append(item)
                case HistoryProperty():
                    self._history_properties.append(item)
                case GlobalProperty():
                    self._global_properties.append(item)
                case _:
                    raise TypeError(f"{item.name} has none of the forms of spec.forms")

    def initial(self) -> Memory:
        return (*(item.initial() for item in self._history_properties), *(0 for _ in self._limits))

    def observe(
        self, node: NodeNumber, before: S, event: E, outcome: Outcome[S, O, M]
    ) -> Observation:
        if outcome.failure is not None:
            return Observation(None, Violation(TOTALITY, outcome.failure), ())
        step = self.seen(Step(node, before, event, outcome.state, outcome.outputs))
        facts = (
            *(item.fact(step) for item in self._history_properties),
            *(limit.counted(node, event) for limit in self._limits),
        )
        noteworthy = any(fact is not None for fact in facts)
        violation = _first((item, item.violation(step)) for item in self._step_properties)
        reached = tuple(item.name for item in self._milestones if item.reached_by(step))
        return Observation(facts if noteworthy else None, violation, reached)

    def seen(self, step: Step[S, E, O]) -> Step[S, E, O]:
        """What properties and milestones see of a step: all of it."""
        return step

    def remember(self, memory: Memory, fact: Hashable) -> Memory:
        facts, histories = cast(Memory, fact), len(self._history_properties)
        remembered = (
            old if new is None else item.remember(old, new)
            for item, old, new in zip(self._history_properties, memory, facts, strict=False)
        )
        counts = (
            old if new is None or old is None else limit.after(old, new)
            for limit, old, new in zip(
                self._limits, self._counts(memory), facts[histories:], strict=True
            )
        )
        return (*remembered, *counts)

    def judge(self, memory: Memory) -> Violation | None:
        items = zip(self._history_properties, memory, strict=False)
        return _first((item, item.violation(remembered)) for item, remembered in items)

    def is_limited(self, fact: Hashable) -> bool:
        counted = cast(Memory, fact)[len(self._history_properties) :]
        return any(each is not None for each in counted)

    def is_beyond(self, memory: Memory) -> bool:
        return None in self._counts(memory)

    def view(self, state: S) -> Memory:
        return tuple(item.view(state) for item in self._pair_properties)

    def compare(
        self, node: NodeNumber, view: Hashable, other: NodeNumber, other_view: Hashable
    ) -> Violation | None:
        views = zip(cast(Memory, view), cast(Memory, other_view), strict=True)
        pairs = zip(self._pair_properties, views, strict=True)
        return _first((item, item.violation(node, own, other, its)) for item, (own, its) in pairs)

    @property
    def has_global_properties(self) -> bool:
        return bool(self._global_properties)

    def survey(self, states: tuple[S, ...]) -> Violation | None:
        return _first((item, item.violation(states)) for item in self._global_properties)

    def rank(self, violation: Violation) -> int:
        return self._ranks[violation.property]

    def rename(self, memory: Memory, renaming: Renaming) -> Memory:
        items = zip(self._history_properties, memory, strict=False)
        renamed = (item.rename(remembered, renaming) for item, remembered in items)
        return (*renamed, *self._counts(memory))

    def _counts(self, memory: Memory) -> tuple[int | None, ...]:
        return cast("tuple[int | None, ...]", memory[len(self._history_properties) :])


def _first(judged: Iterable[tuple[Property, str | None]]) -> Violation | None:
    """The first property that was found violated."""
    return next(
        (
            Violation(item.name, explanation)
            for item, explanation in judged
            if explanation is not None
        ),
        None,
    )
