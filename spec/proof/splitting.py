"""A step is a run of actions: whatever a step does that obeys every rule, it may do one by one.

From any step (`ANY_STEP`) its parts are read off: first the term changes, then the vote, the role,
the log; then a server becomes leader, commits, puts something out. Each begins where the one before
it ends. It is to be proved of each, if the whole step obeys every rule, that the part does, and is
such as the action is; and that, where it is left out, there was nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spec.proof.abstraction import ANY_STEP
from spec.proof.action import DERIVED, is_one
from spec.proof.actions import ACTIONS
from spec.proof.guards import GUARDS
from spec.proof.step import OutputTerms, ServerTerms, StepTerms
from spec.proof.terms import (
    FALSE,
    TRUE,
    Term,
    both,
    choose,
    differ,
    equal,
    implies,
    negation,
    term_of,
)
from spec.proof.vocabulary import ASSUMPTIONS, CANDIDATE, FOLLOWER, LEADER


@dataclass(frozen=True, slots=True)
class Part:
    """What one action does of a step."""

    action: str
    condition: Term
    """When it is taken."""
    step: StepTerms
    nothing_to_do: Term
    """When neither it is taken nor another instead of it."""

    @property
    def is_such(self) -> Term:
        """Whether it is as steps of the action are."""
        (action,) = (each for each in ACTIONS if each.name == self.action)
        return both(*action.is_such(self.step).values())

    @property
    def changes_nothing(self) -> Term:
        """Whether the server is the same before and after it."""
        before, after = self.step.before, self.step.after
        return both(
            equal(before.term, after.term),
            equal(before.has_voted, after.has_voted),
            implies(before.has_voted, equal(before.vote, after.vote)),
            equal(before.role, after.role),
            self.step.keeps_log,
            equal(before.commit, after.commit),
        )

    @property
    def guards(self) -> Iterator[tuple[str, Term]]:
        """By rule: what it asks of this part, if anything."""
        for rule, guard in GUARDS.items():
            formula = guard(self.step)
            if rule != DERIVED and formula != TRUE:
                yield rule, formula


def whole() -> dict[str, Term]:
    """All that is known of a step that obeys every rule, at a server that has so far."""
    before, after = ANY_STEP.before, ANY_STEP.after
    own_vote = both(before.has_voted, equal(before.vote, ANY_STEP.server))
    obeyed = {rule: guard(ANY_STEP) for rule, guard in GUARDS.items() if rule != DERIVED}
    return {
        **ASSUMPTIONS,
        **obeyed,
        "candidates-vote-for-themselves": implies(equal(before.role, CANDIDATE), own_vote),
        "one-event": is_one(ANY_STEP.event),
        "numbers": both(term_of(0) <= after.commit, term_of(0) <= after.log.length),
        "definitions": ANY_STEP.definitions,
    }


def parts() -> tuple[Part, ...]:
    """The parts of any step, in their order."""
    before, after = ANY_STEP.before, ANY_STEP.after
    keeps_term, becomes_leader = ANY_STEP.keeps_term, equal(after.role, LEADER)
    entered = replace(
        before,
        term=after.term,
        has_voted=both(keeps_term, before.has_voted),
        role=choose(keeps_term, before.role, choose(ANY_STEP.leads_among_others, LEADER, FOLLOWER)),
    )
    voted = replace(entered, has_voted=after.has_voted, vote=after.vote)
    settled = replace(voted, role=choose(becomes_leader, voted.role, after.role))
    logged = replace(settled, log=after.log)
    leading = replace(logged, role=after.role)
    leads_on, keeps_log = equal(settled.role, LEADER), ANY_STEP.keeps_log
    changes = negation(keeps_log)
    is_elected = both(becomes_leader, differ(logged.role, LEADER))
    return (
        Part("enter", negation(keeps_term), _part(before, entered), keeps_term),
        Part("vote", TRUE, _part(entered, voted), FALSE),
        Part("change-role", negation(becomes_leader), _part(voted, settled), becomes_leader),
        Part("append", both(changes, negation(leads_on)), _part(settled, logged), keeps_log),
        Part("propose", both(changes, leads_on), _part(settled, logged), keeps_log),
        Part("elect", is_elected, _part(logged, leading), negation(is_elected)),
        Part("commit", TRUE, _part(leading, after), FALSE),
        Part("send", TRUE, _part(after, after, ANY_STEP.output), FALSE),
    )


_SILENT = replace(ANY_STEP.output, is_send=FALSE, is_apply=FALSE)


def _part(before: ServerTerms, after: ServerTerms, output: OutputTerms = _SILENT) -> StepTerms:
    part = replace(ANY_STEP, before=before, after=after, output=output)
    if before.log != after.log:
        return part
    return replace(part, keeps_log=TRUE, removed=before.log.length + 1)
