"""The cluster under a simulated clock, network and disk."""

from __future__ import annotations

import pytest

from raft_ref.cluster.simulation import Outcome, Scale, simulate
from tests.cluster_bugs import BUGS
from tests.cluster_verdicts import problems


@pytest.mark.parametrize("seed", range(6))
def test_whatever_goes_wrong_nothing_is_lost_stale_or_against_the_rules(seed: int) -> None:
    assert list(problems(simulate(seed))) == []


@pytest.mark.parametrize("servers", [2, 5])
def test_clusters_of_other_sizes(servers: int) -> None:
    assert list(problems(simulate(1, Scale(servers=servers, seconds=2)))) == []


def test_something_happens_in_these_runs() -> None:
    outcomes = [simulate(seed) for seed in range(12)]
    metrics = [outcome.metrics for outcome in outcomes]
    assert sum(each.crashes for each in metrics) > 5
    assert sum(each.partitions for each in metrics) > 5
    assert sum(each.pauses for each in metrics) > 2
    assert sum(each.repeated for each in metrics) > 20
    certainties = [each.certainty for outcome in outcomes for each in outcome.history]
    assert certainties.count("ok") > 200
    assert certainties.count("unknown") > 20
    assert certainties.count("failed") > 0


def test_the_same_seed_is_the_same_run_to_the_byte() -> None:
    once, again, other = simulate(3), simulate(3), simulate(4)
    assert (once.traces, once.history) == (again.traces, again.history)
    assert once.traces != other.traces


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_of_the_shell_is_noticed_and_only_with_the_bug(name: str) -> None:
    bug = BUGS[name]
    seed = next(seed for seed in range(bug.since, bug.since + 30) if is_noticed(bug.simulate(seed)))
    assert list(problems(simulate(seed, bug.scale))) == []


def is_noticed(outcome: Outcome) -> bool:
    return any(problems(outcome))


def test_many_runs_hold() -> None:
    for seed in range(100, 115):
        assert list(problems(simulate(seed), judges_traces=False)) == [], f"seed {seed}"
