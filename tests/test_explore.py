"""The explorer: its figures, its budgets, and that it finds what is there."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pytest

from model_check.check import NETWORK_NAMES, NetworkName, Setup
from model_check.deadline import Deadline
from model_check.explore import GLANCE, TICK, Budget, Exploration, explore
from model_check.interned import InternedSystem
from model_check.network import Once
from model_check.raft import Bounds, RaftNode, RaftSystem, raft_system
from model_check.system import Deliver, Occur, Violation
from raft_ref import (
    Config,
    Event,
    Follower,
    Message,
    NodeState,
    Receive,
    Restart,
    Send,
    replication,
    step,
)
from tests.toys import Counters, FewTicks, NeverBothAtTwo, NeverCountsDown, Ping, counters

TINY = Bounds(servers=2, max_term=1, max_log=1, values=1, restarts=True)


def figures(found: Exploration[Any, Any]) -> tuple[object, ...]:
    return found.verdict, found.states, found.transitions, found.depth, found.reached


def test_one_counter_has_as_many_states_as_numbers() -> None:
    found = explore(counters(Counters(count=1, limit=5)))
    assert figures(found) == ("holds", 6, 5, 5, {"counted": 1})
    assert found.frontier == 0


def test_an_action_that_changes_nothing_is_a_transition() -> None:
    found = explore(counters(Counters(count=1, limit=1, resets=True)))
    # At 0: tick, reset (nothing changes). At 1: reset.
    assert figures(found) == ("holds", 2, 3, 1, {"counted": 1})


def test_what_a_property_remembers_is_part_of_the_state() -> None:
    node = Counters(count=1, limit=1, resets=True)
    found = explore(counters(node, FewTicks()))
    # A third tick breaks the property: tick, reset, tick, reset, tick.
    assert found.violation == Violation("FewTicks", "3 ticks")
    assert found.depth == 5
    # Seen before: at 0 and at 1, having ticked never, once or twice, but not all six of these.
    assert found.states == 5


def test_two_counters_that_ping_each_other() -> None:
    # By hand: neither has counted (2 transitions); one has (2 each); both have, because one pinged
    # the other (1 each) or each ticked (2). A ping, once sent, may arrive again and again.
    found = explore(counters(Counters(count=2, limit=1)))
    assert figures(found) == ("holds", 6, 10, 2, {"counted": 1})


@pytest.mark.parametrize(
    ("node", "violation", "actions"),
    [
        (
            counters(Counters(count=1, resets=True), NeverCountsDown()),
            Violation("NeverCountsDown", "node 1 went from 1 to 0"),
            [Occur(1, "tick"), Occur(1, "reset")],
        ),
        (
            counters(Counters(count=1, broken_at=1)),
            Violation("Totality", "RuntimeError: cannot count beyond 1"),
            [Occur(1, "tick"), Occur(1, "tick")],
        ),
        (
            counters(Counters(count=2, limit=2), NeverBothAtTwo()),
            Violation("NeverBothAtTwo", "nodes 2 and 1 are at 2"),
            [
                Occur(1, "tick"),
                Occur(1, "tick"),
                Occur(2, "tick"),
                Occur(2, "tick"),
            ],
        ),
    ],
)
def test_a_counterexample_is_shortest(node: Any, violation: Violation, actions: object) -> None:
    found = explore(node)
    assert (found.verdict, found.violation) == ("violated", violation)
    assert found.actions == actions
    assert found.depth == len(found.actions)


def test_a_violation_of_the_initial_state_needs_no_action() -> None:
    class AtTwo(Counters):
        def initial(self, node: int) -> int:
            return 2

    found = explore(counters(AtTwo(), NeverBothAtTwo()))
    assert (found.verdict, found.depth, found.actions) == ("violated", 0, [])


def test_messages_of_once_arrive_once() -> None:
    found = explore(counters(Counters(count=2, limit=9), FewTicks(), network=Once[Ping]()))
    assert found.violation == Violation("FewTicks", "3 ticks")


def test_a_budget_of_exactly_the_states_there_are_suffices() -> None:
    system = counters(Counters(count=1, limit=5))
    assert explore(system, Budget(max_states=6)).verdict == "holds"
    found = explore(system, Budget(max_states=5))
    assert (found.verdict, found.states) == ("inconclusive", 5)
    assert found.stopped_by == "the budget of 5 states"
    assert found.frontier > 0


def test_a_budget_of_seconds_ends_the_exploration() -> None:
    system = InternedSystem(Setup(bounds=Bounds()).system())
    found = explore(system, Budget(deadline=Deadline(1e-6)))
    assert (found.verdict, found.stopped_by) == ("inconclusive", "the budget of 1e-06 seconds")
    assert found.transitions == GLANCE


def test_an_interrupt_ends_the_exploration_with_what_was_found() -> None:
    def interrupt(found: object) -> None:
        raise KeyboardInterrupt

    system = InternedSystem(Setup(bounds=Bounds()).system())
    found = explore(system, on_progress=interrupt)
    assert (found.verdict, found.stopped_by) == ("inconclusive", "an interrupt")
    assert found.transitions == TICK
    assert found.states > 1


def test_progress_tells_what_was_found_so_far() -> None:
    seen: list[tuple[int, int]] = []
    system = InternedSystem(Setup(bounds=Bounds(restarts=False, values=1)).system())
    found = explore(system, on_progress=lambda found: seen.append((found.states, found.frontier)))
    assert len(seen) == found.transitions // TICK
    assert all(0 < frontier < states <= found.states for states, frontier in seen)


# --- Raft ------------------------------------------------------------------------------------

CONFIGURATIONS = [
    Setup(bounds=bounds, network=network, max_in_flight=1)
    for network in NETWORK_NAMES
    for bounds in (
        TINY,
        Bounds(servers=1, max_term=3, max_log=2, restarts=True),
        Bounds(servers=2, max_term=2, max_log=0, restarts=True),
        Bounds(servers=2, max_term=1, max_log=2, values=1, max_entries=2),
        Bounds(servers=3, max_term=1, max_log=0),
    )
]


@pytest.mark.parametrize("setup", CONFIGURATIONS, ids=lambda s: f"{s.network}-{s.bounds}")
def test_numbers_for_values_change_nothing(setup: Setup) -> None:
    plain, interned = explore(setup.system()), explore(InternedSystem(setup.system()))
    assert figures(plain) == figures(interned)
    assert plain.verdict == "holds"


def naive_states(bounds: Bounds) -> int:
    """Counts the states of Raft on a replayable network, without any of `model_check`'s machinery.

    Written from the definition: a state is every server's state and the set of all messages sent.
    """
    servers = range(1, bounds.servers + 1)
    configs = {
        server: Config(id=server, servers=frozenset(servers), max_entries_per_append=1)
        for server in servers
    }
    environment = raft_system(RaftNode(bounds), Once()).node.events
    initial: tuple[dict[int, NodeState], frozenset[Message]] = (
        {server: NodeState() for server in servers},
        frozenset(),
    )

    def key(world: tuple[dict[int, NodeState], frozenset[Message]]) -> Hashable:
        return tuple(sorted(world[0].items(), key=lambda item: item[0])), world[1]

    seen = {key(initial)}
    todo = [initial]
    while todo:
        states, sent = todo.pop()
        choices: list[tuple[int, Event]] = [
            (server, event) for server in servers for event in environment(server, states[server])
        ]
        choices += [(message.destination, Receive(message)) for message in sent]
        for server, event in choices:
            transition = step(configs[server], states[server], event)
            new = {output.message for output in transition.outputs if isinstance(output, Send)}
            world = (states | {server: transition.state}, sent | new)
            if key(world) not in seen:
                seen.add(key(world))
                todo.append(world)
    return len(seen)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bounds",
    [
        TINY,
        Bounds(servers=3, max_term=1, max_log=0, restarts=True),
        Bounds(servers=2, max_term=2, restarts=True),
    ],
)
def test_a_naive_search_finds_as_many_states(bounds: Bounds) -> None:
    system = Setup(bounds=bounds, properties=()).system()
    assert explore(InternedSystem(system)).states == naive_states(bounds)


def known(setup: Setup) -> tuple[int, int, int]:
    found = explore(InternedSystem(setup.system()))
    assert found.verdict == "holds"
    return found.states, found.transitions, found.depth


def test_one_term_one_entry_without_restarts_is_the_figure_others_got() -> None:
    """An independent explorer of the same system counted these states."""
    setup = Setup(bounds=Bounds(values=1))
    assert known(setup) == (20_369, 322_311, 18)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "figures"),
    [("replayable", (90_909, 1_653_489, 20)), ("fifo", (49_001, 447_489, 18))],
)
def test_one_term_one_entry_with_restarts(
    network: NetworkName, figures: tuple[int, int, int]
) -> None:
    """So that a change to the core that changes what can happen does not go unnoticed."""
    assert (
        known(Setup(bounds=Bounds(values=1, restarts=True), network=network, max_in_flight=1))
        == figures
    )


@pytest.mark.slow
def test_two_terms_without_entries_is_the_figure_others_got() -> None:
    setup = Setup(bounds=Bounds(max_term=2, max_log=0))
    assert known(setup)[0] == 1_279_461


@pytest.mark.slow
def test_once_is_the_figure_others_got_but_for_the_known_leader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The independent explorer's followers did not remember who leads."""

    def follow(state: NodeState, leader: int) -> NodeState:
        return replace(state, role=Follower())

    monkeypatch.setattr(replication, "follow", follow)
    setup = Setup(bounds=Bounds(values=1), network="once")
    assert known(setup) == (1_884_451, 15_798_390, 26)


def test_a_run_can_be_taken_again() -> None:
    """Every successor the explorer sees is what `System.take` says, lost messages included."""
    setup = Setup(bounds=TINY, network="fifo", max_in_flight=1)
    system: RaftSystem = setup.system()
    state = system.initial()
    for _ in range(6):
        successors = list(system.successors(state))
        for action, after, violation, reached in successors:
            assert system.take(state, action) == (after, violation, reached)
        state = successors[-1][1]


def test_an_action_that_is_not_enabled_cannot_be_taken() -> None:
    system = counters(Counters(count=2, limit=0))
    assert system.take(system.initial(), Occur(1, "tick")) is None
    assert system.take(system.initial(), Deliver(Ping(1, 2, 1))) is None


def test_restarts_are_always_possible_unless_they_are_excluded() -> None:
    for restarts in (True, False):
        node = raft_system(RaftNode(Bounds(restarts=restarts)), Once()).node
        assert (Restart() in list(node.events(1, NodeState()))) == restarts
