"""What there is to prove: each obligation is a formula, with all that it may be concluded from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from spec.proof.action import Action
from spec.proof.actions import ACTIONS
from spec.proof.completeness import later_leaders_have_it
from spec.proof.consequences import (
    CONSEQUENCES,
    at_what_is_committed,
    committed_is_in_later_logs,
)
from spec.proof.invariant import Argument, Invariant
from spec.proof.invariants import INVARIANTS
from spec.proof.properties import OF_MOMENTS, OF_STEPS
from spec.proof.smtlib import Names
from spec.proof.splitting import parts, whole
from spec.proof.terms import FALSE, TRUE, Term, goals
from spec.proof.vocabulary import ASSUMPTIONS
from spec.proof.world import ANY, INITIAL

Kind: TypeAlias = Literal["splitting", "initiation", "lemma", "consecution", "property"]
"""A step is a run of actions; an invariant holds at the beginning; something follows; an action
keeps an invariant; a property follows."""

ARGUMENTS: dict[Argument, tuple[Argument, ...]] = {
    "election": ("election",),
    "log matching": ("election", "log matching"),
    "completeness": ("election", "log matching", "completeness"),
    "commit": ("election", "log matching", "commit"),
}
"""On which arguments each rests."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """Something to prove."""

    kind: Kind
    about: str
    """The invariant, the lemma or the property."""
    action: str
    """That keeps it; empty where none is taken."""
    part: int
    """Of a conjunction, each part is proved by itself."""
    hypotheses: dict[str, Term]
    goal: Term

    @property
    def name(self) -> str:
        """By which it is known."""
        words = (self.kind, self.action, self.about, str(self.part))
        return "/".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Theory:
    """What is to be proved of servers that obey all rules but some, by which invariants."""

    invariants: tuple[Invariant, ...] = INVARIANTS
    without: frozenset[str] = frozenset()
    """Rules that servers need not obey."""
    actions: tuple[Action, ...] = ACTIONS
    bare: frozenset[str] = frozenset()
    """Actions of which no lemma is taken for granted, since one cannot be proved."""

    def obligations(self, properties: Iterable[str] | None = None) -> Iterator[Obligation]:
        """All of them; or those of the arguments on which some properties rest."""
        chosen = set(PROPERTY_ARGUMENTS) if properties is None else set(properties)
        needed = {each for name in chosen for each in needed_arguments(PROPERTY_ARGUMENTS[name])}
        yield from self._splitting()
        yield from self._initiation(needed)
        for action in self.actions:
            yield from self._lemmas(action, needed)
            yield from self._consecution(action, needed)
        yield from self._consequences(needed)
        yield from self._properties(chosen, needed)

    def _known(self, argument: Argument) -> dict[str, Term]:
        """What holds at any moment, on which an argument may rest."""
        return {
            **ASSUMPTIONS,
            **_formulas(self.invariants, argument),
            **_formulas(CONSEQUENCES, argument),
        }

    def _splitting(self) -> Iterator[Obligation]:
        left_out = self.without | {each.name for each in INVARIANTS if each not in self.invariants}
        known = {name: each for name, each in whole().items() if name not in left_out}
        for part in parts():
            taken = {**known, "condition": part.condition}
            for rule, goal in part.guards:
                if rule not in self.without:
                    yield from _parts("splitting", rule, part.action, taken, goal)
            yield from _parts("splitting", "is-such", part.action, taken, part.is_such)
            otherwise = {**known, "condition": part.nothing_to_do}
            goal = part.changes_nothing
            yield from _parts("splitting", "changes-nothing", part.action, otherwise, goal)

    def _initiation(self, needed: set[Argument]) -> Iterator[Obligation]:
        for each in self.invariants:
            if each.argument in needed:
                goal = each.formula(INITIAL)
                yield from _parts("initiation", each.name, "", dict(ASSUMPTIONS), goal)

    def _lemmas(self, action: Action, needed: set[Argument]) -> Iterator[Obligation]:
        if action.lemmas_from not in needed:
            return
        known = {**self._known(action.lemmas_from), **action.hypotheses(self.without)}
        for name, formula in action.lemmas.items():
            yield from _parts("lemma", name, action.name, known, formula)
            known = {**known, name: formula}

    def _lemmas_of(self, action: Action, needed: set[Argument]) -> dict[str, Term]:
        """What may be taken for granted of an action, since it is proved as a lemma."""
        is_known = action.lemmas_from in needed and action.name not in self.bare
        return action.lemmas if is_known else {}

    def _consecution(self, action: Action, needed: set[Argument]) -> Iterator[Obligation]:
        for each in self.invariants:
            if each.argument not in needed:
                continue
            goal = each.formula(action.after)
            if _is_same(goal, each.formula(ANY)):  # it is not about what the action changes
                continue
            known = {
                **self._known(each.argument),
                **action.hypotheses(self.without),
                **self._lemmas_of(action, needed),
            }
            yield from _parts("consecution", each.name, action.name, known, goal)

    def _consequences(self, needed: set[Argument]) -> Iterator[Obligation]:
        for number, each in enumerate(CONSEQUENCES):
            if each.argument not in needed:
                continue
            known = {
                **ASSUMPTIONS,
                **_formulas(self.invariants, each.argument),
                **_formulas(CONSEQUENCES[:number], each.argument),
            }
            if each is committed_is_in_later_logs and later_leaders_have_it in self.invariants:
                known[later_leaders_have_it.name] = at_what_is_committed(ANY)
            yield from _parts("lemma", each.name, "", known, each.formula(ANY))

    def _properties(self, chosen: set[str], needed: set[Argument]) -> Iterator[Obligation]:
        for name, of_moment in OF_MOMENTS.items():
            if name in chosen:
                known = self._known(PROPERTY_ARGUMENTS[name])
                yield from _parts("property", name, "", known, of_moment(ANY))
        for action in self.actions:
            for name, of_step in OF_STEPS.items():
                goal = of_step(action.after)
                if name not in chosen or _is_same(goal, of_step(ANY)):
                    continue
                known = {
                    **self._known(PROPERTY_ARGUMENTS[name]),
                    **action.hypotheses(self.without),
                    **self._lemmas_of(action, needed),
                }
                yield from _parts("property", name, action.name, known, goal)


PROPERTY_ARGUMENTS: dict[str, Argument] = {
    "ElectionSafety": "election",
    "LeaderAppendOnly": "log matching",
    "LogMatching": "log matching",
    "LeaderCompleteness": "commit",
    "StateMachineSafety": "commit",
    "MonotonicTerm": "election",
    "VoteOncePerTerm": "election",
    "CommitStability": "commit",
}
"""Which argument each property is the end of."""


def needed_arguments(argument: Argument) -> tuple[Argument, ...]:
    """All arguments on which one rests."""
    return (*ARGUMENTS[argument], "completeness") if argument == "commit" else ARGUMENTS[argument]


def _formulas(invariants: Iterable[Invariant], argument: Argument) -> dict[str, Term]:
    """Of those on which an argument may rest."""
    return {
        each.name: each.formula(ANY) for each in invariants if each.argument in ARGUMENTS[argument]
    }


def _parts(
    kind: Kind, about: str, action: str, hypotheses: dict[str, Term], goal: Term
) -> Iterator[Obligation]:
    known = {name: formula for name, formula in hypotheses.items() if formula != TRUE}
    if FALSE in known.values():  # what is always taken is never left out
        return
    for number, part in enumerate(goals(goal)):
        yield Obligation(kind, about, action, number, known, part)


def _is_same(one: Term, other: Term) -> bool:
    return Names().written(one) == Names().written(other)
