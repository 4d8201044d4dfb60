"""The search for an order of the operations on one key.

The algorithm of Wing and Gong 1993: whatever operation may come next is tried next, if the model
answers it as it was answered; where nothing fits, the last one is taken back. With Lowe's memory
(2017): where the same operations have their place and the state is the same, it is searched once.

Operations whose outcome is unknown, which anything may follow, would double what is to be searched
with each of them. So they are placed only where the completed operation that follows needs them:
an order from which some could be left out without any change to what follows is never tried. That
loses nothing, since of all orders that explain a history, one with the fewest of them has none to
spare.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, Literal, NamedTuple, TypeAlias

from model_check.linearizability.history import A, Completed, Operation, Pending, R
from model_check.linearizability.models import Model, S
from model_check.linearizability.timeline import Event, Timeline

CLOCK_INTERVAL = 1024
"""Configurations between two looks at the clock."""


class Configuration(NamedTuple, Generic[S]):
    """Which operations have their place, and what they led to; equal ones have equal futures."""

    prefix: int
    """So many completed operations have their place, from the first on,"""
    window: int
    """and those after them whose bits are set; the first one's is not."""
    pending: int
    """A bit for each operation whose outcome is unknown."""
    state: S
    base: S
    """The state before the pending operations that were placed last; without any, the state."""

    @property
    def placed(self) -> int:
        """How many completed operations have their place."""
        return self.prefix + self.window.bit_count()

    def with_completed(self, number: int, state: S) -> Configuration[S]:
        """This one after one more completed operation."""
        window = self.window | 1 << (number - self.prefix)
        full = (~window & (window + 1)).bit_length() - 1
        return Configuration(self.prefix + full, window >> full, self.pending, state, state)

    def with_pending(self, number: int, state: S) -> Configuration[S]:
        """This one after one more operation whose outcome is unknown."""
        return self._replace(pending=self.pending | 1 << number, state=state)


@dataclass(frozen=True, slots=True)
class _Frame(Generic[A, S, R]):
    """One level of the search: a configuration, how it came about, and what is still to try."""

    configuration: Configuration[S]
    candidates: Iterator[Event[A, R]]
    event: Event[A, R] | None = None
    parent: _Frame[A, S, R] | None = None

    def events(self) -> list[Event[A, R]]:
        """The invocations of the operations placed so far."""
        placed: list[Event[A, R]] = []
        frame: _Frame[A, S, R] | None = self
        while frame is not None:
            if frame.event is not None:
                placed.append(frame.event)
            frame = frame.parent
        placed.reverse()
        return placed


@dataclass(frozen=True, slots=True)
class Ordered(Generic[A, R]):
    """An order that explains every answer."""

    order: tuple[Operation[A, R], ...]


@dataclass(frozen=True, slots=True)
class Refusal(Generic[A, R]):
    """An operation that cannot come next, since it would be answered otherwise."""

    operation: Completed[A, R]
    expected: R


@dataclass(frozen=True, slots=True)
class Impasse(Generic[A, S, R]):
    """How far one can get where there is no order: to which response, and there, how near."""

    order: tuple[Operation[A, R], ...]
    """The operations that can be placed."""
    state: S
    """What they lead to."""
    refusals: tuple[Refusal[A, R], ...]
    """All completed operations that might come next; the first one must, to get any further."""
    unknown: tuple[Operation[A, R], ...]
    """Those of unknown outcome that might come next, and do not help."""


