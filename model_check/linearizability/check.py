"""A history, judged: key by key."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias

from model_check.linearizability.history import A, Operation, R, partitioned
from model_check.linearizability.models import Model, S
from model_check.linearizability.search import Exhausted, Impasse, Ordered, Resource, Search
from model_check.linearizability.witness import unexplained

MOST_STATES = 5_000_000
"""Configurations of one key to remember: about a gigabyte."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to search."""

    max_states: int | None = MOST_STATES
    """Configurations, of each key."""
    max_seconds: float | None = None
    """For all keys together. What one leaves over is for the others."""


@dataclass(frozen=True, slots=True)
class Work:
    """What was done to come to a verdict."""

    keys: int
    operations: int
    configurations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Linearizable(Generic[A, R]):
    """All answers are explained, for each key by an order of its operations, done again."""

    orders: Mapping[Hashable, tuple[Operation[A, R], ...]]
    work: Work


@dataclass(frozen=True, slots=True)
class NotLinearizable(Generic[A, S, R]):
    """No order of the operations on one key explains their answers."""

    key: Hashable
    impasse: Impasse[A, S, R]
    operations: int
    """On this key."""
    work: Work


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nothing is wrong with all other keys, but for these the budget ran out."""

    keys: Mapping[Hashable, Resource]
    work: Work


Verdict: TypeAlias = NotLinearizable[A, S, R] | Linearizable[A, R] | Undecided


class WitnessError(AssertionError):
    """The search has a bug: an order that it found does not explain the history."""


def check(
    history: Sequence[Operation[A, R]],
    model: Model[A, S, R],
    budget: Budget | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Verdict[A, S, R]:
    """Whether ``history`` is linearizable, seen from a service that does as ``model`` does.

    ``on_progress`` is told, after each key, how many operations are dealt with.

    Raises:
        WitnessError: if an order that was found, done again, does not explain the history.
    """
    parts = partitioned(history, model.key)
    hearing = _Hearing(model, budget or Budget(), remaining=len(parts))
    # The least work first, so that what is left of the time goes to where it is needed.
    for key, part in sorted(parts.items(), key=lambda item: len(item[1])):
        impasse = hearing.hear(key, part)
        if impasse is not None:
            return NotLinearizable(key, impasse, len(part), hearing.work())
        on_progress(hearing.operations)
    if hearing.undecided:
        return Undecided(hearing.undecided, hearing.work())
    orders = {key: hearing.orders[key] for key in parts}
    reason = unexplained(history, orders, model)
    if reason is not None:
        raise WitnessError(f"a bug in the search: {reason}")
    return Linearizable(orders, hearing.work())


@dataclass(slots=True)
class _Hearing(Generic[A, S, R]):
    """What is found of one key after the other."""

    model: Model[A, S, R]
    budget: Budget
    remaining: int
    """Keys that are not dealt with."""
    orders: dict[Hashable, tuple[Operation[A, R], ...]] = field(default_factory=dict)
    undecided: dict[Hashable, Resource] = field(default_factory=dict)
    keys: int = 0
    operations: int = 0
    """Dealt with."""
    configurations: int = 0
    started: float = field(default_factory=time.monotonic)

    def hear(self, key: Hashable, part: Sequence[Operation[A, R]]) -> Impasse[A, S, R] | None:
        """Judge one key; how far one gets, if there is no order."""
        search = Search(part, self.model)
        found = search.run(self.budget.max_states, self._deadline())
        self.remaining -= 1
        self.keys += 1
        self.operations += len(part)
        self.configurations += search.configurations
        match found:
            case Impasse():
                return found
            case Ordered(order):
                self.orders[key] = order
            case Exhausted(resource):
                self.undecided[key] = resource
        return None

    def work(self) -> Work:
        """What was done so far."""
        seconds = time.monotonic() - self.started
        return Work(self.keys, self.operations, self.configurations, seconds)

    def _deadline(self) -> float | None:
        """When the next key has had its share of the time that is left."""
        if self.budget.max_seconds is None:
            return None
        now = time.monotonic()
        left = max(0.0, self.started + self.budget.max_seconds - now)
        return now + left / self.remaining
