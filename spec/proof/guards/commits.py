"""Guards on what is committed and applied."""

from __future__ import annotations

from spec.proof.step import StepTerms
from spec.proof.terms import Term, both, either, equal, every, implies, negation, some, term_of
from spec.proof.vocabulary import entry_term


def commit_monotonic(step: StepTerms) -> Term:
    return either(step.event.is_restart, step.before.commit <= step.after.commit)


def commit_quorum(step: StepTerms) -> Term:
    return implies(step.commits_as_leader, some(("Int",), step.is_counted))


def commit_current_term(step: StepTerms) -> Term:
    own = some(
        ("Int",),
        lambda i: both(
            step.is_counted(i), equal(entry_term(step.after.log.at(i)), step.after.term)
        ),
    )
    return implies(both(step.commits_as_leader, some(("Int",), step.is_counted)), own)


def commit_confirmed(step: StepTerms) -> Term:
    return implies(step.commits_as_follower, step.after.commit <= step.evidence.confirmed)


def commit_claimed(step: StepTerms) -> Term:
    return implies(step.commits_as_follower, step.after.commit <= step.evidence.claimed)


def commit_stable(step: StepTerms) -> Term:
    before, after = step.before.log, step.after.log

    def is_kept(index: Term) -> Term:
        has_none = both(negation(before.covers(index)), negation(after.covers(index)))
        return either(has_none, both(before.covers(index), after.has(index, before.at(index))))

    kept = every(
        ("Int",),
        lambda i: implies(both(term_of(1) <= i, i <= step.before.commit), is_kept(i)),
    )
    return either(step.event.is_restart, kept)


def apply_committed(step: StepTerms) -> Term:
    output, after = step.output, step.after
    is_committed = either(output.index <= after.commit, output.index <= step.evidence.ever_applied)
    is_own = after.log.has(output.index, output.entry)
    return implies(output.is_apply, both(is_committed, is_own))
