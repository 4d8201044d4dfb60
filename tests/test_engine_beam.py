"""A beam leaves states out, to come deeper: what it finds is so, what it does not, may be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model_check.check import CheckResult, Means, Setup, check
from model_check.cli import run
from model_check.engine.beam import thinned
from model_check.explore import Beam
from model_check.mutants import MUTANTS
from model_check.raft import Bounds
from spec.properties import FIGURE_3

TWO_TERMS = Setup(bounds=Bounds(max_term=2, values=1, max_election_timeouts=2))
BUG = MUTANTS["conflict-leaves-tail"]
WITH_BUG = Setup(bounds=BUG.bounds, properties=FIGURE_3, mutant=BUG.id)


def by_beam(setup: Setup, width: int, seed: int = 0) -> CheckResult:
    return check(setup, means=Means(workers=2, eager=True, beam=Beam(width=width, seed=seed)))


def test_of_what_looks_the_same_so_many_are_followed() -> None:
    seen = np.array([[1, 2], [1, 3], [1, 2], [1, 2], [2, 2], [1, 3]], np.int32)
    chosen = thinned(seen, 2, np.random.default_rng(0))
    assert sorted(map(tuple, seen[chosen].tolist())) == [(1, 2), (1, 2), (1, 3), (1, 3), (2, 2)]
    assert list(chosen) == sorted(chosen)
    assert list(thinned(seen, 9, np.random.default_rng(0))) == list(range(6))


def test_a_beam_as_wide_as_the_space_is_a_complete_search() -> None:
    whole = check(TWO_TERMS, means=Means(eager=True)).exploration
    found = by_beam(TWO_TERMS, width=10**6).exploration
    assert found.verdict == "holds"
    assert (found.states, found.transitions) == (whole.states, whole.transitions)
    assert found.depth == whole.depth


def test_a_narrow_beam_leaves_out_states_and_says_so() -> None:
    found = by_beam(TWO_TERMS, width=2).exploration
    assert found.verdict == "inconclusive"
    assert found.stopped_by is not None
    assert "the width of the beam, which left out" in found.stopped_by
    assert found.frontier > 0


def test_it_finds_a_bug_with_few_states_and_a_run_that_needs_every_action() -> None:
    result = by_beam(WITH_BUG, width=4)
    found = result.exploration
    assert found.violation is not None
    assert found.violation.property == "LogMatching"
    assert (found.stopped_by, found.is_shortest) == (None, False)
    assert found.orbits < 200_000
    assert result.counterexample is not None
    assert len(result.counterexample.moments) == found.depth


def test_the_same_seed_finds_the_same() -> None:
    once, again, other = (by_beam(TWO_TERMS, 3, seed).exploration for seed in (7, 7, 8))
    assert (once.states, once.transitions) == (again.states, again.transitions)
    assert once.states != other.states


@pytest.mark.parametrize("wrong", [{"width": 0}, {"seed": -1}])
def test_a_beam_has_some_width_and_a_seed(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        Beam(**wrong)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "--max-term", "2", "--values", "1", "--eager", "--search", "beam"]
    report = tmp_path / "report.json"
    assert run([*arguments, "--width", "2", "--seed", "5", "--json", str(report)]) == 4
    assert "a beam of width 2, seed 5" in capsys.readouterr().out
    found = json.loads(report.read_text())
    assert found["beam"] == {"width": 2, "seed": 5}
    assert "the width of the beam" in found["stopped_by"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--width", "3"], "--width belongs to --search beam"),
        (["--seed", "3"], "--seed belongs to --search beam"),
        (["--search", "beam", "--engine", "reference"], "belongs to --engine compiled"),
        (["--script", "timeout 4"], "script: there is no server 4"),
        (["--script", "timeout 01"], "script: there is no server 01"),
        (["--script", "restart 1"], "'restart 1' in the script needs restarts"),
        (["--script", "heartbeat 1", "--no-heartbeats"], "needs heartbeats"),
        (["--script", "timeout"], "'timeout' in the script is none of timeout, heartbeat"),
        (["--script", "dance 1"], "'dance 1' in the script is none of timeout, heartbeat"),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err
    assert len(captured.err.splitlines()) == 1


# --- scripts -------------------------------------------------------------------------------------


def test_with_a_script_the_environment_does_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = ["--script", " timeout 2,  request 2 ", "--values", "1"]
    assert run(["check", *script, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bounds"]["script"] == ["timeout 2", "request 2"]
    reached = {name for name, least in report["reached"].items() if least is not None}
    assert {"election", "commit"} <= reached
    assert "split_vote" not in reached
    assert run(["check", *script]) == 0
    assert "nothing but timeout 2, request 2, in this order" in capsys.readouterr().out


def test_a_script_that_cannot_go_on_ends_there() -> None:
    stuck = Bounds(max_log=0, script=("request 1", "timeout 1"))
    found = check(Setup(bounds=stuck)).exploration
    assert (found.states, found.transitions, found.verdict) == (1, 0, "holds")
