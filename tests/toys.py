"""Small systems that are not Raft: what the generic parts are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from model_check.network import Replayable
from model_check.system import Network, Node, Outcome, System, T
from model_check.watch import Memory, PropertyWatch
from spec.forms import (
    GlobalProperty,
    HistoryProperty,
    Milestone,
    PairProperty,
    Property,
    Renaming,
    Step,
    StepProperty,
)


@dataclass(frozen=True, slots=True)
class Ping:
    """Tells a counter to count; ``number`` tells pings apart."""

    source: int
    destination: int
    number: int


class Counters(Node[int, str | Ping, str, Ping]):
    """Nodes that count to ``limit`` when ticked, and then tell the next node to count, too.

    ``reset`` sets a node back to 0 and counts as a restart. At ``broken_at`` a node's step fails.
    """

    def __init__(
        self, count: int = 2, limit: int = 2, *, resets: bool = False, broken_at: int | None = None
    ) -> None:
        self._count = count
        self.limit = limit
        self.resets = resets
        self.broken_at = broken_at

    @property
    def count(self) -> int:
        return self._count

    def initial(self, node: int) -> int:
        return 0

    def events(self, node: int, state: int) -> Iterator[str]:
        if state < self.limit:
            yield "tick"
        if self.resets:
            yield "reset"

    def step(self, node: int, state: int, event: str | Ping) -> Outcome[int, str, Ping]:
        if event == "reset":
            return Outcome(0)
        if state == self.broken_at:
            raise RuntimeError(f"cannot count beyond {state}")
        after = min(state + 1, self.limit)
        if event != "tick" or self._count == 1:
            return Outcome(after)
        ping = Ping(node, node % self._count + 1, after)
        return Outcome(after, (f"sends {after}",), (ping,))

    def arrival(self, message: Ping) -> tuple[int, Ping]:
        return message.destination, message

    def sender(self, message: Ping) -> int:
        return message.source

    def is_restart(self, event: str | Ping) -> bool:
        return event == "reset"


class Undecided(Counters):
    """May also do nothing, in two ways that only ``labels`` tell apart; says so by an iterator."""

    labels = "same", "same"

    def outcomes(
        self, node: int, state: int, event: str | Ping
    ) -> tuple[Outcome[int, str, Ping], ...]:
        idle = (Outcome[int, str, Ping](state, (label,)) for label in self.labels)
        outcomes = iter((self.step(node, state, event), *idle))
        return cast("tuple[Outcome[int, str, Ping], ...]", outcomes)


class NeverCountsDown(StepProperty[int, str | Ping, str]):
    """No step lowers a counter."""

    exercised_by = frozenset({"counted"})

    def violation(self, step: Step[int, str | Ping, str]) -> str | None:
        if step.after >= step.before:
            return None
        return f"node {step.node} went from {step.before} to {step.after}"


class NeverBothAtTwo(PairProperty[int, bool]):
    """No two nodes are at 2 at the same time."""

    def view(self, state: int) -> bool:
        return state == 2

    def violation(self, node: int, view: bool, other: int, other_view: bool) -> str | None:
        return f"nodes {node} and {other} are at 2" if view and other_view else None


class NeverAllAtTwo(GlobalProperty[int]):
    """Not all nodes are at 2 at the same time."""

    def violation(self, states: tuple[int, ...]) -> str | None:
        return "all nodes are at 2" if set(states) == {2} else None


class FewTicks(HistoryProperty[int, str | Ping, str, int, int]):
    """At most two ticks happen in all of history."""

    def initial(self) -> int:
        return 0

    def fact(self, step: Step[int, str | Ping, str]) -> int | None:
        return 1 if step.event == "tick" else None

    def remember(self, memory: int, fact: int) -> int:
        return memory + fact

    def violation(self, memory: int) -> str | None:
        return f"{memory} ticks" if memory > 2 else None


COUNTED = Milestone[int, str | Ping, str]("counted", "a node counted", lambda s: s.after > s.before)


def counters(
    node: Counters,
    *properties: Property,
    network: Network[Ping, tuple[Ping, ...]] | None = None,
) -> System[int, str | Ping, str, Ping, tuple[Ping, ...], Memory]:
    watch: PropertyWatch[int, str | Ping, str, Ping] = PropertyWatch(properties, [COUNTED])
    return System(node, network or Replayable(), watch)


@dataclass(frozen=True, slots=True)
class Reminder:
    """From a node to itself, in the simplest case."""

    source: int
    destination: int
    kind: int


class Absentminded(Node[int, str | Reminder, str, Reminder]):
    """Nodes that remind themselves: by a reminder of kind 1 to count on to 3, then by one of kind 2
    to add 10.

    Over a queue they arrive in that order, otherwise perhaps not.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    @property
    def count(self) -> int:
        return self._count

    def initial(self, node: int) -> int:
        return 0

    def events(self, node: int, state: int) -> Iterator[str]:
        if state == 0:
            yield "go"

    def step(self, node: int, state: int, event: str | Reminder) -> Outcome[int, str, Reminder]:
        if isinstance(event, str):
            return Outcome(1, (), (Reminder(node, node, 1), Reminder(node, node, 2)))
        if event.kind == 1:
            return Outcome(min(state + 1, 3))
        return Outcome(state + 10 if state < 10 else state)

    def arrival(self, message: Reminder) -> tuple[int, Reminder]:
        return message.destination, message

    def sender(self, message: Reminder) -> int:
        return message.source

    def is_restart(self, event: str | Reminder) -> bool:
        return False

    def renamings(self) -> Iterator[Renaming]:
        return Renaming.all_of(self._count)

    def rename(self, value: T, renaming: Renaming) -> T:
        if isinstance(value, Reminder):
            source, destination = renaming.node(value.source), renaming.node(value.destination)
            return cast(T, Reminder(source, destination, value.kind))
        return value


class NeverAtTen(StepProperty[int, str | Reminder, str]):
    """No node comes to 10 or beyond."""

    def violation(self, step: Step[int, str | Reminder, str]) -> str | None:
        return f"node {step.node} is at {step.after}" if step.after >= 10 else None


class NeverAtThree(StepProperty[int, str | Reminder, str]):
    """No node comes to 3."""

    def violation(self, step: Step[int, str | Reminder, str]) -> str | None:
        return f"node {step.node} is at 3" if step.after == 3 else None
