"""Eager sends, and forgetting what is outdated: the same verdict from far fewer states."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest

from model_check.check import CheckResult, Means, Setup, check
from model_check.counterexample import replay, shorten
from model_check.engine.explorer import Options, explore
from model_check.explore import UNLIMITED, MistakenClaim
from model_check.raft import Bounds, RaftAction, RaftSystem
from model_check.system import Action, Occur, State
from model_check.watch import Memory
from raft_ref import ElectionTimeout, NodeState
from tests import broken_cores
from tests.engines import all_states
from tests.toys import Counters, FewTicks, NeverBothAtTwo, Ping, counters

Break = Callable[[pytest.MonkeyPatch], None]

PLAIN = Means(engine="compiled")
EAGER = Means(engine="compiled", eager=True)
FORGET = Means(engine="compiled", forget=True)
BOTH = Means(engine="compiled", eager=True, forget=True)
REDUCED = {"eager": EAGER, "forget": FORGET, "both": BOTH}

BOUNDS = [
    Bounds(servers=1, max_term=2, max_log=2, restarts=True),
    Bounds(servers=2, max_term=2, max_log=1, restarts=True),
    Bounds(servers=2, max_term=1, max_log=3, max_entries=2),
    Bounds(servers=2, max_term=3, max_log=1, values=1),
    Bounds(servers=3, max_term=1, max_log=1, restarts=True),
    Bounds(servers=3, max_term=2, max_log=0),
    Bounds(servers=3, max_term=1, max_log=2, values=1),
    Bounds(servers=4, max_term=1, max_log=0),
]


@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_what_holds_holds_in_a_reduced_space_and_nothing_that_can_happen_is_missed(
    bounds: Bounds, reduction: str
) -> None:
    plain = check(Setup(bounds=bounds), UNLIMITED, PLAIN).exploration
    found = check(Setup(bounds=bounds), UNLIMITED, REDUCED[reduction]).exploration
    assert plain.verdict == found.verdict == "holds"
    assert plain.reached.keys() - {"stale_message"} == found.reached.keys() - {"stale_message"}
    # Every local step of any server occurs in both: what was left out is only when. That nothing is
    # done by what is forgotten is seen in all states that a server comes to, under any names.
    assert plain.core_calls <= found.core_calls
    assert reduction != "eager" or plain.core_calls == found.core_calls
    assert found.is_reduced
    assert found.orbits <= plain.orbits


@pytest.mark.parametrize(("reduction", "times"), [("eager", 18), ("forget", 24), ("both", 30)])
def test_it_pays(reduction: str, times: int) -> None:
    setup = Setup(bounds=Bounds(restarts=True))
    plain = check(setup, UNLIMITED, PLAIN).exploration
    found = check(setup, UNLIMITED, REDUCED[reduction]).exploration
    assert times * found.states < plain.states


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(servers=1, max_term=2, max_log=2, restarts=True),
        Bounds(servers=2, restarts=True),
        Bounds(servers=2, max_term=2, max_log=0, restarts=True),
        Bounds(servers=3, max_log=0),
    ],
    ids=str,
)
def test_forgetting_leaves_one_of_all_states_that_differ_in_what_is_outdated(
    bounds: Bounds,
) -> None:
    system = Setup(bounds=bounds).system()
    images = {without_outdated(system, state) for state in all_states(system)}
    assert check(Setup(bounds=bounds), UNLIMITED, FORGET).exploration.states == len(images)


def without_outdated(
    system: RaftSystem, state: State[NodeState, Hashable, Memory]
) -> State[NodeState, Hashable, Memory]:
    kept = tuple(
        system.network.without(
            own,
            [
                message
                for message in system.network.messages(own)
                if system.node.is_outdated(state.nodes[message.destination - 1], message)
            ],
        )
        for own in state.in_flight
    )
    return state._replace(in_flight=kept)


class FullCounters(Counters):
    """Who claim that a ping does nothing to a counter that is full."""

    def is_outdated(self, state: int, message: Ping) -> bool:
        return state >= self.limit - 1 if self.broken_at == -1 else state == self.limit


def test_what_a_node_says_is_outdated_is_forgotten() -> None:
    options = Options(forget=True)
    plain, found = (
        explore(counters(node), UNLIMITED, options) for node in (Counters(), FullCounters())
    )
    assert plain.verdict == found.verdict == "holds"
    assert found.states < plain.states


@pytest.mark.parametrize(
    ("node", "complaint"),
    [
        (FullCounters(broken_at=-1), "is said to be outdated, and does something all the same"),
        (FullCounters(resets=True), "is said to be outdated, but not to 0, which that becomes"),
    ],
)
def test_a_mistaken_claim_is_found(node: FullCounters, complaint: str) -> None:
    with pytest.raises(MistakenClaim, match=complaint):
        explore(counters(node), UNLIMITED, Options(forget=True))


BROKEN: list[tuple[Break, Bounds]] = [
    (broken_cores.forget_vote_in_restart, Bounds(restarts=True)),
    (broken_cores.vote_regardless_of_log, Bounds(max_term=2, values=1)),
    (broken_cores.truncate_without_conflict, Bounds(servers=2, max_log=2, values=1)),
    (broken_cores.divide_by_zero_on_commit, Bounds()),
]


@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize(("break_core", "bounds"), BROKEN)
def test_what_is_violated_is_violated_in_a_reduced_space(
    monkeypatch: pytest.MonkeyPatch, break_core: Break, bounds: Bounds, reduction: str
) -> None:
    break_core(monkeypatch)
    setup = Setup(bounds=bounds)
    plain, found = (check(setup, UNLIMITED, means) for means in (PLAIN, REDUCED[reduction]))
    assert violated(found) == violated(plain)
    assert found.exploration.notes == [
        "the run to the violation needs each of its actions, but may not be the shortest"
    ]
    assert len(found.exploration.actions) >= len(plain.exploration.actions)


def violated(result: CheckResult) -> str:
    assert result.exploration.violation is not None
    return result.exploration.violation.property


@pytest.mark.parametrize("options", [Options(eager=True), Options(forget=True)], ids=str)
def test_a_network_that_forgets_what_it_delivers_knows_no_reductions(options: Options) -> None:
    system = Setup(bounds=Bounds(servers=2), network="once").system()
    with pytest.raises(ValueError, match="keeps what it delivers"):
        explore(system, UNLIMITED, options)


def test_a_run_is_shortened_until_every_action_is_needed() -> None:
    system = counters(Counters(count=2, limit=3, resets=True), FewTicks(), NeverBothAtTwo())
    detour: list[Action[str | Ping, Ping]]
    detour = [Occur(1, "tick"), Occur(2, "reset"), Occur(1, "reset")]
    actions = [*detour, *detour, *detour[:1]]
    run = shorten(system, actions, "FewTicks")
    assert [moment.action for moment in run.moments] == [
        Occur(1, "tick"),
        Occur(1, "tick"),
        Occur(1, "tick"),
    ]
    assert run.violation is not None
    assert run.violation.property == "FewTicks"


def test_a_run_that_cannot_be_shortened_stays() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        broken_cores.forget_vote_in_restart(monkeypatch)
        setup = Setup(bounds=Bounds(restarts=True))
        shortest = check(setup, UNLIMITED, PLAIN).exploration.actions
        run = shorten(setup.system(), shortest, "VoteOncePerTerm")
        assert [moment.action for moment in run.moments] == shortest
        longer: list[RaftAction] = [Occur(2, ElectionTimeout()), *shortest]
        assert replay(setup.system(), longer).violation is not None
        assert len(shorten(setup.system(), longer, "VoteOncePerTerm").moments) == len(shortest)
