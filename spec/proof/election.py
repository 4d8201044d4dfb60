"""Invariants on votes and leaders, and on messages of elections: Election Safety (§5.2)."""

from __future__ import annotations

from spec.proof.invariant import invariant
from spec.proof.terms import Term, both, either, equal, every, implies, term_of
from spec.proof.vocabulary import (
    CANDIDATE,
    LEADER,
    REQUEST_VOTE,
    destination,
    is_alone,
    is_grant,
    is_member,
    kind,
    last_log_index,
    last_log_term,
    message_term,
    not_before,
    source,
)
from spec.proof.world import World


@invariant("election")
def votes_are_of_terms_entered(world: World) -> Term:
    """Who has voted in a term has entered it, and so has whom it voted for."""
    return every(
        ("Node", "Int", "Node"),
        lambda n, t, c: implies(world.voted(n, t, c), both(t <= world.term(n), t <= world.term(c))),
    )


@invariant("election")
def votes_are_given_once(world: World) -> Term:
    """A server votes for at most one in a term."""
    return every(
        ("Node", "Int", "Node", "Node"),
        lambda n, t, c, d: implies(both(world.voted(n, t, c), world.voted(n, t, d)), equal(c, d)),
    )


@invariant("election")
def votes_are_recorded(world: World) -> Term:
    """A server remembers for whom it has voted in its term, if it has."""
    return every(
        ("Node", "Node"),
        lambda n, c: equal(
            world.voted(n, world.term(n), c), both(world.has_voted(n), equal(world.vote(n), c))
        ),
    )


@invariant("election")
def candidates_vote_for_themselves(world: World) -> Term:
    """A candidate has voted for itself."""
    return every(
        ("Node",),
        lambda n: implies(
            equal(world.role(n), CANDIDATE), both(world.has_voted(n), equal(world.vote(n), n))
        ),
    )


@invariant("election")
def known_grants_are_votes(world: World) -> Term:
    """Whom a server knows to have granted it a vote in its term has voted for it."""
    return every(
        ("Node", "Node"),
        lambda n, m: implies(world.grants(n, m), world.voted(m, world.term(n), n)),
    )


@invariant("election")
def leaders_have_votes(world: World) -> Term:
    """All of the majority that elected the leader of a term have voted for it in that term."""
    return every(
        ("Node", "Int", "Node"),
        lambda n, t, m: implies(
            both(world.led(n, t), is_member(m, world.electors(t))),
            either(world.voted(m, t, n), is_alone(n)),
        ),
    )


@invariant("election")
def leaders_are_of_terms_entered(world: World) -> Term:
    """Who has led a term has entered it, and the term has started."""
    return every(
        ("Node", "Int"),
        lambda n, t: implies(world.led(n, t), both(t <= world.term(n), world.started(t))),
    )


@invariant("election")
def started_terms_have_leaders(world: World) -> Term:
    """A term that has started has been led."""
    return every(("Int",), lambda t: implies(world.started(t), world.led(world.leader(t), t)))


@invariant("election")
def leaders_lead(world: World) -> Term:
    """Who leads has led its term."""
    return every(
        ("Node",),
        lambda n: implies(equal(world.role(n), LEADER), world.led(n, world.term(n))),
    )


@invariant("election")
def terms_are_not_negative(world: World) -> Term:
    """No term is negative."""
    return every(("Node",), lambda n: term_of(0) <= world.term(n))


# --- messages ------------------------------------------------------------------------------------


@invariant("election")
def grants_are_votes(world: World) -> Term:
    """Who has granted a vote has given it, in that term."""
    return every(
        ("Message",),
        lambda m: implies(
            both(world.sent(m), is_grant(m)),
            world.voted(source(m), message_term(m), destination(m)),
        ),
    )


@invariant("election")
def requests_are_of_terms_entered(world: World) -> Term:
    """Who has asked for votes in a term has entered it."""
    return every(
        ("Message",),
        lambda m: implies(
            both(world.sent(m), equal(kind(m), REQUEST_VOTE)),
            message_term(m) <= world.term(source(m)),
        ),
    )


@invariant("log matching")
def requests_do_not_overstate(world: World) -> Term:
    """Who has asked for votes has not overstated the log with which it entered the term, but for a
    term that has started."""

    def is_true(m: Term) -> Term:
        log = world.entered_log(source(m), message_term(m))
        claimed = last_log_term(m), last_log_index(m)
        return not_before(log.last_term, log.length, *claimed)

    return every(
        ("Message",),
        lambda m: implies(
            both(world.sent(m), equal(kind(m), REQUEST_VOTE)),
            either(world.started(message_term(m)), is_true(m)),
        ),
    )
