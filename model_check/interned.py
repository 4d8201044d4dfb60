"""The same system with numbers for values, so that every local computation is done once.

A node's step depends on its own state and the event alone, and there are few distinct such pairs:
a few thousand may stand for millions of global states. So each local state, event, message, set of
messages in flight and memory gets a number, and each function of them becomes a table that is
filled when it is first asked. `interned` turns a `System` into one over numbers that has the same
runs; nothing else changes, and explorers need not know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar, cast

from model_check.contracts import ASKED_AGAIN, not_the_same, spread
from model_check.system import (
    Action,
    Addressed,
    Deliver,
    LocalStep,
    Lose,
    M,
    Network,
    Node,
    Observation,
    Occur,
    Outcome,
    Q,
    State,
    System,
    Violation,
    Watch,
    attempt,
)
from spec.forms import E, H, NodeNumber, O, Renaming, S

T = TypeVar("T")

K = TypeVar("K", bound=Hashable)

LATEST = 1 << 18
"""How many results of each function of a network are kept."""


class Numbering(Generic[T]):
    """Numbers values from 0 in the order in which they are first seen."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}
        self._values: list[T] = []

    def number(self, value: T) -> int:
        """The number of ``value``, a new one if it has none."""
        number = self._numbers.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number

    def __getitem__(self, number: int) -> T:
        return self._values[number]

    def __len__(self) -> int:
        return len(self._values)


class Memo(dict[K, T]):
    """A function's results, each computed when it is first asked for."""

    def __init__(self, function: Callable[[K], T]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: K) -> T:
        value = self[key] = self._function(key)
        return value


class InternedNode(Node[int, int, int, int], Generic[S, E, O, M]):
    """A `Node` over the numbers of another's states, events and messages."""

    def __init__(self, node: Node[S, E, O, M]) -> None:
        self.node = node
        self.state_numbers: Numbering[S] = Numbering()
        self.event_numbers: Numbering[E] = Numbering()
        self.message_numbers: Numbering[M] = Numbering()
        self.original_outcomes: Numbering[Outcome[S, O, M]] = Numbering()
        self._outcomes = Memo(self._find_outcomes)
        self._enabled: dict[tuple[int, int], tuple[int, ...]] = {}
        self._arrivals: dict[int, tuple[NodeNumber, int]] = {}

    @property
    def count(self) -> int:
        return self.node.count

    def initial(self, node: NodeNumber) -> int:
        return self.state_numbers.number(self.node.initial(node))

    def events(self, node: NodeNumber, state: int) -> tuple[int, ...]:
        enabled = self._enabled.get((node, state))
        if enabled is None:
            enabled = self._enabled[node, state] = self._find_enabled(node, state)
        return enabled

    def _find_enabled(self, node: NodeNumber, state: int) -> tuple[int, ...]:
        events = self.node.events(node, self.state_numbers[state])
        return tuple(map(self.event_numbers.number, events))

    def outcomes(
        self, node: NodeNumber, state: int, event: int
    ) -> tuple[Outcome[int, int, int], ...]:
        """The node's own, whose numbers are put out."""
        return self._outcomes[node, state, event]

    @property
    def calls(self) -> int:
        """How often the node's own step function was called."""
        return len(self._outcomes)

    def _find_outcomes(
        self, key: tuple[NodeNumber, int, int]
    ) -> tuple[Outcome[int, int, int], ...]:
        node, state, event = key
        found = attempt(self.node, node, self.state_numbers[state], self.event_numbers[event])
        return tuple(map(self._interned, found))

    def check_pure(self, look_at_the_clock: Callable[[], None]) -> None:
        """See, for some steps, that the node does the same when it is asked again.

        Raises:
            ContractError: if it does not.
        """
        for node, state in spread(tuple(self._enabled), ASKED_AGAIN):
            known, again = self._enabled[node, state], self._find_enabled(node, state)
            if known != again:
                event = max({*known} ^ {*again}, default=known[0])
                raise not_the_same(node, self.state_numbers[state], self.event_numbers[event])
        for key in spread(tuple(self._outcomes), ASKED_AGAIN):
            look_at_the_clock()
            if self._find_outcomes(key) != self._outcomes[key]:
                node, state, event = key
                raise not_the_same(node, self.state_numbers[state], self.event_numbers[event])

    def _interned(self, outcome: Outcome[S, O, M]) -> Outcome[int, int, int]:
        return Outcome(
            self.state_numbers.number(outcome.state),
            (self.original_outcomes.number(outcome),),
            tuple(map(self.message_numbers.number, outcome.messages)),
            outcome.failure,
        )

    def arrival(self, message: int) -> tuple[NodeNumber, int]:
        arrival = self._arrivals.get(message)
        if arrival is None:
            node, event = self.node.arrival(self.message_numbers[message])
            arrival = self._arrivals[message] = node, self.event_numbers.number(event)
        return arrival

    def sender(self, message: int) -> NodeNumber:
        return self.node.sender(self.message_numbers[message])

    def is_restart(self, event: int) -> bool:
        return self.node.is_restart(self.event_numbers[event])


