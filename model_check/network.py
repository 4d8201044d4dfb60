"""Three ways for a network to treat messages, from the most to the least hostile.

===============  ==================================================================================
`Replayable`     A message once sent may arrive any number of times, in any order, or never.
`Once`           Each message in flight arrives at most once, in any order, or never.
`Fifo`           Each link is a bounded queue, which may lose messages and breaks on a restart.
===============  ==================================================================================

Seen from the nodes, every run of `Once` or `Fifo` is a run of `Replayable`: whatever arrives has
been sent before, and that is all that `Replayable` asks. So what holds there holds in all three.
Since its set of messages only grows, it is also the smallest space to explore.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from model_check.contracts import ContractError
from model_check.system import Addressed, Deliver, Lose, Network
from spec.forms import NodeNumber

M = TypeVar("M", bound=Hashable)

Messages: TypeAlias = tuple[M, ...]
"""A set of messages, each once, ordered by `repr`: small, and the same in every process."""

Queues: TypeAlias = tuple[tuple[NodeNumber, tuple[M, ...]], ...]
"""The receivers that have messages of one sender in flight, ascending, each with its queue."""


@dataclass(frozen=True)
class Replayable(Network[M, "Messages[M]"], Generic[M]):
    """A message once sent may arrive any number of times, in any order, or never.

    In flight is the set of all messages ever sent: loss, repetition and reordering are choices of
    what to deliver.
    """

    keeps_delivered = True
    keeps_order = False
    breaks_on_restart = False

    def empty(self) -> Messages[M]:
        return ()

    def send(self, in_flight: Messages[M], messages: tuple[Addressed[M], ...]) -> Messages[M]:
        if all(message in in_flight for _, message in messages):
            return in_flight
        merged = list(in_flight)
        for _, message in messages:
            if message not in merged:
                insort(merged, message, key=repr)
                _require_told_apart(merged, message)
        return tuple(merged)

    def messages(self, in_flight: Messages[M]) -> tuple[M, ...]:
        return in_flight

    def deliveries(self, in_flight: Messages[M]) -> Iterator[tuple[Deliver[M], Messages[M]]]:
        return ((Deliver(message), in_flight) for message in in_flight)

    def without(self, in_flight: Messages[M], messages: Collection[M]) -> Messages[M]:
        return tuple(message for message in in_flight if message not in messages)

    def losses(self, in_flight: Messages[M]) -> tuple[()]:
        return ()

    def restart(self, in_flight: Messages[M], sender: NodeNumber, node: NodeNumber) -> Messages[M]:
        return in_flight

    def rename(
        self,
        in_flight: Messages[M],
        message: Callable[[M], M],
        node: Callable[[NodeNumber], NodeNumber],
    ) -> Messages[M]:
        return tuple(sorted(map(message, in_flight), key=repr))


@dataclass(frozen=True)
class Once(Replayable[M]):
    """Each message in flight arrives at most once, in any order, or never.

    In flight is a set: a message sent again while it is still in flight does not count twice.
    """

    keeps_delivered = False

    def deliveries(self, in_flight: Messages[M]) -> Iterator[tuple[Deliver[M], Messages[M]]]:
        return (
            (Deliver(message), in_flight[:position] + in_flight[position + 1 :])
            for position, message in enumerate(in_flight)
        )


@dataclass(frozen=True)
class Fifo(Network[M, "Queues[M]"], Generic[M]):
    """Each ordered pair of nodes has a queue, as over TCP.

    What is sent while ``capacity`` messages wait on a link is lost. With ``loss`` the first message
    of a queue may get lost, too. A restart empties the queues from and to the node.

    Raises:
        ValueError: if the capacity is below 1.
    """

    keeps_delivered = False
    keeps_order = True
    breaks_on_restart = True

    capacity: int = 2
    loss: bool = True

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"the capacity of a link must be at least 1, not {self.capacity}")

    def empty(self) -> Queues[M]:
        return ()

    def send(self, in_flight: Queues[M], messages: tuple[Addressed[M], ...]) -> Queues[M]:
        queues = dict(in_flight)
        for receiver, message in messages:
            queue = queues.get(receiver, ())
            if len(queue) < self.capacity:
                queues[receiver] = (*queue, message)
        return tuple(sorted(queues.items(), key=lambda item: item[0]))

    def messages(self, in_flight: Queues[M]) -> tuple[M, ...]:
        return tuple(message for _, queue in in_flight for message in queue)

    def deliveries(self, in_flight: Queues[M]) -> Iterator[tuple[Deliver[M], Queues[M]]]:
        return ((Deliver(message), left) for message, left in self._firsts(in_flight))

    def losses(self, in_flight: Queues[M]) -> Iterator[tuple[Lose[M], Queues[M]]]:
        firsts = self._firsts(in_flight) if self.loss else ()
        return ((Lose(message), left) for message, left in firsts)

    def restart(self, in_flight: Queues[M], sender: NodeNumber, node: NodeNumber) -> Queues[M]:
        return tuple(item for item in in_flight if node not in (sender, item[0]))

    def rename(
        self,
        in_flight: Queues[M],
        message: Callable[[M], M],
        node: Callable[[NodeNumber], NodeNumber],
    ) -> Queues[M]:
        renamed = ((node(to), tuple(map(message, queue))) for to, queue in in_flight)
        return tuple(sorted(renamed, key=lambda item: item[0]))

    def _firsts(self, in_flight: Queues[M]) -> Iterator[tuple[M, Queues[M]]]:
        """The first message of each queue, and what is in flight without it."""
        for position, (receiver, (first, *rest)) in enumerate(in_flight):
            left = ((receiver, tuple(rest)),) if rest else ()
            yield first, in_flight[:position] + left + in_flight[position + 1 :]


def _require_told_apart(messages: list[M], message: M) -> None:
    """Refuse another than ``message`` with the same `repr`: the order of a set would depend on
    which was sent first, and the same set be two."""
    place = messages.index(message)
    shown = repr(message)
    if any(repr(other) == shown for other in messages[max(place - 1, 0) : place]):
        raise ContractError(f"two messages that differ are both shown as {shown}")
