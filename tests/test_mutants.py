"""The bug catalogue: the checker sees every bug in it, and cries wolf at no control."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

import spec
from model_check.check import Means, Setup, check
from model_check.cli import run
from model_check.commands import mutants as command
from model_check.explore import Beam
from model_check.mutants import MUTANTS, Mutant, catalogue
from model_check.mutants.mutant import mutant
from model_check.mutants.run import WORKERS_OF_BEAM, run_mutant
from model_check.raft import Bounds
from raft_ref import NodeState, RequestVote, Term, election
from raft_ref.events import Transition
from spec.properties import FIGURE_3, PROPERTY_NAMES
from spec.rules import RULES_BY_ID
from tests.interrupts import interrupting

TAKES_LONG = frozenset(
    {
        "acknowledges-own-last-index",
        "candidate-takes-its-votes-along",
        "commit-old-term-by-counting",
        "commit-on-rejected-append",
        "commit-to-own-last-index",
        "conflict-leaves-tail",
        "deposed-leader-sends-in-new-term",
        "empty-append-not-checked",
        "leader-ignores-higher-terms",
        "match-index-kept-from-earlier-term",
        "mismatch-acknowledged",
        "mismatch-deleted-at-once",
        "prev-log-term-not-checked",
        "rejection-counts-as-match",
        "stale-acknowledgement-counted",
        "stale-append-stored",
        "up-to-date-by-index-first",
        "up-to-date-by-index-only",
        "vote-kept-in-higher-term",
        "vote-moves-to-longer-log",
        "vote-reply-of-higher-term-ignored",
        *(
            name
            for name, each in MUTANTS.items()
            if each.kind != "bug" and each.bounds.max_log == 2
        ),
    }
)
"""Those that take more than a second or two."""

ALONE = {
    "ElectionSafety": "quorum-is-half",
    "LeaderAppendOnly": "leader-gives-in-to-rejection",
    "LogMatching": "entry-with-term-of-last",
    "LeaderCompleteness": "vote-without-log-check",
    "StateMachineSafety": "entries-stored-with-own-term",
    "MonotonicTerm": "term-persisted-with-vote-only",
    "VoteOncePerTerm": "candidate-clears-its-vote",
    "CommitStability": "follower-commit-falls",
    "StateMachineOrder": "newest-entry-applied-first",
    "ClientRedirection": "vote-named-as-leader",
}
"""By property: a mutant that no other property sees, within its bounds."""


@pytest.mark.parametrize(
    "name",
    [
        # That the runs which were found betray them is seen each time (tests/test_trial.py).
        pytest.param(name, marks=[pytest.mark.slow] * (name in TAKES_LONG or number % 4 > 0))
        for number, name in enumerate(MUTANTS)
    ],
)
def test_the_checker_sees_it(name: str) -> None:
    found = run_mutant(MUTANTS[name])
    said = (found.verdict, found.killed_by, found.tripped, found.first_breach)
    assert found.is_as_expected, said
    run_ = found.result.counterexample
    if found.verdict == "killed":
        assert run_ is not None
        assert run_.violation == found.result.exploration.violation


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.slow] * (name in ("LeaderCompleteness", "LogMatching"))
        )
        for name in PROPERTY_NAMES
    ],
)
def test_without_this_property_a_mutant_survives(name: str) -> None:
    """So each of them is needed."""
    assert run_mutant(MUTANTS[ALONE[name]]).killed_by == name
    found = run_mutant(MUTANTS[ALONE[name]], without=name)
    assert found.result.exploration.verdict == "holds"


WITHIN = {(each.bounds, each.beam): name for name, each in MUTANTS.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("bounds", "beam"), WITHIN, ids=list(WITHIN.values()))
def test_the_core_itself_holds_within_the_bounds_of_every_mutant(
    bounds: Bounds, beam: Beam | None
) -> None:
    """Or by a beam, if that is what finds the mutant, nothing is found."""
    means = Means(eager=True, forget=True)
    if beam is not None:
        means = Means(eager=True, beam=beam, workers=WORKERS_OF_BEAM)
    found = check(Setup(bounds=bounds), means=means)
    assert found.exploration.verdict == ("holds" if beam is None else "inconclusive")


# --- the catalogue -------------------------------------------------------------------------------


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    modules = [value for value in vars(catalogue).values() if inspect.ismodule(value)]
    defined = [
        value.id
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Mutant)
    ]
    assert sorted(defined) == sorted(MUTANTS)
    assert sum(each.kind == "bug" for each in MUTANTS.values()) >= 50


@pytest.mark.parametrize("each", MUTANTS.values(), ids=list(MUTANTS))
def test_each_is_described_and_fits_what_it_replaces(each: Mutant) -> None:
    assert each.title.endswith((".", ":"))
    assert all(each.seen_in)
    assert each.explanation
    assert set(each.expected) <= set(PROPERTY_NAMES)
    assert each.kind != "bug" or each.expected
    assert each.breaks in RULES_BY_ID if each.expected else each.breaks is None
    for substitution in each.substitutions:
        original = inspect.signature(substitution.original)
        replacement = inspect.signature(substitution.replacement)
        assert list(original.parameters) == list(replacement.parameters)
        assert substitution.where.startswith("raft_ref.")
    assert all("+" in diff or "def crash_leaves" in diff for diff in each.diffs())
    assert not any(
        '"""' in line for diff in each.diffs() for line in diff.splitlines() if line[0] == "+"
    )


