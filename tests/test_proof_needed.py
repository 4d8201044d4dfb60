"""Each rule that is needed, and each invariant, is needed for the proof, too.

Without any of them, an obligation is lost; and it is not only that no solver proves it: in a small
world, all that is assumed holds, and what is to be proved does not.
"""

from __future__ import annotations

import pytest

from model_check.cli import run
from model_check.necessity import NECESSITY
from model_check.proof.examples import counterexample, why
from model_check.proof.prove import NEEDS, Question, settle
from spec.proof.action import DERIVED
from spec.proof.expansion import SmallWorld
from spec.proof.guards import GUARDS
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import Obligation, Theory

ONE, TWO = SmallWorld(1, 1, 1), SmallWorld(2, 1, 1)
TWO_ENTRIES, THREE = SmallWorld(2, 2, 2), SmallWorld(3, 2, 2)
BELOW_ZERO = SmallWorld(2, 1, 1, min_number=-1)

BY_RULE: dict[str, tuple[str, SmallWorld]] = {
    "TERM-MONOTONIC": ("consecution/enter/votes-are-of-terms-entered/0", ONE),
    "TERM-STEP-DOWN": ("consecution/enter/leaders-lead/0", TWO),
    "VOTE-ONCE": ("consecution/vote/votes-are-given-once/0", ONE),
    "VOTE-SELF": ("consecution/change-role/candidates-vote-for-themselves/0", ONE),
    "VOTE-REQUESTED": ("consecution/vote/votes-are-of-terms-entered/1", ONE),
    "VOTE-UP-TO-DATE": ("consecution/vote/voted-for-has-it/0", ONE),
    "VOTE-TRUTHFUL": ("consecution/send/grants-are-votes/0", ONE),
    "VOTE-GRANT-TERM": ("consecution/send/grants-are-votes/0", ONE),
    "VOTE-REQUEST-TRUTHFUL": ("consecution/send/requests-are-of-terms-entered/0", ONE),
    "ELECT-QUORUM": ("consecution/elect/leaders-have-votes/0", TWO),
    "ELECT-CANDIDATE": ("consecution/elect/leaders-have-votes/0", TWO),
    "LEADER-APPEND-ONLY": ("consecution/propose/logs-are-made-of-leaders-logs/1", TWO),
    "LEADER-ENTRY-TERM": ("consecution/propose/logs-are-made-of-leaders-logs/0", TWO),
    "LOG-SOURCE": ("consecution/append/logs-are-made-of-leaders-logs/0", ONE),
    "FOLLOWER-CURRENT-TERM": ("consecution/append/entries-are-of-terms-entered/0", TWO),
    "FOLLOWER-PREV-MATCH": ("consecution/append/logs-are-made-of-leaders-logs/2", TWO_ENTRIES),
    "FOLLOWER-SPLICE-SOURCE": ("consecution/append/logs-are-made-of-leaders-logs/0", TWO),
    "FOLLOWER-SPLICE-CONFLICT": ("consecution/append/leaders-have-their-logs/0", TWO),
    "APPEND-LEADER": ("consecution/send/requests-are-of-leaders/0", TWO),
    "APPEND-TRUTHFUL": ("consecution/send/requests-are-of-leaders-logs/0", TWO),
    "APPEND-COMMIT": ("consecution/send/requests-claim-what-is-claimed/0", TWO),
    "ACK-TERM": ("consecution/send/acknowledgements-are-held/0", THREE),
    "ACK-CONFIRMED": ("consecution/send/acknowledgements-are-held/0", THREE),
    "COMMIT-QUORUM": ("consecution/commit/committed-is-held-by-a-majority/2", TWO),
    "COMMIT-CURRENT-TERM": ("consecution/commit/committed-is-held-by-a-majority/2", TWO),
    "COMMIT-CONFIRMED": ("consecution/commit/commit-indexes-are-committed/2", ONE),
    "COMMIT-CLAIMED": ("consecution/commit/commit-indexes-are-committed/0", ONE),
    "APPLY-COMMITTED": ("consecution/apply/applied-is-committed/0", ONE),
    "RESTART-TERM": ("consecution/enter/votes-are-of-terms-entered/1", ONE),
    "RESTART-VOTE": ("consecution/vote/votes-are-given-once/0", ONE),
    "RESTART-LOG": ("consecution/append/logs-are-made-of-leaders-logs/0", ONE),
    "MESSAGE-WELL-FORMED": ("consecution/send/grants-are-votes/0", ONE),
}
"""By rule: an obligation that is lost without it, on what an action does to an invariant; and a
world that shows it."""

LEMMAS_LOST = {
    "LEADER-APPEND-ONLY": "propose",
    "FOLLOWER-PREV-MATCH": "append",
    "FOLLOWER-SPLICE-SOURCE": "append",
    "COMMIT-CONFIRMED": "commit",
}
"""By rule: the action of which nothing but a lemma is lost. Without that, an invariant is, too."""

