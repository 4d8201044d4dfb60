"""Both explorers find the same in systems that are nothing in particular."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from model_check.engine.explorer import Options, explore
from model_check.explore import UNLIMITED, Budget
from model_check.system import Outcome, T
from spec.forms import Renaming
from tests.engines import assert_replays, by_reference, compiled, summary
from tests.random_worlds import (
    LABELS,
    Correspondents,
    Dice,
    Label,
    Letter,
    LetterEvent,
    Level,
    NoSuchHistory,
    NoSuchStep,
    NotAllAt,
    NotTogether,
    World,
    worlds,
)

SMALL_ENOUGH = Budget(max_states=3000)


class Peers(Correspondents):
    """Nodes that all do the same: what they do is said to everyone else, or to who asked."""

    def initial(self, node: int) -> Level:
        return 0

    def events(self, node: int, state: Level) -> Iterator[int]:
        return super().events(0, state)

    def step(self, node: int, state: Level, event: LetterEvent) -> Outcome[Level, Label, Letter]:
        asked_by = event.source if isinstance(event, Letter) else None
        case = state, event.kind if isinstance(event, Letter) else event, asked_by is None
        others = [other for other in range(1, self.nodes + 1) if other != node]
        if asked_by is not None and self.dice.says(50, "only who asked", case):
            others = [asked_by]
        kinds = range(self.dice.roll(self.most_letters + 1, "letters", case))
        return Outcome(
            self.dice.roll(self.levels, "after", case),
            (self.dice.roll(LABELS, "label", case),),
            tuple(
                Letter(node, other, self.dice.roll(self.kinds, "kind", case, kind))
                for other in others
                for kind in kinds
            ),
        )

    def renamings(self) -> Iterator[Renaming]:
        return Renaming.all_of(self.nodes)

    def rename(self, value: T, renaming: Renaming) -> T:
        if not isinstance(value, Letter):
            return value
        source, destination = renaming.node(value.source), renaming.node(value.destination)
        return cast(T, Letter(source, destination, value.kind))


@st.composite
def peer_worlds(draw: st.DrawFn) -> World:
    world = draw(worlds())
    fields = world.node
    node = Peers(
        fields.dice,
        fields.nodes,
        fields.levels,
        fields.events_at_once,
        fields.kinds,
        fields.most_letters,
        0,
        fields.has_restarts,
    )
    forms = draw(st.lists(st.sampled_from([NoSuchStep, NotTogether, NoSuchHistory]), unique=True))
    return World(node, world.network, tuple(forms), world.suspicion, world.limits)


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
@given(peer_worlds(), st.integers(1, 2))
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
@given(worlds(networks=("replayable",)) | peer_worlds())
@settings(max_examples=150)
def test_eager_sends_change_no_verdict_in_any_world(world: World) -> None:
    assume(world.network == "replayable")
    system = world.system()
    expected = by_reference(system, SMALL_ENOUGH)
    assume(expected.verdict != "inconclusive")
    found = explore(system, UNLIMITED, Options(workers=1, eager=True))
    assert found.verdict == expected.verdict
    if found.violation is None:
        assert found.reached.keys() == expected.reached.keys()
    else:
        assert_replays(system, found)
