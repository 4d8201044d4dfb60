"""The forms a safety property can take, for any pure node. No word of Raft in here.

A property never computes what should happen; it looks at what did. Each form says how little of
the world it needs to see, which is what lets an explorer evaluate it once for each distinct step or
pair of states:

- `StepProperty`: one step of one node;
- `PairProperty`: the states of two nodes at one moment, or only a part of each, its *view*;
- `HistoryProperty`: everything that ever happened, as far as it chooses to remember it: each step
  may hold a *fact*, and a memory is what was made of all facts so far;
- `GlobalProperty`: the states of all nodes at one moment. The slowest, and Raft needs none.

A violation is reported as a sentence that says which part of the property failed, and for whom.

Nodes, and the values that clients choose, may be interchangeable: a `Renaming` gives them other
names. A history property whose memory names any of them says how it is renamed.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import ClassVar, Generic, TypeAlias, TypeVar, cast

NodeNumber: TypeAlias = int
"""Nodes are numbered from 1."""

S = TypeVar("S", bound=Hashable)
"""The local state of a node."""
E = TypeVar("E", bound=Hashable)
"""What can happen to a node."""
O = TypeVar("O", bound=Hashable)  # noqa: E741 - S, E, O: state, event, output
"""What a node can put out."""
F = TypeVar("F", bound=Hashable)
"""What of a step a history property finds worth remembering."""
H = TypeVar("H", bound=Hashable)
"""What a history property remembers."""
V = TypeVar("V", bound=Hashable)
"""What of a state a pair property looks at; also a value that a `Renaming` renames."""


@dataclass(frozen=True)
class Step(Generic[S, E, O]):
    """One step of one node: what it was, what happened, what it became and put out."""

    node: NodeNumber
    before: S
    event: E
    after: S
    outputs: tuple[O, ...]


class Property:
    """Something that must always hold. Its name is its class's, its statement the docstring."""

    exercised_by: ClassVar[frozenset[str]] = frozenset()
    """Milestones without which nothing could have broken the property: it then holds vacuously."""
    observes: ClassVar[frozenset[str]] = frozenset()
    """What of a node's state the property looks at, by name: where that cannot be observed, the
    property cannot be judged."""
    observes_instead: ClassVar[frozenset[str]] = frozenset()
    """What is enough to judge it by, though less may then be found; nothing else, if empty."""

    @property
    def name(self) -> str:
        """The name under which the property is chosen and reported."""
        return type(self).__name__

    @property
    def statement(self) -> str:
        """The property in words."""
        return inspect.getdoc(type(self)) or ""


class StepProperty(Property, ABC, Generic[S, E, O]):
    """A property of every single step of every node."""

    @abstractmethod
    def violation(self, step: Step[S, E, O]) -> str | None:
        """How ``step`` breaks the property, or None."""


class PairProperty(Property, ABC, Generic[S, V]):
    """A property of the states of any two nodes at any moment, given in either order."""

    @abstractmethod
    def view(self, state: S) -> V:
        """The part of a node's state that matters. The less, the fewer pairs to compare."""

    @abstractmethod
    def violation(self, node: NodeNumber, view: V, other: NodeNumber, other_view: V) -> str | None:
        """How the two nodes break the property, or None."""


class HistoryProperty(Property, ABC, Generic[S, E, O, F, H]):
    """A property of all that ever happened, whoever has crashed since."""

    @abstractmethod
    def initial(self) -> H:
        """What is remembered before anything happened."""

    @abstractmethod
    def fact(self, step: Step[S, E, O]) -> F | None:
        """What of ``step`` matters to the memory; None for most steps."""

    @abstractmethod
    def remember(self, memory: H, fact: F) -> H:
        """What is remembered once ``fact`` has come to pass, too. The less, the fewer states."""

    @abstractmethod
    def violation(self, memory: H) -> str | None:
        """How what is remembered breaks the property, or None."""

    def rename(self, memory: H, renaming: Renaming) -> H:
        """``memory`` as if nodes and values had other names. Unchanged, where it names none."""
        return memory


class GlobalProperty(Property, ABC, Generic[S]):
    """A property of the states of all nodes at one moment."""

    @abstractmethod
    def violation(self, states: tuple[S, ...]) -> str | None:
        """How the states, node 1's first, break the property, or None."""


@dataclass(frozen=True)
class Renaming:
    """Other names for the nodes, and for the values that clients choose.

    Where nothing depends on a name, a run under other names is a run, too.
    """

    nodes: tuple[NodeNumber, ...]
    """Node ``i`` becomes ``nodes[i - 1]``."""
    values: tuple[tuple[Hashable, Hashable], ...] = ()
    """Pairs of a value and what it becomes. All others stay."""

    def node(self, node: NodeNumber) -> NodeNumber:
        """What ``node`` is called now."""
        return self.nodes[node - 1]

    def value(self, value: V) -> V:
        """What ``value`` is called now."""
        return next((cast(V, new) for old, new in self.values if old == value), value)

    @classmethod
    def all_of(cls, nodes: int, values: tuple[Hashable, ...] = ()) -> Iterator[Renaming]:
        """Every renaming of so many nodes and these values, the one that changes nothing first."""
        for numbers, renamed in product(permutations(range(1, nodes + 1)), permutations(values)):
            yield cls(numbers, tuple(zip(values, renamed, strict=True)))


Happening = TypeVar("Happening", bound=Hashable, contravariant=True)
"""An event, to someone who only looks at it."""


class Limit(ABC, Generic[Happening]):
    """Of what may happen in a run only so often, or only in some order: how far a run has come."""

    @abstractmethod
    def counted(self, node: NodeNumber, event: Happening) -> Hashable | None:
        """What of an event at a node the limit looks at; None if it does not care."""

    @abstractmethod
    def after(self, count: int, counted: Hashable) -> int | None:
        """How far a run has come with that; None if it does not happen any more, or not yet."""


@dataclass(frozen=True)
class AtMost(Limit[Happening]):
    """Something happens so many times in a run at most."""

    name: str
    most: int
    is_one: Callable[[Happening], bool]
    """Whether an event is one of these."""

    def counted(self, node: NodeNumber, event: Happening) -> Hashable | None:
        """Whether it is one of these."""
        return True if self.is_one(event) else None

    def after(self, count: int, counted: Hashable) -> int | None:
        """One more, if that is not too many."""
        return count + 1 if count < self.most else None


@dataclass(frozen=True)
class InOrder(Limit[Happening]):
    """Of what has a label, only this happens, in this order, or a beginning of it."""

    labels: tuple[Hashable, ...]
    label: Callable[[NodeNumber, Happening], Hashable | None]

    def counted(self, node: NodeNumber, event: Happening) -> Hashable | None:
        """Its label."""
        return self.label(node, event)

    def after(self, count: int, counted: Hashable) -> int | None:
        """One further, if that is the next."""
        return count + 1 if self.labels[count : count + 1] == (counted,) else None


@dataclass(frozen=True)
class Milestone(Generic[S, E, O]):
    """Something worth having seen happen: without it, a verdict may say little."""

    name: str
    description: str
    reached_by: Callable[[Step[S, E, O]], bool]
