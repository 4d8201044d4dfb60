"""The rules as formulas: by id, a guard says that a step does not break the rule of that id.

They follow `spec.rules` line by line, so that they can be read beside it. That they say the same is
found by comparison (`tests/test_proof_guards.py`), on every step within bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from spec.proof.step import StepTerms
from spec.proof.terms import (
    Term,
    both,
    differ,
    either,
    equal,
    every,
    implies,
    negation,
    some,
    term_of,
)
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    APPEND_ENTRIES_REPLY,
    CANDIDATE,
    LEADER,
    REQUEST_VOTE,
    LogTerms,
    destination,
    entry_term,
    is_acknowledgement,
    is_alone,
    is_grant,
    is_server,
    kind,
    last_log_index,
    last_log_term,
    last_new_index,
    leader_commit,
    match_index,
    message_term,
    not_before,
    prev_log_index,
    prev_log_term,
    reaches,
    sent_entry,
    source,
    success,
)

Guard: TypeAlias = Callable[[StepTerms], Term]

# --- term ----------------------------------------------------------------------------------------


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
    return implies(is_given, _keeps_vote(step))


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
    return implies(_grants(step), _is_of_own_term(step))


def vote_request_truthful(step: StepTerms) -> Term:
    request, log = step.output.message, step.after.log
    claimed = last_log_term(request), last_log_index(request)
    return implies(
        step.sends(REQUEST_VOTE),
        both(_is_of_own_term(step), not_before(log.last_term, log.length, *claimed)),
    )


# --- elections -----------------------------------------------------------------------------------


def elect_quorum(step: StepTerms) -> Term:
    return implies(step.comes_to_power, some(("Quorum",), step.elects))


def elect_candidate(step: StepTerms) -> Term:
    was_candidate = both(equal(step.before.role, CANDIDATE), step.keeps_term)
    return implies(step.comes_to_power, either(was_candidate, is_alone(step.server)))


# --- logs ----------------------------------------------------------------------------------------


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
    adds = some(("Int",), lambda i: _adds(step, i))
    matches = step.before.log.has_term(prev_log_index(request), prev_log_term(request))
    return implies(both(step.is_appended_to, adds), matches)


def follower_splice_source(step: StepTerms) -> Term:
    from_request = every(("Int",), lambda i: implies(_adds(step, i), _takes_over(step, i)))
    return implies(step.is_appended_to, from_request)


def follower_splice_conflict(step: StepTerms) -> Term:
    request, before, after = step.event.message, step.before.log, step.after.log

    def conflicts(log: LogTerms, index: Term) -> Term:
        terms = entry_term(log.at(index)), entry_term(sent_entry(request, index))
        return both(_carries(request, index), log.covers(index), differ(*terms))

    earlier = some(("Int",), lambda i: both(i < step.removed, conflicts(before, i)))
    is_from_first = both(conflicts(before, step.removed), negation(earlier))
    removes = both(is_from_first, after.length <= last_new_index(request))
    kept = some(("Int",), lambda i: conflicts(after, i))
    return both(
        implies(both(step.is_appended_to, step.removed <= before.length), removes),
        implies(step.is_appended_to, negation(kept)),
    )


# --- what is said of logs ------------------------------------------------------------------------


def append_leader(step: StepTerms) -> Term:
    leads = both(equal(step.after.role, LEADER), _is_of_own_term(step))
    return implies(step.sends(APPEND_ENTRIES), leads)


def append_truthful(step: StepTerms) -> Term:
    request, log = step.output.message, step.after.log
    entries = every(
        ("Int",),
        lambda i: implies(_carries(request, i), log.has(i, sent_entry(request, i))),
    )
    before = log.has_term(prev_log_index(request), prev_log_term(request))
    return implies(step.sends(APPEND_ENTRIES), both(before, entries))


def append_commit(step: StepTerms) -> Term:
    is_known = leader_commit(step.output.message) <= step.after.commit
    return implies(step.sends(APPEND_ENTRIES), is_known)


def ack_term(step: StepTerms) -> Term:
    return implies(_acknowledges(step), _is_of_own_term(step))


def ack_confirmed(step: StepTerms) -> Term:
    is_confirmed = match_index(step.output.message) <= step.evidence.confirmed
    return implies(_acknowledges(step), is_confirmed)


# --- committing ----------------------------------------------------------------------------------


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
    is_own = both(output.index <= after.commit, after.log.has(output.index, output.entry))
    return implies(output.is_apply, is_own)


# --- restarts ------------------------------------------------------------------------------------


def restart_term(step: StepTerms) -> Term:
    return implies(step.event.is_restart, step.keeps_term)


def restart_vote(step: StepTerms) -> Term:
    return implies(step.event.is_restart, _keeps_vote(step))


def restart_log(step: StepTerms) -> Term:
    return implies(step.event.is_restart, step.keeps_log)


# --- messages ------------------------------------------------------------------------------------


def message_well_formed(step: StepTerms) -> Term:
    message = step.output.message
    is_routed = both(
        equal(source(message), step.server),
        is_server(destination(message)),
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

    in_order = every(("Int",), lambda i: implies(_carries(request, i), is_next(i)))
    return both(
        prev_log_index(request) <= last_new_index(request),
        term_of(0) <= leader_commit(request),
        in_order,
    )


# --- what guards share ---------------------------------------------------------------------------


def _keeps_vote(step: StepTerms) -> Term:
    before, after = step.before, step.after
    is_same = both(after.has_voted, equal(before.vote, after.vote))
    return both(
        implies(before.has_voted, is_same),
        implies(negation(before.has_voted), negation(after.has_voted)),
    )


def _grants(step: StepTerms) -> Term:
    return both(step.output.is_send, is_grant(step.output.message))


def _acknowledges(step: StepTerms) -> Term:
    return both(step.output.is_send, is_acknowledgement(step.output.message))


def _is_of_own_term(step: StepTerms) -> Term:
    return equal(message_term(step.output.message), step.after.term)


def _adds(step: StepTerms, index: Term) -> Term:
    """Whether the log after has an entry at an index that the log before did not have there."""
    before, after = step.before.log, step.after.log
    return both(after.covers(index), negation(before.has(index, after.at(index))))


def _takes_over(step: StepTerms, index: Term) -> Term:
    """Whether the log after has the request's entry at an index."""
    request = step.event.message
    return both(
        _carries(request, index), equal(step.after.log.at(index), sent_entry(request, index))
    )


