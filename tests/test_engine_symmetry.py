"""Symmetry: what it saves, that nothing is lost by it, and that a claim to it is not believed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest

from model_check.check import Setup
from model_check.engine.explorer import Options, explore
from model_check.engine.symmetry import Group
from model_check.explore import UNLIMITED, AsymmetryError
from model_check.explore import explore as explore_by_reference
from model_check.network import Replayable
from model_check.raft import Bounds
from model_check.system import Outcome, System, T
from model_check.watch import Memory, PropertyWatch
from spec.forms import HistoryProperty, Milestone, PairProperty, Property, Renaming, Step
from tests.engines import by_reference, compiled, orbits
from tests.toys import COUNTED, Counters, NeverAllAtTwo, Ping

SETUPS = [
    Setup(bounds=Bounds(servers=1, max_term=1, max_log=2)),
    Setup(bounds=Bounds(servers=2)),
    Setup(bounds=Bounds(servers=2, values=3)),
    Setup(bounds=Bounds(servers=2, max_term=2, max_log=0, restarts=True)),
    Setup(bounds=Bounds(servers=2, max_log=2, values=1)),
    Setup(bounds=Bounds(servers=3, max_log=0, restarts=True)),
    Setup(bounds=Bounds(servers=4, max_log=0)),
    Setup(bounds=Bounds(servers=2, restarts=True), network="once"),
    Setup(bounds=Bounds(servers=3, max_log=0), network="once"),
    Setup(bounds=Bounds(servers=2, restarts=True), network="fifo"),
    Setup(bounds=Bounds(servers=3, max_log=0), network="fifo", max_in_flight=1),
]


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_orbits_summed_are_all_states(setup: Setup) -> None:
    plain = compiled(setup.system(), symmetry=False)
    symmetric = compiled(setup.system(), symmetry=True)
    assert symmetric.states == plain.states == by_reference(setup.system()).states
    assert symmetric.transitions == plain.transitions
    assert symmetric.orbits < plain.orbits
    assert symmetric.renamings > 1


@pytest.mark.parametrize(
    "setup",
    [
        Setup(bounds=Bounds(servers=2)),
        Setup(bounds=Bounds(servers=3, max_log=0)),
        Setup(bounds=Bounds(servers=2), network="once"),
        Setup(bounds=Bounds(servers=2), network="fifo", max_in_flight=1),
    ],
    ids=str,
)
def test_as_many_orbits_are_stored_as_there_are(setup: Setup) -> None:
    assert compiled(setup.system(), symmetry=True).orbits == orbits(setup.system())


# --- a claim that is wrong ---------------------------------------------------------------------


class Twins(Counters):
    """Two counters that claim to be interchangeable, and are: each pings the other."""

    def renamings(self) -> Iterator[Renaming]:
        return Renaming.all_of(2)

    def rename(self, value: T, renaming: Renaming) -> T:
        if isinstance(value, Ping):
            source, destination = renaming.node(value.source), renaming.node(value.destination)
            return cast(T, Ping(source, destination, value.number))
        return value


class OneCountsDouble(Twins):
    """Node 1's step is another."""

    def step(self, node: int, state: int, event: str | Ping) -> Outcome[int, str, Ping]:
        outcome = super().step(node, state, event)
        return Outcome(2) if node == 1 and event == "tick" else outcome


class OneMayReset(Twins):
    """To node 1 other things can happen."""

    def events(self, node: int, state: int) -> Iterator[str]:
        yield from super().events(node, state)
        if node == 1:
            yield "reset"


class OneStartsAhead(Twins):
    """Node 1 starts in another state."""

    def initial(self, node: int) -> int:
        return int(node == 1)


class NoGroup(Twins):
    """Renamings that do not begin with the one that changes nothing."""

    def renamings(self) -> Iterator[Renaming]:
        return reversed(list(super().renamings()))


ToyStep = Step[int, str | Ping, str]


class OnesTicks(HistoryProperty[int, str | Ping, str, int, int]):
    """Remembers what node 1 did, without saying how that is renamed."""

    def initial(self) -> int:
        return 0

    def fact(self, step: ToyStep) -> int | None:
        return step.node if step.event == "tick" else None

    def remember(self, memory: int, fact: int) -> int:
        return max(memory, fact)

    def violation(self, memory: int) -> str | None:
        return None


