"""Systems that are not what a `System` has to be: refused, or explored right all the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, permutations
from typing import Any, cast

import pytest
from hypothesis import assume, given, settings

from model_check.cli import run
from model_check.contracts import ContractError, spread
from model_check.engine import explorer
from model_check.explore import Budget, explore
from model_check.network import Fifo, Once, Replayable
from model_check.system import TOTALITY, Network, Outcome, System, Violation
from model_check.watch import Memory, PropertyWatch
from raft_ref import Follower
from raft_ref import node as core
from spec.forms import AtMost, PairProperty, Property, Step
from tests.engines import both_find_the_same, both_refuse, by_reference, compiled, named, summary
from tests.random_worlds import Moody, World, worlds
from tests.toys import (
    Counters,
    FewTicks,
    NeverAllAtTwo,
    NeverCountsDown,
    Ping,
    Undecided,
    counters,
)

ToyEvent = str | Ping
ToyOutcome = Outcome[int, str, Ping]
ToyStep = Step[int, ToyEvent, str]
ToySystem = System[int, ToyEvent, str, Ping, tuple[Ping, ...], Memory]

SMALL_ENOUGH = Budget(max_states=1500)


# --- nodes: how many, and what happens to them -------------------------------------------------


@pytest.mark.parametrize("nodes", [0, -1])
def test_there_is_at_least_one_node(nodes: int) -> None:
    with pytest.raises(ContractError, match=f"a system has at least one node, not {nodes}"):
        counters(Counters(count=nodes))


def test_there_are_no_more_nodes_than_the_engine_can_number() -> None:
    with pytest.raises(ContractError, match="at most 255 nodes, not 256"):
        compiled(counters(Counters(count=256, limit=0)))


class Repetitive(Counters):
    """Says twice what may happen."""

    def events(self, node: int, state: int) -> Iterator[str]:
        yield from (*super().events(node, state), *super().events(node, state))


def test_an_event_given_twice_is_one() -> None:
    found = both_find_the_same(counters(Repetitive()))
    assert summary(found) == summary(compiled(counters(Counters())))


def test_each_choice_is_a_transition_whatever_its_effect() -> None:
    plain = both_find_the_same(counters(Counters()))
    found = both_find_the_same(counters(Undecided()))
    assert (found.states, found.transitions) == (plain.states, 3 * plain.transitions)


class Idle(Counters):
    """To whose odd nodes nothing ever happens, though the environment tries."""

    def outcomes(self, node: int, state: int, event: ToyEvent) -> tuple[ToyOutcome, ...]:
        return () if node % 2 else super().outcomes(node, state, event)


def test_what_has_no_outcome_does_not_happen() -> None:
    assert both_find_the_same(counters(Idle())).transitions > 0


class ResetByPing(Counters):
    """Whose connections a ping breaks."""

    def is_restart(self, event: ToyEvent) -> bool:
        return isinstance(event, Ping)


@pytest.mark.parametrize("nodes", [2, 3])
def test_a_delivery_may_be_a_restart(nodes: int) -> None:
    network = cast("Network[Ping, tuple[Ping, ...]]", Fifo(capacity=2))
    both_find_the_same(counters(ResetByPing(nodes, limit=3), network=network))


class Broadcasters(Counters):
    """Who tell everyone."""

    def step(self, node: int, state: int, event: ToyEvent) -> ToyOutcome:
        everyone = range(1, self.count + 1)
        pings = tuple(Ping(node, to, state) for to in everyone) if event == "tick" else ()
        return Outcome(state + 1 if event == "tick" else state, (), pings)

    def events(self, node: int, state: int) -> Iterator[str]:
        if node == 1 and state == 0:
            yield "tick"


def test_there_is_room_for_a_loss_on_every_link() -> None:
    network = cast("Network[Ping, tuple[Ping, ...]]", Fifo(capacity=1))
    both_find_the_same(counters(Broadcasters(count=9), network=network))


def test_more_actions_than_there_is_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "ROOM", 2)
    with pytest.raises(ContractError, match="more than 2 actions are possible in one state"):
        compiled(counters(Counters(count=3)))
    assert compiled(counters(Counters(count=1, limit=1, resets=True))).verdict == "holds"


# --- nodes: values ---------------------------------------------------------------------------


class InOneList(list[int]):
    """Equal by what is in it; and hashable, though it can be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))


class Wrong(Counters):
    """Whose ticks lead to something that is not as it should be."""

    def __init__(self, outcome: Callable[[Any], Any]) -> None:
        super().__init__()
        self.outcome = outcome

    def initial(self, node: int) -> int:
        return cast(int, InOneList())

    def events(self, node: int, state: int) -> Iterator[str]:
        if not state:
            yield "tick"

    def step(self, node: int, state: int, event: ToyEvent) -> ToyOutcome:
        return cast(ToyOutcome, self.outcome(state))


