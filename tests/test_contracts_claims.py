"""What a node claims, of symmetry and of what may be left out: if it is wrong, that is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import pytest
from hypothesis import assume, given, settings

from model_check.engine import explorer
from model_check.engine.explorer import Options
from model_check.explore import UNLIMITED, AsymmetryError, Budget, MistakenClaim
from model_check.system import Outcome, T
from spec.forms import HistoryProperty, Property, Renaming, Step
from tests.engines import assert_replays, both_find_the_same, by_reference, compiled, summary
from tests.random_worlds import Misnamed, World, worlds
from tests.toys import Counters, NeverCountsDown, Ping, Undecided, counters

ToyEvent = str | Ping
ToyOutcome = Outcome[int, str, Ping]
ToyStep = Step[int, ToyEvent, str]

SMALL_ENOUGH = Budget(max_states=1500)


# --- renaming ----------------------------------------------------------------------------------


class Pair(Counters):
    """Two counters that are interchangeable, and say so."""

    def renamings(self) -> Iterable[Renaming]:
        return Renaming.all_of(2)

    def rename(self, value: T, renaming: Renaming) -> T:
        if not isinstance(value, Ping):
            return value
        source, destination = renaming.node(value.source), renaming.node(value.destination)
        return cast(T, Ping(source, destination, value.number))


def refused_or_explored_without(node: Counters, complaint: str, *properties: Property) -> None:
    system = counters(node, *properties)
    with pytest.raises(AsymmetryError, match=complaint):
        compiled(system, symmetry=True)
    found = both_find_the_same(system)
    assert found.renamings == 1


@pytest.mark.parametrize(
    ("renamings", "complaint"),
    [
        ([(1, 2), (1, 1)], "gives two the same name"),
        ([(1, 2), (2, 3)], "gives two the same name"),
        ([(1, 2), (2,)], "gives two the same name"),
        ([(1, 2), (2, 1), (2, 1)], "no renaming may be given twice"),
        ([(2, 1), (1, 2)], "the first renaming must be the one that changes nothing"),
    ],
)
def test_renamings_are_a_group(renamings: list[tuple[int, ...]], complaint: str) -> None:
    class Grouped(Pair):
        def renamings(self) -> Iterable[Renaming]:
            return map(Renaming, renamings)

    refused_or_explored_without(Grouped(), complaint)


def test_values_are_renamed_to_values() -> None:
    class Valued(Pair):
        def renamings(self) -> Iterable[Renaming]:
            return Renaming((1, 2), (("a", "a"),)), Renaming((2, 1), (("a", "b"),))

    refused_or_explored_without(Valued(), "gives two the same name, or one none")


class Renamer(Pair):
    """Renames otherwise."""

    def __init__(self, renamed: Callable[[object, Renaming], object]) -> None:
        super().__init__()
        self.renamed = renamed

    def rename(self, value: T, renaming: Renaming) -> T:
        return cast(T, self.renamed(super().rename(value, renaming), renaming))


def _raises(value: object, renaming: Renaming) -> object:
    raise LookupError("no such name")


def _changes_all(value: object, renaming: Renaming) -> object:
    return value + 1 if isinstance(value, int) else value


def _makes_one_ping_of_all(value: object, renaming: Renaming) -> object:
    return Ping(1, 2, 9) if isinstance(value, Ping) else value


def _counts_on(value: object, renaming: Renaming) -> object:
    return value + renaming.nodes[0] - 1 if isinstance(value, int) else value


@pytest.mark.parametrize(
    ("renamed", "complaint"),
    [
        (_raises, "0 cannot be renamed: LookupError: no such name"),
        (_changes_all, "the renaming that changes nothing changes a value"),
        (_makes_one_ping_of_all, "the renaming that changes nothing changes a value"),
        (_counts_on, "the nodes do not all start in the same state"),
    ],
)
def test_a_wrong_renaming_is_found(
    renamed: Callable[[object, Renaming], object], complaint: str
) -> None:
    refused_or_explored_without(Renamer(renamed), complaint)


class TwoEvents(Pair):
    """Node 2 has an event that node 1 has not; both of node 1's are said to be the other one."""

    def events(self, node: int, state: int) -> Iterator[str]:
        if state == 0:
            yield from ("tick", "tock" if node == 1 else "jump")

    def step(self, node: int, state: int, event: ToyEvent) -> ToyOutcome:
        return Outcome(2) if event == "jump" else Outcome(max(state, 1))

    def rename(self, value: T, renaming: Renaming) -> T:
        return cast(T, "tick") if value == "tock" else super().rename(value, renaming)


class OnlyOneDoes(Pair):
    """Node 1 never does what it could."""

    def outcomes(self, node: int, state: int, event: ToyEvent) -> tuple[ToyOutcome, ...]:
        return () if node == 1 and event == "tick" else super().outcomes(node, state, event)


