"""Random small systems that are not Raft: everything about them is a roll of the dice."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias, cast

from hypothesis import strategies as st

from model_check.network import Fifo, Once, Replayable
from model_check.system import Network, Node, Outcome, System
from model_check.watch import Memory, PropertyWatch
from spec.forms import (
    AtMost,
    GlobalProperty,
    HistoryProperty,
    InOrder,
    Limit,
    Milestone,
    PairProperty,
    Property,
    Step,
    StepProperty,
)

Level: TypeAlias = int
"""The local state of a node."""
Label: TypeAlias = int
"""What a step puts out, for properties to look at."""


@dataclass(frozen=True, slots=True)
class Dice:
    """Answers at random, but the same question always with the same number."""

    seed: int

    def roll(self, sides: int, *question: Hashable) -> int:
        """A number from 0 to ``sides - 1``."""
        digest = blake2b(repr((self.seed, question)).encode(), digest_size=8).digest()
        return int.from_bytes(digest) % sides

    def says(self, percent: int, *question: Hashable) -> bool:
        return self.roll(100, *question) < percent


@dataclass(frozen=True, slots=True)
class Letter:
    """A message."""

    source: int
    destination: int
    kind: int


LetterEvent: TypeAlias = int | Letter
"""An event of the environment, by its number, or a letter that arrives."""
LetterStep: TypeAlias = Step[Level, LetterEvent, Label]
LetterNetwork: TypeAlias = Network[Letter, Hashable]
LetterSystem: TypeAlias = System[Level, LetterEvent, Label, Letter, Hashable, Memory]

NETWORKS: dict[str, LetterNetwork] = {
    name: cast(LetterNetwork, network)
    for name, network in {
        "replayable": Replayable(),
        "once": Once(),
        "fifo": Fifo(capacity=1),
        "fifo without loss": Fifo(capacity=2, loss=False),
    }.items()
}

LABELS = 4


@dataclass(frozen=True, slots=True)
class Correspondents(Node[Level, LetterEvent, Label, Letter]):
    """Nodes that do as the dice say, each otherwise."""

    dice: Dice
    nodes: int
    levels: int
    events_at_once: int
    kinds: int
    most_letters: int
    failures: int
    """How many percent of all steps fail."""
    has_restarts: bool

    @property
    def count(self) -> int:
        return self.nodes

    def initial(self, node: int) -> Level:
        return self.dice.roll(self.levels, "initial", node)

    def events(self, node: int, state: Level) -> Iterator[int]:
        for event in range(self.events_at_once):
            if self.dice.says(60, "event", node, state, event):
                yield event

    def step(self, node: int, state: Level, event: LetterEvent) -> Outcome[Level, Label, Letter]:
        case = node, state, event
        if self.dice.says(self.failures, "failure", case):
            raise RuntimeError(f"cannot do {event} at {state}")
        others = [other for other in range(1, self.nodes + 1) if other != node]
        letters = self.dice.roll(self.most_letters + 1, "letters", case) if others else 0
        return Outcome(
            self.dice.roll(self.levels, "after", case),
            (self.dice.roll(LABELS, "label", case),),
            tuple(
                Letter(
                    node,
                    others[self.dice.roll(len(others), "destination", case, letter)],
                    self.dice.roll(self.kinds, "kind", case, letter),
                )
                for letter in range(letters)
            ),
        )

    def arrival(self, message: Letter) -> tuple[int, Letter]:
        return message.destination, message

    def sender(self, message: Letter) -> int:
        return message.source

    def is_restart(self, event: LetterEvent) -> bool:
        return self.has_restarts and event == 0


class Suspicious:
    """Finds so many percent of all there can be forbidden, by the dice."""

    def __init__(self, dice: Dice, percent: int) -> None:
        self._dice = dice
        self._percent = percent

    def forbids(self, *what: Hashable) -> bool:
        return self._dice.says(self._percent, type(self).__name__, *what)


class NoSuchStep(Suspicious, StepProperty[Level, LetterEvent, Label]):
    """No step is of a forbidden kind."""

    def violation(self, step: LetterStep) -> str | None:
        (label,) = step.outputs
        return "such a step" if self.forbids(step.before, step.after, label) else None


class NotTogether(Suspicious, PairProperty[Level, int]):
    """No two nodes look in a forbidden way at the same time. Some levels look alike."""

    def view(self, state: Level) -> int:
        return state // 2

    def violation(self, node: int, view: int, other: int, other_view: int) -> str | None:
        forbidden = self.forbids(min(view, other_view), max(view, other_view))
        return f"nodes {node} and {other}" if forbidden else None


class NoSuchHistory(Suspicious, HistoryProperty[Level, LetterEvent, Label, Label, int]):
    """The labels put out, 0 apart, do not lead an automaton to a forbidden state."""

    STATES = 4

    def initial(self) -> int:
        return 0

    def fact(self, step: LetterStep) -> Label | None:
        (label,) = step.outputs
        return label or None

    def remember(self, memory: int, fact: Label) -> int:
        return self._dice.roll(self.STATES, "automaton", memory, fact)

    def violation(self, memory: int) -> str | None:
        return f"the automaton is in {memory}" if self.forbids(memory) else None


class NotAllAt(Suspicious, GlobalProperty[Level]):
    """The levels of all nodes are no forbidden ones."""

    def violation(self, states: tuple[Level, ...]) -> str | None:
        return f"the levels are {states}" if self.forbids(*states) else None


FORMS = (NoSuchStep, NotTogether, NoSuchHistory, NotAllAt)


def rises_above(level: Level) -> Milestone[Level, LetterEvent, Label]:
    return Milestone(
        f"rises above {level}", "a node rose", lambda step: step.before <= level < step.after
    )


LIMITS: list[Limit[LetterEvent]] = [
    AtMost("events", 2, lambda event: isinstance(event, int)),
    AtMost("letters", 1, lambda event: not isinstance(event, int)),
    InOrder((0, 1, 0), lambda node, event: event if isinstance(event, int) else None),
]


@dataclass(frozen=True, slots=True)
class World:
    """A system in a form that can be shown."""

    node: Correspondents
    network: str
    forms: tuple[type[Suspicious], ...]
    suspicion: int
    limits: tuple[Limit[LetterEvent], ...]

    def system(self) -> LetterSystem:
        properties = [form(self.node.dice, self.suspicion) for form in self.forms]
        watch: PropertyWatch[Level, LetterEvent, Label, Letter] = PropertyWatch(
            cast("list[Property]", properties),
            map(rises_above, range(self.node.levels)),
            self.limits,
        )
        return System(self.node, NETWORKS[self.network], watch)


@st.composite
def worlds(draw: st.DrawFn, networks: tuple[str, ...] = tuple(NETWORKS)) -> World:
    node = Correspondents(
        Dice(draw(st.integers(0, 2**32))),
        nodes=draw(st.integers(1, 3)),
        levels=draw(st.integers(2, 5)),
        events_at_once=draw(st.integers(1, 2)),
        kinds=draw(st.integers(1, 2)),
        most_letters=draw(st.integers(0, 2)),
        failures=draw(st.sampled_from([0, 0, 1])),
        has_restarts=draw(st.booleans()),
    )
    forms = draw(st.lists(st.sampled_from(FORMS), unique=True))
    return World(
        node,
        draw(st.sampled_from(networks)),
        tuple(forms),
        draw(st.sampled_from([0, 2, 5, 10])),
        tuple(draw(st.sampled_from([[], [], LIMITS[:1], LIMITS[1:2], LIMITS[2:], LIMITS]))),
    )
