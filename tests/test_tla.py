"""TLC explores `spec/raft.tla`, and finds as many states as our explorers do."""

from __future__ import annotations

from importlib.resources import files

import pytest

from model_check.check import Means, Setup, check
from model_check.raft import Bounds
from model_check.tlc import INVARIANTS, TlcMissing, configuration, run_tlc

CONFIGURATIONS = [
    Setup(bounds=Bounds(servers=1, max_term=2, max_log=2, restarts=True), properties=()),
    Setup(bounds=Bounds(servers=2, max_term=2, values=1, restarts=True), properties=()),
    Setup(bounds=Bounds(servers=2, max_log=3, values=1, max_entries=2), properties=()),
    Setup(bounds=Bounds(servers=2, max_term=2, max_log=2, values=1), properties=()),
    Setup(
        bounds=Bounds(servers=2, max_term=2, max_log=2, values=1, conflict_hints=True),
        properties=(),
    ),
    Setup(bounds=Bounds(servers=2, max_log=3, values=1, window=2), properties=()),
    Setup(
        bounds=Bounds(servers=2, max_log=3, values=1, window=3, conflict_hints=True), properties=()
    ),
    Setup(bounds=Bounds(), properties=()),
    Setup(bounds=Bounds(max_log=0, restarts=True), properties=()),
    Setup(bounds=Bounds(servers=2, restarts=True), network="once", properties=()),
    Setup(bounds=Bounds(max_log=0), network="once", properties=()),
    Setup(bounds=Bounds(servers=2, restarts=True), network="fifo", properties=()),
    Setup(
        bounds=Bounds(servers=2, max_term=2, max_log=0),
        network="fifo",
        max_in_flight=1,
        loss=False,
        properties=(),
    ),
]


def describe(setup: Setup) -> str:
    return f"{setup.network}-{'-'.join(str(value) for value in setup.described_bounds().values())}"


@pytest.mark.tlc
@pytest.mark.parametrize("setup", CONFIGURATIONS, ids=describe)
def test_tlc_finds_as_many_states_and_transitions(setup: Setup) -> None:
    try:
        found = run_tlc(setup, workers=1)  # several report a depth that is not quite exact
    except TlcMissing as missing:
        pytest.skip(str(missing))
    ours = check(setup, means=Means(symmetry=False)).exploration
    assert (found.states, found.transitions, found.depth) == (
        ours.states,
        ours.transitions,
        ours.depth,
    )


def test_the_configuration_beside_the_specification_is_that_of_a_plain_check() -> None:
    beside = files("spec").joinpath("raft.cfg").read_text("utf-8")
    ours = configuration(Setup(bounds=Bounds()))
    assert beside.splitlines()[1:] == ours.splitlines()


def test_every_invariant_is_in_the_specification() -> None:
    specification = files("spec").joinpath("raft.tla").read_text("utf-8")
    assert all(f"\n{name} ==\n" in specification for name in INVARIANTS)


def test_bounds_that_it_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="knows nothing of limits"):
        configuration(Setup(bounds=Bounds(max_restarts=1, restarts=True)))
