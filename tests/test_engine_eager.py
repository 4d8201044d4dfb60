"""Eager sends: the same verdict from far fewer states."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from model_check.check import CheckResult, Means, Setup, check
from model_check.counterexample import replay, shorten
from model_check.engine.explorer import Options, explore
from model_check.explore import UNLIMITED
from model_check.raft import Bounds, RaftAction
from model_check.system import Action, Occur
from raft_ref import ElectionTimeout
from tests import broken_cores
from tests.toys import Counters, FewTicks, NeverBothAtTwo, Ping, counters

Break = Callable[[pytest.MonkeyPatch], None]

EAGER = Means(engine="compiled", eager=True)
PLAIN = Means(engine="compiled")

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


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_what_holds_holds_with_eager_sends_and_nothing_that_can_happen_is_missed(
    bounds: Bounds,
) -> None:
    plain = check(Setup(bounds=bounds), UNLIMITED, PLAIN).exploration
    eager = check(Setup(bounds=bounds), UNLIMITED, EAGER).exploration
    assert plain.verdict == eager.verdict == "holds"
    assert plain.reached.keys() == eager.reached.keys()
    # Every local step of any server occurs in both: what was left out is only when.
    assert plain.core_calls == eager.core_calls
    assert eager.is_reduced
    assert eager.orbits <= plain.orbits


def test_it_pays() -> None:
    setup = Setup(bounds=Bounds(restarts=True))
    plain = check(setup, UNLIMITED, PLAIN).exploration
    eager = check(setup, UNLIMITED, EAGER).exploration
    assert 10 * eager.states < plain.states


BROKEN: list[tuple[Break, Bounds]] = [
    (broken_cores.forget_vote_in_restart, Bounds(restarts=True)),
    (broken_cores.vote_regardless_of_log, Bounds(max_term=2, values=1)),
    (broken_cores.truncate_without_conflict, Bounds(servers=2, max_log=2, values=1)),
    (broken_cores.divide_by_zero_on_commit, Bounds()),
]


@pytest.mark.parametrize(("break_core", "bounds"), BROKEN)
def test_what_is_violated_is_violated_with_eager_sends(
    monkeypatch: pytest.MonkeyPatch, break_core: Break, bounds: Bounds
) -> None:
    break_core(monkeypatch)
    plain, eager = (check(Setup(bounds=bounds), UNLIMITED, means) for means in (PLAIN, EAGER))
    assert violated(eager) == violated(plain)
    assert eager.exploration.notes == [
        "the run to the violation may not be the shortest, with eager sends"
    ]
    assert len(eager.exploration.actions) >= len(plain.exploration.actions)


def violated(result: CheckResult) -> str:
    assert result.exploration.violation is not None
    return result.exploration.violation.property


def test_a_network_that_forgets_what_it_delivers_knows_no_eager_sends() -> None:
    system = Setup(bounds=Bounds(servers=2), network="once").system()
    with pytest.raises(ValueError, match="keeps what it delivers"):
        explore(system, UNLIMITED, Options(eager=True))


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