def _in_place(state: object) -> ToyOutcome:
    cast("list[int]", state).append(1)
    return Outcome(cast(int, state))


def _list(state: object) -> ToyOutcome:
    return Outcome(cast(int, [1]))


def _list_put_out(state: int) -> ToyOutcome:
    return Outcome(state, (cast(str, []),))


def _iterator(state: int) -> ToyOutcome:
    return Outcome(state, (), cast("tuple[Ping, ...]", iter(())))


@pytest.mark.parametrize(
    ("outcome", "complaint"),
    [
        (_list, "what comes of node 1 in .* on tick: unhashable type"),
        (_list_put_out, "what comes of node 1 in .* on tick: unhashable type"),
        (_iterator, "node 1 in .* on tick: the messages of an outcome must be a tuple"),
        (_in_place, "node 1 in .* on tick: the step changes what it is given, in place"),
    ],
)
def test_values_are_hashable_and_never_change(
    outcome: Callable[[Any], Any], complaint: str
) -> None:
    both_refuse(lambda: counters(Wrong(outcome)), complaint)


class Starts(Counters):
    """Starts in one of these states after the other."""

    def __init__(self, states: Iterable[object]) -> None:
        super().__init__(count=1)
        self.states = iter(states)

    def initial(self, node: int) -> int:
        return cast(int, next(self.states))


@pytest.mark.parametrize(
    ("states", "complaint"),
    [
        (([] for _ in count()), "the initial state: unhashable type"),
        (count(), "the initial state is not the same when it is asked for again"),
    ],
)
def test_the_initial_state_is_a_value(states: Iterator[object], complaint: str) -> None:
    both_refuse(lambda: counters(Starts(states)), complaint)


class Mute(Counters):
    """Sends pings in the name of the next node."""

    def sender(self, message: Ping) -> int:
        return message.destination


def test_a_message_in_the_name_of_another_is_a_finding() -> None:
    found = both_find_the_same(counters(Mute()))
    assert found.violation is not None
    assert found.violation.property == TOTALITY


# --- nodes: the same again ---------------------------------------------------------------------


class Clock(Counters):
    """Looks at a clock once it is at ``since``."""

    def __init__(self, since: int, limit: int = 3, *, in_events: bool = False) -> None:
        super().__init__(limit=limit)
        self.since = since
        self.in_events = in_events
        self.clock = count()

    def step(self, node: int, state: int, event: ToyEvent) -> ToyOutcome:
        if state < self.since or self.in_events:
            return super().step(node, state, event)
        return Outcome((state + next(self.clock)) % (self.limit + 1))

    def events(self, node: int, state: int) -> Iterator[str]:
        if state < self.since or not self.in_events or next(self.clock) % 3:
            yield from super().events(node, state)


@pytest.mark.parametrize(("since", "in_events"), [(0, False), (2, False), (2, True)])
@pytest.mark.parametrize("properties", [(), (NeverCountsDown(),)], ids=named)
def test_a_step_that_is_not_the_same_again_is_refused(
    since: int, properties: tuple[Property, ...], in_events: bool
) -> None:
    both_refuse(
        lambda: counters(Clock(since, in_events=in_events), *properties),
        "(does not do the same on|not the same happens).*when it is asked again",
    )


@given(worlds(of=Moody))
@settings(max_examples=60)
def test_in_any_world_a_mood_is_noticed_or_does_not_matter(world: World) -> None:
    node = replace(cast(Moody, world.node), levels=min(world.node.levels, 3))

    def system(is_so: bool) -> Any:
        return replace(world, node=replace(node, is_so=is_so, asked=type(node.asked)())).system()

    expected = by_reference(system(is_so=False), SMALL_ENOUGH)
    assume(expected.verdict != "inconclusive")
    for find in (by_reference, compiled):
        try:
            found = find(system(is_so=True))
        except ContractError as error:
            assert "when it is asked again" in str(error)  # noqa: PT017
        else:
            assert summary(found) == summary(expected)


def test_what_is_asked_again_is_spread() -> None:
    assert spread(range(5), 5) == [4, 3, 2, 1, 0]
    assert spread(range(101), 3) == [100, 50, 0]


