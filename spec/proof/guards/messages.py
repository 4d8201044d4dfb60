"""Guards on messages: what is said of logs is so, and none contradicts itself."""

from __future__ import annotations

from spec.proof.step import StepTerms
from spec.proof.terms import Term, both, differ, either, equal, every, implies, negation, term_of
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    APPEND_ENTRIES_REPLY,
    LEADER,
    REQUEST_VOTE,
    carries,
    destination,
    entry_term,
    is_acknowledgement,
    kind,
    last_log_index,
    last_log_term,
    last_new_index,
    leader_commit,
    match_index,
    message_term,
    prev_log_index,
    prev_log_term,
    sent_entry,
    source,
    success,
)


def append_leader(step: StepTerms) -> Term:
    leads = both(equal(step.after.role, LEADER), step.sends_of_own_term)
    return implies(step.sends(APPEND_ENTRIES), leads)


def append_truthful(step: StepTerms) -> Term:
    request, log = step.output.message, step.after.log
    entries = every(
        ("Int",),
        lambda i: implies(carries(request, i), log.has(i, sent_entry(request, i))),
    )
    before = log.has_term(prev_log_index(request), prev_log_term(request))
    return implies(step.sends(APPEND_ENTRIES), both(before, entries))


def append_commit(step: StepTerms) -> Term:
    is_known = leader_commit(step.output.message) <= step.after.commit
    return implies(step.sends(APPEND_ENTRIES), is_known)


def ack_term(step: StepTerms) -> Term:
    return implies(_acknowledges(step), step.sends_of_own_term)


def ack_confirmed(step: StepTerms) -> Term:
    is_confirmed = match_index(step.output.message) <= step.evidence.confirmed
    return implies(_acknowledges(step), is_confirmed)


# --- any message ---------------------------------------------------------------------------------


def message_well_formed(step: StepTerms) -> Term:
    message = step.output.message
    is_routed = both(
        equal(source(message), step.server),
        differ(destination(message), step.server),
        term_of(1) <= message_term(message),
    )
    contents = (
        _is_position(REQUEST_VOTE, message, last_log_index(message), last_log_term(message)),
        _is_position(APPEND_ENTRIES, message, prev_log_index(message), prev_log_term(message)),
        implies(equal(kind(message), APPEND_ENTRIES), _is_in_order(message)),
        implies(
            equal(kind(message), APPEND_ENTRIES_REPLY),
            both(
                term_of(0) <= match_index(message),
                either(success(message), equal(match_index(message), 0)),
            ),
        ),
    )
    return implies(step.output.is_send, both(is_routed, *contents))


def _is_position(of_kind: Term, message: Term, index: Term, term: Term) -> Term:
    is_entry = both(term_of(1) <= index, term_of(1) <= term, term <= message_term(message))
    is_beginning = both(equal(index, 0), equal(term, 0))
    return implies(equal(kind(message), of_kind), either(is_beginning, is_entry))


def _is_in_order(request: Term) -> Term:
    """Terms of entries do not fall, from that before them to the message's."""

    def is_next(index: Term) -> Term:
        term = entry_term(sent_entry(request, index))
        previous = entry_term(sent_entry(request, index - 1))
        is_first = equal(index, prev_log_index(request) + 1)
        return both(
            implies(is_first, both(prev_log_term(request) <= term, term_of(1) <= term)),
            implies(negation(is_first), previous <= term),
            term <= message_term(request),
        )

    in_order = every(("Int",), lambda i: implies(carries(request, i), is_next(i)))
    return both(
        prev_log_index(request) <= last_new_index(request),
        term_of(0) <= leader_commit(request),
        in_order,
    )


def _acknowledges(step: StepTerms) -> Term:
    return both(step.output.is_send, is_acknowledgement(step.output.message))
