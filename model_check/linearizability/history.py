"""Histories: which operations were asked of a service when, and how they were answered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

A = TypeVar("A", bound=Hashable)
"""Actions: what can be asked of a service."""
R = TypeVar("R")
"""Results: how it can answer."""

Time: TypeAlias = float
"""What the one clock of a history showed; integers, of nanoseconds perhaps, are compared exactly.

Where two times are equal, nothing is known of their order: the operations were concurrent.
"""


@dataclass(frozen=True, slots=True)
class Completed(Generic[A, R]):
    """An operation that was answered.

    Raises:
        ValueError: if it was answered before it was invoked.
    """

    client: str
    action: A
    invoked: Time
    responded: Time
    result: R

    def __post_init__(self) -> None:
        if not self.invoked <= self.responded:
            raise ValueError(
                f"an operation invoked at {self.invoked} cannot be answered at {self.responded}, "
                "which is not later; use one clock that never goes back"
            )

    def __str__(self) -> str:
        return f"{self.client}: {self.action} -> {self.result!r}"


@dataclass(frozen=True, slots=True)
class Pending(Generic[A]):
    """An operation whose outcome is unknown: it took effect at any later time, or never will."""

    client: str
    action: A
    invoked: Time

    def __post_init__(self) -> None:
        if self.invoked != self.invoked:
            raise ValueError("an operation was invoked at no time at all (NaN)")

    def __str__(self) -> str:
        return f"{self.client}: {self.action}, outcome unknown"


Operation: TypeAlias = Completed[A, R] | Pending[A]
"""Operations that are known to have failed without effect belong into no history."""


def partitioned(
    history: Iterable[Operation[A, R]], key: Callable[[A], Hashable]
) -> dict[Hashable, list[Operation[A, R]]]:
    """The operations on each key, in the order of their invocation.

    A history is linearizable if and only if those of all its keys are: the locality of Herlihy and
    Wing 1990, theorem 1; P-compositionality in Horn and Kroening, "Faster linearizability checking
    via P-compositionality", 2015.
    """
    parts: dict[Hashable, list[Operation[A, R]]] = {}
    for operation in sorted(history, key=lambda each: each.invoked):
        parts.setdefault(key(operation.action), []).append(operation)
    return parts
