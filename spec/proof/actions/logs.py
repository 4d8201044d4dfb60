"""Changing the log, and taking note of messages on it and on votes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from spec.proof.action import (
    ARRIVED,
    SERVER,
    Action,
    at_server,
    did_not_lead,
    step_of,
)
from spec.proof.step import StepTerms
from spec.proof.terms import (
    FALSE,
    Function,
    Term,
    both,
    choose,
    either,
    equal,
    every,
    implies,
    negation,
    term_of,
)
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    LEADER,
    LogTerms,
    holds,
    is_acknowledgement,
    is_grant,
    kind,
    last_new_index,
    leader_commit,
    match_index,
    message_term,
    number,
    prev_log_index,
    source,
)
from spec.proof.world import ANY

_NEW_LOG = LogTerms(number("new_length"), Function("new_entry", "Entry", 1))


def _log_step() -> StepTerms:
    own = ANY.server(SERVER)
    changed = step_of(replace(own, log=_NEW_LOG))
    return replace(changed, removed=number("removed"), keeps_log=FALSE)


def append() -> Action:
    """The log of a server that does not lead changes, by a request."""
    step = _log_step()
    world = replace(
        ANY,
        entry=lambda n, i: choose(equal(n, SERVER), _NEW_LOG.at(i), ANY.entry(n, i)),
        length=at_server(_NEW_LOG.length, ANY.length),
    )
    does, lemmas = "changes its log, without leading", _lemmas_of_append(step)
    return Action("append", does, step, world, _does_not_lead, lemmas=lemmas)


def _does_not_lead(step: StepTerms) -> dict[str, Term]:
    return {**did_not_lead(step), **_is_log(step)}


def _is_log(step: StepTerms) -> dict[str, Term]:
    return {"log": both(term_of(0) <= step.after.log.length, step.definitions)}


def _lemmas_of_append(step: StepTerms) -> dict[str, Term]:
    """Up to each entry, the log after is the log before, or that of the leader who sent it."""
    led = ANY.led_log(message_term(ARRIVED))

    def is_old(i: Term) -> Term:
        old = step.before.log
        return both(i < step.removed, i <= old.length, equal(_NEW_LOG.at(i), old.at(i)))

    def is_sent(i: Term) -> Term:
        return both(
            prev_log_index(ARRIVED) < i,
            i <= last_new_index(ARRIVED),
            i <= led.length,
            equal(_NEW_LOG.at(i), led.at(i)),
        )

    def is_led(i: Term, j: Term) -> Term:
        return implies(
            both(_NEW_LOG.covers(i), term_of(1) <= j, j <= i),
            either(is_old(i), both(i <= led.length, equal(_NEW_LOG.at(j), led.at(j)))),
        )

    def is_prefix_led(i: Term, j: Term) -> Term:
        old = step.before.log
        new = both(_NEW_LOG.covers(i), negation(is_old(i)))
        before = both(term_of(1) <= j, j <= prev_log_index(ARRIVED))
        same = both(j < step.removed, j <= old.length, equal(old.at(j), led.at(j)))
        return implies(both(new, before), same)

    return {
        "prefix-led": every(("Int", "Int"), is_prefix_led),
        "spliced": every(
            ("Int",), lambda i: implies(_NEW_LOG.covers(i), either(is_old(i), is_sent(i)))
        ),
        "old-or-led": every(("Int", "Int"), is_led),
    }


def propose() -> Action:
    """The log of a leader changes, as its clients wish."""
    step = _log_step()
    own = step.before

    def holds_own(n: Term, t: Term, i: Term) -> Term:
        return both(equal(n, SERVER), equal(t, own.term), _NEW_LOG.covers(i))

    world = replace(
        ANY,
        entry=lambda n, i: choose(equal(n, SERVER), _NEW_LOG.at(i), ANY.entry(n, i)),
        length=at_server(_NEW_LOG.length, ANY.length),
        led_entry=lambda t, i: choose(equal(t, own.term), _NEW_LOG.at(i), ANY.led_entry(t, i)),
        led_length=lambda t: choose(equal(t, own.term), _NEW_LOG.length, ANY.led_length(t)),
        held=lambda n, t, i: either(ANY.held(n, t, i), holds_own(n, t, i)),
    )
    kept = every(
        ("Int",),
        lambda i: implies(
            own.log.covers(i),
            both(i <= _NEW_LOG.length, equal(_NEW_LOG.at(i), own.log.at(i))),
        ),
    )
    does = "changes its log, as a leader"
    return Action("propose", does, step, world, _leads, lemmas={"only-longer": kept})


def _leads(step: StepTerms) -> dict[str, Term]:
    return {"leader": equal(step.before.role, LEADER), **_is_log(step)}


def note() -> Action:
    """Evidence grows by a message that has arrived: see `spec.shadow.learn`."""
    own, grants = ANY.server(SERVER), is_grant(ARRIVED)
    is_request = equal(kind(ARRIVED), APPEND_ENTRIES)
    confirms = both(is_request, holds(own.log, ARRIVED))
    acknowledges = both(is_acknowledgement(ARRIVED))

    def higher(part: Callable[..., Term], value: Term) -> Term:
        return choose(both(confirms, part(SERVER) < value), value, part(SERVER))

    def is_teller(n: Term, m: Term) -> Term:
        return both(equal(n, SERVER), equal(m, source(ARRIVED)))

    confirmed = higher(ANY.confirmed, last_new_index(ARRIVED))
    claimed = higher(ANY.claimed, leader_commit(ARRIVED))
    world = replace(
        ANY,
        grants=lambda n, m: either(ANY.grants(n, m), both(grants, is_teller(n, m))),
        acknowledged=lambda n, m: choose(
            both(acknowledges, is_teller(n, m), ANY.acknowledged(n, m) < match_index(ARRIVED)),
            match_index(ARRIVED),
            ANY.acknowledged(n, m),
        ),
        confirmed=at_server(confirmed, ANY.confirmed),
        claimed=at_server(claimed, ANY.claimed),
        held=lambda n, t, i: either(
            ANY.held(n, t, i),
            both(
                confirms,
                equal(n, SERVER),
                equal(t, own.term),
                term_of(1) <= i,
                i <= last_new_index(ARRIVED),
            ),
        ),
    )
    does = "takes note of a message of its term"
    return Action("note", does, step_of(own), world, _is_of_its_term)


def _is_of_its_term(step: StepTerms) -> dict[str, Term]:
    is_own = equal(message_term(step.event.message), step.before.term)
    return {"message-of-its-term": both(step.event.is_receipt, is_own)}