def test_a_core_that_is_not_pure_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, clock = core.step, count()

    def step(*arguments: Any) -> Any:
        transition = plain(*arguments)
        role = replace(transition.state.role) if next(clock) % 2 else Follower()
        return replace(transition, state=replace(transition.state, role=role))

    monkeypatch.setattr(core, "step", step)
    assert run(["check", "--servers", "2", "--no-symmetry"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cannot be explored: node" in captured.err
    assert len(captured.err.splitlines()) == 1


# --- properties --------------------------------------------------------------------------------


class FirstIsNotBehind(PairProperty[int, int]):
    """The node that is given first is not two behind; which is one at random, by the form."""

    def view(self, state: int) -> int:
        return state

    def violation(self, node: int, view: int, other: int, other_view: int) -> str | None:
        return "behind" if other_view - view >= 2 else None


def test_pairs_are_compared_in_either_order() -> None:
    assert both_find_the_same(counters(Counters(limit=3), FirstIsNotBehind())).depth == 2


class NeverReachesTwo(NeverCountsDown):
    """No node comes to 2."""

    def violation(self, step: ToyStep) -> str | None:
        return "at 2" if step.after == 2 else None


@pytest.mark.parametrize("order", [*permutations([NeverAllAtTwo(), NeverReachesTwo()])], ids=named)
def test_of_what_one_step_breaks_the_property_given_first_counts(
    order: tuple[Property, ...],
) -> None:
    found = both_find_the_same(counters(Counters(count=1), *order))
    assert found.violation is not None
    assert found.violation.property == order[0].name


def test_two_properties_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two properties are called FewTicks"):
        PropertyWatch([FewTicks(), FewTicks()])

    class Totality(NeverCountsDown):
        """Called as the one that every system has."""

    with pytest.raises(ValueError, match="two properties are called Totality"):
        PropertyWatch([Totality()])


class Watching(PropertyWatch[int, ToyEvent, str, Ping]):
    """A watch that does not keep to its contract."""

    def __init__(self, rank: int | None = None, *, is_unlimited: bool = False) -> None:
        super().__init__([NeverReachesTwo()], limits=[AtMost("ticks", 1, lambda e: e == "tick")])
        self._rank = rank
        self._is_unlimited = is_unlimited

    def rank(self, violation: Violation) -> int:
        return super().rank(violation) if self._rank is None else self._rank

    def is_limited(self, fact: Hashable) -> bool:
        return not self._is_unlimited and super().is_limited(fact)


def watched(watch: Watching) -> ToySystem:
    return System(Counters(), Replayable[Ping](), watch)


@pytest.mark.parametrize(
    ("watch", "complaint"),
    [
        (Watching(-1), "NeverReachesTwo.* has rank -1, which is not from 0"),
        (Watching(1 << 20), "NeverReachesTwo.* has rank 1048576, which is not from 0"),
        (Watching(is_unlimited=True), "any number of times, says is_limited, but too often"),
    ],
)
def test_a_watch_that_contradicts_itself_is_refused(watch: Watching, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        compiled(watched(watch))
    assert compiled(watched(Watching())).verdict == "violated"


# --- networks ----------------------------------------------------------------------------------


class SaysItKeeps(Once[Ping]):
    """A network that says it keeps what it delivers."""

    keeps_delivered = True


def test_a_network_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ContractError, match="SaysItKeeps says that it keeps what it delivers, but"):
        compiled(counters(Counters(), network=SaysItKeeps()))


class SaysItKeepsNoOrder(Fifo[Ping]):
    """A network that says it keeps no order."""

    keeps_order = False


class Twice(Counters):
    """Sends two pings at a time."""

    def step(self, node: int, state: int, event: ToyEvent) -> ToyOutcome:
        to = node % self.count + 1
        return Outcome(state + 1, (), (Ping(node, to, state), Ping(node, to, state + 1)))


def test_a_network_that_says_it_keeps_no_order_is_held_to_it() -> None:
    network = cast("Network[Ping, tuple[Ping, ...]]", SaysItKeepsNoOrder())
    with pytest.raises(ContractError, match="SaysItKeepsNoOrder says that it keeps no order, but"):
        compiled(counters(Twice(), network=network))


class CanKeep(Replayable[Ping]):
    """A network that keeps what it delivers, and does not say so."""

    keeps_delivered = False


def test_a_network_may_keep_what_it_delivers_all_the_same() -> None:
    both_find_the_same(counters(Counters(), network=CanKeep()))


@dataclass(frozen=True, slots=True)
class Sealed(Ping):
    """A ping that does not show its number."""

    def __repr__(self) -> str:
        return f"Sealed({self.source}, {self.destination})"


class Sealing(Counters):
    """Sends such pings."""

    def step(self, node: int, state: int, event: ToyEvent) -> ToyOutcome:
        outcome = super().step(node, state, event)
        sealed = (Sealed(each.source, each.destination, each.number) for each in outcome.messages)
        return replace(outcome, messages=tuple(sealed))


def test_messages_that_are_not_told_apart_are_refused_or_explored_right() -> None:
    with pytest.raises(ContractError, match=r"two messages that differ are both shown as Sealed"):
        explore(counters(Sealing(limit=3)))
    system = counters(Sealing(limit=3))
    assert summary(compiled(system)) == summary(by_reference(system))
    assert compiled(system).states == compiled(counters(Counters(limit=3))).states


def test_a_link_has_room_for_a_message() -> None:
    with pytest.raises(ValueError, match="the capacity of a link must be at least 1, not 0"):
        Fifo[Ping](capacity=0)
