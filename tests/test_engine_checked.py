"""What the compiled engine must look at, each by a small system in which nothing else shows it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple, TypeAlias, cast

import pytest

from model_check.counterexample import replay
from model_check.engine.explorer import Options
from model_check.engine.explorer import explore as explore_compiled
from model_check.explore import UNLIMITED, AsymmetryError, explore
from model_check.network import Once, Replayable
from model_check.system import Network, Node, Occur, Outcome, System
from model_check.watch import Memory, PropertyWatch
from spec.forms import (
    AtMost,
    GlobalProperty,
    HistoryProperty,
    PairProperty,
    Property,
    Renaming,
    Step,
    StepProperty,
)
from tests.engines import assert_replays, summary


class Note(NamedTuple):
    """A message."""

    source: int
    destination: int
    text: str


Happens: TypeAlias = "str | Note"
Scripted: TypeAlias = System[int, Happens, str, Note, Hashable, Memory]


Moves: TypeAlias = "dict[tuple[int, int, str], tuple[int, str]]"


class Script(Node[int, Happens, str, Note]):
    """Nodes that do as it is written: by node, state and event (or text), where that leads, and
    what it says to the other one."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves

    @property
    def count(self) -> int:
        return 2

    def initial(self, node: int) -> int:
        return 0

    def events(self, node: int, state: int) -> Iterator[str]:
        if (node, state, "go") in self._moves:
            yield "go"

    def step(self, node: int, state: int, event: Happens) -> Outcome[int, str, Note]:
        text = event.text if isinstance(event, Note) else event
        after, says = self._moves.get((node, state, text), (state, ""))
        return Outcome(after, (text,), (Note(node, 3 - node, says),) if says else ())

    def arrival(self, message: Note) -> tuple[int, Note]:
        return message.destination, message

    def sender(self, message: Note) -> int:
        return message.source

    def is_restart(self, event: Happens) -> bool:
        return False


class NotBoth(PairProperty[int, int]):
    """Node 1 is never at an even state while node 2 is at an odd one."""

    def view(self, state: int) -> int:
        return state % 2

    def violation(self, node: int, view: int, other: int, other_view: int) -> str | None:
        by_node = {node: view, other: other_view}
        return "not both" if (by_node[1], by_node[2]) == (0, 1) else None


class Never(HistoryProperty[int, Happens, str, int, int]):
    """Nobody says "stay" twice."""

    def initial(self) -> int:
        return 0

    def fact(self, step: Step[int, Happens, str]) -> int | None:
        return 1 if step.event == "go" and step.before == step.after else None

    def remember(self, memory: int, fact: int) -> int:
        return min(memory + fact, 2)

    def violation(self, memory: int) -> str | None:
        return "twice" if memory > 1 else None


def scripted(
    node: Script,
    *properties: Property,
    network: object = None,
    limits: tuple[AtMost[Happens], ...] = (),
) -> Scripted:
    watch: PropertyWatch[int, Happens, str, Note] = PropertyWatch(properties, (), limits)
    return System(node, cast("Network[Note, Hashable]", network or Replayable()), watch)


def assert_both_find(system: Scripted, violated: str) -> None:
    expected, found = explore(system), explore_compiled(system, UNLIMITED, Options(workers=1))
    assert expected.violation is not None
    assert expected.violation.property == violated
    assert summary(found) == summary(expected)
    assert_replays(system, found)


# --- pairs ---------------------------------------------------------------------------------------


def test_pairs_are_compared_when_a_node_returns_to_what_it_looked_like_before() -> None:
    """Node 2 becomes odd only while node 1 is, which then returns to even: its number was given
    before that of any other view."""
    node = Script({(1, 0, "go"): (1, "come"), (2, 0, "come"): (1, "came"), (1, 1, "came"): (2, "")})
    assert_both_find(scripted(node, NotBoth(), network=Once()), "NotBoth")


def test_pairs_are_compared_when_a_node_comes_to_look_new() -> None:
    assert_both_find(scripted(Script({(2, 0, "go"): (1, "")}), NotBoth()), "NotBoth")


def test_pairs_are_compared_with_those_who_stand_before_and_after() -> None:
    """By whichever of the two does the step."""
    node = Script({(1, 0, "go"): (1, "come"), (2, 0, "come"): (1, ""), (1, 1, "go"): (2, "")})
    assert_both_find(scripted(node, NotBoth(), network=Once()), "NotBoth")


class NeverAt(GlobalProperty[int]):
    """The nodes are never at these states together."""

    def __init__(self, *states: int) -> None:
        self._states = states

    def violation(self, states: tuple[int, ...]) -> str | None:
        return f"at {states}" if states == self._states else None


@pytest.mark.parametrize("states", [(1, 0), (2, 0)])
def test_every_state_is_looked_at_as_a_whole_the_last_one_too(states: tuple[int, int]) -> None:
    moves: Moves = {(1, 0, "go"): (1, ""), (1, 1, "go"): (2, "")}
    assert_both_find(scripted(Script(moves), NeverAt(*states)), "NeverAt")


# --- what is eager -------------------------------------------------------------------------------


