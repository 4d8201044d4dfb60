"""Small worlds in which something is so: against vacuity, and to see why a proof fails.

What servers that obey the rules may do in three servers' worlds is no proof of anything. But where
hypotheses contradict each other, everything is proved of them; so each action is shown to be
possible (`possible`). And where a rule is left out and a proof fails, a *counterexample to
induction* shows a world in which all invariants hold, and a step out of it after which one does not
(`counterexample`). That such a world can be come to is not said: for that there is the run that
`raft-ref rules --necessary` shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from model_check.necessity import OF_SEVERAL_SERVERS
from spec.proof.abstraction import ANY_STEP
from spec.proof.actions import ACTIONS, SERVER, Action
from spec.proof.expansion import SmallWorld
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import Obligation, Theory
from spec.proof.terms import Term, negation, term_of
from spec.proof.vocabulary import ASSUMPTIONS, entry_term
from spec.proof.world import ANY

WORLDS = (
    SmallWorld(1, 2, 2),
    SmallWorld(2, 2, 2),
    SmallWorld(3, 1, 2),
    SmallWorld(3, 2, 3),
    SmallWorld(2, 3, 4),
    SmallWorld(3, 3, 4),
)
"""The smaller is searched first."""

Values = Mapping[str, str]

_ROLES = {"0": "follower", "1": "candidate", "2": "leader"}


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A world in which all invariants hold, and a step after which one does not."""

    obligation: Obligation
    values: Values

    @property
    def lines(self) -> Iterator[str]:
        """Who acts, and each server before and after; of a step that is no run of actions, the
        one that takes it."""
        about, acts = self.obligation.about, _name(self.values["acts"])
        if self.obligation.kind == "splitting":
            yield f"{acts} takes a step, of which a part ({self.obligation.action}) breaks {about}:"
            yield f"  {acts}  {self._server('before', 0)}  ->  {self._server('after', 0)}"
            return
        yield f"{acts} {_action(self.obligation.action).does}; then not {about}:"
        for number in range(1, 4):
            before, after = (self._server(moment, number) for moment in ("before", "after"))
            yield f"  S{number}  {before}" + ("" if before == after else f"  ->  {after}")

    def _server(self, moment: str, number: int) -> str:
        def value(part: str) -> str:
            return self.values[f"{moment}_{number}_{part}"]

        log = " ".join(value(f"entry_{index}") for index in range(1, int(value("length")) + 1))
        has_voted = value("has_voted") == "True"
        vote = f"voted for {_name(value('vote'))}" if has_voted else "has not voted"
        return (
            f"{_ROLES[value('role')]} of term {value('term')}, {vote}, "
            f"entries of terms [{log}], {value('commit')} committed"
        )


PATIENCE = (2_000, 20_000)
"""Milliseconds to search a world: each a little first; then, if nothing was found, longer."""


def why(theory: Theory, unknown: Collection[str]) -> Counterexample | None:
    """Why obligations of these names could not be proved: a counterexample, if one is found."""
    candidates = list(_reasons(theory, unknown))
    found = (counterexample(each, patience) for patience in PATIENCE for each in candidates)
    return next(filter(None, found), None)


def _reasons(theory: Theory, unknown: Collection[str]) -> Iterator[Obligation]:
    """What may have a counterexample.

    Where it is a lemma that fails, it is an invariant that fails without that; where a step is no
    run of actions any more, it is the step.
    """
    lost = [each for each in theory.obligations(OF_SEVERAL_SERVERS) if each.name in unknown]
    yield from (each for each in lost if each.kind == "consecution")
    bare = frozenset(each.action for each in lost if each.kind == "lemma")
    for each in replace(theory, bare=bare).obligations(OF_SEVERAL_SERVERS):
        if each.kind == "consecution" and each.action in bare:
            yield each
    yield from (each for each in lost if each.kind == "splitting")


def counterexample(obligation: Obligation, milliseconds: int) -> Counterexample | None:
    """A small world in which an obligation on an action does not hold, if one is found."""
    formulas = [*obligation.hypotheses.values(), negation(obligation.goal)]
    is_split = obligation.kind == "splitting"
    for small in WORLDS:
        shown = _shown_step(small) if is_split else _shown(small, _action(obligation.action))
        roles = [term <= term_of(2) for name, term in shown.items() if name.endswith("_role")]
        found = _values(small.script([*formulas, *roles], shown), shown, milliseconds)
        if found is not None:
            return Counterexample(obligation, found)
    return None


def possible(action: Action, milliseconds: int = 60_000) -> bool:
    """Whether some server may take an action in a small world in which all invariants hold."""
    known = [each.formula(ANY) for each in INVARIANTS]
    formulas = [*ASSUMPTIONS.values(), *known, *action.hypotheses().values()]
    return any(
        _values(small.script(formulas, {}), {}, milliseconds) is not None for small in WORLDS
    )


def _action(name: str) -> Action:
    return next(each for each in ACTIONS if each.name == name)


def _shown(small: SmallWorld, action: Action) -> dict[str, Term]:
    """What is shown of each server before and after an action."""
    shown = {"acts": SERVER}
    for moment, world in (("before", ANY), ("after", action.after)):
        for number, node in enumerate(small.values("Node"), start=1):
            prefix = f"{moment}_{number}"
            for part in ("term", "has_voted", "vote", "role", "length", "commit"):
                shown[f"{prefix}_{part}"] = getattr(world, part)(node)
            for index in range(1, small.max_number + 1):
                shown[f"{prefix}_entry_{index}"] = entry_term(world.entry(node, term_of(index)))
    return shown


def _shown_step(small: SmallWorld) -> dict[str, Term]:
    """What is shown of the server that takes any step."""
    shown = {"acts": ANY_STEP.server}
    for moment, server in (("before", ANY_STEP.before), ("after", ANY_STEP.after)):
        for part in ("term", "has_voted", "vote", "role", "commit"):
            shown[f"{moment}_0_{part}"] = getattr(server, part)
        shown[f"{moment}_0_length"] = server.log.length
        for index in range(1, small.max_number + 1):
            shown[f"{moment}_0_entry_{index}"] = entry_term(server.log.at(term_of(index)))
    return shown


def _name(node: str) -> str:
    return f"S{node.rpartition('_')[2]}"


def _values(script: str, shown: Mapping[str, Term], milliseconds: int) -> dict[str, str] | None:
    """What is to be shown of a world in which all is so that the script says; None without one."""
    import z3  # type: ignore[import-untyped]  # it has no types

    solver = z3.Solver()
    solver.set("timeout", milliseconds)
    solver.from_string(script)
    if solver.check() != z3.sat:
        return None
    model = solver.model()
    values = {each.name(): model[each] for each in model.decls()}
    nodes = {str(values.get(f"Node_{number}")): f"Node_{number}" for number in range(1, 4)}
    return {name: nodes.get(str(values[name]), str(values[name])) for name in shown}
