"""Small worlds in which something is so: against vacuity, and to see why a proof fails.

What servers that obey the rules may do in three servers' worlds is no proof of anything. But where
hypotheses contradict each other, everything is proved of them; so each action is shown to be
possible (`possible`). And where a rule or an invariant is left out and a proof fails, a
*counterexample to induction* shows a world in which all that is assumed holds, and a step out of it
after which something does not (`counterexample`). That such a world can be come to is not said: for
that there is the run that `raft-ref rules --necessary` shows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from time import monotonic

from model_check.proof.solvers import model
from spec.proof.abstraction import ANY_STEP
from spec.proof.action import SERVER, Action
from spec.proof.actions import ACTIONS
from spec.proof.expansion import SmallWorld
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import Obligation, Theory
from spec.proof.step import ServerTerms
from spec.proof.terms import Term, negation, term_of
from spec.proof.vocabulary import ASSUMPTIONS, entry_term
from spec.proof.world import ANY

WORLDS = (
    SmallWorld(1, 1, 1),
    SmallWorld(2, 1, 1),
    SmallWorld(2, 2, 2),
    SmallWorld(2, 1, 1, min_number=-1),
    SmallWorld(3, 2, 2),
    SmallWorld(3, 3, 4),
)
"""One is searched before the next. (A leader is a role of number 2, and so not in the first.)"""

Moments = Mapping[str, tuple[ServerTerms, ...]]
"""Before a step, and after it, if one is taken: servers."""

_ROLES = {"0": "follower", "1": "candidate", "2": "leader"}


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A world in which all that is assumed holds, and what an obligation says does not."""

    obligation: Obligation
    world: SmallWorld
    values: Mapping[str, str]

    @property
    def lines(self) -> Iterator[str]:
        """Who does what, and each server before and after."""
        yield f"{self._title}:"
        for number in range(len(_moments(self.obligation, self.world)["before"])):
            before, after = (self._server(moment, number) for moment in ("before", "after"))
            is_changed = after is not None and after != before
            name = _name(self.values["acts"]) if self._is_of_one else f"S{number + 1}"
            yield f"  {name}  {before}" + (f"  ->  {after}" if is_changed else "")

    @property
    def _is_of_one(self) -> bool:
        return self.obligation.kind == "splitting"

    @property
    def _title(self) -> str:
        about, action = self.obligation.about, self.obligation.action
        if not action:
            return f"All invariants hold, but not {about}"
        if self._is_of_one:
            return f"Its part '{action}' breaks {about}, in a step that obeys all other rules"
        does = f"{_name(self.values['acts'])} {_action(action).does}"
        return f"{does}; then not {about}"

    def _server(self, moment: str, number: int) -> str | None:
        def value(part: str) -> str:
            return self.values[f"{moment}_{number}_{part}"]

        if f"{moment}_{number}_term" not in self.values:
            return None
        log = " ".join(value(f"entry_{index}") for index in range(1, int(value("length")) + 1))
        has_voted = value("has_voted") == "True"
        vote = f"voted for {_name(value('vote'))}" if has_voted else "has not voted"
        return (
            f"{_ROLES.get(value('role'), value('role'))} of term {value('term')}, {vote}, "
            f"entries of terms [{log}], {value('commit')} committed"
        )


def counterexample(
    obligation: Obligation, small: SmallWorld, milliseconds: int = 10_000
) -> Counterexample | None:
    """A small world in which what an obligation says is not so, if one is found."""
    formulas = [*obligation.hypotheses.values(), negation(obligation.goal)]
    shown = _shown(obligation, small)
    values = model(small.script(formulas, shown), milliseconds)
    if values is None:
        return None
    nodes = {values.get(f"Node_{number}", ""): f"Node_{number}" for number in range(1, 4)}
    named = {name: nodes.get(values[name], values[name]) for name in shown}
    return Counterexample(obligation, small, named)


def why(theory: Theory, unknown: Collection[str], seconds: float = 60) -> Counterexample | None:
    """Why obligations of these names could not be proved: a counterexample in the smallest world;
    None if none is found in time."""
    deadline = monotonic() + seconds
    for small, obligation in product(WORLDS, list(reasons(theory, unknown))):
        left = deadline - monotonic()
        if left <= 0:
            return None
        found = counterexample(obligation, small, min(2_000, math.ceil(1000 * left)))
        if found is not None:
            return found
    return None


def reasons(theory: Theory, unknown: Collection[str]) -> Iterator[Obligation]:
    """What may have a counterexample, what says most first.

    Where it is a lemma that fails, an invariant may fail without that; where a step is no run of
    actions any more, it is the step.
    """
    lost = [each for each in theory.obligations() if each.name in unknown]
    yield from (each for each in lost if each.kind in ("initiation", "consecution"))
    bare = frozenset(each.action for each in lost if each.kind == "lemma" and each.action)
    for each in replace(theory, bare=bare).obligations():
        if each.kind == "consecution" and each.action in bare:
            yield each
    yield from (each for each in lost if each.kind in ("lemma", "property", "splitting"))


def possible(action: Action, milliseconds: int = 60_000) -> bool:
    """Whether some server may take an action in a small world in which all invariants hold."""
    known = [each.formula(ANY) for each in INVARIANTS]
    formulas = [*ASSUMPTIONS.values(), *known, *action.hypotheses().values()]
    return any(model(small.script(formulas, {}), milliseconds) is not None for small in WORLDS)


def _action(name: str) -> Action:
    return next(each for each in ACTIONS if each.name == name)


def _moments(obligation: Obligation, small: SmallWorld) -> Moments:
    """The servers that are shown."""
    if obligation.kind == "splitting":
        return {"before": (ANY_STEP.before,), "after": (ANY_STEP.after,)}
    nodes = small.values("Node")
    before = {"before": tuple(map(ANY.server, nodes))}
    if not obligation.action:
        return before
    return {**before, "after": tuple(map(_action(obligation.action).after.server, nodes))}


def _shown(obligation: Obligation, small: SmallWorld) -> dict[str, Term]:
    """By name: what is shown."""
    shown = {"acts": ANY_STEP.server if obligation.kind == "splitting" else SERVER}
    for moment, servers in _moments(obligation, small).items():
        for number, server in enumerate(servers):
            prefix = f"{moment}_{number}"
            for part in ("term", "has_voted", "vote", "role", "commit"):
                shown[f"{prefix}_{part}"] = getattr(server, part)
            shown[f"{prefix}_length"] = server.log.length
            for index in range(1, small.max_number + 1):
                shown[f"{prefix}_entry_{index}"] = entry_term(server.log.at(term_of(index)))
    return shown


def _name(node: str) -> str:
    return f"S{node.rpartition('_')[2]}"
