"""The properties of `spec.properties` as formulas: of what is so at one moment, or from one moment
to the next.

Of histories they speak by ghosts: "the leader of term T" is whoever has ever led it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from spec.proof.action import RESTARTED
from spec.proof.terms import Term, both, either, equal, every, implies, term_of
from spec.proof.vocabulary import entry_term
from spec.proof.world import ANY, World

OfMoment: TypeAlias = Callable[[World], Term]
OfStep: TypeAlias = Callable[[World], Term]
"""Of what an action makes of a world of which nothing is known (`ANY`)."""


def election_safety(world: World) -> Term:
    """Servers that have led the same term are the same."""
    return every(
        ("Node", "Node", "Int"),
        lambda n, m, t: implies(both(world.led(n, t), world.led(m, t)), equal(n, m)),
    )


def log_matching(world: World) -> Term:
    """Logs that have entries of one term at an index are the same up to it."""

    def is_matched(n: Term, m: Term, i: Term, j: Term) -> Term:
        terms = equal(entry_term(world.entry(n, i)), entry_term(world.entry(m, i)))
        covered = both(world.log(n).covers(i), world.log(m).covers(i), term_of(1) <= j, j <= i)
        return implies(both(covered, terms), equal(world.entry(n, j), world.entry(m, j)))

    return every(("Node", "Node", "Int", "Int"), is_matched)


def leader_completeness(world: World) -> Term:
    """What any server has ever come to consider committed, in whatever term it was, the leaders of
    all later terms have, as long as they lead."""

    def is_complete(i: Term, e: Term, t: Term, later: Term) -> Term:
        return implies(
            both(world.considered(i, e, t), world.started(later), t < later),
            world.led_log(later).has(i, e),
        )

    return every(("Int", "Entry", "Int", "Int"), is_complete)


def state_machine_safety(world: World) -> Term:
    """Entries applied at the same index are the same: by the terms in which they were
    committed."""

    def is_safe(i: Term, e: Term, f: Term) -> Term:
        one, other = world.applied_term(i, e), world.applied_term(i, f)
        return implies(
            both(world.applied(i, e), world.applied(i, f)),
            both(
                implies(one < other, equal(e, f)),
                implies(equal(one, other), equal(e, f)),
                implies(other < one, equal(e, f)),
            ),
        )

    return every(("Int", "Entry", "Entry"), is_safe)


def leader_append_only(after: World) -> Term:
    """In a term that a server has led, its log keeps all that it has."""
    return every(
        ("Node", "Int"),
        lambda n, i: implies(
            both(
                ANY.led(n, ANY.term(n)),
                equal(after.term(n), ANY.term(n)),
                ANY.log(n).covers(i),
            ),
            after.log(n).has(i, ANY.entry(n, i)),
        ),
    )


def monotonic_term(after: World) -> Term:
    """A server's term does not fall."""
    return every(("Node",), lambda n: ANY.term(n) <= after.term(n))


def vote_once_per_term(after: World) -> Term:
    """Who has voted in its term keeps its vote in it."""
    return every(
        ("Node",),
        lambda n: implies(
            both(ANY.has_voted(n), equal(after.term(n), ANY.term(n))),
            both(after.has_voted(n), equal(after.vote(n), ANY.vote(n))),
        ),
    )


def commit_stability(after: World) -> Term:
    """What is committed stays in the log; and the commit index does not fall but in a restart."""
    return every(
        ("Node", "Int"),
        lambda n, i: both(
            implies(
                both(term_of(1) <= i, i <= ANY.commit(n)), after.log(n).has(i, ANY.entry(n, i))
            ),
            either(RESTARTED, ANY.commit(n) <= after.commit(n)),
        ),
    )


OF_MOMENTS: dict[str, OfMoment] = {
    "ElectionSafety": election_safety,
    "LogMatching": log_matching,
    "LeaderCompleteness": leader_completeness,
    "StateMachineSafety": state_machine_safety,
}
OF_STEPS: dict[str, OfStep] = {
    "LeaderAppendOnly": leader_append_only,
    "MonotonicTerm": monotonic_term,
    "VoteOncePerTerm": vote_once_per_term,
    "CommitStability": commit_stability,
}
"""By the names that they have in `spec.properties`."""