class NeverFarApart(PairProperty[int, int]):
    """No node is five ahead of another."""

    def view(self, state: int) -> int:
        return state

    def violation(self, node: int, view: int, other: int, other_view: int) -> str | None:
        return "far apart" if abs(view - other_view) >= 5 else None


class OneIsNeverBehind(NeverFarApart):
    """Node 1 is never two behind node 2."""

    def violation(self, node: int, view: int, other: int, other_view: int) -> str | None:
        behind = other_view - view if node < other else view - other_view
        return "node 1 is behind" if behind >= 2 else None


ONE_COUNTED = Milestone[int, str | Ping, str](
    "one_counted", "node 1 counted", lambda step: step.node == 1 and step.after > step.before
)

ToySystem = System[int, str | Ping, str, Ping, tuple[Ping, ...], Memory]


def toy(
    node: Counters,
    *properties: Property,
    milestone: Milestone[int, str | Ping, str] = COUNTED,
) -> ToySystem:
    watch: PropertyWatch[int, str | Ping, str, Ping] = PropertyWatch(properties, [milestone])
    return System(node, Replayable(), watch)


ASYMMETRIC = [
    (toy(OneCountsDouble(count=2)), "node . in . does not do the same on tick"),
    (toy(OneMayReset(count=2)), "under other names, other events can happen"),
    (toy(OneStartsAhead(count=2)), "the nodes do not all start in the same state"),
    (toy(NoGroup(count=2)), "the first renaming must be the one that changes nothing"),
    (toy(Twins(count=2), OnesTicks()), "otherwise under other names|names mean something"),
    (toy(Twins(count=2), OneIsNeverBehind()), "compare .* otherwise under other names"),
    (toy(Twins(count=2), milestone=ONE_COUNTED), "node . in . does not do the same on"),
    (toy(Twins(count=2), NeverAllAtTwo()), "a property of all nodes at once may depend"),
    (toy(Counters(count=2)), "the system gives no renamings"),
]


@pytest.mark.parametrize(("system", "complaint"), ASYMMETRIC)
def test_what_is_not_symmetric_is_refused_or_explored_without(
    system: ToySystem, complaint: str
) -> None:
    with pytest.raises(AsymmetryError, match=complaint):
        explore(system, UNLIMITED, Options(symmetry=True))
    found, expected = explore(system), explore_by_reference(system)
    assert found.renamings == 1
    assert (found.verdict, found.states, found.transitions, found.depth, found.reached) == (
        expected.verdict,
        expected.states,
        expected.transitions,
        expected.depth,
        expected.reached,
    )
    is_claimed = bool(list(system.node.renamings()))
    assert any(note.startswith("explored without symmetry: ") for note in found.notes) == is_claimed
    is_slow = system.watch.has_global_properties
    assert any(note.endswith("state by state: that is slow") for note in found.notes) == is_slow


def test_what_is_symmetric_is_explored_so() -> None:
    system = toy(Twins(count=2, limit=3), NeverFarApart())
    found = explore(system, UNLIMITED, Options(symmetry=True))
    assert found.states == explore_by_reference(system).states
    assert found.orbits == orbits(system) < found.states


# --- groups ------------------------------------------------------------------------------------


def test_renamings_without_their_compositions_are_no_group() -> None:
    around = [Renaming((1, 2, 3)), Renaming((2, 3, 1))]
    with pytest.raises(AsymmetryError, match="all their compositions"):
        Group(3, around)
    assert len(Group(3, [*around, Renaming((3, 1, 2))])) == 3


def test_a_group_without_renamings_changes_nothing() -> None:
    group = Group(3)
    assert len(group) == 1
    assert group.origins.tolist() == [[0, 1, 2]]


def test_images_of_one_value_are_known_for_its_orbit() -> None:
    group = Group(3, Renaming.all_of(3))
    asked: list[int] = []

    def rename(node: int, renaming: int) -> int:
        asked.append(node)
        return group[renaming].node(node)

    images = group.images(rename)
    for node in (1, 2, 3):
        expected = [renaming.node(node) for renaming in group.renamings]
        assert images[node].tolist() == expected
    assert set(asked) == {1}
    with pytest.raises(AsymmetryError, match="different images"):
        images.enter([2, 2, 2, 2, 2, 2])
    assert images[3].dtype == np.int32


def test_the_reference_engine_needs_no_compiler() -> None:
    program = (
        "import sys, model_check.cli as cli\n"
        "assert cli.run(['check', '--servers', '1', '--engine', 'reference']) == 0\n"
        "assert 'numba' not in sys.modules"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
