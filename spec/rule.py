"""What a rule is: a predicate over one step of one server, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Literal, TypeAlias

from spec.conduct import Conduct

Group: TypeAlias = Literal[
    "term",
    "vote",
    "election",
    "log",
    "append",
    "acknowledgement",
    "commit",
    "restart",
    "message",
]
Function: TypeAlias = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule is broken: which part of it, what it asks for, and what was seen instead."""

    conjunct: str
    expected: str
    seen: str

    def __str__(self) -> str:
        return f"{self.conjunct}: expected {self.expected}, seen {self.seen}"


@dataclass(frozen=True, slots=True)
class NotDecidable:
    """A rule cannot be judged, since something of the server cannot be observed."""

    unobserved: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a server owes in each of its steps."""

    id: str
    """Stable."""
    group: Group
    statement: str
    citation: str
    observes: frozenset[str]
    """What it looks at: fields of the server's state, and ``outputs``, what leaves it. What arrives
    at it is always seen."""
    implemented_by: Function
    """Where the reference core obeys it."""
    predicate: Callable[[Conduct], Broken | None]

    def judge(
        self, conduct: Conduct, unobserved: frozenset[str] = frozenset()
    ) -> Broken | NotDecidable | None:
        """How the step breaks the rule; None if it obeys it.

        Where the rule looks at something ``unobserved``, it is not decidable, never obeyed.
        """
        hidden = self.observes & unobserved
        if hidden:
            return NotDecidable(tuple(sorted(hidden)))
        return self.predicate(conduct)


def rule(
    id: str,  # noqa: A002 - what it is
    group: Group,
    *,
    cites: str,
    observes: str,
    implemented_by: Function,
) -> Callable[[Callable[[Conduct], Broken | None]], Rule]:
    """A decorator that makes a rule of its predicate, whose docstring is the statement."""

    def make(predicate: Callable[[Conduct], Broken | None]) -> Rule:
        statement = " ".join((getdoc(predicate) or "").split())
        fields = frozenset(observes.split())
        return Rule(id, group, statement, cites, fields, implemented_by, predicate)

    return make
