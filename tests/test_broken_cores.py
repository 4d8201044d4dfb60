"""With a rule of Raft dropped from the core, the checker or the random runs find a violation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings

from model_check.check import CheckResult, Setup, check
from model_check.counterexample import replay
from model_check.explore import UNLIMITED
from model_check.raft import Bounds
from tests import broken_cores
from tests.test_cluster_machine import Reign, play, reigns

Break = Callable[[pytest.MonkeyPatch], None]


def found_in(setup: Setup) -> CheckResult:
    result = check(setup, UNLIMITED)
    assert result.exploration.verdict == "violated"
    assert result.counterexample is not None
    assert result.counterexample.violation == result.exploration.violation
    return result


@pytest.mark.parametrize(
    ("break_core", "setup", "violated", "actions"),
    [
        (
            broken_cores.forget_vote_in_restart,
            Setup(bounds=Bounds(restarts=True)),
            "VoteOncePerTerm",
            2,
        ),
        (
            broken_cores.forget_vote_in_restart,
            Setup(bounds=Bounds(restarts=True), properties=("ElectionSafety",)),
            "ElectionSafety",
            7,
        ),
        (
            broken_cores.vote_regardless_of_log,
            Setup(bounds=Bounds(max_term=2, values=1)),
            "LeaderCompleteness",
            9,
        ),
        (
            broken_cores.truncate_without_conflict,
            Setup(bounds=Bounds(servers=2, max_log=2, values=1)),
            "CommitStability",
            12,
        ),
        (
            broken_cores.divide_by_zero_on_commit,
            Setup(bounds=Bounds(), properties=()),
            "Totality",
            8,
        ),
    ],
)
def test_check_finds_it(
    monkeypatch: pytest.MonkeyPatch, break_core: Break, setup: Setup, violated: str, actions: int
) -> None:
    break_core(monkeypatch)
    found = found_in(setup).exploration
    assert found.violation is not None
    assert (found.violation.property, found.depth) == (violated, actions)


def test_the_counterexample_is_no_run_of_the_core_as_it_should_be() -> None:
    setup = Setup(bounds=Bounds(restarts=True))
    with pytest.MonkeyPatch.context() as monkeypatch:
        broken_cores.forget_vote_in_restart(monkeypatch)
        actions = found_in(setup).exploration.actions
    assert replay(setup.system(), actions).violation is None


def find_by_random_runs(max_examples: int) -> None:
    """Leaders that come and go, without the shrinking, which takes long."""

    @given(reigns(3))
    @settings(max_examples=max_examples, phases=[Phase.generate], derandomize=True, database=None)
    def leaders_come_and_go(history: list[Reign]) -> None:
        play(3, history)

    leaders_come_and_go()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("break_core", "violated"),
    [
        (broken_cores.ignore_prev_log_term, "StateMachineSafety|LogMatching|LeaderCompleteness"),
        (broken_cores.commit_any_term_by_counting, "LeaderCompleteness"),
    ],
)
def test_random_runs_find_it(
    monkeypatch: pytest.MonkeyPatch, break_core: Break, violated: str
) -> None:
    break_core(monkeypatch)
    with pytest.raises(AssertionError, match=violated):
        find_by_random_runs(max_examples=20_000)