class InternedNetwork(Network[int, int], Generic[Q]):
    """A `Network` over the numbers of another's contents.

    These may be nearly as many as the states, so only the latest results are kept.
    """

    def __init__(self, network: Network[int, Q]) -> None:
        self.contents: Numbering[Q] = Numbering()
        self.keeps_delivered = network.keeps_delivered
        self.keeps_order = network.keeps_order
        self.breaks_on_restart = network.breaks_on_restart
        self._network = network
        self._sent = lru_cache(LATEST)(self._send)
        self._deliveries = lru_cache(LATEST)(self._number_deliveries)

    def empty(self) -> int:
        return self.contents.number(self._network.empty())

    def send(self, in_flight: int, messages: tuple[Addressed[int], ...]) -> int:
        return self._sent(in_flight, messages)

    def messages(self, in_flight: int) -> tuple[int, ...]:
        return self._network.messages(self.contents[in_flight])

    def deliveries(self, in_flight: int) -> tuple[tuple[Deliver[int], int], ...]:
        return self._deliveries(in_flight)

    def losses(self, in_flight: int) -> Iterator[tuple[Lose[int], int]]:
        for lose, left in self._network.losses(self.contents[in_flight]):
            yield lose, self.contents.number(left)

    def restart(self, in_flight: int, sender: NodeNumber, node: NodeNumber) -> int:
        return self.contents.number(self._network.restart(self.contents[in_flight], sender, node))

    def rename(
        self,
        in_flight: int,
        message: Callable[[int], int],
        node: Callable[[NodeNumber], NodeNumber],
    ) -> int:
        return self.contents.number(self._network.rename(self.contents[in_flight], message, node))

    def _send(self, in_flight: int, messages: tuple[Addressed[int], ...]) -> int:
        return self.contents.number(self._network.send(self.contents[in_flight], messages))

    def _number_deliveries(self, in_flight: int) -> tuple[tuple[Deliver[int], int], ...]:
        deliveries = self._network.deliveries(self.contents[in_flight])
        return tuple((deliver, self.contents.number(left)) for deliver, left in deliveries)


