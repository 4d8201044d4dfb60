"""Why a history is not linearizable, in words and as a space-time diagram."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic

from model_check.linearizability.check import NotLinearizable
from model_check.linearizability.history import A, Completed, Operation, R, Time
from model_check.linearizability.models import S
from model_check.linearizability.search import Impasse

SHOWN = 8
"""So many operations are shown of those placed last, and of those that cannot come next."""


def describe_key(key: Hashable) -> str:
    """Which key it is about; nothing where there is but one."""
    return "" if key is None else f"key {key!r}: "


def headline(found: NotLinearizable[A, S, R]) -> str:
    """What is wrong, in a sentence."""
    first = found.impasse.refusals[0].operation
    return (
        f"{describe_key(found.key)}no order of its operations explains the answer {first.result!r} "
        f"to {first.action}, which {first.client} got at {first.responded}"
    )


def explain(found: NotLinearizable[A, S, R]) -> Iterator[str]:
    """How far one gets, what cannot come next there, and a diagram of it."""
    impasse = found.impasse
    placed = sum(isinstance(each, Completed) for each in impasse.order)
    yield (
        f"Of {found.operations:,} operations, {placed:,} that were answered can be placed in an "
        f"order, no more; it leads to the state {impasse.state!r}."
    )
    yield "Of those that might come next, each would be answered otherwise:"
    for refusal in impasse.refusals[:SHOWN]:
        yield f"  {refusal.operation}, where {refusal.expected!r} is due"
    if impasse.unknown:
        yield "Nor does it help if any of these took effect:"
        yield from (f"  {each}" for each in impasse.unknown[:SHOWN])
    yield ""
    yield from diagram(impasse)


# --- the diagram ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row(Generic[A, R]):
    """An operation and what is to be said of it."""

    operation: Operation[A, R]
    remark: str


def diagram(impasse: Impasse[A, S, R]) -> Iterator[str]:
    """The last operations that could be placed and those that could not: when each took place.

    A line for each, time to the right; each invocation and response has a column of its own unless
    they came at the same time. An operation of unknown outcome has no end.
    """
    rows = _rows(impasse)
    column = _columns(row.operation for row in rows)
    width = max(column.values()) + 3
    label_width = max(len(str(row.operation)) for row in rows)
    for row in rows:
        bar = _bar(row.operation, column, width)
        yield f"  {row.operation!s:<{label_width}}  {bar:<{width}}  {row.remark}"


def _rows(impasse: Impasse[A, S, R]) -> list[_Row[A, R]]:
    """By the time of invocation."""
    placed = list(enumerate(impasse.order, start=1))[-SHOWN:]
    rows = [_Row(operation, f"number {number}") for number, operation in placed]
    rows += [_Row(each.operation, "cannot come next") for each in impasse.refusals[:SHOWN]]
    rows += [_Row(operation, "does not help") for operation in impasse.unknown[:SHOWN]]
    return sorted(rows, key=lambda row: row.operation.invoked)


def _columns(operations: Iterable[Operation[A, R]]) -> dict[Time, int]:
    """Where each time stands, with room between."""
    times: set[Time] = set()
    for operation in operations:
        times.add(operation.invoked)
        if isinstance(operation, Completed):
            times.add(operation.responded)
    return {moment: 2 * place for place, moment in enumerate(sorted(times))}


def _bar(operation: Operation[A, R], column: dict[Time, int], width: int) -> str:
    start = column[operation.invoked]
    if not isinstance(operation, Completed):
        return " " * start + "|" + "-" * (width - start - 4) + "..."
    length = column[operation.responded] - start
    return " " * start + ("|" + "-" * (length - 1) + "|" if length else "|")
