"""Committing, sending and applying."""

from __future__ import annotations

from dataclasses import replace

from spec.proof.action import NO_OUTPUT, SERVER, Action, at_server, step_of
from spec.proof.terms import (
    TRUE,
    Term,
    both,
    choose,
    constant,
    either,
    equal,
    implies,
    some,
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

    commit_term = choose(leads, term, ANY.claim_term(term))
    world = replace(
        ANY,
        commit=at_server(commit, ANY.commit),
        commit_term=at_server(
            choose(step.commits, commit_term, ANY.commit_term(SERVER)), ANY.commit_term
        ),
        committed=lambda t: choose(counts_now(t), counted, ANY.committed(t)),
        backers=lambda t: choose(counts_now(t), quorum, ANY.backers(t)),
        claim=lambda t: choose(claims_now(t), commit, ANY.claim(t)),
        claim_term=lambda t: choose(claims_now(t), term, ANY.claim_term(t)),
    )
    means = {
        "commit": term_of(0) <= commit,
        "counted": implies(some(("Int", "Quorum"), may_count), may_count(counted, quorum)),
    }
    led = implies(step.commits, own.log.agrees(ANY.led_log(term), commit))
    does = "commits; or, in a restart, forgets what is committed"
    return Action("commit", does, step, world, means=means, lemmas={"commits-what-is-led": led})


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

    world = replace(
        ANY,
        applied=lambda i, e: either(ANY.applied(i, e), is_now(i, e)),
        applied_term=lambda i, e: choose(
            is_now(i, e), ANY.commit_term(SERVER), ANY.applied_term(i, e)
        ),
    )
    return Action("apply", "applies an entry", step_of(own, output=output), world)
