"""Invariants on logs, and on messages about them: the induction of Log Matching (§5.3)."""

from __future__ import annotations

from spec.proof.invariant import invariant
from spec.proof.terms import Term, both, either, equal, every, implies, term_of
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    LogTerms,
    entry_term,
    holds,
    is_acknowledgement,
    kind,
    last_new_index,
    match_index,
    message_term,
    prev_log_index,
    source,
)
from spec.proof.world import World


def is_made_of_leaders_logs(world: World, log: LogTerms) -> Term:
    """Whether up to each entry, a log is that of the leader of the entry's term."""

    def is_as_led(i: Term, j: Term) -> Term:
        term = entry_term(log.at(i))
        return both(
            world.started(term),
            i <= world.led_length(term),
            equal(log.at(j), world.led_entry(term, j)),
        )

    return every(
        ("Int", "Int"),
        lambda i, j: implies(both(term_of(1) <= j, j <= i, i <= log.length), is_as_led(i, j)),
    )


@invariant("log matching")
def logs_are_made_of_leaders_logs(world: World) -> Term:
    """Up to each of its entries, a server's log is that of the leader of the entry's term."""
    return every(("Node",), lambda n: is_made_of_leaders_logs(world, world.log(n)))


@invariant("log matching")
def led_logs_are_made_of_leaders_logs(world: World) -> Term:
    """So is the log of every leader."""
    return every(
        ("Int",),
        lambda t: implies(world.started(t), is_made_of_leaders_logs(world, world.led_log(t))),
    )


@invariant("log matching")
def entered_logs_are_made_of_leaders_logs(world: World) -> Term:
    """So is every log with which a server entered a term."""
    return every(
        ("Node", "Int"), lambda n, t: is_made_of_leaders_logs(world, world.entered_log(n, t))
    )


@invariant("log matching")
def entries_are_of_terms_entered(world: World) -> Term:
    """No entry is of a later term than the server that has it."""
    return every(
        ("Node", "Int"),
        lambda n, i: implies(
            world.log(n).covers(i), entry_term(world.entry(n, i)) <= world.term(n)
        ),
    )


@invariant("log matching")
def led_entries_are_of_terms_entered(world: World) -> Term:
    """No entry of a leader is of a later term than the one it leads; so terms do not fall along
    logs."""

    def is_so(t: Term, i: Term) -> Term:
        term = entry_term(world.led_entry(t, i))
        return both(term_of(0) <= term, term <= t)

    return every(
        ("Int", "Int"),
        lambda t, i: implies(both(world.started(t), world.led_log(t).covers(i)), is_so(t, i)),
    )


@invariant("log matching")
def lengths_are_not_negative(world: World) -> Term:
    """No log has a negative length."""
    return every(
        ("Node", "Int"),
        lambda n, t: both(
            term_of(0) <= world.length(n),
            term_of(0) <= world.led_length(t),
            term_of(0) <= world.entered_length(n, t),
        ),
    )


@invariant("log matching")
def logs_change_once_a_term_has_started(world: World) -> Term:
    """Until its term has started, a server has the log with which it entered it."""

    def keeps(n: Term) -> Term:
        entered = world.entered_log(n, world.term(n))
        return both(
            equal(world.length(n), entered.length), world.log(n).agrees(entered, entered.length)
        )

    return every(("Node",), lambda n: either(world.started(world.term(n)), keeps(n)))


@invariant("log matching")
def leaders_have_their_logs(world: World) -> Term:
    """Who has led its term has the log that the leader of the term has."""

    def has(n: Term) -> Term:
        led = world.led_log(world.term(n))
        return both(equal(world.length(n), led.length), world.log(n).agrees(led, led.length))

    return every(("Node",), lambda n: implies(world.led(n, world.term(n)), has(n)))


# --- what is held --------------------------------------------------------------------------------


@invariant("log matching")
def held_is_led(world: World) -> Term:
    """What has been held in a term was in the log of its leader, and who held it had entered it."""
    return every(
        ("Node", "Int", "Int"),
        lambda n, t, i: implies(
            world.held(n, t, i),
            both(world.started(t), t <= world.term(n), world.led_log(t).covers(i)),
        ),
    )


@invariant("log matching")
def held_is_kept_in_its_term(world: World) -> Term:
    """As far as a server has held the log of the leader of its term, it has the same."""
    return every(
        ("Node", "Int"),
        lambda n, i: implies(
            world.held(n, world.term(n), i),
            world.log(n).agrees(world.led_log(world.term(n)), i),
        ),
    )


@invariant("log matching")
def leaders_hold_their_logs(world: World) -> Term:
    """Who has led its term has held all of its log in it."""
    return every(
        ("Node", "Int"),
        lambda n, i: implies(
            both(world.led(n, world.term(n)), world.log(n).covers(i)),
            world.held(n, world.term(n), i),
        ),
    )


@invariant("log matching")
def confirmed_is_held(world: World) -> Term:
    """What requests of the term have confirmed of a log has been held."""
    return every(
        ("Node", "Int"),
        lambda n, i: implies(
            both(term_of(1) <= i, i <= world.confirmed(n)), world.held(n, world.term(n), i)
        ),
    )


@invariant("log matching")
def known_acknowledgements_are_held(world: World) -> Term:
    """What a server knows to be acknowledged in its term has been held."""
    return every(
        ("Node", "Node", "Int"),
        lambda n, m, i: implies(
            both(term_of(1) <= i, i <= world.acknowledged(n, m)),
            world.held(m, world.term(n), i),
        ),
    )


# --- messages ------------------------------------------------------------------------------------


def _is_request(world: World, message: Term) -> Term:
    return both(world.sent(message), equal(kind(message), APPEND_ENTRIES))


@invariant("log matching")
def requests_are_of_leaders(world: World) -> Term:
    """Who has sent an AppendEntries has led its term."""
    return every(
        ("Message",),
        lambda m: implies(_is_request(world, m), world.led(source(m), message_term(m))),
    )


@invariant("log matching")
def requests_are_of_leaders_logs(world: World) -> Term:
    """What an AppendEntries says of a log is so of that of the leader of its term."""
    return every(
        ("Message",),
        lambda m: implies(
            _is_request(world, m),
            both(
                holds(world.led_log(message_term(m)), m),
                term_of(0) <= prev_log_index(m),
                prev_log_index(m) <= last_new_index(m),
            ),
        ),
    )


@invariant("log matching")
def acknowledgements_are_held(world: World) -> Term:
    """What has been acknowledged in a term has been held in it."""
    return every(
        ("Message", "Int"),
        lambda m, i: implies(
            both(world.sent(m), is_acknowledgement(m), term_of(1) <= i, i <= match_index(m)),
            world.held(source(m), message_term(m), i),
        ),
    )
