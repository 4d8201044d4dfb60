"""The same system explored by both explorers, and what of their reports has to be equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, cast

import pytest

from model_check.contracts import ContractError
from model_check.counterexample import replay
from model_check.engine import explorer
from model_check.engine.explorer import Options
from model_check.explore import UNLIMITED, Budget, Exploration, explore
from model_check.interned import InternedSystem
from model_check.system import M, Q, State, System
from spec.forms import E, H, O, Property, Renaming, S


class Summary(NamedTuple):
    """What an exploration says, whoever explored, and however."""

    verdict: str
    states: int
    transitions: int
    depth: int
    reached: dict[str, int]
    violated: str | None
    actions: int


def summary(found: Exploration[E, M]) -> Summary:
    return Summary(
        found.verdict,
        found.states,
        found.transitions,
        found.depth,
        found.reached,
        None if found.violation is None else found.violation.property,
        len(found.actions),
    )


def named(properties: tuple[Property, ...]) -> str:
    """How a test with these properties is called."""
    return ", ".join(item.name for item in properties) or "no properties"


def by_reference(system: System[S, E, O, M, Q, H], budget: Budget = UNLIMITED) -> Exploration[E, M]:
    interned = InternedSystem(system)
    found = explore(interned, budget)
    translated = cast("Exploration[E, M]", found)
    actions = [interned.original(action) for action in found.actions]
    return replace(translated, actions=actions, core_calls=interned.core_calls)


def compiled(
    system: System[S, E, O, M, Q, H], *, workers: int = 1, symmetry: bool | None = None
) -> Exploration[E, M]:
    return explorer.explore(system, UNLIMITED, Options(workers=workers, symmetry=symmetry))


def assert_replays(system: System[S, E, O, M, Q, H], found: Exploration[E, M]) -> None:
    """The run that was found leads, in the system itself, to the violation that was found."""
    replayed = replay(system, found.actions)
    assert replayed.not_enabled is None
    assert [moment.action for moment in replayed.moments] == found.actions
    assert replayed.violation == found.violation


def all_states(system: System[S, E, O, M, Q, H]) -> set[State[S, Q, H]]:
    """Every state of a system in which nothing is violated."""
    states = {system.initial()}
    found = explore(system, record=lambda before, action, after: states.add(after))
    assert found.verdict == "holds"
    return states


def orbits(system: System[S, E, O, M, Q, H]) -> int:
    """How many states differ in more than names; by definition, and slowly."""
    left, count = all_states(system), 0
    while left:
        state = left.pop()
        left -= {renamed(system, state, names) for names in system.node.renamings()}
        count += 1
    return count


def renamed(
    system: System[S, E, O, M, Q, H], state: State[S, Q, H], names: Renaming
) -> State[S, Q, H]:
    """The whole world under other names."""
    node, network = system.node, system.network
    places = [names.nodes.index(number) for number in range(1, node.count + 1)]
    return State(
        tuple(node.rename(state.nodes[place], names) for place in places),
        tuple(
            network.rename(
                state.in_flight[place], lambda message: node.rename(message, names), names.node
            )
            for place in places
        ),
        system.watch.rename(state.memory, names),
    )


def both_find_the_same(
    system: System[S, E, O, M, Q, H], *, symmetry: bool | None = None
) -> Exploration[E, M]:
    """What the compiled explorer finds, which is what the reference explorer finds."""
    expected = by_reference(system)
    assert summary(explore(system)) == summary(expected)
    found = compiled(system, symmetry=symmetry)
    assert summary(found) == summary(compiled(system, workers=2, symmetry=symmetry))
    assert summary(found) == summary(expected)
    if found.violation is not None:
        assert_replays(system, found)
    return found


def both_refuse(system: Callable[[], System[S, E, O, M, Q, H]], complaint: str) -> None:
    """A system that no explorer explores."""
    for found in (explore, by_reference, compiled):
        with pytest.raises(ContractError, match=complaint):
            found(system())
