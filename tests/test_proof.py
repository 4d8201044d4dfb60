"""The unbounded proof: that it is found, and that it is not found of what is not so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import spec
from model_check.cli import run
from model_check.commands import prove as command
from model_check.necessity import NECESSITY, OF_SEVERAL_SERVERS
from model_check.proof.examples import possible, why
from model_check.proof.prove import NEEDS, Finding, Proof, Question, Try, prove, settle
from spec.proof.actions import ACTIONS, DERIVED
from spec.proof.guards import GUARDS
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import PROPERTY_ARGUMENTS, Obligation, Theory
from spec.proof.terms import FALSE, Term, constant, equal, every, goals, implies
from spec.properties import PROPERTY_NAMES

SHORT = (
    Try(narrow=False, milliseconds=2_500),
    Try(narrow=False, milliseconds=2_500, by_models=False),
)


def unsettled(theory: Theory, name: str) -> Obligation | None:
    """The first obligation of a theory that is not proved, of those that rest on a rule or an
    invariant that it lacks."""
    for obligation in theory.obligations(OF_SEVERAL_SERVERS):
        if name in NEEDS[obligation.name] and settle_shortly(obligation) == "unknown":
            return obligation
    return None


def settle_shortly(obligation: Obligation) -> str:
    return settle(Question.of(obligation), "z3", 0, SHORT).verdict


def without(rule: str) -> Theory:
    return Theory(without=frozenset({rule}))


# --- what is proved ------------------------------------------------------------------------------


def test_every_property_is_to_be_proved() -> None:
    assert list(PROPERTY_ARGUMENTS) == list(PROPERTY_NAMES)


def test_of_every_obligation_it_is_known_what_it_needs() -> None:
    assert {each.name for each in Theory().obligations()} == set(NEEDS)
    for obligation in Theory().obligations():
        assert set(NEEDS[obligation.name]) <= set(obligation.hypotheses)


def test_election_safety_is_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", "--property", "ElectionSafety", "--json", "-"]) == 0
    report = validated(capsys.readouterr().out)
    assert report["verdict"] == "proved"
    assert all(each["verdict"] == "proved" for each in report["obligations"])
    assert {each["kind"] for each in report["obligations"]} == {
        "splitting",
        "consecution",
        "lemma",
        "property",
    }


@pytest.mark.slow
def test_all_properties_are_proved_by_both_solvers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", "--solver", "both", "--json", "-"]) == 0
    report = validated(capsys.readouterr().out)
    assert len(report["obligations"]) == 2 * len(NEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 1100, 100))
def test_it_does_not_depend_on_the_seed(seed: int) -> None:
    assert run(["prove", "--seed", str(seed)]) == 0


# --- what is not ---------------------------------------------------------------------------------


NEEDED = [rule for rule in GUARDS if NECESSITY[rule].need == "needed"]
NEEDLESS = [rule for rule in GUARDS if NECESSITY[rule].need == "hygiene" and rule != DERIVED]


@pytest.mark.slow
@pytest.mark.parametrize("rule", NEEDED)
def test_without_any_rule_that_is_needed_the_proof_fails_and_a_world_shows_it(rule: str) -> None:
    lost = unsettled(without(rule), rule)
    assert lost is not None
    found = why(without(rule), {lost.name})
    assert found is not None
    acts, *servers = found.lines
    assert found.obligation.about in acts
    changed = sum("->" in line for line in servers)
    if found.obligation.kind == "splitting":
        assert (len(servers), changed) == (1, 1)
    else:
        assert len(servers) == 3
        assert changed == (0 if found.obligation.action in ("send", "apply") else 1)


def test_all_that_is_said_to_be_needless_is_to_be_proved_so() -> None:
    proved = {rule for rule, known in NECESSITY.items() if known.proved_needless}
    assert proved == {*NEEDLESS, DERIVED}


@pytest.mark.slow
@pytest.mark.parametrize("rule", NEEDLESS)
def test_without_a_rule_that_is_needless_it_does_not(rule: str) -> None:
    assert run(["prove", "--without", rule]) == 0


@pytest.mark.slow
def test_without_an_invariant_of_elections_the_proof_fails() -> None:
    kept = tuple(each for each in INVARIANTS if each.name != "votes-are-recorded")
    assert unsettled(Theory(kept), "votes-are-recorded") is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in INVARIANTS])
def test_without_any_invariant_the_proof_fails(name: str) -> None:
    kept = tuple(each for each in INVARIANTS if each.name != name)
    assert unsettled(Theory(kept), name) is not None


def test_what_is_not_so_is_unknown() -> None:
    wrong = Obligation("lemma", "wrong", "", 0, {}, equal(constant("a", "Int"), 1))
    proof = prove([wrong], jobs=1, tries=SHORT)
    assert proof.verdict == "unknown"
    assert [each.question.name for each in proof.unknown] == ["lemma/wrong/0"]


def test_nothing_proved_is_not_all_proved() -> None:
    assert Proof((), 0, 0.0).verdict == "unknown"


def test_one_unknown_obligation_makes_the_whole_unknown() -> None:
    question = Question("a", "lemma", "", "a", "", "")
    proved = Finding(question, "z3", "proved", 0, 1, 0.1)
    unknown = Finding(question, "cvc5", "unknown", 0, 1, 0.1)
    assert Proof((proved,), 1, 0.1).verdict == "proved"
    assert Proof((proved, unknown), 1, 0.1).verdict == "unknown"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["enter", "vote", "commit"])
def test_an_action_is_possible(name: str) -> None:
    assert possible(next(each for each in ACTIONS if each.name == name))


@pytest.mark.slow
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_action_is_possible(action: Any) -> None:
    assert possible(action)


def test_a_goal_is_split_into_parts_that_are_no_weaker() -> None:
    def body(n: Term) -> Term:
        return implies(equal(n, 1), FALSE)

    (part,) = goals(every(("Int",), body))
    assert part.head == "not"


# --- the command ---------------------------------------------------------------------------------


def validated(text: str) -> dict[str, Any]:
    path = Path(str(spec.__file__)).with_name("schemas") / "prove_report.schema.json"
    report: dict[str, Any] = json.loads(text)
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    return report


def test_what_is_not_done_in_time_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prove", "--property", "MonotonicTerm", "--max-seconds", "0.01"]
    assert run([*arguments, "--json", "-"]) == 4
    assert validated(capsys.readouterr().out)["verdict"] == "unknown"


def test_a_solver_that_is_not_there_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "missing", lambda solvers: list(solvers))
    assert run(["prove", "--solver", "both"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "raft-ref: z3 and cvc5 cannot be had: pip install 'raft-ref[proof]'"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--without", "VOTE-TWICE"],
        ["--without-invariant", "votes"],
        ["--property", "Liveness"],
        ["--possible", "--without", "VOTE-ONCE"],
        ["--jobs", "0"],
        ["--solver", "yices"],
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prove", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
