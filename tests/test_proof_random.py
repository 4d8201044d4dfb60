"""The formulas of the proof say what the rules say of steps at random, of any kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

import pytest

from spec.conduct import Conduct
from spec.proof.abstraction import FiniteGuard
from spec.proof.guards import GUARDS, Guard
from spec.proof.terms import both, either, negation
from spec.proof.vocabulary import APPEND_ENTRIES, REQUEST_VOTE
from spec.rule import Rule
from spec.rules import RULES_BY_ID
from tests.random_conducts import MAX_INDEX, random_conducts
from tests.test_proof_guards import GUARDED, UNDEFINED


@cache
def finite(guard: Guard, servers: frozenset[int], undefined: int) -> FiniteGuard:
    return FiniteGuard.of(guard, servers, MAX_INDEX, UNDEFINED[undefined])


def disagreement(rule: Rule, guard: Guard, conducts: Iterable[Conduct]) -> Conduct | None:
    """A step of which the rule and a guard do not say the same."""
    for number, conduct in enumerate(conducts):
        asked = finite(guard, conduct.after.servers, number % len(UNDEFINED))
        if asked.obeys(conduct) is not (rule.predicate(conduct) is None):
            return conduct
    return None


def test_random_steps_obey_each_rule_often_and_break_it_often() -> None:
    obeyed: Counter[str] = Counter()
    for conduct in random_conducts(0, 2000):
        obeyed.update(rule.id for rule in GUARDED if rule.predicate(conduct) is None)
    assert all(10 < obeyed[rule.id] < 1990 for rule in GUARDED), obeyed


@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_a_guard_says_what_its_rule_says(rule: Rule) -> None:
    assert disagreement(rule, GUARDS[rule.id], random_conducts(0, 3000)) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_so_it_does_of_many_more(seed: int) -> None:
    conducts = list(random_conducts(seed, 10_000))
    for rule in GUARDED:
        assert disagreement(rule, GUARDS[rule.id], conducts) is None


def test_a_guard_that_forbids_what_raft_needs_is_told() -> None:
    """No candidate asks for votes when its timer fires; no leader answers what arrives."""
    too_strict: dict[str, Guard] = {
        "VOTE-REQUEST-TRUTHFUL": lambda step: both(
            GUARDS["VOTE-REQUEST-TRUTHFUL"](step),
            negation(both(step.event.is_timeout, step.sends(REQUEST_VOTE))),
        ),
        "APPEND-LEADER": lambda step: both(
            GUARDS["APPEND-LEADER"](step),
            either(negation(step.event.is_receipt), negation(step.sends(APPEND_ENTRIES))),
        ),
    }
    for rule_id, guard in too_strict.items():
        assert disagreement(RULES_BY_ID[rule_id], guard, random_conducts(0, 3000)) is not None