def test_a_step_that_leaves_something_to_remember_is_not_eager() -> None:
    """It changes no node, and yet the state: to take it alone, and not to remember it, would lose
    what it breaks when it is taken again."""
    system = scripted(Script({(1, 0, "go"): (0, "")}), Never())
    found = explore_compiled(system, UNLIMITED, Options(workers=1, eager=True))
    assert found.violation is not None
    assert_replays(system, found)
    assert explore(system).violation == found.violation


class NeverGoes(StepProperty[int, Happens, str]):
    """Nobody ever goes."""

    def violation(self, step: Step[int, Happens, str]) -> str | None:
        return "goes" if step.event == "go" else None


@pytest.mark.parametrize("says", ["", "hello"])
def test_a_step_that_breaks_something_is_not_eager(says: str) -> None:
    """Though no node changes by it, and nothing of it is remembered."""
    system = scripted(Script({(1, 0, "go"): (0, says)}), NeverGoes())
    found = explore_compiled(system, UNLIMITED, Options(workers=1, eager=True))
    assert found.violation is not None
    assert_replays(system, found)


class EitherWay(Script):
    """Two events lead to the same."""

    def __init__(self, *ways: str) -> None:
        super().__init__({(1, 0, way): (1, "") for way in ways})
        self._ways = ways

    def events(self, node: int, state: int) -> Iterator[str]:
        yield from self._ways if (node, state) == (1, 0) else ()


@pytest.mark.parametrize("ways", [("walk", "go"), ("go", "walk")])
def test_of_steps_that_lead_to_the_same_one_may_break_something(ways: tuple[str, str]) -> None:
    assert_both_find(scripted(EitherWay(*ways), NeverGoes()), "NeverGoes")


# --- names ---------------------------------------------------------------------------------------


class Same(Script):
    """Two nodes that claim to be interchangeable, and are."""

    def renamings(self) -> Iterator[Renaming]:
        return Renaming.all_of(2)

    def rename(self, value: object, renaming: Renaming) -> object:  # type: ignore[override] # of any
        if not isinstance(value, Note):
            return value
        return Note(renaming.node(value.source), renaming.node(value.destination), value.text)


class Went(HistoryProperty[int, Happens, str, int, "frozenset[int]"]):
    """Remembers who went, and says rightly how that is renamed."""

    def initial(self) -> frozenset[int]:
        return frozenset()

    def fact(self, step: Step[int, Happens, str]) -> int | None:
        return step.node if step.event == "go" else None

    def remember(self, memory: frozenset[int], fact: int) -> frozenset[int]:
        return memory | {fact}

    def violation(self, memory: frozenset[int]) -> str | None:
        return None

    def rename(self, memory: frozenset[int], renaming: Renaming) -> frozenset[int]:
        return frozenset(map(renaming.node, memory))


class SecondNeverWent(Went):
    """Node 2 never went, but node 1 may: a property that means one node by its name."""

    def violation(self, memory: frozenset[int]) -> str | None:
        return "node 2 went" if memory == {2} else None


SAME: Moves = {(1, 0, "go"): (1, ""), (2, 0, "go"): (1, "")}


def test_a_memory_that_is_judged_otherwise_under_other_names_is_refused() -> None:
    system = scripted(Same(SAME), SecondNeverWent())
    with pytest.raises(AsymmetryError, match="judge what they remember otherwise"):
        explore_compiled(system, UNLIMITED, Options(workers=1, symmetry=True))
    assert explore_compiled(system).violation == explore(system).violation is not None


def test_a_memory_that_is_judged_the_same_under_other_names_is_not() -> None:
    system = scripted(Same(SAME), Went())
    found = explore_compiled(system, UNLIMITED, Options(workers=1, symmetry=True))
    assert (found.verdict, found.states) == ("holds", explore(system).states)
    assert found.orbits < found.states


# --- limits --------------------------------------------------------------------------------------


def at_most(name: str, most: int) -> AtMost[Happens]:
    return AtMost(name, most, lambda event: event == name)


FIRST, SECOND = at_most("go", 1), at_most("come", 1)
TWICE: Moves = {(1, 0, "go"): (1, ""), (1, 1, "go"): (2, ""), (1, 2, "go"): (3, "")}


@pytest.mark.parametrize("limits", [(FIRST,), (FIRST, SECOND), (SECOND, FIRST)])
def test_a_limit_holds_whichever_it_is(limits: tuple[AtMost[Happens], ...]) -> None:
    system = scripted(Script(TWICE), limits=limits)
    assert explore(system).states == explore_compiled(system).states == 2
    once: Occur[Happens] = Occur(1, "go")
    run = replay(system, [once, once])
    assert (len(run.moments), run.not_enabled) == (1, once)


def test_a_limit_once_passed_stays_passed() -> None:
    """Whatever happens after it: what came too often is not forgotten by its next time."""
    watch: PropertyWatch[int, Happens, str, Note] = PropertyWatch((), (), (FIRST, SECOND))
    go, come = (True, None), (None, True)
    memory = watch.initial()
    assert not watch.is_beyond(memory)
    memory = watch.remember(memory, go)
    assert not watch.is_beyond(memory)
    passed = watch.remember(memory, go)
    assert watch.is_beyond(passed)
    assert watch.is_beyond(watch.remember(passed, come))
    assert watch.is_beyond(watch.remember(passed, go))
    assert watch.is_beyond(watch.remember(watch.remember(memory, come), come))
