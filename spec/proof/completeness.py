"""Invariants of Leader Completeness (§5.4.3), and of what is committed: State Machine Safety.

Those of completeness are about one term T*, one index i* and one majority Q*, of which nothing is
known, and so about all of them. An entry is *choosable* if everyone in the majority has held it in
its term, or may still come to: who has gone on to a later term without it never will. What has been
committed is choosable; what is choosable will be in the log of every later leader.
"""

from __future__ import annotations

from collections.abc import Callable

from spec.proof.invariant import invariant
from spec.proof.terms import Term, both, constant, either, equal, every, implies, term_of
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    LEADER,
    LogTerms,
    entry_term,
    is_member,
    kind,
    leader_commit,
    message_term,
)
from spec.proof.world import World

T_STAR, I_STAR = constant("term_star", "Int"), constant("index_star", "Int")
Q_STAR = constant("majority_star", "Quorum")


def is_choosable(world: World, term: Term, index: Term, quorum: Term) -> Term:
    """Whether a majority has held, or may still come to hold, an entry in its term."""
    return both(
        world.started(term),
        world.led_log(term).covers(index),
        equal(entry_term(world.led_entry(term, index)), term),
        every(
            ("Node",),
            lambda n: implies(
                is_member(n, quorum), either(world.held(n, term, index), world.term(n) <= term)
            ),
        ),
    )


def _where_choosable(world: World, consequence: Callable[[LogTerms], Term]) -> Term:
    condition = is_choosable(world, T_STAR, I_STAR, Q_STAR)
    return implies(condition, consequence(world.led_log(T_STAR)))


@invariant("completeness")
def held_is_kept(world: World) -> Term:
    """Who has held a choosable entry, still has it, and all before it."""
    return _where_choosable(
        world,
        lambda led: every(
            ("Node",),
            lambda n: implies(world.held(n, T_STAR, I_STAR), world.log(n).agrees(led, I_STAR)),
        ),
    )


@invariant("completeness")
def voted_for_has_it(world: World) -> Term:
    """For whomever who has held a choosable entry has later voted, has it, too; but for a term that
    has started."""

    def has(t: Term, c: Term, led: LogTerms) -> Term:
        return either(world.started(t), world.entered_log(c, t).agrees(led, I_STAR))

    return _where_choosable(
        world,
        lambda led: every(
            ("Node", "Int", "Node"),
            lambda n, t, c: implies(
                both(world.held(n, T_STAR, I_STAR), world.voted(n, t, c), t > T_STAR),
                has(t, c, led),
            ),
        ),
    )


@invariant("completeness")
def later_leaders_have_it(world: World) -> Term:
    """Leaders of later terms have a choosable entry, and all before it."""
    return is_in_later_logs(world, T_STAR, I_STAR, Q_STAR)


def is_in_later_logs(world: World, term: Term, index: Term, quorum: Term) -> Term:
    """If an entry is choosable, leaders of later terms have it, and all before it."""
    led = world.led_log(term)
    return implies(
        is_choosable(world, term, index, quorum),
        every(
            ("Int",),
            lambda t: implies(
                both(world.started(t), term < t), world.led_log(t).agrees(led, index)
            ),
        ),
    )


# --- commit --------------------------------------------------------------------------------------


@invariant("commit")
def committed_is_held_by_a_majority(world: World) -> Term:
    """The last entry committed in a term is one of that term, and a majority has held it in it."""

    def is_backed(t: Term, n: Term) -> Term:
        index = world.committed(t)
        return both(
            world.started(t),
            world.led_log(t).covers(index),
            equal(entry_term(world.led_entry(t, index)), t),
            implies(is_member(n, world.backers(t)), world.held(n, t, index)),
        )

    return every(
        ("Int", "Node"), lambda t, n: implies(term_of(0) < world.committed(t), is_backed(t, n))
    )


def _is_committed(world: World, log: LogTerms, index: Term, in_term: Term, by: Term) -> Term:
    """Whether a log is, up to an index, what has been committed in a term no later than another."""
    return both(
        index <= world.committed(in_term),
        in_term <= by,
        log.agrees(world.led_log(in_term), index),
    )


@invariant("commit")
def commit_indexes_are_committed(world: World) -> Term:
    """What a server considers committed has been, in its term or an earlier one, and is in its
    log."""

    def is_so(n: Term) -> Term:
        index, in_term = world.commit(n), world.commit_term(n)
        return _is_committed(world, world.log(n), index, in_term, world.term(n))

    return every(("Node",), lambda n: implies(term_of(0) < world.commit(n), is_so(n)))


@invariant("commit")
def ever_applied_is_committed(world: World) -> Term:
    """What a server has ever applied has been committed, in its term or an earlier one, and is in
    its log; also when a restart has made it forget that it is committed."""

    def is_so(n: Term) -> Term:
        index, in_term = world.ever_applied(n), world.ever_applied_term(n)
        return _is_committed(world, world.log(n), index, in_term, world.term(n))

    return every(("Node",), lambda n: implies(term_of(0) < world.ever_applied(n), is_so(n)))


@invariant("commit")
def considered_is_committed(world: World) -> Term:
    """What a server has ever come to consider committed, in whatever term it was, has been
    committed in that term or an earlier one."""

    def is_so(i: Term, e: Term, t: Term) -> Term:
        in_term = world.considered_in(i, e, t)
        return both(
            term_of(1) <= i,
            i <= world.committed(in_term),
            in_term <= t,
            equal(world.led_entry(in_term, i), e),
        )

    return every(
        ("Int", "Entry", "Int"),
        lambda i, e, t: implies(world.considered(i, e, t), is_so(i, e, t)),
    )


@invariant("commit")
def claims_are_committed(world: World) -> Term:
    """What the leader of a term has considered committed has been, and is in its log."""

    def is_so(t: Term) -> Term:
        return _is_committed(world, world.led_log(t), world.claim(t), world.claim_term(t), t)

    return every(
        ("Int",), lambda t: implies(both(world.started(t), term_of(0) < world.claim(t)), is_so(t))
    )


@invariant("commit")
def claims_are_of_started_terms(world: World) -> Term:
    """Nothing is claimed in a term before it has started."""
    return every(("Int",), lambda t: either(world.started(t), world.claim(t) <= 0))


@invariant("commit")
def leaders_claim_what_they_commit(world: World) -> Term:
    """The highest commit index that the leader of a term has had is no lower than what it has."""
    return every(
        ("Node",),
        lambda n: implies(
            equal(world.role(n), LEADER), world.commit(n) <= world.claim(world.term(n))
        ),
    )


@invariant("commit")
def requests_claim_what_is_claimed(world: World) -> Term:
    """An AppendEntries claims no more than the leader of its term has considered committed."""
    return every(
        ("Message",),
        lambda m: implies(
            both(world.sent(m), equal(kind(m), APPEND_ENTRIES)),
            leader_commit(m) <= world.claim(message_term(m)),
        ),
    )


@invariant("commit")
def known_claims_are_claimed(world: World) -> Term:
    """What a server knows to be claimed in its term, the leader of the term has considered
    committed."""
    return every(
        ("Node",),
        lambda n: either(world.claimed(n) <= 0, world.claimed(n) <= world.claim(world.term(n))),
    )


@invariant("commit")
def applied_is_committed(world: World) -> Term:
    """What has been applied at an index has been committed there."""

    def is_so(i: Term, e: Term) -> Term:
        term = world.applied_term(i, e)
        return both(term_of(1) <= i, i <= world.committed(term), equal(world.led_entry(term, i), e))

    return every(("Int", "Entry"), lambda i, e: implies(world.applied(i, e), is_so(i, e)))
