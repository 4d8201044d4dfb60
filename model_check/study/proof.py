"""What the proof is made of, and what rests on what, to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from model_check.proof.prove import NEEDS
from spec.proof.actions import ACTIONS, Action
from spec.proof.guards import GUARDS
from spec.proof.invariant import Argument, Invariant
from spec.proof.invariants import INVARIANTS

ARGUMENT_NAMES: tuple[Argument, ...] = ("election", "log matching", "completeness", "commit")
COLUMN, ROW, TOP = 270, 22, 40
"""In pixels: how wide an argument is drawn, how high an invariant, and where the first begins."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an invariant is drawn."""

    invariant: Invariant
    left: int
    top: int


@dataclass(frozen=True, slots=True)
class Edge:
    """That one invariant is needed to keep another."""

    needed: Place
    kept: Place


@dataclass(frozen=True, slots=True)
class ActionNeeds:
    """What is needed so that an action keeps all invariants."""

    action: Action
    rules: tuple[str, ...]
    invariants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProofDrawing:
    """All invariants, and which of them are needed for which."""

    places: tuple[Place, ...]
    edges: tuple[Edge, ...]
    actions: tuple[ActionNeeds, ...]

    @property
    def width(self) -> int:
        """Of all of it."""
        return COLUMN * len(ARGUMENT_NAMES)

    @property
    def height(self) -> int:
        """Of all of it."""
        return max(place.top for place in self.places) + ROW


def proof_drawing() -> ProofDrawing:
    """The proof, as the solvers' unsat cores tell of it."""
    places = {place.invariant.name: place for place in _places()}
    pairs = sorted({(needed, about) for about, needed in _uses() if needed != about})
    return ProofDrawing(
        tuple(places.values()),
        tuple(Edge(places[needed], places[about]) for needed, about in pairs),
        tuple(map(_needs_of, ACTIONS)),
    )


def _places() -> list[Place]:
    rows = dict.fromkeys(ARGUMENT_NAMES, 0)
    places = []
    for each in INVARIANTS:
        column = ARGUMENT_NAMES.index(each.argument)
        places.append(Place(each, column * COLUMN, TOP + rows[each.argument] * ROW))
        rows[each.argument] += 1
    return places


def _uses() -> list[tuple[str, str]]:
    """Each invariant that some action keeps, with each that is needed for that."""
    names = {each.name for each in INVARIANTS}
    return [
        (name.split("/")[2], needed)
        for name, hypotheses in NEEDS.items()
        if name.startswith("consecution/")
        for needed in hypotheses
        if needed in names
    ]


def _needs_of(action: Action) -> ActionNeeds:
    used = {
        needed
        for name, hypotheses in NEEDS.items()
        if name.startswith((f"consecution/{action.name}/", f"lemma/{action.name}/"))
        for needed in hypotheses
    }
    return ActionNeeds(
        action,
        tuple(rule for rule in GUARDS if rule in used),
        tuple(each.name for each in INVARIANTS if each.name in used),
    )