BY_INVARIANT: dict[str, tuple[str, SmallWorld]] = {
    "votes-are-of-terms-entered": ("consecution/enter/votes-are-recorded/0", ONE),
    "votes-are-given-once": ("lemma/one-leader-a-term/0", ONE),
    "votes-are-recorded": ("consecution/vote/votes-are-of-terms-entered/1", ONE),
    "candidates-vote-for-themselves": ("consecution/elect/leaders-have-votes/0", TWO),
    "known-grants-are-votes": ("consecution/elect/leaders-have-votes/0", TWO),
    "leaders-have-votes": ("lemma/one-leader-a-term/0", ONE),
    "leaders-are-of-terms-entered": ("consecution/append/logs-are-made-of-leaders-logs/0", TWO),
    "started-terms-have-leaders": ("lemma/majorities-enter-started-terms/0", ONE),
    "leaders-lead": ("consecution/propose/logs-are-made-of-leaders-logs/0", TWO),
    "terms-are-not-negative": (
        "consecution/propose/led-entries-are-of-terms-entered/0",
        BELOW_ZERO,
    ),
    "grants-are-votes": ("consecution/note/known-grants-are-votes/0", ONE),
    "requests-are-of-terms-entered": ("consecution/enter/requests-do-not-overstate/0", ONE),
    "requests-do-not-overstate": ("consecution/vote/voted-for-has-it/0", ONE),
    "logs-are-made-of-leaders-logs": (
        "consecution/enter/entered-logs-are-made-of-leaders-logs/1",
        ONE,
    ),
    "led-logs-are-made-of-leaders-logs": (
        "consecution/append/logs-are-made-of-leaders-logs/0",
        TWO,
    ),
    "entered-logs-are-made-of-leaders-logs": ("consecution/vote/voted-for-has-it/0", TWO_ENTRIES),
    "entries-are-of-terms-entered": ("consecution/elect/led-entries-are-of-terms-entered/1", TWO),
    "led-entries-are-of-terms-entered": ("consecution/vote/voted-for-has-it/0", TWO_ENTRIES),
    "lengths-are-not-negative": ("lemma/commit/commits-what-is-led/0", BELOW_ZERO),
    "logs-change-once-a-term-has-started": ("consecution/vote/voted-for-has-it/0", ONE),
    "leaders-have-their-logs": ("consecution/append/leaders-hold-their-logs/0", TWO),
    "held-is-led": ("consecution/enter/held-is-kept-in-its-term/0", ONE),
    "held-is-kept-in-its-term": ("lemma/commit/commits-what-is-led/0", ONE),
    "leaders-hold-their-logs": ("consecution/commit/committed-is-held-by-a-majority/4", TWO),
    "confirmed-is-held": ("lemma/commit/commits-what-is-led/0", ONE),
    "known-acknowledgements-are-held": (
        "consecution/commit/committed-is-held-by-a-majority/4",
        TWO,
    ),
    "requests-are-of-leaders": ("consecution/append/logs-are-made-of-leaders-logs/0", TWO),
    "requests-are-of-leaders-logs": ("consecution/append/leaders-have-their-logs/0", TWO_ENTRIES),
    "acknowledgements-are-held": ("consecution/note/known-acknowledgements-are-held/0", THREE),
    "held-is-kept": ("consecution/vote/voted-for-has-it/0", ONE),
    "voted-for-has-it": ("consecution/elect/later-leaders-have-it/0", TWO),
    "later-leaders-have-it": ("consecution/vote/voted-for-has-it/0", TWO_ENTRIES),
    "committed-is-held-by-a-majority": ("lemma/committed-is-in-later-logs/0", ONE),
    "commit-indexes-are-committed": ("consecution/apply/applied-is-committed/1", ONE),
    "ever-applied-is-committed": ("consecution/apply/applied-is-committed/1", ONE),
    "considered-is-committed": ("property/LeaderCompleteness/2", TWO_ENTRIES),
    "claims-are-committed": ("consecution/commit/commit-indexes-are-committed/0", ONE),
    "claims-are-of-started-terms": ("consecution/elect/claims-are-committed/0", TWO),
    "leaders-claim-what-they-commit": ("consecution/send/requests-claim-what-is-claimed/0", TWO),
    "requests-claim-what-is-claimed": ("consecution/note/known-claims-are-claimed/0", TWO),
    "known-claims-are-claimed": ("consecution/commit/commit-indexes-are-committed/0", ONE),
    "applied-is-committed": ("property/StateMachineSafety/0", TWO_ENTRIES),
}
"""By invariant, the same."""

NEEDLESS = [rule for rule in GUARDS if NECESSITY[rule].need == "hygiene" and rule != DERIVED]


