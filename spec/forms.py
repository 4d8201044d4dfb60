"""The forms a safety property can take, for any pure node. No word of Raft in here.

A property never computes what should happen; it looks at what did. Three forms suffice for Raft,
and each says how little of the world it needs to see, which is what lets an explorer evaluate it
once for each distinct step or pair of states:

- `StepProperty`: one step of one node;
- `PairProperty`: the states of two nodes at one moment;
- `HistoryProperty`: everything that ever happened, as far as it chooses to remember it.

A violation is reported as a sentence that says which part of the property failed, and for whom.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeAlias, TypeVar

NodeNumber: TypeAlias = int
"""Nodes are numbered from 1."""

S = TypeVar("S", bound=Hashable)
"""The local state of a node."""
E = TypeVar("E", bound=Hashable)
"""What can happen to a node."""
O = TypeVar("O", bound=Hashable)  # noqa: E741 - S, E, O: state, event, output
"""What a node can put out."""
H = TypeVar("H", bound=Hashable)
"""What a history property remembers."""


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


class PairProperty(Property, ABC, Generic[S]):
    """A property of the states of any two nodes at any moment, given in either order."""

    @abstractmethod
    def violation(
        self, node: NodeNumber, state: S, other: NodeNumber, other_state: S
    ) -> str | None:
        """How the two states break the property, or None."""


class HistoryProperty(Property, ABC, Generic[S, E, O, H]):
    """A property of all that ever happened, whoever has crashed since."""

    @abstractmethod
    def initial(self) -> H:
        """What is remembered before anything happened."""

    @abstractmethod
    def observe(self, memory: H, step: Step[S, E, O]) -> H:
        """What is remembered after ``step``. The less, the fewer states there are to explore."""

    @abstractmethod
    def violation(self, memory: H) -> str | None:
        """How what is remembered breaks the property, or None."""


@dataclass(frozen=True)
class Milestone(Generic[S, E, O]):
    """Something worth having seen happen: without it, a verdict may say little."""

    name: str
    description: str
    reached_by: Callable[[Step[S, E, O]], bool]