@pytest.mark.parametrize(
    ("node", "complaint"),
    [
        (TwoEvents(), "cannot be renamed|other events can happen|changes nothing changes"),
        (OnlyOneDoes(), "node 1 in 0 does not do the same on tick if the nodes are called"),
    ],
)
def test_an_event_that_another_renaming_hides_is_found(node: Counters, complaint: str) -> None:
    refused_or_explored_without(node, complaint)


@pytest.mark.slow
@given(worlds(of=Misnamed))
@settings(max_examples=100)
def test_in_any_world_a_wrong_renaming_is_found_or_does_not_matter(world: World) -> None:
    system = world.system()
    expected = by_reference(system, SMALL_ENOUGH)
    assume(expected.verdict != "inconclusive")
    found = compiled(system)
    assert summary(found) == summary(expected)
    if found.violation is not None:
        assert_replays(system, found)


class Labels(HistoryProperty[int, ToyEvent, str, tuple[int, str], frozenset[tuple[int, str]]]):
    """Remembers who said what."""

    def initial(self) -> frozenset[tuple[int, str]]:
        return frozenset()

    def fact(self, step: ToyStep) -> tuple[int, str] | None:
        return (step.node, step.outputs[0]) if step.outputs else None

    def remember(
        self, memory: frozenset[tuple[int, str]], fact: tuple[int, str]
    ) -> frozenset[tuple[int, str]]:
        return memory | {fact}

    def violation(self, memory: frozenset[tuple[int, str]]) -> str | None:
        return None

    def rename(
        self, memory: frozenset[tuple[int, str]], renaming: Renaming
    ) -> frozenset[tuple[int, str]]:
        return frozenset((renaming.node(node), said) for node, said in memory)


class UndecidedPair(Pair, Undecided):
    """Whose two ways to do nothing are told apart by what they say."""

    labels = "one", "other"


class PartialPair(UndecidedPair):
    """Node 2 says one of them only."""

    def outcomes(self, node: int, state: int, event: ToyEvent) -> tuple[ToyOutcome, ...]:
        first, one, other = super().outcomes(node, state, event)
        return first, one, one if node == 2 else other


def test_outcomes_may_differ_in_a_fact_alone() -> None:
    found = compiled(counters(UndecidedPair(), Labels()), symmetry=True)
    assert found.orbits < found.states
    both_find_the_same(counters(UndecidedPair(), Labels()), symmetry=True)
    refused_or_explored_without(PartialPair(), "otherwise under other names|different", Labels())


# --- claims that make spaces smaller -----------------------------------------------------------


class Rounds(Counters):
    """Goes round in ``limit`` states that are claimed to differ in nothing, and may leave them."""

    def __init__(self, limit: int, is_known: Callable[[int, int], bool]) -> None:
        super().__init__(count=1, limit=limit)
        self.is_known = is_known

    def events(self, node: int, state: int) -> Iterator[str]:
        if state < self.limit:
            yield from ("turn", "leave")

    def step(self, node: int, state: int, event: ToyEvent) -> ToyOutcome:
        return Outcome(self.limit if event == "leave" else (state + 1) % self.limit)

    def simulates(self, state: int, other: int) -> bool:
        return state == other or (max(state, other) < self.limit and self.is_known(state, other))


class NeverLeaves(NeverCountsDown):
    """No node comes to 3."""

    def violation(self, step: ToyStep) -> str | None:
        return "left" if step.after == 3 else None


def test_states_that_simulate_each_other_hide_nothing() -> None:
    system = counters(Rounds(3, lambda state, other: True), NeverLeaves())
    assert explorer.explore(system, UNLIMITED, Options(eager=True)).verdict == "violated"


def test_claims_that_go_round_in_a_circle_are_found() -> None:
    system = counters(Rounds(3, lambda state, other: state == (other + 1) % 3), NeverLeaves())
    with pytest.raises(MistakenClaim, match="what simulates must be transitive"):
        explorer.explore(system, UNLIMITED, Options(eager=True))
    assert compiled(system).verdict == "violated"


def test_a_message_that_does_not_arrive_is_outdated() -> None:
    class Deaf(Counters):
        def outcomes(self, node: int, state: int, event: ToyEvent) -> tuple[ToyOutcome, ...]:
            return () if isinstance(event, Ping) else super().outcomes(node, state, event)

        def is_outdated(self, state: int, message: Ping) -> bool:
            return True

    plain = compiled(counters(Deaf()))
    found = explorer.explore(counters(Deaf()), UNLIMITED, Options(forget=True))
    assert (found.verdict, found.states) == (plain.verdict, 9)
    assert plain.states == 9