Resource: TypeAlias = Literal["states", "seconds"]


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The budget ran out before anything was found."""

    resource: Resource


class Search(Generic[A, S, R]):
    """The search for an order of ``operations``, which are sorted by their invocation."""

    def __init__(self, operations: Sequence[Operation[A, R]], model: Model[A, S, R]) -> None:
        self._model = model
        self._timeline = Timeline(operations)
        state = model.initial()
        self._frame: _Frame[A, S, R] = _Frame(
            Configuration(0, 0, 0, state, state), self._timeline.minimal()
        )
        self._seen = {self._frame.configuration}
        self._nearest, self._nearness = self._frame, (-1, -1, 0)

    @property
    def configurations(self) -> int:
        """How many were seen."""
        return len(self._seen)

    def run(
        self, max_states: int | None = None, deadline: float | None = None
    ) -> Ordered[A, R] | Impasse[A, S, R] | Exhausted:
        """An order, or how far one gets; up to so many configurations, and to this time of
        `time.monotonic`."""
        for number in count(1):
            if self._timeline.is_done:
                return Ordered(_operations(self._frame))
            if max_states is not None and len(self._seen) > max_states:
                return Exhausted("states")
            is_time_to_look = deadline is not None and number % CLOCK_INTERVAL == 0
            if is_time_to_look and deadline is not None and time.monotonic() > deadline:
                return Exhausted("seconds")
            if not self._advance() and not self._retreat():
                break
        return self._impasse()

    def _advance(self) -> bool:
        """Place one more operation, if any leads to something that was not seen yet."""
        frame = self._frame
        for event in frame.candidates:
            after = self._after(frame.configuration, event)
            if after is not None and after not in self._seen:
                self._seen.add(after)
                self._timeline.lift(event)
                self._frame = _Frame(after, self._timeline.minimal(), event, frame)
                return True
        return False

    def _retreat(self) -> bool:
        """Take the last operation back, unless there is none."""
        frame = self._frame
        self._remember_if_nearest(frame)
        if frame.event is None or frame.parent is None:
            return False
        self._timeline.put_back(frame.event)
        self._frame = frame.parent
        return True

    def _after(self, before: Configuration[S], event: Event[A, R]) -> Configuration[S] | None:
        """What an operation leads to; None if it would be answered otherwise, or is to spare."""
        operation = event.operation
        assert operation is not None
        state, result = self._model.apply(before.state, operation.action)
        if isinstance(operation, Completed):
            if result != operation.result or self._is_in_vain(before, operation, state):
                return None
            return before.with_completed(event.number, state)
        changes_nothing = state in (before.state, before.base)
        if changes_nothing or self._is_in_vain(before, operation, state):
            return None
        return before.with_pending(event.number, state)

    def _is_in_vain(self, before: Configuration[S], operation: Operation[A, R], after: S) -> bool:
        """Whether the pending operations placed last change nothing about ``operation``."""
        if before.state == before.base:
            return False
        state, result = self._model.apply(before.base, operation.action)
        return state == after and (isinstance(operation, Pending) or result == operation.result)

    def _remember_if_nearest(self, frame: _Frame[A, S, R]) -> None:
        """Keep what cannot be continued: where most was explained, as simply as possible."""
        configuration = frame.configuration
        response = self._timeline.next_response()
        spared = -configuration.pending.bit_count()
        nearness = (response.number, configuration.placed, spared)
        if nearness > self._nearness:
            self._nearest, self._nearness = frame, nearness

    def _impasse(self) -> Impasse[A, S, R]:
        """Where the search came nearest; nothing has its place any more when it has ended."""
        for event in self._nearest.events():
            self._timeline.lift(event)
        state = self._nearest.configuration.state
        refusals: list[Refusal[A, R]] = []
        unknown: list[Operation[A, R]] = []
        for event in self._timeline.minimal():
            operation = event.operation
            if isinstance(operation, Completed):
                refusals.append(Refusal(operation, self._model.apply(state, operation.action)[1]))
            elif operation is not None:
                unknown.append(operation)
        refusals.sort(key=lambda each: each.operation.responded)
        return Impasse(_operations(self._nearest), state, tuple(refusals), tuple(unknown))


def _operations(frame: _Frame[A, S, R]) -> tuple[Operation[A, R], ...]:
    placed = (event.operation for event in frame.events())
    return tuple(operation for operation in placed if operation is not None)
