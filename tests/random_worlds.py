"""Random small systems that are not Raft: everything about them is a roll of the dice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TypeAlias, cast

from hypothesis import strategies as st

from model_check.network import Fifo, Once, Replayable
from model_check.system import Network, Node, Outcome, System, T
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
    Renaming,
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
    """Whether an event is a restart; then letters of kind 0 are one, too."""
    to_self: bool = False
    """Whether nodes write to themselves."""
    most_outcomes: int = 1
    """There are up to so many, and sometimes none; some differ in their label alone, or not at
    all."""

    @property
    def count(self) -> int:
        return self.nodes

    def initial(self, node: int) -> Level:
        return self.dice.roll(self.levels, "initial", node)

    def events(self, node: int, state: Level) -> Iterator[int]:
        for event in range(self.events_at_once):
            if self.dice.says(60, "event", node, state, event):
                yield event

    def outcomes(
        self, node: int, state: Level, event: LetterEvent
    ) -> tuple[Outcome[Level, Label, Letter], ...]:
        case = self.case(node, state, event)
        if self.dice.says(self.failures, "failure", case):
            raise RuntimeError(f"cannot do {event} at {state}")
        if self.most_outcomes == 1:
            return (self.outcome(node, event, case, 0, 0),)
        return tuple(
            self.outcome(
                node,
                event,
                case,
                self.dice.roll(2, "variant", case, choice),
                self.dice.roll(2, "label's", case, choice),
            )
            for choice in range(self.dice.roll(self.most_outcomes + 1, "outcomes", case))
        )

    def case(self, node: int, state: Level, event: LetterEvent) -> Hashable:
        """All that the dice are asked about a step."""
        return node, state, event

    def outcome(
        self, node: int, event: LetterEvent, case: Hashable, variant: int, label: int
    ) -> Outcome[Level, Label, Letter]:
        """One outcome of a step."""
        return Outcome(
            self.dice.roll(self.levels, "after", case, variant),
            (self.dice.roll(LABELS, "label", case, label),),
            tuple(self.letters(node, event, case, variant)),
        )

    def letters(
        self, node: int, event: LetterEvent, case: Hashable, variant: int
    ) -> Iterator[Letter]:
        """The letters that such an outcome sends."""
        others = [other for other in range(1, self.nodes + 1) if self.to_self or other != node]
        letters = self.dice.roll(self.most_letters + 1, "letters", case, variant) if others else 0
        for letter in range(letters):
            question = case, variant, letter
            destination = others[self.dice.roll(len(others), "destination", question)]
            yield Letter(node, destination, self.dice.roll(self.kinds, "kind", question))

    def arrival(self, message: Letter) -> tuple[int, Letter]:
        return message.destination, message

    def sender(self, message: Letter) -> int:
        return message.source

    def is_restart(self, event: LetterEvent) -> bool:
        return self.has_restarts and (event.kind if isinstance(event, Letter) else event) == 0


@dataclass(frozen=True, slots=True)
class Peers(Correspondents):
    """Nodes that all do the same: what they do is said to everyone else, or to who asked."""

    def initial(self, node: int) -> Level:
        return 0

    def events(self, node: int, state: Level) -> Iterator[int]:
        return Correspondents.events(self, 0, state)

    def case(self, node: int, state: Level, event: LetterEvent) -> Hashable:
        if not isinstance(event, Letter):
            return state, event
        return state, event.kind, event.source == node

    def letters(
        self, node: int, event: LetterEvent, case: Hashable, variant: int
    ) -> Iterator[Letter]:
        others = [other for other in range(1, self.nodes + 1) if self.to_self or other != node]
        if isinstance(event, Letter) and self.dice.says(50, "only who asked", case, variant):
            others = [event.source]
        for letter in range(self.dice.roll(self.most_letters + 1, "letters", case, variant)):
            kind = self.dice.roll(self.kinds, "kind", case, variant, letter)
            yield from (Letter(node, other, kind) for other in others)

    def renamings(self) -> Iterable[Renaming]:
        return Renaming.all_of(self.nodes)

    def rename(self, value: T, renaming: Renaming) -> T:
        if not isinstance(value, Letter):
            return value
        source, destination = renaming.node(value.source), renaming.node(value.destination)
        return cast(T, Letter(source, destination, value.kind))


@dataclass(frozen=True, slots=True)
class Retirees(Peers):
    """Peers that do nothing any more once they are at the highest level, and say so."""

    def outcomes(
        self, node: int, state: Level, event: LetterEvent
    ) -> tuple[Outcome[Level, Label, Letter], ...]:
        if state < self.levels - 1:
            return Correspondents.outcomes(self, node, state, event)
        return (Outcome(state, (0,)),) if self.dice.says(70, "at all", self.levels) else ()

    def is_outdated(self, state: Level, message: Letter) -> bool:
        return state == self.levels - 1


@dataclass(frozen=True, slots=True)
class Misnamed(Peers):
    """Peers that are interchangeable, but say wrongly of some values what they are otherwise."""

    def rename(self, value: T, renaming: Renaming) -> T:
        question = repr(value), renaming.nodes
        if not self.dice.says(15, "lie", question):
            return Peers.rename(self, value, renaming)
        if self.dice.says(20, "refuse", question):
            raise TypeError(f"no idea what {value} is")
        if isinstance(value, Letter):
            return cast(T, replace(value, destination=value.source))
        return cast(T, (cast(int, value) + 1) % self.levels)


@dataclass(frozen=True, slots=True)
class Moody(Correspondents):
    """Nodes that, on some steps, do not always do the same; or, if they are not so, what they do at
    first."""

    is_so: bool = True
    asked: Counter[Hashable] = field(default_factory=Counter, compare=False)

    def case(self, node: int, state: Level, event: LetterEvent) -> Hashable:
        case = Correspondents.case(self, node, state, event)
        if self.is_so and self.dice.says(20, "moody", case):
            self.asked[case] += 1
        return case, max(self.asked[case], 1)


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


class NobodyMarked(Suspicious, HistoryProperty[Level, LetterEvent, Label, int, frozenset[int]]):
    """Not so many nodes have put out 1 more often than not, or fewer."""

    def initial(self) -> frozenset[int]:
        return frozenset()

    def fact(self, step: LetterStep) -> int | None:
        """Who put out 1, or whom its letter was from, if that put out 2."""
        match step.outputs, step.event:
            case (1,), _:
                return step.node
            case (2,), Letter(source=source):
                return source
            case _:
                return None

    def remember(self, memory: frozenset[int], fact: int) -> frozenset[int]:
        return memory ^ {fact}

    def violation(self, memory: frozenset[int]) -> str | None:
        return f"marked: {sorted(memory)}" if self.forbids(len(memory)) else None

    def rename(self, memory: frozenset[int], renaming: Renaming) -> frozenset[int]:
        return frozenset(map(renaming.node, memory))


class NotAllAt(Suspicious, GlobalProperty[Level]):
    """The levels of all nodes are no forbidden ones."""

    def violation(self, states: tuple[Level, ...]) -> str | None:
        return f"the levels are {states}" if self.forbids(*states) else None


SYMMETRIC_FORMS: tuple[type[Suspicious], ...]
SYMMETRIC_FORMS = (NoSuchStep, NotTogether, NoSuchHistory, NobodyMarked)
FORMS = (*SYMMETRIC_FORMS, NotAllAt)


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
def worlds(
    draw: st.DrawFn,
    networks: tuple[str, ...] = tuple(NETWORKS),
    of: type[Correspondents] = Correspondents,
) -> World:
    node = of(
        Dice(draw(st.integers(0, 2**32))),
        nodes=draw(st.integers(1, 3)),
        levels=draw(st.integers(2, 5)),
        events_at_once=draw(st.integers(1, 2)),
        kinds=draw(st.integers(1, 2)),
        most_letters=draw(st.integers(0, 2)),
        failures=0 if issubclass(of, Peers) else draw(st.sampled_from([0, 0, 1])),
        has_restarts=draw(st.booleans()),
        to_self=draw(st.booleans()),
        most_outcomes=draw(st.sampled_from([1, 1, 3])),
    )
    possible = SYMMETRIC_FORMS if issubclass(of, Peers) else FORMS
    forms = draw(st.lists(st.sampled_from(possible), unique=True))
    return World(
        node,
        draw(st.sampled_from(networks)),
        tuple(forms),
        draw(st.sampled_from([0, 2, 5, 10])),
        tuple(draw(st.sampled_from([[], [], LIMITS[:1], LIMITS[1:2], LIMITS[2:], LIMITS]))),
    )
