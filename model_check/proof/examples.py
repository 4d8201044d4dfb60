"""Small worlds in which something is so: against vacuity, and to see why a proof fails.

What servers that obey the rules may do in three servers' worlds is no proof of anything. But where
hypotheses contradict each other, everything is proved of them; so each action is shown to be
possible (`possible`). And where a rule is left out and a proof fails, a *counterexample to
induction* shows a world in which all invariants hold, and a step out of it after which one does not
(`counterexample`). That such a world can be come to is not said: for that there is the run that
`raft-ref rules --necessary` shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spec.proof.actions import ACTIONS, SERVER, Action
from spec.proof.expansion import SmallWorld
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import Obligation
from spec.proof.terms import Term, negation, term_of
from spec.proof.vocabulary import ASSUMPTIONS, entry_term
from spec.proof.world import ANY, World

WORLDS = (SmallWorld(1, 2, 2), SmallWorld(2, 2, 2), SmallWorld(2, 3, 4), SmallWorld(3, 3, 4))
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
        """Who acts, and each server before and after."""
        action = _action(self.obligation.action)
        yield f"{_name(self.values['acts'])} {action.does}; then not {self.obligation.about}:"
        for number in range(1, 4):
            before, after = (_server(self.values, moment, number) for moment in ("before", "after"))
            yield f"  S{number}  {before}" + ("" if before == after else f"  ->  {after}")


def counterexample(obligation: Obligation, milliseconds: int = 20_000) -> Counterexample | None:
    """A small world in which an obligation on an action does not hold, if one is found."""
    action = _action(obligation.action)
    formulas = [*obligation.hypotheses.values(), negation(obligation.goal)]
    for small in WORLDS:
        shown = {
            "acts": SERVER,
            **_shown(small, "before", ANY),
            **_shown(small, "after", action.after),
        }
        found = _values(small.script(formulas, shown), shown, milliseconds)
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


def _shown(small: SmallWorld, moment: str, world: World) -> dict[str, Term]:
    """What is shown of each server."""
    shown: dict[str, Term] = {}
    for number, node in enumerate(small.values("Node"), start=1):
        prefix = f"{moment}_{number}"
        for part in ("term", "has_voted", "vote", "role", "length", "commit"):
            shown[f"{prefix}_{part}"] = getattr(world, part)(node)
        for index in range(1, small.max_number + 1):
            shown[f"{prefix}_entry_{index}"] = entry_term(world.entry(node, term_of(index)))
    return shown


def _server(values: Values, moment: str, number: int) -> str:
    def value(part: str) -> str:
        return values[f"{moment}_{number}_{part}"]

    log = " ".join(value(f"entry_{index}") for index in range(1, int(value("length")) + 1))
    vote = f"voted for {_name(value('vote'))}" if value("has_voted") == "True" else "has not voted"
    return (
        f"{_ROLES.get(value('role'), value('role'))} of term {value('term')}, {vote}, "
        f"entries of terms [{log}], {value('commit')} committed"
    )


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
