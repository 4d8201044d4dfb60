"""Committing, sending and applying."""

from __future__ import annotations

from dataclasses import replace

from spec.proof.action import NO_OUTPUT, SERVER, Action, Choice, at_server, step_of
from spec.proof.step import StepTerms
from spec.proof.terms import (
    TRUE,
    Term,
    both,
    choose,
    constant,
    either,
    equal,
    implies,
    term_of,
)
from spec.proof.vocabulary import entry_term, number
from spec.proof.world import ANY


def commit() -> Action:
    """Its commit index changes: by counting, as the leader says, or since it has crashed."""
    own, commit = ANY.server(SERVER), number("new_commit")
    counted, quorum, term = number("counted"), constant("holders", "Quorum"), own.term
    step = step_of(replace(own, commit=commit))
    leads, rises = step.commits_as_leader, ANY.committed(term) < counted

    def may_count(i: Term, q: Term) -> Term:
        return both(step.counts(i, q), equal(entry_term(own.log.at(i)), term))

    def counts_now(t: Term) -> Term:
        return both(equal(t, term), leads, rises)

    def claims_now(t: Term) -> Term:
        return both(equal(t, term), leads, ANY.claim(t) < commit)

    def is_considered_now(i: Term, e: Term, t: Term) -> Term:
        newly = both(own.commit < i, term_of(1) <= i, i <= commit)
        return both(newly, equal(e, own.log.at(i)), equal(t, term))

    commit_term = choose(leads, term, ANY.claim_term(term))
    world = replace(
        ANY,
        commit=at_server(commit, ANY.commit),
        commit_term=at_server(
            choose(step.commits, commit_term, ANY.commit_term(SERVER)), ANY.commit_term
        ),
        considered=lambda i, e, t: either(ANY.considered(i, e, t), is_considered_now(i, e, t)),
        considered_in=lambda i, e, t: choose(
            is_considered_now(i, e, t), commit_term, ANY.considered_in(i, e, t)
        ),
        committed=lambda t: choose(counts_now(t), counted, ANY.committed(t)),
        backers=lambda t: choose(counts_now(t), quorum, ANY.backers(t)),
        claim=lambda t: choose(claims_now(t), commit, ANY.claim(t)),
        claim_term=lambda t: choose(claims_now(t), term, ANY.claim_term(t)),
    )
    choices = {"counted": Choice(("Int", "Quorum"), may_count, (counted, quorum))}
    led = implies(step.commits, own.log.agrees(ANY.led_log(term), commit))
    does = "commits; or, in a restart, forgets what is committed"
    lemmas = {"commits-what-is-led": led}
    return Action("commit", does, step, world, _is_index, choices, lemmas)


def _is_index(step: StepTerms) -> dict[str, Term]:
    return {"commit": term_of(0) <= step.after.commit}


def send() -> Action:
    """One message goes out, of the several that a step may send."""
    message, own = constant("sent_now", "Message"), ANY.server(SERVER)
    output = replace(NO_OUTPUT, is_send=TRUE, message=message)
    world = replace(ANY, sent=lambda m: either(ANY.sent(m), equal(m, message)))
    return Action("send", "sends a message", step_of(own, output=output), world)


def apply() -> Action:
    """One entry is applied, of the several that a step may apply."""
    index, entry, own = (
        number("applied_index"),
        constant("applied_entry", "Entry"),
        ANY.server(SERVER),
    )
    output = replace(NO_OUTPUT, is_apply=TRUE, index=index, entry=entry)

    def is_now(i: Term, e: Term) -> Term:
        return both(equal(i, index), equal(e, entry))

    # After a restart, its commit index may be below what it has applied, and may apply again.
    known, known_term = ANY.ever_applied(SERVER), ANY.ever_applied_term(SERVER)
    is_new = known < index
    world = replace(
        ANY,
        applied=lambda i, e: either(ANY.applied(i, e), is_now(i, e)),
        applied_term=lambda i, e: choose(
            is_now(i, e),
            choose(index <= own.commit, ANY.commit_term(SERVER), known_term),
            ANY.applied_term(i, e),
        ),
        ever_applied=at_server(choose(is_new, index, known), ANY.ever_applied),
        ever_applied_term=at_server(
            choose(is_new, ANY.commit_term(SERVER), known_term), ANY.ever_applied_term
        ),
    )
    return Action("apply", "applies an entry", step_of(own, output=output), world)
