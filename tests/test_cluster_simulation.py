"""The cluster under a simulated clock, network and disk."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from raft_ref.cluster.driver import Driver
from raft_ref.cluster.frames import Frame
from raft_ref.cluster.server import Batch
from raft_ref.cluster.simulation import Scale, Weather, simulate
from raft_ref.cluster.simulation.host import Host
from raft_ref.cluster.wire import LENGTH_SIZE, decode_frame, encode_frame
from raft_ref.types import NodeId
from tests.cluster_bugs import BUGS, ECHO, Bug
from tests.cluster_verdicts import problems


@pytest.mark.parametrize("seed", range(5))
def test_whatever_goes_wrong_nothing_is_lost_stale_or_against_the_rules(seed: int) -> None:
    assert list(problems(simulate(seed))) == []


@pytest.mark.parametrize("servers", [1, 2, 5])
def test_clusters_of_other_sizes(servers: int) -> None:
    assert list(problems(simulate(1, Scale(servers=servers, seconds=2)))) == []


def test_many_runs_hold_in_which_much_happens() -> None:
    outcomes = [simulate(seed) for seed in range(100, 115)]
    assert [problem for each in outcomes for problem in problems(each, judges_traces=False)] == []
    metrics = [outcome.metrics for outcome in outcomes]
    assert sum(each.crashes for each in metrics) > 5
    assert sum(each.partitions for each in metrics) > 5
    assert sum(each.pauses for each in metrics) > 2
    assert sum(each.lost for each in metrics) > 20
    assert sum(each.repeated for each in metrics) > 20
    certainties = [each.certainty for outcome in outcomes for each in outcome.history]
    assert certainties.count("ok") > 200
    assert certainties.count("unknown") > 20
    assert certainties.count("failed") > 0


def test_the_same_seed_is_the_same_run_to_the_byte() -> None:
    once, again, other = simulate(3), simulate(3), simulate(4)
    assert (once.traces, once.history) == (again.traces, again.history)
    assert once.traces != other.traces


class OnTheWire(Driver):
    """Every frame goes through the bytes that it is on a real network."""

    def _release(self, batch: Batch) -> None:
        sends = tuple((to, self._through_bytes(to, frame)) for to, frame in batch.sends)
        super()._release(replace(batch, sends=sends))

    def _through_bytes(self, destination: NodeId, frame: Frame) -> Frame:
        assert isinstance(self._outlet, Host)
        config = self._outlet.config
        content = encode_frame(frame)[LENGTH_SIZE:]
        return decode_frame(content, replace(config, id=destination), config.id)


def test_the_wire_makes_no_difference() -> None:
    plain, wired = simulate(2), simulate(2, new_driver=OnTheWire)
    assert plain.history == wired.history
    assert plain.traces == wired.traces


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_bug_of_the_shell_is_noticed_and_only_with_the_bug(bug: Bug) -> None:
    seed = next(seed for seed in range(bug.since, bug.since + 30) if is_noticed(bug, seed))
    assert list(problems(simulate(seed, bug.scale))) == []


def is_noticed(bug: Bug, seed: int) -> bool:
    found = problems(bug.simulate(seed), judges_traces=bug.shows_in_traces)
    return any(re.search(bug.shows, problem) for problem in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "scale",
    [
        Scale(),
        Scale(servers=5, clients=5),
        Scale(seconds=20, clients=6, session_clients=3),
        Scale(fault_interval=0.2, weather=Weather(loss=0.15, repetition=0.15, delay=0.03)),
        ECHO,
    ],
)
def test_thousands_of_runs_hold(scale: Scale) -> None:
    for seed in range(1000):
        outcome = simulate(seed, scale)
        assert list(problems(outcome, judges_traces=seed % 10 == 0)) == [], f"seed {seed}"
