"""The unbounded proof: that it is found, and that it is not found of what is not so."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import spec
from model_check.cli import run
from model_check.commands import prove as command
from model_check.commands.prove import usual_properties
from model_check.deadline import Deadline
from model_check.proof.needs import found_needs, written
from model_check.proof.prove import NEEDS, Finding, Proof, Question, Try, prove
from spec.proof.guards import WITHOUT_GUARD
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import PROPERTY_ARGUMENTS, Obligation, Theory
from spec.proof.terms import FALSE, Term, constant, equal, every, goals, implies
from spec.properties import PROPERTY_NAMES
from spec.rules import RULES
from tests.deadlines import out_of_time_when

SHORT = (
    Try(narrow=False, milliseconds=2_500),
    Try(narrow=False, milliseconds=2_500, by_models=False),
)


# --- what is proved ------------------------------------------------------------------------------


def test_every_property_is_to_be_proved() -> None:
    of_one_rule = {"StateMachineOrder", "ClientRedirection"}  # see spec.proof.guards
    assert list(PROPERTY_ARGUMENTS) == [each for each in PROPERTY_NAMES if each not in of_one_rule]


def test_the_readme_says_how_much_there_is_to_be_proved() -> None:
    readme = (Path(str(spec.__file__)).parents[1] / "README.md").read_text("utf-8")
    assert f"proves all {len(NEEDS)} obligations" in readme
    assert f"; {len(INVARIANTS)} invariants hold at the beginning" in " ".join(readme.split())


def test_of_every_obligation_it_is_known_what_it_needs() -> None:
    assert {each.name for each in Theory().obligations()} == set(NEEDS)
    for obligation in Theory().obligations():
        assert set(NEEDS[obligation.name]) <= set(obligation.hypotheses)


def test_what_obligations_need_is_written_as_it_is_found() -> None:
    assert written(NEEDS) == (files("spec.proof") / "needs.json").read_text("utf-8")


def test_what_an_obligation_needs_is_found_again() -> None:
    lemma = [each for each in Theory().obligations() if each.about == "one-leader-a-term"]
    found: list[str] = []
    needs = found_needs(lemma, {}, lambda name, needed: found.append(name))
    assert needs == {"lemma/one-leader-a-term/0": NEEDS["lemma/one-leader-a-term/0"]}
    assert found == ["lemma/one-leader-a-term/0"]
    wrong = {"lemma/one-leader-a-term/0": ["majorities-intersect"]}
    assert found_needs(lemma, wrong) == needs


def test_what_nobody_proves_needs_nothing_that_could_be_said() -> None:
    wrong = Obligation("lemma", "wrong", "", 0, {}, equal(constant("a", "Int"), 1))
    with pytest.raises(ValueError, match="no solver proves lemma/wrong/0"):
        found_needs([wrong], {})


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


@pytest.fixture
def no_time_to_prove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "deadline_of", lambda _: out_of_time_when("proving"))


@pytest.mark.usefixtures("no_time_to_prove")
def test_what_is_proved_of_which_rules_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prove", "--property", "MonotonicTerm", "--without", "TERM-ADOPT"]
    assert run([*arguments, "--json", "-"]) == 4
    assert validated(capsys.readouterr().out)["not_assumed"] == WITHOUT_GUARD
    assert run(arguments) == 4
    out = capsys.readouterr().out
    assert f"rules        {len(RULES) - 3} of {len(RULES)} are assumed" in out
    for each, reason in WITHOUT_GUARD.items():
        assert f"not assumed by raft-ref prove: {each}, since {reason}" in out


@pytest.mark.usefixtures("no_time_to_prove")
def test_what_is_not_done_in_time_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prove", "--property", "MonotonicTerm"]
    assert run([*arguments, "--json", "-"]) == 4
    assert validated(capsys.readouterr().out)["verdict"] == "unknown"


@pytest.mark.usefixtures("no_time_to_prove")
def test_what_was_not_asked_is_told_and_not_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", "--property", "MonotonicTerm", "--without", "VOTE-ONCE"]) == 4
    out = capsys.readouterr().out
    assert "no time for" in out
    assert "counterexample" not in out


def test_without_z3_no_counterexample_is_looked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        command, "missing", lambda solvers: [each for each in solvers if each == "z3"]
    )
    question = Question("a", "lemma", "", "a", "", "")
    proof = Proof((Finding(question, "cvc5", "unknown", 0, 1, 0.1),), 1, 0.1)
    command._show_counterexample(proof, Theory(), Deadline())
    assert "z3 would look for a counterexample" in capsys.readouterr().out


def test_what_follows_from_other_rules_is_proved_without_the_one_that_says_it() -> None:
    without = Theory(without=frozenset({"COMMIT-STABLE"}))
    found = [each for each in without.obligations() if each.about == "CommitStability"]
    assert found
    assert not any("COMMIT-STABLE" in each.hypotheses for each in found)
    assert "CommitStability" in usual_properties(("COMMIT-STABLE",))


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
        ["--possible", "--without-invariant", "leaders-lead"],
        ["--possible", "--seed", "1"],
        ["--jobs", "0"],
        ["--solver", "yices"],
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prove", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
