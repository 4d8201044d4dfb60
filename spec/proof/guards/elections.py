"""Guards on terms, votes, leaders and restarts."""

from __future__ import annotations

from spec.proof.step import StepTerms
from spec.proof.terms import Term, both, differ, either, equal, implies, negation, some
from spec.proof.vocabulary import (
    CANDIDATE,
    LEADER,
    REQUEST_VOTE,
    destination,
    is_alone,
    is_grant,
    last_log_index,
    last_log_term,
    message_term,
    not_before,
    reaches,
    source,
)


def term_monotonic(step: StepTerms) -> Term:
    return either(step.event.is_restart, step.before.term <= step.after.term)


def term_adopt(step: StepTerms) -> Term:
    is_received = both(
        step.event.is_receipt, equal(message_term(step.event.message), step.after.term)
    )
    return implies(step.before.term < step.after.term, either(step.event.is_timeout, is_received))


def term_step_down(step: StepTerms) -> Term:
    return either(step.keeps_term, differ(step.after.role, LEADER), is_alone(step.server))


# --- votes ---------------------------------------------------------------------------------------


def vote_once(step: StepTerms) -> Term:
    is_given = both(step.keeps_term, step.before.has_voted, negation(step.event.is_restart))
    return implies(is_given, step.keeps_vote)


def vote_self(step: StepTerms) -> Term:
    own = both(step.after.has_voted, equal(step.after.vote, step.server))
    return implies(equal(step.after.role, CANDIDATE), own)


def vote_requested(step: StepTerms) -> Term:
    request = step.event.message
    is_asked = both(
        step.asked_for_vote,
        equal(source(request), step.after.vote),
        equal(message_term(request), step.after.term),
    )
    return implies(step.votes_for_another, is_asked)


def vote_up_to_date(step: StepTerms) -> Term:
    request = step.event.message
    return implies(
        both(step.votes_for_another, step.asked_for_vote),
        reaches(last_log_term(request), last_log_index(request), step.before.log),
    )


def vote_truthful(step: StepTerms) -> Term:
    recorded = both(step.after.has_voted, equal(destination(step.output.message), step.after.vote))
    return implies(_grants(step), recorded)


def vote_grant_term(step: StepTerms) -> Term:
    return implies(_grants(step), step.sends_of_own_term)


def vote_request_truthful(step: StepTerms) -> Term:
    request, log = step.output.message, step.after.log
    claimed = last_log_term(request), last_log_index(request)
    return implies(
        step.sends(REQUEST_VOTE),
        both(step.sends_of_own_term, not_before(log.last_term, log.length, *claimed)),
    )


# --- elections -----------------------------------------------------------------------------------


def elect_quorum(step: StepTerms) -> Term:
    return implies(step.is_elected, some(("Quorum",), step.elects))


def elect_candidate(step: StepTerms) -> Term:
    was_candidate = both(equal(step.before.role, CANDIDATE), step.keeps_term)
    return implies(step.is_elected, either(was_candidate, is_alone(step.server)))


# --- restarts ------------------------------------------------------------------------------------


def restart_term(step: StepTerms) -> Term:
    return implies(step.event.is_restart, step.keeps_term)


def restart_vote(step: StepTerms) -> Term:
    return implies(step.event.is_restart, step.keeps_vote)


def restart_log(step: StepTerms) -> Term:
    return implies(step.event.is_restart, step.keeps_log)


def _grants(step: StepTerms) -> Term:
    return both(step.output.is_send, is_grant(step.output.message))