def test_the_core_is_itself_again_after_a_step() -> None:
    original = election.adopt_term
    each = MUTANTS["lower-term-adopted"]
    with each.in_force():
        assert election.adopt_term is not original
    assert election.adopt_term is original
    with pytest.raises(ZeroDivisionError), each.in_force():
        raise ZeroDivisionError
    assert election.adopt_term is original


def test_what_a_mutant_remembers_has_other_names_under_other_names() -> None:
    each = MUTANTS["acknowledged-before-sync"]
    means = Means(symmetry=True), Means(symmetry=False)
    bounds = Bounds(max_log=1, values=1, restarts=True)
    found = [
        check(Setup(bounds=bounds, properties=(), mutant=each.id), means=way).exploration
        for way in means
    ]
    assert found[0].states == found[1].states
    assert found[0].renamings > 1


# --- the command ---------------------------------------------------------------------------------


@mutant(
    election.adopt_term,
    rule="none",
    seen_in="nowhere",
    bounds=Bounds(servers=2),
    expected="ElectionSafety",
)
def no_mutant_at_all(state: NodeState, term: Term) -> Transition:
    """What it does is what the core does, in other words."""
    return _ADOPT_TERM(state, term)


_ADOPT_TERM = election.adopt_term


@mutant(
    election.may_grant_vote,
    kind="control",
    rule="none",
    seen_in="nowhere",
    bounds=Bounds(servers=2, max_log=0),
    expected=(),
)
def no_control_at_all(state: NodeState, request: RequestVote) -> bool:
    """A voter votes for whoever asks."""
    return True


@pytest.fixture
def wrong_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {each.id: each for each in (no_mutant_at_all, no_control_at_all)}
    for module in ("model_check.check", "model_check.commands.mutants"):
        monkeypatch.setattr(f"{module}.MUTANTS", wrong)


@pytest.mark.usefixtures("wrong_catalogue")
@pytest.mark.parametrize(
    ("name", "verdict"), [("no-mutant-at-all", "survived"), ("no-control-at-all", "killed")]
)
def test_what_is_not_as_it_should_be_is_a_failure(
    name: str, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mutants", "--id", name, "--json", "-"]) == 1
    (row,) = valid(capsys.readouterr().out)
    assert row["verdict"] == verdict
    assert run(["mutants", "--id", name]) == 1
    assert f"1 mutants: 1 {verdict}" in capsys.readouterr().out


def valid(text: str) -> list[dict[str, object]]:
    path = Path(str(spec.__file__)).with_name("schemas") / "mutants_report.schema.json"
    report = json.loads(text)
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    rows: list[dict[str, object]] = report["mutants"]
    return rows


def test_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["vote-not-recorded", "follower-commit-falls", "candidate-clears-its-vote"]
    assert run(["mutants", *(f"--id={name}" for name in ids), "--json", "-"]) == 0
    rows = valid(capsys.readouterr().out)
    assert [row["id"] for row in rows] == ids
    assert [row["verdict"] for row in rows] == ["killed", "killed", "control"]
    assert [row["property"] for row in rows] == [
        "ElectionSafety",
        "CommitStability",
        "VoteOncePerTerm",
    ]
    assert [row["tripped"] for row in rows] == [[], ["CommitStability"], ["VoteOncePerTerm"]]
    assert [row["shortest"] for row in rows] == [True, True, False]


def test_an_interrupt_ends_it_with_what_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "live_progress", interrupting)
    ids = ["--id", "vote-not-recorded", "--id", "follower-commit-falls"]
    assert run(["mutants", *ids, "--json", "-"]) == 4
    assert [row["verdict"] for row in valid(capsys.readouterr().out)] == ["inconclusive"]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mutants", "--id", "vote-not-recorded", "--id", "follower-commit-falls"]) == 0
    out = capsys.readouterr().out
    assert "│ vote-not-recorded" in out
    assert "CommitStability (auxiliary alone)" in out
    assert "2 mutants: 2 killed" in out


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mutants", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in MUTANTS)


