"""Both explorers find the same in systems that are nothing in particular."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from model_check.engine.explorer import Options, explore
from model_check.explore import UNLIMITED, Beam, Budget
from model_check.network import Fifo, Once, Replayable
from model_check.system import Network, System
from model_check.watch import Memory, PropertyWatch
from spec.forms import Property
from tests.engines import assert_replays, by_reference, compiled, named, summary
from tests.random_worlds import (
    Correspondents,
    Dice,
    NoSuchHistory,
    NoSuchStep,
    NotAllAt,
    NotTogether,
    Peers,
    Retirees,
    World,
    worlds,
)
from tests.toys import Absentminded, NeverAtTen, NeverAtThree, Reminder

SMALL_ENOUGH = Budget(max_states=3000)


LARGE_AT_ONCE = World(
    Correspondents(
        Dice(176515),
        nodes=3,
        levels=3,
        events_at_once=2,
        kinds=2,
        most_letters=2,
        failures=0,
        has_restarts=False,
    ),
    "replayable",
    (NotTogether, NotAllAt, NoSuchStep, NoSuchHistory),
    2,
    (),
)
"""Whose inboxes grow by more than expected while what they lead to is found out."""


@given(worlds(), st.integers(1, 3))
@example(LARGE_AT_ONCE, 2)
@settings(max_examples=150)
def test_both_explorers_find_the_same_in_any_world(world: World, workers: int) -> None:
    system = world.system()
    expected = by_reference(system, SMALL_ENOUGH)
    assume(expected.verdict != "inconclusive")
    found = compiled(system, workers=workers)
    assert summary(found) == summary(expected)
    if found.violation is not None:
        assert_replays(system, found)


@pytest.mark.slow
@given(worlds(of=Peers), st.integers(1, 2))
@settings(max_examples=150)
def test_symmetry_changes_nothing_in_any_world_of_peers(world: World, workers: int) -> None:
    system = world.system()
    expected = by_reference(system, SMALL_ENOUGH)
    assume(expected.verdict != "inconclusive")
    found = compiled(system, workers=workers)
    assert summary(found) == summary(expected)
    assert not found.notes
    assert found.orbits <= found.states
    if found.violation is not None:
        assert_replays(system, found)


@pytest.mark.slow
@given(worlds(networks=("replayable",), of=Retirees), st.booleans())
@settings(max_examples=150)
def test_forgetting_what_is_outdated_changes_no_verdict_in_any_world(
    world: World, eager: bool
) -> None:
    # A limit, or a property of steps, may care for a step that does nothing.
    forms = tuple(form for form in world.forms if form is not NoSuchStep)
    system = replace(world, forms=forms, limits=()).system()
    expected = by_reference(system, SMALL_ENOUGH)
    assume(expected.verdict != "inconclusive")
    found = explore(system, UNLIMITED, Options(workers=1, eager=eager, forget=True))
    assert not found.notes
    assert found.verdict == expected.verdict
    assert found.states <= expected.states or found.violation is not None
    if found.violation is None:
        assert found.reached.keys() == expected.reached.keys()
    else:
        assert_replays(system, found)


# --- messages to oneself -----------------------------------------------------------------------

SELF_NETWORKS: dict[str, Network[Reminder, Hashable]] = {
    name: cast("Network[Reminder, Hashable]", network)
    for name, network in {
        "replayable": Replayable(),
        "once": Once(),
        "fifo": Fifo(capacity=2),
        "fifo without loss": Fifo(capacity=2, loss=False),
    }.items()
}


def reminded(
    nodes: int, network: str, *properties: Property
) -> System[int, str | Reminder, str, Reminder, Hashable, Memory]:
    watch: PropertyWatch[int, str | Reminder, str, Reminder] = PropertyWatch(properties)
    return System(Absentminded(nodes), SELF_NETWORKS[network], watch)


@pytest.mark.parametrize("properties", [(), (NeverAtTen(),), (NeverAtThree(),)], ids=named)
@pytest.mark.parametrize("network", SELF_NETWORKS)
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_messages_to_oneself_are_explored_right(
    nodes: int, network: str, properties: tuple[Property, ...]
) -> None:
    system = reminded(nodes, network, *properties)
    expected = by_reference(system)
    for workers, symmetry in ((1, False), (2, nodes > 1)):
        found = compiled(system, workers=workers, symmetry=symmetry)
        assert summary(found) == summary(expected)
        if found.violation is not None:
            assert_replays(system, found)
    wide = explore(system, UNLIMITED, Options(workers=2, symmetry=False, beam=Beam(width=10**6)))
    assert summary(wide) == summary(expected)
    if network == "replayable":
        for eager, forget in ((True, False), (False, True), (True, True)):
            reduced = explore(system, UNLIMITED, Options(workers=1, eager=eager, forget=forget))
            assert reduced.verdict == expected.verdict


def test_a_message_to_oneself_that_arrives_third_is_seen() -> None:
    """The figures of the reference explorer, which are those of the definition."""
    found = compiled(reminded(2, "fifo without loss", NeverAtTen()))
    assert summary(found)[:4] == ("violated", 8, 12, 3)
    whole = compiled(reminded(2, "fifo without loss"))
    assert summary(whole)[:4] == ("holds", 16, 24, 6)
    alone = compiled(reminded(1, "replayable"))
    assert summary(alone)[:4] == ("holds", 7, 13, 4)


@pytest.mark.slow
@given(worlds(networks=("replayable",)) | worlds(networks=("replayable",), of=Peers))
@settings(max_examples=150)
def test_eager_sends_change_no_verdict_in_any_world(world: World) -> None:
    system = world.system()
    expected = by_reference(system, SMALL_ENOUGH)
    assume(expected.verdict != "inconclusive")
    found = explore(system, UNLIMITED, Options(workers=1, eager=True))
    assert found.verdict == expected.verdict
    if found.violation is None:
        assert found.reached.keys() == expected.reached.keys()
    else:
        assert_replays(system, found)
