"""What an action is, and of what all of them are made: who acts, and what happens to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from spec.proof.guards import GUARDS
from spec.proof.invariant import Argument
from spec.proof.step import EventTerms, EvidenceTerms, OutputTerms, ServerTerms, StepTerms
from spec.proof.terms import (
    FALSE,
    TRUE,
    Sort,
    Term,
    both,
    choose,
    constant,
    differ,
    equal,
    implies,
    negation,
    some,
    term_of,
)
from spec.proof.vocabulary import LEADER, destination, node
from spec.proof.world import ANY, World

SERVER = node("server")
"""Who acts."""
TIMED_OUT, RESTARTED = constant("timed_out", "Bool"), constant("restarted", "Bool")
RECEIVED, ARRIVED = constant("received", "Bool"), constant("arrived", "Message")
EVENT = EventTerms(TIMED_OUT, RESTARTED, RECEIVED, ARRIVED)
"""What happens to it."""
NO_OUTPUT = OutputTerms(FALSE, ARRIVED, FALSE, term_of(0), constant("no_entry", "Entry"))


def is_one(event: EventTerms) -> Term:
    """That not two things happen at once."""
    return both(
        negation(both(event.is_timeout, event.is_restart)),
        negation(both(event.is_timeout, event.is_receipt)),
        negation(both(event.is_restart, event.is_receipt)),
    )


DELIVERY = both(
    implies(RECEIVED, both(ANY.sent(ARRIVED), equal(destination(ARRIVED), SERVER))),
    is_one(EVENT),
)
"""What is assumed of the network, and nothing else: a message that arrives has been sent, to whom
it arrives."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Names for some of the things of which something is so, if there are any. So it can always be
    made, and forbids nothing."""

    sorts: tuple[Sort, ...]
    is_so: Callable[..., Term]
    names: tuple[Term, ...]
    """Constants, one of each sort."""

    @property
    def formula(self) -> Term:
        """That the names are well chosen."""
        return implies(some(self.sorts, self.is_so), self.is_so(*self.names))


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a server may do."""

    name: str
    does: str
    step: StepTerms
    after: World
    is_such: Callable[[StepTerms], dict[str, Term]] = lambda _: {}
    """By name: of which steps it is, of those that change the same: of parts of steps that obey the
    rules this is proved."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """By name: of what is remembered."""
    lemmas: dict[str, Term] = field(default_factory=dict)
    """By name: what follows, and is proved first, each with those before it."""
    lemmas_from: Argument = "log matching"
    """From what argument they follow."""

    @property
    def guards(self) -> dict[str, Term]:
        """By rule: what it asks of this action, if anything."""
        asked = {rule: guard(self.step) for rule, guard in GUARDS.items() if rule != DERIVED}
        return {rule: formula for rule, formula in asked.items() if formula != TRUE}

    def hypotheses(self, without: frozenset[str] = frozenset()) -> dict[str, Term]:
        """All that is known when it is taken, by servers that obey all rules but some."""
        kept = {rule: formula for rule, formula in self.guards.items() if rule not in without}
        chosen = {name: choice.formula for name, choice in self.choices.items()}
        return {"delivery": DELIVERY, **self.is_such(self.step), **chosen, **kept}


DERIVED = "COMMIT-STABLE"
"""The rule that follows from the others, and so is no guard but a property."""


def step_of(
    after: ServerTerms,
    *,
    evidence: EvidenceTerms | None = None,
    output: OutputTerms = NO_OUTPUT,
) -> StepTerms:
    """A step that does not change the log."""
    before = ANY.server(SERVER)
    return StepTerms(
        server=SERVER,
        before=before,
        event=EVENT,
        after=after,
        evidence=evidence or ANY.evidence(SERVER),
        output=output,
        removed=before.log.length + 1,
        keeps_log=TRUE,
    )


def did_not_lead(step: StepTerms) -> dict[str, Term]:
    """That the server did not lead before."""
    return {"not-a-leader": differ(step.before.role, LEADER)}


def at_server(value: Term, part: Callable[..., Term]) -> Callable[..., Term]:
    """A part of a world that has another value for the server that acts."""
    return lambda n: choose(equal(n, SERVER), value, part(n))
