"""The compiled explorer finds what the reference explorer finds, on Raft, whole and broken."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from model_check.check import NETWORK_NAMES, NetworkName, Setup
from model_check.deadline import Deadline
from model_check.engine.explorer import Options, Search, explore
from model_check.explore import Budget, Figures
from model_check.raft import Bounds
from spec.properties import PROPERTY_NAMES
from tests import broken_cores
from tests.engines import assert_replays, by_reference, compiled, summary

Break = Callable[[pytest.MonkeyPatch], None]

REPLAYABLE = [
    Bounds(servers=1, max_term=3, max_log=3, restarts=True),
    Bounds(servers=1, max_term=1, max_log=2, values=3),
    Bounds(servers=2, max_term=1, max_log=1, restarts=True),
    Bounds(servers=2, max_term=1, max_log=3, values=1, max_entries=2),
    Bounds(servers=2, max_term=2, max_log=0, restarts=True),
    Bounds(servers=2, max_term=2, max_log=1, values=1),
    Bounds(servers=2, max_term=0),
    Bounds(servers=3, max_term=1, max_log=0, restarts=True),
    Bounds(servers=3, max_term=1, max_log=1, values=1),
    Bounds(servers=4, max_term=1, max_log=0),
    Bounds(servers=5, max_term=0),
]
"""Where the sets of messages only grow, and spaces are small."""

LIMITED = [
    Bounds(servers=2, restarts=True, max_restarts=1, max_heartbeats=1),
    Bounds(servers=2, max_term=3, max_log=0, max_election_timeouts=2),
    Bounds(servers=3, restarts=True, max_client_requests=1, max_restarts=0),
    Bounds(servers=3, max_log=0, heartbeats=False, only_timeout=(1, 3)),
    Bounds(servers=3, max_term=2, values=1, script=("timeout 1", "request 1", "timeout 2")),
    Bounds(servers=2, max_term=2, restarts=True, script=("timeout 1", "restart 2", "timeout 2")),
]
"""Where some things happen so and so often only, or to some servers, or in some order."""

CONSUMING = [
    Bounds(servers=1, max_term=2, max_log=2, restarts=True),
    Bounds(servers=2, max_term=1, max_log=1, restarts=True),
    Bounds(servers=2, max_term=1, max_log=1),
    Bounds(servers=2, max_term=2, max_log=0),
    Bounds(servers=2, max_term=1, max_log=2, values=1, max_entries=2),
    Bounds(servers=3, max_term=1, max_log=0),
]

CONFIGURATIONS = [
    *(Setup(bounds=bounds) for bounds in REPLAYABLE),
    *(Setup(bounds=bounds) for bounds in LIMITED),
    *(Setup(bounds=bounds, network="once") for bounds in CONSUMING + LIMITED[:2]),
    *(
        Setup(bounds=bounds, network="fifo", max_in_flight=capacity, loss=loss)
        for bounds, (capacity, loss) in product(CONSUMING, [(1, True), (1, False), (2, True)])
    ),
    *(
        Setup(bounds=Bounds(servers=2, restarts=True), network=network, properties=properties)
        for network, properties in product(
            NETWORK_NAMES, [(), ("ElectionSafety",), ("LogMatching", "CommitStability")]
        )
    ),
]


def describe(setup: Setup) -> str:
    bounds = "-".join(
        f"{value:d}" if isinstance(value, int) else "x"
        for value in setup.described_bounds().values()
    )
    properties = "" if setup.properties == PROPERTY_NAMES else f"-{len(setup.properties)}"
    return f"{setup.network}-{bounds}{properties}"


def test_there_are_configurations_enough() -> None:
    assert len(CONFIGURATIONS) + len(BROKEN) >= 50


@pytest.mark.parametrize("setup", CONFIGURATIONS, ids=describe)
def test_both_explorers_find_the_same(setup: Setup) -> None:
    expected = by_reference(setup.system())
    assert expected.verdict == "holds"
    for workers, symmetry in product((1, 2), (False, None)):
        found = compiled(setup.system(), workers=workers, symmetry=symmetry)
        assert summary(found) == summary(expected)
        assert found.core_calls == expected.core_calls
        assert (found.frontier, found.notes) == (0, [])


BROKEN: list[tuple[Break, Setup]] = [
    (broken_cores.forget_vote_in_restart, Setup(bounds=Bounds(restarts=True))),
    (
        broken_cores.forget_vote_in_restart,
        Setup(bounds=Bounds(restarts=True), properties=("ElectionSafety",)),
    ),
    (
        broken_cores.forget_vote_in_restart,
        Setup(bounds=Bounds(servers=2, max_term=2, restarts=True), network="once"),
    ),
    (
        broken_cores.forget_vote_in_restart,
        Setup(bounds=Bounds(servers=3, restarts=True), network="fifo", max_in_flight=1),
    ),
    (broken_cores.vote_regardless_of_log, Setup(bounds=Bounds(max_term=2, values=1))),
    (
        broken_cores.truncate_without_conflict,
        Setup(bounds=Bounds(servers=2, max_log=2, values=1)),
    ),
    (
        broken_cores.truncate_without_conflict,
        Setup(bounds=Bounds(servers=2, max_log=2, values=1), properties=("LeaderCompleteness",)),
    ),
    (broken_cores.divide_by_zero_on_commit, Setup(bounds=Bounds())),
    (
        broken_cores.divide_by_zero_on_commit,
        Setup(bounds=Bounds(servers=2), network="fifo", loss=False),
    ),
    (broken_cores.divide_by_zero_on_commit, Setup(bounds=Bounds(), properties=())),
]


@pytest.mark.slow
@pytest.mark.parametrize(("break_core", "setup"), BROKEN)
def test_both_explorers_find_the_same_wrong(
    monkeypatch: pytest.MonkeyPatch, break_core: Break, setup: Setup
) -> None:
    break_core(monkeypatch)
    expected = by_reference(setup.system())
    for workers, symmetry in product((1, 2), (False, None)):
        found = compiled(setup.system(), workers=workers, symmetry=symmetry)
        assert summary(found) == summary(expected)
        if found.violation is not None:
            assert_replays(setup.system(), found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "bounds"),
    [
        ("replayable", Bounds(max_term=1, max_log=1, restarts=True)),
        ("replayable", Bounds(max_term=1, max_log=2, values=1)),
        ("replayable", Bounds(max_term=2, max_log=0)),
        ("replayable", Bounds(servers=4, max_term=1, max_log=0, restarts=True)),
        ("once", Bounds(max_term=1, max_log=0, restarts=True)),
        ("fifo", Bounds(max_term=1, max_log=1, restarts=True)),
    ],
)
def test_both_explorers_find_the_same_in_larger_spaces(
    network: NetworkName, bounds: Bounds
) -> None:
    setup = Setup(bounds=bounds, network=network, max_in_flight=1)
    assert summary(compiled(setup.system(), workers=2)) == summary(by_reference(setup.system()))


# --- figures -----------------------------------------------------------------------------------

SOME = Setup(bounds=Bounds(restarts=True))
"""179,727 states, 15,209 of them different in more than names."""


def test_figures_do_not_depend_on_the_number_of_workers() -> None:
    one, *others = (compiled(SOME.system(), workers=workers) for workers in (1, 2, 3))
    for other in others:
        assert (summary(other), other.orbits) == (summary(one), one.orbits)


def test_the_same_run_twice_finds_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    broken_cores.vote_regardless_of_log(monkeypatch)
    setup = Setup(bounds=Bounds(max_term=2, values=1))
    one, other = (compiled(setup.system(), workers=2) for _ in range(2))
    assert one.actions == other.actions
    assert summary(one) == summary(other)


def test_a_state_of_three_servers_takes_at_most_forty_bytes() -> None:
    found = compiled(SOME.system(), workers=2, symmetry=False)
    assert found.state_bytes is not None
    assert found.state_bytes <= 40 * found.orbits


# --- giving up ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_budget_of_exactly_the_states_there_are_suffices(workers: int) -> None:
    system = Setup(bounds=Bounds(servers=2, restarts=True)).system()
    options = Options(workers=workers, symmetry=False)
    assert explore(system, Budget(max_states=285), options).verdict == "holds"
    found = explore(system, Budget(max_states=284), options)
    assert (found.verdict, found.states) == ("inconclusive", 284)
    assert found.stopped_by == "the budget of 284 states"
    assert found.frontier > 0


def test_a_budget_of_states_limits_what_is_stored_not_what_it_stands_for() -> None:
    found = explore(SOME.system(), Budget(max_states=1000))
    assert (found.verdict, found.orbits) == ("inconclusive", 1000)
    assert found.states > 5000


def test_a_budget_of_seconds_ends_the_exploration() -> None:
    now = 0.0

    def wait(found: Figures) -> None:
        nonlocal now
        now += 1

    deadline = Deadline(2, clock=lambda: now)
    found = explore(SOME.system(), Budget(deadline=deadline), on_progress=wait)
    assert (found.verdict, found.stopped_by) == ("inconclusive", "the budget of 2 seconds")
    assert 0 < found.states < 179_727
    assert found.frontier > 0


def test_a_budget_of_memory_ends_the_exploration() -> None:
    found = explore(SOME.system(), Budget(max_memory=2**20))
    assert found.verdict == "inconclusive"
    assert found.stopped_by == "the budget of 0.000977 GiB of memory"
    assert 0 < found.states < 179_727


def test_an_interrupt_ends_the_exploration_with_what_was_found() -> None:
    def interrupt(found: Figures) -> None:
        if found.states > 100:
            raise KeyboardInterrupt

    found = explore(SOME.system(), on_progress=interrupt)
    assert (found.verdict, found.stopped_by) == ("inconclusive", "an interrupt")
    assert 100 < found.states < 179_727
    assert found.frontier > 0


def test_an_interrupt_before_there_is_anything_to_report_leaves_a_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(_search: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "_store_initial", interrupt)
    found = explore(SOME.system())
    assert (found.verdict, found.stopped_by, found.states) == ("inconclusive", "an interrupt", 0)


def test_a_violation_found_before_the_budget_ran_out_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken_cores.forget_vote_in_restart(monkeypatch)
    found = explore(SOME.system(), Budget(max_states=20), Options(symmetry=False))
    assert found.verdict == "violated"
