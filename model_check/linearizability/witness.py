"""An order of operations, done again: does it explain a history? Knows nothing of the search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from model_check.linearizability.history import A, Completed, Operation, R, partitioned
from model_check.linearizability.models import Model, S


def unexplained(
    history: Sequence[Operation[A, R]],
    orders: Mapping[Hashable, Sequence[Operation[A, R]]],
    model: Model[A, S, R],
) -> str | None:
    """Why the orders of the operations on each key do not explain ``history``; None if they do."""
    parts = partitioned(history, model.key)
    if parts.keys() != orders.keys():
        return "the keys are others"
    return next(
        (
            reason
            for key, part in parts.items()
            if (reason := _unexplained(part, orders[key], model)) is not None
        ),
        None,
    )


def _unexplained(
    operations: Sequence[Operation[A, R]],
    order: Sequence[Operation[A, R]],
    model: Model[A, S, R],
) -> str | None:
    return _miscounted(operations, order) or _misplaced(order) or _answered_otherwise(order, model)


def _miscounted(
    operations: Sequence[Operation[A, R]], order: Sequence[Operation[A, R]]
) -> str | None:
    """What of the history has no place, or what has a place and is not of the history."""
    by_identity = {id(each): each for each in (*operations, *order)}
    due, placed = Counter(map(id, operations)), Counter(map(id, order))
    for identity, operation in by_identity.items():
        if placed[identity] > due[identity]:
            return f"{operation} is placed more often than it happened"
        if isinstance(operation, Completed) and placed[identity] < due[identity]:
            return f"{operation} has no place"
    return None


def _misplaced(order: Sequence[Operation[A, R]]) -> str | None:
    """What is placed after an operation that was invoked only when it had been answered."""
    latest: Operation[A, R] | None = None
    for operation in order:
        if latest is None or operation.invoked > latest.invoked:
            latest = operation
        if isinstance(operation, Completed) and operation.responded < latest.invoked:
            return f"{operation} was over before {latest} began, and is placed after it"
    return None


def _answered_otherwise(order: Sequence[Operation[A, R]], model: Model[A, S, R]) -> str | None:
    """What the model answers otherwise."""
    state = model.initial()
    for operation in order:
        state, expected = model.apply(state, operation.action)
        if isinstance(operation, Completed) and operation.result != expected:
            return f"{operation}: the model answers {expected!r}"
    return None