def _carries(request: Term, index: Term) -> Term:
    return both(prev_log_index(request) < index, index <= last_new_index(request))


GUARDS: dict[str, Guard] = {
    "TERM-MONOTONIC": term_monotonic,
    "TERM-ADOPT": term_adopt,
    "TERM-STEP-DOWN": term_step_down,
    "VOTE-ONCE": vote_once,
    "VOTE-SELF": vote_self,
    "VOTE-REQUESTED": vote_requested,
    "VOTE-UP-TO-DATE": vote_up_to_date,
    "VOTE-TRUTHFUL": vote_truthful,
    "VOTE-GRANT-TERM": vote_grant_term,
    "VOTE-REQUEST-TRUTHFUL": vote_request_truthful,
    "ELECT-QUORUM": elect_quorum,
    "ELECT-CANDIDATE": elect_candidate,
    "LEADER-APPEND-ONLY": leader_append_only,
    "LEADER-ENTRY-TERM": leader_entry_term,
    "LOG-SOURCE": log_source,
    "FOLLOWER-CURRENT-TERM": follower_current_term,
    "FOLLOWER-PREV-MATCH": follower_prev_match,
    "FOLLOWER-SPLICE-SOURCE": follower_splice_source,
    "FOLLOWER-SPLICE-CONFLICT": follower_splice_conflict,
    "APPEND-LEADER": append_leader,
    "APPEND-TRUTHFUL": append_truthful,
    "APPEND-COMMIT": append_commit,
    "ACK-TERM": ack_term,
    "ACK-CONFIRMED": ack_confirmed,
    "COMMIT-MONOTONIC": commit_monotonic,
    "COMMIT-QUORUM": commit_quorum,
    "COMMIT-CURRENT-TERM": commit_current_term,
    "COMMIT-CONFIRMED": commit_confirmed,
    "COMMIT-CLAIMED": commit_claimed,
    "COMMIT-STABLE": commit_stable,
    "APPLY-COMMITTED": apply_committed,
    "RESTART-TERM": restart_term,
    "RESTART-VOTE": restart_vote,
    "RESTART-LOG": restart_log,
    "MESSAGE-WELL-FORMED": message_well_formed,
}
"""By rule, in the order of `spec.rules`."""