def without_rule(rule: str) -> Theory:
    bare = frozenset({LEMMAS_LOST[rule]} if rule in LEMMAS_LOST else ())
    return Theory(without=frozenset({rule}), bare=bare)


def without_invariant(name: str) -> Theory:
    return Theory(tuple(each for each in INVARIANTS if each.name != name))


def obligation_of(theory: Theory, name: str) -> Obligation:
    return next(each for each in theory.obligations() if each.name == name)


def is_lost(obligation: Obligation) -> bool:
    """Whether none of the tries of the command prove it."""
    return settle(Question.of(obligation), "z3", 0).verdict == "unknown"


# --- rules ---------------------------------------------------------------------------------------


def test_each_rule_that_is_needed_is_looked_at() -> None:
    assert list(BY_RULE) == [rule for rule in GUARDS if NECESSITY[rule].need == "needed"]


@pytest.mark.parametrize("rule", ["VOTE-ONCE", "FOLLOWER-SPLICE-CONFLICT", "COMMIT-CURRENT-TERM"])
def test_a_small_world_shows_what_is_lost_without_a_rule(rule: str) -> None:
    name, small = BY_RULE[rule]
    lost = obligation_of(without_rule(rule), name)
    found = counterexample(lost, small)
    assert found is not None
    acts, *servers = found.lines
    assert lost.about in acts
    assert len(servers) == 3
    assert sum("->" in line for line in servers) == 1


@pytest.mark.slow
@pytest.mark.parametrize("rule", BY_RULE)
def test_without_a_rule_that_is_needed_an_obligation_is_lost(rule: str) -> None:
    name, small = BY_RULE[rule]
    lost = obligation_of(without_rule(rule), name)
    assert counterexample(lost, small) is not None
    assert is_lost(lost)


@pytest.mark.parametrize("rule", ["VOTE-ONCE", "COMMIT-CURRENT-TERM"])
def test_with_all_rules_it_is_not(rule: str) -> None:
    name, small = BY_RULE[rule]
    assert counterexample(obligation_of(Theory(), name), small) is None


def test_all_that_is_said_to_be_needless_is_to_be_proved_so() -> None:
    proved = {rule for rule, known in NECESSITY.items() if known.proved_needless}
    assert proved == {*NEEDLESS, DERIVED}


@pytest.mark.slow
@pytest.mark.parametrize("rule", NEEDLESS)
def test_without_a_rule_that_is_needless_all_is_proved(rule: str) -> None:
    assert run(["prove", "--without", rule]) == 0


# --- invariants ----------------------------------------------------------------------------------


def test_each_invariant_is_looked_at() -> None:
    assert list(BY_INVARIANT) == [each.name for each in INVARIANTS]


def test_an_invariant_that_is_left_out_is_assumed_nowhere() -> None:
    name = "candidates-vote-for-themselves"  # which is known of a step that is split, too
    assert any(name in each.hypotheses for each in Theory().obligations())
    assert not any(name in each.hypotheses for each in without_invariant(name).obligations())


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_INVARIANT)
def test_without_an_invariant_an_obligation_is_lost(name: str) -> None:
    about, small = BY_INVARIANT[name]
    lost = obligation_of(without_invariant(name), about)
    assert counterexample(lost, small) is not None
    assert is_lost(lost)


# --- what is shown of it, by the command ---------------------------------------------------------


def lost_without(rule: str) -> list[Obligation]:
    return [
        each for each in Theory(without=frozenset({rule})).obligations() if rule in NEEDS[each.name]
    ]


def test_what_an_action_does_to_an_invariant_is_shown_first() -> None:
    rule = "TERM-STEP-DOWN"
    lost = lost_without(rule)
    assert {each.kind for each in lost} == {"splitting", "consecution"}
    found = why(without_rule(rule), [each.name for each in lost])
    assert found is not None
    assert found.obligation.name == "consecution/enter/leaders-lead/0"


def test_where_a_step_is_no_run_of_actions_the_step_is_shown() -> None:
    rule = "TERM-STEP-DOWN"
    split = [each.name for each in lost_without(rule) if each.kind == "splitting"]
    found = why(without_rule(rule), split)
    assert found is not None
    title, step = found.lines
    assert title.startswith("Its part 'propose' breaks LEADER-")
    assert "leader of term" in step


def test_where_a_lemma_is_lost_an_invariant_that_is_lost_without_it_is_shown() -> None:
    rule = "COMMIT-CONFIRMED"
    lost = lost_without(rule)
    assert {each.kind for each in lost} == {"lemma"}
    found = why(Theory(without=frozenset({rule})), [each.name for each in lost])
    assert found is not None
    assert found.obligation.kind == "consecution"


def test_none_is_found_where_all_is_so() -> None:
    assert why(Theory(), []) is None