class InternedWatch(Watch[int, int, int, int, int], Generic[S, E, O, M, H]):
    """A `Watch` over the numbers of another's memories, facts and views of states."""

    def __init__(self, watch: Watch[S, E, O, M, H], node: InternedNode[S, E, O, M]) -> None:
        self._watch = watch
        self._node = node
        self._memories: Numbering[H] = Numbering()
        self._facts: Numbering[Hashable] = Numbering()
        self._views: Numbering[Hashable] = Numbering()
        self._remembered = Memo(self._remember)
        self._judged = Memo(self._judge)
        self._beyond = Memo(self._is_beyond)
        self._viewed = Memo(self._view)
        self._compared = Memo(self._compare)

    def initial(self) -> int:
        return self._memories.number(self._watch.initial())

    def observe(
        self, node: NodeNumber, before: int, event: int, outcome: Outcome[int, int, int]
    ) -> Observation:
        """What the original step gives to see: asked once a step, so nothing is kept here."""
        (number,) = outcome.outputs
        seen = self._watch.observe(
            node,
            self._node.state_numbers[before],
            self._node.event_numbers[event],
            self._node.original_outcomes[number],
        )
        fact = None if seen.fact is None else self._facts.number(seen.fact)
        return Observation(fact, seen.violation, seen.reached)

    def is_limited(self, fact: Hashable) -> bool:
        return self._watch.is_limited(self._facts[cast(int, fact)])

    def is_beyond(self, memory: int) -> bool:
        return self._beyond[memory]

    @property
    def has_global_properties(self) -> bool:
        return self._watch.has_global_properties

    def survey(self, states: tuple[int, ...]) -> Violation | None:
        return self._watch.survey(tuple(self._node.state_numbers[state] for state in states))

    def rank(self, violation: Violation) -> int:
        return self._watch.rank(violation)

    def remember(self, memory: int, fact: Hashable) -> int:
        return self._remembered[memory, cast(int, fact)]

    def judge(self, memory: int) -> Violation | None:
        return self._judged[memory]

    def view(self, state: int) -> int:
        return self._viewed[state]

    def compare(
        self, node: NodeNumber, view: Hashable, other: NodeNumber, other_view: Hashable
    ) -> Violation | None:
        return self._compared[node, cast(int, view), other, cast(int, other_view)]

    def rename(self, memory: int, renaming: Renaming) -> int:
        return self._memories.number(self._watch.rename(self._memories[memory], renaming))

    def _remember(self, key: tuple[int, int]) -> int:
        memory, fact = key
        return self._memories.number(
            self._watch.remember(self._memories[memory], self._facts[fact])
        )

    def _judge(self, memory: int) -> Violation | None:
        return self._watch.judge(self._memories[memory])

    def _is_beyond(self, memory: int) -> bool:
        return self._watch.is_beyond(self._memories[memory])

    def _view(self, state: int) -> int:
        return self._views.number(self._watch.view(self._node.state_numbers[state]))

    def _compare(self, key: tuple[NodeNumber, int, NodeNumber, int]) -> Violation | None:
        node, view, other, other_view = key
        return self._watch.compare(node, self._views[view], other, self._views[other_view])


class InternedSystem(System[int, int, int, int, int, int], Generic[S, E, O, M]):
    """The same system as another, over numbers; its actions and states can be turned back."""

    def __init__(self, system: System[S, E, O, M, Q, H]) -> None:
        system.check_initial()
        node = InternedNode(system.node)
        # A network never looks into a message, so it carries numbers just as well.
        network = cast("Network[int, Hashable]", system.network)
        super().__init__(node, InternedNetwork(network), InternedWatch(system.watch, node))
        self._interned_node = node
        self._local_steps: dict[tuple[NodeNumber, int, int], tuple[LocalStep[int, int], ...]] = {}

    def local_steps(
        self, node: NodeNumber, before: int, event: int
    ) -> tuple[LocalStep[int, int], ...]:
        """What the original's steps would be, computed once."""
        key = (node, before, event)
        steps = self._local_steps.get(key)
        if steps is None:
            steps = self._local_steps[key] = super().local_steps(node, before, event)
        return steps

    def check_pure(
        self,
        states: Collection[State[int, int, int]],
        look_at_the_clock: Callable[[], None],
        *,
        are_all: bool,
    ) -> None:
        """See that the original does the same again, for some steps that it was asked for."""
        self._interned_node.check_pure(look_at_the_clock)

    @property
    def core_calls(self) -> int:
        """How often the original's step function was called."""
        return self._interned_node.calls

    def original(self, action: Action[int, int]) -> Action[E, M]:
        """The action of the original system that ``action`` stands for."""
        events, messages = self._interned_node.event_numbers, self._interned_node.message_numbers
        match action:
            case Occur(node, event, choice):
                return Occur(node, events[event], choice)
            case Deliver(message, choice):
                return Deliver(messages[message], choice)
            case Lose(message):
                return Lose(messages[message])

    def original_nodes(self, state: State[int, int, int]) -> tuple[S, ...]:
        """The local states of the original system in ``state``."""
        return tuple(self._interned_node.state_numbers[local] for local in state.nodes)

    def original_messages(self, state: State[int, int, int]) -> tuple[M, ...]:
        """The messages of the original system that are in flight in ``state``."""
        return tuple(
            self._interned_node.message_numbers[message]
            for in_flight in state.in_flight
            for message in self.network.messages(in_flight)
        )
