"""That what the proof supposes is no contradiction: along a run, all of it holds.

The formulas are evaluated as they stand, among the three servers of `run`; no solver is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import product
from typing import TypeAlias

from model_check.proof.run import NEW, OLD, RUN, SERVERS, Move
from spec.proof.abstraction import MESSAGES, majorities
from spec.proof.actions import ACTIONS, Action
from spec.proof.evaluation import Meaning, compiled
from spec.proof.invariants import INVARIANTS
from spec.proof.terms import Sort, Term, constant
from spec.proof.world import ANY, World

Known: TypeAlias = Mapping[str, object]
"""What each symbol means at some moment of a run."""

MAJORITIES = majorities(SERVERS)

DOMAINS: dict[Sort, Sequence[object]] = {
    "Node": sorted(SERVERS),
    "Quorum": MAJORITIES,
    "Int": range(4),
    "Entry": (OLD, NEW),
    "Message": [move.happening["sent_now"] for move in RUN if "sent_now" in move.happening],
}

_RIGID: Known = {
    **MESSAGES,
    "is_server": lambda node: node in SERVERS,
    "is_alone": lambda node: False,
    "is_member": lambda node, majority: node in majority,
    "common": lambda one, other: min(one & other),
    "entry_term": lambda entry: entry.term,
}

_NOTHING: Known = {
    "timed_out": False,
    "restarted": False,
    "received": False,
    "arrived": None,
    "no_entry": None,
    "has_new_vote": False,
    "new_vote": 1,
    "counted": 0,
    "holders": MAJORITIES[0],
}
"""What does not happen in a step."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A move of the run, and whether all was so that should be."""

    move: Move
    refused: tuple[str, ...]
    """Rules, and other conditions of the action, that forbid it."""
    broken: tuple[str, ...]
    """Invariants that do not hold afterwards."""
    known: Known
    """What is so afterwards."""

    @property
    def does(self) -> str:
        """What the server does."""
        return action_named(self.move.action).does


def walk(run: Sequence[Move] = RUN) -> Iterator[Moved]:
    """Take a run move by move, from the beginning of everything."""
    known = beginning()
    for move in run:
        action = action_named(move.action)
        here = {**known, **_NOTHING, **move.happening, "server": move.server}
        asked = action.hypotheses().items()
        refused = tuple(name for name, formula in asked if not _finite(formula)(here))
        known = _after(action, here)
        yield Moved(move, refused, broken_invariants(known), known)


def beginning() -> Known:
    """What is so at the beginning."""
    default = {"Bool": False, "Int": 0, "Node": 1, "Quorum": MAJORITIES[0], "Entry": OLD}
    known = dict(_RIGID)
    for part in fields(World):
        sort = getattr(ANY, part.name).sort
        known[part.name] = lambda *_, value=default[sort]: value
    return known


def broken_invariants(known: Known) -> tuple[str, ...]:
    """The invariants that do not hold, whatever entry that of completeness is about."""
    stars = [
        {"term_star": term, "index_star": index, "majority_star": majority}
        for term, index, majority in product((0, 1, 2), (1, 2), MAJORITIES)
    ]
    return tuple(
        each.name
        for each in INVARIANTS
        for star in (stars if each.argument == "completeness" else stars[:1])
        if not _finite(each.formula(ANY))({**known, **star})
    )


@cache
def action_named(name: str) -> Action:
    """The action of this name."""
    return next(each for each in ACTIONS if each.name == name)


@cache
def _finite(formula: Term) -> Callable[[Meaning], object]:
    return compiled(formula, DOMAINS)


def _after(action: Action, known: Known) -> Known:
    """The functions of the world once an action has been taken."""
    changed: dict[str, object] = {}
    for part in fields(World):
        function = getattr(action.after, part.name)
        if function is not getattr(ANY, part.name):
            arguments = [f"argument_{n}" for n in range(getattr(ANY, part.name).arity)]
            body = _finite(function(*(constant(each, "Int") for each in arguments)))
            changed[part.name] = _function(body, arguments, known)
    return {**known, **changed}


def _function(
    body: Callable[[Meaning], object], names: list[str], known: Known
) -> Callable[..., object]:
    return cache(lambda *values: body({**known, **dict(zip(names, values, strict=True))}))