def test_the_list_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mutants", "--list", "--json", "-"]) == 0
    rows = valid(capsys.readouterr().out)
    assert [row["id"] for row in rows] == list(MUTANTS)
    first = MUTANTS["vote-not-persisted"]
    path = tmp_path / "list.json"
    assert run(["mutants", "--list", "--id", first.id, "--json", str(path)]) == 0
    assert first.id in capsys.readouterr().out
    (row,) = valid(path.read_text())
    assert (row["title"], row["rule"], row["kind"]) == (first.title, first.rule, "bug")
    with pytest.raises(ValidationError):
        valid(path.read_text().replace('"rule"', '"role"'))


def test_a_budget_that_runs_out_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["mutants", "--id", "commit-old-term-by-counting", "--max-seconds", "0.01"]
    assert run([*arguments, "--json", "-"]) == 4
    (row,) = valid(capsys.readouterr().out)
    assert row["verdict"] == "inconclusive"
    assert str(row["stopped_by"]).startswith("the budget of 0.01 seconds")


def test_without_the_property_that_sees_it_a_mutant_survives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["mutants", "--id", "vote-not-recorded", "--without", "ElectionSafety"]
    assert run([*arguments, "--json", "-"]) in {0, 1}
    (row,) = valid(capsys.readouterr().out)
    assert row["property"] != "ElectionSafety"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["mutants", "--id", "nothing"], "there is no mutant 'nothing'"),
        (["mutants", "--without", "nothing"], "'nothing' is not one of"),
        (["mutants", "--list", "--max-seconds", "1"], "--max-seconds runs the mutants"),
        (["check", "--mutant", "nothing"], "there is no mutant 'nothing'"),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err
    assert len(captured.err.splitlines()) == 1


# --- raft-ref check --mutant ---------------------------------------------------------------------


def test_check_takes_the_bounds_of_a_mutant_where_none_are_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["check", "--mutant", "quorum-is-half", "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["mutant"], report["bounds"]["servers"]) == ("quorum-is-half", 4)
    assert report["bounds"]["only_timeout"] == [1, 2]
    assert report["properties"] == list(FIGURE_3)
    assert run(["check", "--mutant", "quorum-is-half", "--servers", "3", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["bounds"]["servers"] == 3


@pytest.mark.parametrize("elsewhere", [["--network", "fifo"], ["--engine", "reference"]])
def test_a_mutant_that_is_faster_with_eager_sends_goes_without_where_it_must(
    elsewhere: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["check", "--mutant", "applied-before-committed", *elsewhere]
    assert run([*arguments, "--max-seconds", "1", "--json", "-"]) in {1, 4}
    assert json.loads(capsys.readouterr().out)["reduced"] is False


def test_a_run_of_a_mutant_is_replayed_on_the_mutant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    assert run(["check", "--mutant", "vote-not-persisted", "--json", str(path)]) == 1
    assert run(["check", "--replay", str(path)]) == 1
    report = json.loads(path.read_text())
    path.write_text(json.dumps(report | {"mutant": None}))
    assert run(["check", "--replay", str(path)]) == 0
    path.write_text(json.dumps(report | {"mutant": "nothing"}))
    capsys.readouterr()
    assert run(["check", "--replay", str(path)]) == 2
    assert "no mutant 'nothing'" in capsys.readouterr().err


def test_a_test_of_a_mutant_fails_as_long_as_it_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["check", "--mutant", "vote-not-persisted", "--show", "pytest"]) == 1
    out = capsys.readouterr().out
    code = out[out.index("from model_check.check") :]
    assert "mutant='vote-not-persisted'" in code
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - it is a test to paste
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    assert callable(test)
    with pytest.raises(AssertionError):
        test()
