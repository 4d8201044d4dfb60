"""The hypotheses of the proof are no contradiction: there is a run on which all of them hold."""

from __future__ import annotations

from typing import Any

import pytest

from model_check.cli import run
from model_check.proof.consistency import beginning, broken_invariants, walk
from model_check.proof.run import RUN, SECOND_MAJORITY, Move
from spec.proof.actions import ACTIONS


def test_every_hypothesis_holds_along_a_run_to_a_commit_in_a_second_term() -> None:
    assert broken_invariants(beginning()) == ()
    moved = list(walk())
    assert [(each.move.action, each.refused, each.broken) for each in moved] == [
        (move.action, (), ()) for move in RUN
    ]
    assert {move.action for move in RUN} == {action.name for action in ACTIONS}
    known: Any = moved[-1].known
    assert [known["commit"](server) for server in (1, 2, 3)] == [0, 1, 1]
    assert [known["committed"](term) for term in (1, 2)] == [0, 1]


def test_a_run_that_breaks_a_rule_is_told() -> None:
    """The commit of an entry that nobody else has acknowledged."""
    until = next(n for n, move in enumerate(RUN) if move.action == "append")
    hasty = Move("commit", 2, {"new_commit": 1, "counted": 1, "holders": SECOND_MAJORITY})
    *_, last = walk((*RUN[:until], hasty))
    assert "COMMIT-QUORUM" in last.refused
    assert last.broken


def test_a_world_in_which_an_invariant_does_not_hold_is_told() -> None:
    known = {**beginning(), "commit": lambda server: 1}
    assert "commit-indexes-are-committed" in broken_invariants(known)


@pytest.mark.slow
def test_the_command_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", "--possible"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == (
        f"possible: a run of {len(RUN)} actions to a commit in a second term, on which every "
        "hypothesis holds and, after each, every invariant"
    )
    assert sum("  possible" in line for line in out) == len(ACTIONS)
