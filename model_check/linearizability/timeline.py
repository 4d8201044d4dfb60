"""The operations on one key that have no place in an order yet, as linked lists.

Lifting an operation out and putting it back take the same short time wherever it stands (Lowe,
"Testing for linearizability", 2017; the list is that of Wing and Gong, "Testing and verifying
concurrent objects", 1993).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Generic

from model_check.linearizability.history import A, Completed, Operation, Pending, R, Time


class Event(Generic[A, R]):
    """An invocation or a response; or the head of a list."""

    __slots__ = ("next", "number", "operation", "previous", "response", "time")

    def __init__(
        self,
        time: Time = 0,
        number: int = -1,
        operation: Operation[A, R] | None = None,
        response: Event[A, R] | None = None,
    ) -> None:
        self.time = time
        self.number = number
        """Of an invocation, that of its operation; of a response, its place among all events."""
        self.operation = operation
        """None for a response."""
        self.response = response
        """None for the invocation of an operation whose outcome is unknown."""
        self.previous = self
        self.next: Event[A, R] | None = None

    def lift(self) -> None:
        """Take it out of its list."""
        self.previous.next = self.next
        if self.next is not None:
            self.next.previous = self.previous

    def put_back(self) -> None:
        """Undo a `lift`, the last that is not undone yet."""
        self.previous.next = self
        if self.next is not None:
            self.next.previous = self


class Timeline(Generic[A, R]):
    """What has no place yet, of operations given in the order of their invocation."""

    def __init__(self, operations: Sequence[Operation[A, R]]) -> None:
        completed = [each for each in operations if isinstance(each, Completed)]
        pending = [each for each in operations if isinstance(each, Pending)]
        self._completed = _linked(_events(completed))
        self._pending: Event[A, R] = _linked(
            [Event(each.invoked, number, each) for number, each in enumerate(pending)]
        )

    @property
    def is_done(self) -> bool:
        """Whether every completed operation has its place."""
        return self._completed.next is None

    def next_response(self) -> Event[A, R]:
        """The first response; its operation must take effect before anything invoked later."""
        event = self._completed.next
        while event is not None and event.operation is not None:
            event = event.next
        assert event is not None, "an operation that has no place yet has a response"
        return event

    def minimal(self) -> Iterator[Event[A, R]]:
        """The invocations that no response precedes: what may take effect next.

        Completed operations come first, since pending ones are seldom needed. Of pending ones that
        ask for the same, the first will do, since it could take the place of any other.
        """
        event = self._completed.next
        while event is not None and event.operation is not None:
            yield event
            event = event.next
        if event is None:
            return
        waiting, asked = self._pending.next, set[Hashable]()
        while waiting is not None and waiting.time <= event.time:
            assert waiting.operation is not None
            if waiting.operation.action not in asked:
                asked.add(waiting.operation.action)
                yield waiting
            waiting = waiting.next

    @staticmethod
    def lift(event: Event[A, R]) -> None:
        """Take an operation out, since it has its place."""
        event.lift()
        if event.response is not None:
            event.response.lift()

    @staticmethod
    def put_back(event: Event[A, R]) -> None:
        """Undo a `lift`, the last that is not undone yet."""
        if event.response is not None:
            event.response.put_back()
        event.put_back()


def _events(completed: Sequence[Completed[A, R]]) -> list[Event[A, R]]:
    """Their invocations and responses by time; where times are equal, invocations first."""
    events: list[Event[A, R]] = []
    for number, operation in enumerate(completed):
        response: Event[A, R] = Event(operation.responded)
        events += [Event(operation.invoked, number, operation, response), response]
    events.sort(key=lambda event: (event.time, event.operation is None))
    for place, event in enumerate(events):
        if event.operation is None:
            event.number = place
    return events


def _linked(events: Sequence[Event[A, R]]) -> Event[A, R]:
    """The head of a list of ``events``."""
    head: Event[A, R] = Event()
    last = head
    for event in events:
        last.next, event.previous = event, last
        last = event
    return head
