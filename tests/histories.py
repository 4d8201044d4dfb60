"""Histories for tests: written down, made by services that do one thing at a time, and judged."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import TypeAlias

from hypothesis import strategies as st

from model_check.linearizability.history import Completed, Operation, Pending
from model_check.linearizability.models import (
    CompareAndSet,
    Delete,
    Get,
    KeyValueAction,
    KeyValueResult,
    KeyValueStore,
    Set,
)

KeyValueOperation: TypeAlias = Operation[KeyValueAction, KeyValueResult]
KeyValueHistory: TypeAlias = Sequence[KeyValueOperation]

STORE = KeyValueStore()


def done(
    client: str, invoked: int, responded: int, action: KeyValueAction, result: KeyValueResult
) -> KeyValueOperation:
    return Completed(client, action, invoked, responded, result)


def unknown(client: str, invoked: int, action: KeyValueAction) -> KeyValueOperation:
    return Pending(client, action, invoked)


# --- every order, tried --------------------------------------------------------------------------


def is_linearizable(history: KeyValueHistory) -> bool:
    """What linearizable means, word by word: some operations of unknown outcome took effect, and
    some order of what took effect respects time and explains every answer."""
    completed = [each for each in history if isinstance(each, Completed)]
    pending = [each for each in history if isinstance(each, Pending)]
    return any(
        _respects_time(order) and _explains(order)
        for effective in _subsets(pending)
        for order in permutations([*completed, *effective])
    )


def _subsets(pending: Sequence[KeyValueOperation]) -> Iterator[list[KeyValueOperation]]:
    for bits in range(1 << len(pending)):
        yield [each for number, each in enumerate(pending) if bits >> number & 1]


def _respects_time(order: KeyValueHistory) -> bool:
    return not any(
        isinstance(later, Completed) and later.responded < earlier.invoked
        for number, earlier in enumerate(order)
        for later in order[number + 1 :]
    )


def _explains(order: KeyValueHistory) -> bool:
    values: dict[str, str | None] = {}
    for operation in order:
        key = operation.action.key
        values[key], result = STORE.apply(values.get(key), operation.action)
        if isinstance(operation, Completed) and result != operation.result:
            return False
    return True


# --- at random -----------------------------------------------------------------------------------

VALUES = ("1", "2", "3")


def actions(keys: Sequence[str]) -> st.SearchStrategy[KeyValueAction]:
    key, value = st.sampled_from(keys), st.sampled_from(VALUES)
    return st.one_of(
        st.builds(Get, key),
        st.builds(Set, key, value),
        st.builds(Delete, key),
        st.builds(CompareAndSet, key, st.none() | value, value),
    )


def results(action: KeyValueAction) -> st.SearchStrategy[KeyValueResult]:
    match action:
        case Get():
            return st.none() | st.sampled_from(VALUES)
        case Set():
            return st.just("OK")
        case _:
            return st.sampled_from((0, 1))


@st.composite
def any_histories(draw: st.DrawFn, most: int = 5) -> KeyValueHistory:
    """Operations at any times with any answers that are of the right kind."""
    history: list[KeyValueOperation] = []
    for number in range(draw(st.integers(0, most))):
        action, invoked = draw(actions("xy")), draw(st.integers(0, 8))
        if draw(st.integers(0, 3)) == 0:
            history.append(unknown(f"c{number}", invoked, action))
        else:
            responded = invoked + draw(st.integers(0, 5))
            history.append(done(f"c{number}", invoked, responded, action, draw(results(action))))
    return history


@st.composite
def served_histories(
    draw: st.DrawFn, most: int = 12, keys: Sequence[str] = "xy"
) -> KeyValueHistory:
    """What a store answered that did each operation at some moment within its interval.

    Those of unknown outcome took effect at any time after their invocation, or never.
    """
    moments: list[tuple[int, int, int, KeyValueAction, int | None]] = []
    for number in range(draw(st.integers(1, most))):
        invoked = draw(st.integers(0, 3 * most))
        effect = invoked + draw(st.integers(0, 12))
        is_unknown = draw(st.integers(0, 7)) == 0
        responded = None if is_unknown else effect + draw(st.integers(0, 12))
        moments.append((effect, number, invoked, draw(actions(keys)), responded))
    return list(_served(moments, draw(st.integers(0, 3))))


def _served(
    moments: Iterable[tuple[int, int, int, KeyValueAction, int | None]], lost: int
) -> Iterator[KeyValueOperation]:
    values: dict[str, str | None] = {}
    for _, number, invoked, action, responded in sorted(moments, key=lambda each: each[:2]):
        if responded is None and number % 4 == lost:
            yield unknown(f"c{number}", invoked, action)  # it never takes effect
            continue
        values[action.key], result = STORE.apply(values.get(action.key), action)
        if responded is None:
            yield unknown(f"c{number}", invoked, action)
        else:
            yield done(f"c{number}", invoked, responded, action, result)


@st.composite
def altered_histories(draw: st.DrawFn, most: int = 5) -> KeyValueHistory:
    """A served history with one answer that is another."""
    history = list(draw(served_histories(most)))
    answered = [
        number
        for number, each in enumerate(history)
        if isinstance(each, Completed) and not isinstance(each.action, Set)
    ]
    if answered:
        number = draw(st.sampled_from(answered))
        old = history[number]
        assert isinstance(old, Completed)
        another = results(old.action).filter(lambda result: result != old.result)
        history[number] = done(
            old.client, int(old.invoked), int(old.responded), old.action, draw(another)
        )
    return history


def crowd(clients: int, operations: int, keys: int, seed: int) -> Iterator[KeyValueOperation]:
    """What clients see that ask one operation after the other, each a store that does it at some
    moment before it answers."""
    chance = random.Random(seed)  # noqa: S311
    free = [0] * clients
    asked: list[tuple[int, int, int, int, int]] = []
    for number in range(operations):
        client = min(range(clients), key=free.__getitem__)
        invoked = free[client] + chance.randint(1, 100)
        responded = invoked + chance.randint(1, 1000)
        asked.append((chance.randint(invoked, responded), number, client, invoked, responded))
        free[client] = responded
    values: dict[str, str | None] = {}
    for _, number, client, invoked, responded in sorted(asked):
        key = f"k{chance.randrange(keys)}"
        swap = CompareAndSet(key, values.get(key), f"v{number}")
        action = chance.choice((Get(key), Get(key), Set(key, f"v{number}"), Delete(key), swap))
        values[key], result = STORE.apply(values.get(key), action)
        yield done(f"c{client}", invoked, responded, action, result)
