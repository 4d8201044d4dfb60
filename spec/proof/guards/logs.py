"""Guards on logs."""

from __future__ import annotations

from spec.proof.step import StepTerms
from spec.proof.terms import Term, both, differ, equal, every, implies, negation, some
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    LogTerms,
    carries,
    entry_term,
    last_new_index,
    message_term,
    prev_log_index,
    prev_log_term,
    sent_entry,
)


def leader_append_only(step: StepTerms) -> Term:
    return implies(step.leads, step.before.log.length < step.removed)


def leader_entry_term(step: StepTerms) -> Term:
    before, after = step.before.log, step.after
    own = every(
        ("Int",),
        lambda i: implies(
            both(before.length < i, i <= after.log.length),
            equal(entry_term(after.log.at(i)), after.term),
        ),
    )
    return implies(step.leads, own)


def log_source(step: StepTerms) -> Term:
    return implies(step.changes_log, step.received(APPEND_ENTRIES))


def follower_current_term(step: StepTerms) -> Term:
    is_own = equal(message_term(step.event.message), step.after.term)
    return implies(step.is_appended_to, is_own)


def follower_prev_match(step: StepTerms) -> Term:
    request = step.event.message
    adds = some(("Int",), lambda i: step.adds(i))
    matches = step.before.log.has_term(prev_log_index(request), prev_log_term(request))
    return implies(both(step.is_appended_to, adds), matches)


def follower_splice_source(step: StepTerms) -> Term:
    from_request = every(("Int",), lambda i: implies(step.adds(i), _takes_over(step, i)))
    return implies(step.is_appended_to, from_request)


def follower_splice_conflict(step: StepTerms) -> Term:
    request, before, after = step.event.message, step.before.log, step.after.log

    def conflicts(log: LogTerms, index: Term) -> Term:
        terms = entry_term(log.at(index)), entry_term(sent_entry(request, index))
        return both(carries(request, index), log.covers(index), differ(*terms))

    earlier = some(("Int",), lambda i: both(i < step.removed, conflicts(before, i)))
    is_from_first = both(conflicts(before, step.removed), negation(earlier))
    removes = both(is_from_first, after.length <= last_new_index(request))
    kept = some(("Int",), lambda i: conflicts(after, i))
    return both(
        implies(both(step.is_appended_to, step.removed <= before.length), removes),
        implies(step.is_appended_to, negation(kept)),
    )


def _takes_over(step: StepTerms, index: Term) -> Term:
    """Whether the log after has the request's entry at an index."""
    request = step.event.message
    return both(
        carries(request, index), equal(step.after.log.at(index), sent_entry(request, index))
    )
