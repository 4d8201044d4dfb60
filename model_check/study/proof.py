"""What the proof is made of, and what rests on what, to be drawn: as a table, with a dot wherever
one thing is needed for another.

That is what solvers were found to need (unsat cores, `model_check.proof.prove.NEEDS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from model_check.proof.prove import NEEDS
from spec.proof.action import Action
from spec.proof.actions import ACTIONS
from spec.proof.consequences import CONSEQUENCES
from spec.proof.guards import GUARDS
from spec.proof.invariant import Argument, Invariant
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import PROPERTY_ARGUMENTS

ARGUMENTS: tuple[Argument, ...] = ("election", "log matching", "completeness", "commit")

NAMES, CELL, GAP, HEAD = 285, 13, 13, 150
"""In pixels: how wide the names of rows are; how wide and high a place for a dot is; how far blocks
of columns are apart, and arguments; how high the headings are."""


@dataclass(frozen=True, slots=True)
class Row:
    """An invariant, or what follows from some, that may be needed."""

    number: int
    invariant: Invariant
    follows: bool
    top: int


@dataclass(frozen=True, slots=True)
class Column:
    """What something may be needed for: an invariant is to be kept, a property to follow, an action
    to keep all invariants."""

    block: Literal["invariant", "property", "action"]
    heading: str
    title: str
    left: int
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class ActionRules:
    """Which rules are needed so that an action keeps all invariants."""

    action: Action
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProofDrawing:
    """All invariants, and what each is needed for."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    actions: tuple[ActionRules, ...]

    @property
    def width(self) -> int:
        """Of all of it, in pixels."""
        return self.columns[-1].left + CELL

    @property
    def height(self) -> int:
        """Of all of it, in pixels."""
        return self.rows[-1].top + CELL

    @property
    def dots(self) -> tuple[tuple[Row, Column], ...]:
        """Where something is needed for something."""
        return tuple(
            (row, column)
            for row in self.rows
            for column in self.columns
            if row.invariant.name in column.needs
        )


def proof_drawing() -> ProofDrawing:
    """The proof, as the solvers' unsat cores tell of it."""
    rows = tuple(_rows())
    kept = [Column("invariant", str(row.number), row.invariant.name, 0, _kept(row)) for row in rows]
    properties = [
        Column("property", name, name, 0, _needed("property", name)) for name in PROPERTY_ARGUMENTS
    ]
    actions = [Column("action", each.name, each.does, 0, _needed_by(each)) for each in ACTIONS]
    rules = tuple(
        ActionRules(each, tuple(rule for rule in GUARDS if rule in _needed_by(each)))
        for each in ACTIONS
    )
    return ProofDrawing(rows, tuple(_placed(kept, properties, actions)), rules)


def _rows() -> Iterable[Row]:
    """In the order of the argument; what follows from invariants after them."""
    number, top = 0, HEAD
    for argument in ARGUMENTS:
        for each in (*INVARIANTS, *CONSEQUENCES):
            if each.argument == argument:
                number += 1
                yield Row(number, each, each in CONSEQUENCES, top)
                top += CELL
        top += GAP


def _placed(*blocks: list[Column]) -> Iterable[Column]:
    left = NAMES
    for block in blocks:
        for each in block:
            yield Column(each.block, each.heading, each.title, left, each.needs)
            left += CELL
        left += GAP


# --- what is needed --------------------------------------------------------------------------


def _kept(row: Row) -> frozenset[str]:
    """What is needed to keep an invariant, but for itself; or, so that it follows."""
    name = row.invariant.name
    return _needed("lemma" if row.follows else "consecution", name) - {name}


def _needed(kind: str, about: str) -> frozenset[str]:
    """For all obligations of a kind that are about something."""
    return _union(
        name for name in NEEDS if name.split("/")[0] == kind and name.split("/")[-2] == about
    )


def _needed_by(action: Action) -> frozenset[str]:
    """For all that an action is to keep."""
    return _union(name for name in NEEDS if name.startswith(f"consecution/{action.name}/"))


def _union(obligations: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(_all_needed, obligations))


@cache
def _all_needed(obligation: str) -> frozenset[str]:
    """What an obligation needs, and what the lemmas of its action need that it needs."""
    _, *action, _, _ = obligation.split("/")
    needed = set(NEEDS[obligation])
    if action:
        lemmas = [
            name
            for name in NEEDS
            if name.startswith(f"lemma/{action[0]}/")
            and name.split("/")[2] in needed
            and name.split("/")[2] != obligation.split("/")[2]
        ]
        needed |= _union(lemmas)
    return frozenset(needed)
