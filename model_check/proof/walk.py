"""Going along a run of the actions of the proof, with all that it says evaluated at every step.

No solver is asked: of each function and constant it is known what it is, and every quantifier has a
few values. So it is seen that hypotheses are no contradiction, from the beginning to a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import product
from typing import Any

from model_check.proof.run import FIRST, NEW, OLD, SENT, SERVERS, Happening
from raft_ref import NodeId
from spec.proof.abstraction import Undefined, majorities, messages
from spec.proof.action import Action
from spec.proof.actions import ACTIONS
from spec.proof.consequences import CONSEQUENCES
from spec.proof.evaluation import Meaning, compiled
from spec.proof.invariants import INVARIANTS
from spec.proof.terms import Sort, Term, constant
from spec.proof.world import ANY, World

MAJORITIES = majorities(SERVERS)

DOMAINS: dict[Sort, Sequence[object]] = {
    "Node": sorted(SERVERS),
    "Quorum": MAJORITIES,
    "Int": range(4),
    "Entry": (OLD, NEW),
    "Message": SENT,
}

NOBODY = Undefined(server=1, entry=OLD, message=SENT[0], number=0)

RIGID: dict[str, object] = {
    **messages(NOBODY),
    "is_alone": lambda node: False,
    "is_member": lambda node, majority: node in majority,
    "common": lambda one, other: min(one & other),
    "entry_term": lambda entry: entry.term,
}
"""What never changes."""

NOTHING: dict[str, object] = {
    "timed_out": False,
    "restarted": False,
    "received": False,
    "arrived": NOBODY.message,
    "no_entry": NOBODY.entry,
    "entered_role": 0,
    "has_new_vote": False,
    "new_vote": 1,
    "counted": 0,
    "holders": FIRST,
}
"""What does not happen in a step."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What became of one action of a run."""

    happening: Happening
    refused: tuple[str, ...]
    """Hypotheses that do not hold: then it may not be taken."""
    broken: tuple[str, ...]
    """Invariants, and what follows from them, that do not hold once it is."""
    known: Meaning
    """The world after it."""

    def __str__(self) -> str:
        server = self.happening.server
        does = action_named(self.happening.action).does
        return f"S{server} {does}{self._message}: {self._state(server)}"

    @property
    def _message(self) -> str:
        sent, arrived = (self.happening.means.get(name) for name in ("sent_now", "arrived"))
        if sent is not None:
            return f" ({type(sent).__name__} to S{sent.destination})"
        return "" if arrived is None else f" ({type(arrived).__name__} of S{arrived.source})"

    def committed(self, server: NodeId) -> int:
        """How many entries a server considers committed after it."""
        commit: Any = self.known["commit"]
        return int(commit(server))

    def _state(self, server: NodeId) -> str:
        def value(part: str) -> Any:
            known: Any = self.known[part]
            return known(server)

        role = ("follower", "candidate", "leader")[value("role")]
        entry: Any = self.known["entry"]
        terms = " ".join(str(entry(server, i).term) for i in range(1, value("length") + 1))
        log = f"entries of terms [{terms}], {self.committed(server)} committed"
        return f"{role} of term {value('term')}, {log}"


def walk(happenings: Iterable[Happening]) -> Iterator[Passage]:
    """Go along a run from the beginning, for as long as what happens may happen."""
    known = beginning()
    for each in happenings:
        action = action_named(each.action)
        here = {**known, **NOTHING, **each.means, "server": each.server}
        asked = action.hypotheses()
        refused = tuple(name for name, formula in asked.items() if not _finite(formula)(here))
        known = after(action, here)
        yield Passage(each, refused, broken_invariants(known), known)
        if refused:
            return


def beginning() -> dict[str, object]:
    """The world in which every run begins."""
    default = {"Bool": False, "Int": 0, "Node": 1, "Quorum": FIRST, "Entry": OLD}
    parts: dict[str, object] = {}
    for part in fields(World):
        sort = getattr(ANY, part.name).sort
        parts[part.name] = lambda *_, value=default[sort]: value
    return {**RIGID, **parts}


@cache
def action_named(name: str) -> Action:
    """The action of a name."""
    return next(each for each in ACTIONS if each.name == name)


@cache
def _finite(formula: Term) -> Callable[[Meaning], object]:
    return compiled(formula, DOMAINS)


def after(action: Action, known: Meaning) -> dict[str, object]:
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
    body: Callable[[Meaning], object], names: list[str], known: Mapping[str, object]
) -> Callable[..., object]:
    return cache(lambda *values: body({**known, **dict(zip(names, values, strict=True))}))


def broken_invariants(known: Meaning) -> tuple[str, ...]:
    """Invariants, and what follows from them, that do not hold in a world, whichever entry and
    majority they are about."""
    stars = [
        {"term_star": term, "index_star": index, "majority_star": majority}
        for term, index, majority in product((0, 1, 2), (1, 2), MAJORITIES)
    ]
    return tuple(
        each.name
        for each in (*INVARIANTS, *CONSEQUENCES)
        for star in (stars if each.argument == "completeness" else stars[:1])
        if not _finite(each.formula(ANY))({**known, **star})
    )
