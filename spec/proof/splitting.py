"""A step is a run of actions: whatever a step does that obeys every rule, it may do one by one.

From any step (`ANY_STEP`) its parts are read off: first the term changes, then the vote, the role,
the log; then a server becomes leader, commits, puts something out. It is to be proved of each part
that it obeys every rule, if the whole step does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spec.proof.abstraction import ANY_STEP
from spec.proof.actions import DERIVED
from spec.proof.guards import GUARDS
from spec.proof.step import OutputTerms, ServerTerms, StepTerms
from spec.proof.terms import FALSE, TRUE, Term, both, choose, differ, equal, implies, negation
from spec.proof.vocabulary import ASSUMPTIONS, CANDIDATE, FOLLOWER, LEADER


@dataclass(frozen=True, slots=True)
class Part:
    """What one action does of a step."""

    action: str
    condition: Term
    """When there is anything to do."""
    step: StepTerms

    @property
    def guards(self) -> Iterator[tuple[str, Term]]:
        """By rule: what it asks of this part, if anything."""
        for rule, guard in GUARDS.items():
            formula = guard(self.step)
            if rule != DERIVED and formula != TRUE:
                yield rule, formula


def whole() -> dict[str, Term]:
    """All that is known of a step that obeys every rule, at a server that has so far."""
    before, event = ANY_STEP.before, ANY_STEP.event
    own_vote = both(before.has_voted, equal(before.vote, ANY_STEP.server))
    obeyed = {rule: guard(ANY_STEP) for rule, guard in GUARDS.items() if rule != DERIVED}
    return {
        **ASSUMPTIONS,
        **obeyed,
        "candidates-vote-for-themselves": implies(equal(before.role, CANDIDATE), own_vote),
        "one-event": both(
            negation(both(event.is_timeout, event.is_restart)),
            negation(both(event.is_timeout, event.is_receipt)),
            negation(both(event.is_restart, event.is_receipt)),
        ),
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
    leads_on, changes = equal(settled.role, LEADER), negation(ANY_STEP.keeps_log)
    return (
        Part("enter", negation(keeps_term), _part(before, entered)),
        Part("vote", TRUE, _part(entered, voted)),
        Part("change-role", negation(becomes_leader), _part(voted, settled)),
        Part("append", both(changes, negation(leads_on)), _part(settled, logged)),
        Part("propose", both(changes, leads_on), _part(settled, logged)),
        Part("elect", both(becomes_leader, differ(logged.role, LEADER)), _part(logged, leading)),
        Part("commit", TRUE, _part(leading, after)),
        Part("send", TRUE, _part(after, after, ANY_STEP.output)),
    )


_SILENT = replace(ANY_STEP.output, is_send=FALSE, is_apply=FALSE)


def _part(before: ServerTerms, after: ServerTerms, output: OutputTerms = _SILENT) -> StepTerms:
    part = replace(ANY_STEP, before=before, after=after, output=output)
    if before.log != after.log:
        return part
    return replace(part, keeps_log=TRUE, removed=before.log.length + 1)
