"""What an invariant is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Literal, TypeAlias

from spec.proof.terms import Term
from spec.proof.world import World

Argument: TypeAlias = Literal["election", "log matching", "completeness", "commit"]
"""Which argument of the paper an invariant carries.

- *election*: §5.2, Election Safety: a vote is given once, and two majorities share a voter.
- *log matching*: the induction of §5.3, Log Matching: every log is made of pieces of leaders' logs.
- *completeness*: the proof of §5.4.3, Leader Completeness, for one entry and one majority.
- *commit*: the last step of §5.4.3, State Machine Safety: what is committed is in leaders' logs.

With each go invariants on its messages: what was said was true, and stays so, since it is about
what no longer changes.
"""


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that is always so."""

    name: str
    argument: Argument
    statement: str
    formula: Callable[[World], Term]


def invariant(
    argument: Argument,
) -> Callable[[Callable[[World], Term]], Invariant]:
    """A decorator that makes an invariant of a formula, whose docstring is the statement."""

    def make(formula: Callable[[World], Term]) -> Invariant:
        name = formula.__name__.replace("_", "-")
        return Invariant(name, argument, " ".join((getdoc(formula) or "").split()), formula)

    return make
