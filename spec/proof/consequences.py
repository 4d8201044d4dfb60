"""What follows from the invariants of one moment, so that no action need be shown to keep it.

Each is proved from the invariants of its argument, and those of it that stand before it; what rests
on the argument may then rest on it, too.
"""

from __future__ import annotations

from spec.proof.completeness import Q_STAR, is_in_later_logs
from spec.proof.invariant import Invariant, invariant
from spec.proof.terms import Term, both, equal, every, implies, term_of
from spec.proof.vocabulary import common
from spec.proof.world import World


@invariant("election")
def one_leader_a_term(world: World) -> Term:
    """At most one server has ever led a term (Election Safety): two would have needed the vote of
    whoever is in both majorities."""
    return every(
        ("Node", "Node", "Int"),
        lambda n, m, t: implies(both(world.led(n, t), world.led(m, t)), equal(n, m)),
    )


@invariant("completeness")
def majorities_enter_started_terms(world: World) -> Term:
    """Of any majority, someone has entered each term that has started: one who elected its
    leader."""
    return every(
        ("Int",),
        lambda t: implies(world.started(t), t <= world.term(common(world.electors(t), Q_STAR))),
    )


@invariant("commit")
def committed_is_in_later_logs(world: World) -> Term:
    """What has been committed in a term is in the logs of the leaders of all later ones: it is
    choosable."""
    return every(
        ("Int", "Int"),
        lambda t, u: implies(
            both(term_of(0) < world.committed(t), world.started(u), t < u),
            world.led_log(u).agrees(world.led_log(t), world.committed(t)),
        ),
    )


CONSEQUENCES: tuple[Invariant, ...] = (
    one_leader_a_term,
    majorities_enter_started_terms,
    committed_is_in_later_logs,
)
"""In the order of the argument."""


def at_what_is_committed(world: World) -> Term:
    """`later-leaders-have-it` of what is known to be committed: all that the argument of commit
    takes of that of completeness."""
    return every(
        ("Int",),
        lambda t: is_in_later_logs(world, t, world.committed(t), world.backers(t)),
    )
