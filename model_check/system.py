"""A closed system: some pure nodes, a network, and an environment that makes things happen.

No word of Raft in here. To check a pure node of your own, give a `Node`: an initial state, the
events the environment may cause in a state, and a step function. Combine it with a network
(`model_check.network`) and properties (`spec.forms`) into a `System`, and hand that to
`model_check.explore`.

What can happen in a state is a finite choice of *actions*: the environment causes an event at a
node, the network delivers a message, or loses one. One action is one step of at most one node,
which runs to its end: handlers are atomic. Given the action, the next state is determined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from spec.forms import E, H, NodeNumber, O, S

M = TypeVar("M", bound=Hashable)
"""A message."""
Q = TypeVar("Q", bound=Hashable)
"""What is in flight in a network."""
Link: TypeAlias = tuple[NodeNumber, NodeNumber]
"""A message's way: from, to."""


@dataclass(frozen=True)
class Outcome(Generic[S, O, M]):
    """What a step of a node leads to."""

    state: S
    outputs: tuple[O, ...] = ()
    """All the node put out, for properties to look at."""
    messages: tuple[M, ...] = ()
    """What of it the network should carry."""
    failure: str | None = None
    """The exception the step raised instead, if it did."""


class Node(ABC, Generic[S, E, O, M]):
    """What one node does. All methods are pure functions."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many nodes there are; they are numbered from 1."""

    @abstractmethod
    def initial(self, node: NodeNumber) -> S:
        """The state ``node`` starts in."""

    @abstractmethod
    def events(self, node: NodeNumber, state: S) -> Iterable[E]:
        """What the environment may do to ``node`` now, within bounds, in a fixed order."""

    @abstractmethod
    def step(self, node: NodeNumber, state: S, event: E) -> Outcome[S, O, M]:
        """What ``event`` makes of ``node``. An exception counts as a violation of `TOTALITY`."""

    @abstractmethod
    def arrival(self, message: M) -> tuple[NodeNumber, E]:
        """At whom ``message`` arrives, and as which event."""

    @abstractmethod
    def link(self, message: M) -> Link:
        """From whom to whom ``message`` goes."""

    @abstractmethod
    def is_restart(self, event: E) -> bool:
        """Whether ``event`` breaks the node's connections."""


@dataclass(frozen=True)
class Occur(Generic[E]):
    """The environment causes an event at a node."""

    node: NodeNumber
    event: E


@dataclass(frozen=True)
class Deliver(Generic[M]):
    """The network delivers a message."""

    message: M


@dataclass(frozen=True)
class Lose(Generic[M]):
    """The network loses a message."""

    message: M


Action: TypeAlias = Occur[E] | Deliver[M] | Lose[M]


class Network(ABC, Generic[M, Q]):
    """What may become of messages: how they wait, arrive and get lost. Pure functions again."""

    @abstractmethod
    def empty(self) -> Q:
        """Nothing in flight."""

    @abstractmethod
    def send(self, in_flight: Q, messages: tuple[tuple[Link, M], ...]) -> Q:
        """What is in flight once ``messages`` were sent, in this order."""

    @abstractmethod
    def messages(self, in_flight: Q) -> tuple[M, ...]:
        """All messages in flight."""

    @abstractmethod
    def deliveries(self, in_flight: Q) -> Iterable[tuple[Deliver[M], Q]]:
        """Each message that may arrive next, and what is then left in flight."""

    @abstractmethod
    def losses(self, in_flight: Q) -> Iterable[tuple[Lose[M], Q]]:
        """Each message that may get lost next, and what is then left in flight."""

    @abstractmethod
    def restart(self, in_flight: Q, node: NodeNumber) -> Q:
        """What is left in flight once ``node`` has restarted."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A property does not hold, and which part of it failed."""

    property: str
    explanation: str


TOTALITY = "Totality"
"""The property every system has: a step is defined for whatever can happen."""


class Observation(NamedTuple, Generic[H]):
    """What the properties make of a step."""

    memory: H
    violation: Violation | None
    reached: tuple[str, ...]
    """The milestones the step reached."""


class Watch(ABC, Generic[S, E, O, M, H]):
    """All properties and milestones of a system as one observer. See `model_check.watch`."""

    @abstractmethod
    def initial(self) -> H:
        """What is remembered before anything happened."""

    @abstractmethod
    def observe(
        self, memory: H, node: NodeNumber, before: S, event: E, outcome: Outcome[S, O, M]
    ) -> Observation[H]:
        """What one step adds to the memory, breaks and reaches."""

    @abstractmethod
    def compare(
        self, node: NodeNumber, state: S, other: NodeNumber, other_state: S
    ) -> Violation | None:
        """What the states of two nodes at one moment break."""


class State(NamedTuple, Generic[S, Q, H]):
    """The whole world at one moment."""

    nodes: tuple[S, ...]
    """The local state of node ``i`` stands at ``i - 1``."""
    in_flight: Q
    memory: H
    """What the properties remember."""


class LocalStep(NamedTuple, Generic[S, M, H]):
    """A step of one node: what it becomes, sends, and lets the properties remember and say."""

    state: S
    messages: tuple[tuple[Link, M], ...]
    memory: H
    is_restart: bool
    violation: Violation | None
    reached: tuple[str, ...]


Successor: TypeAlias = tuple[Action[E, M], State[S, Q, H], Violation | None, tuple[str, ...]]
"""An action, the state it leads to, what it broke, and the milestones it reached."""


class System(Generic[S, E, O, M, Q, H]):
    """Nodes, a network and properties: everything that can happen, and what must hold."""

    def __init__(
        self, node: Node[S, E, O, M], network: Network[M, Q], watch: Watch[S, E, O, M, H]
    ) -> None:
        self.node = node
        self.network = network
        self.watch = watch

    def initial(self) -> State[S, Q, H]:
        """The state in which everything starts."""
        numbers = range(1, self.node.count + 1)
        nodes = tuple(self.node.initial(number) for number in numbers)
        return State(nodes, self.network.empty(), self.watch.initial())

    def initial_violation(self) -> Violation | None:
        """What the initial state breaks before anything happened."""
        nodes = self.initial().nodes
        checks = (self._compare_with_all(nodes, node) for node in range(1, len(nodes) + 1))
        return next((violation for violation in checks if violation is not None), None)

    def successors(self, state: State[S, Q, H]) -> Iterator[Successor[E, M, S, Q, H]]:
        """Every action enabled in ``state``, in a fixed order, and where it leads."""
        nodes, in_flight, memory = state
        for node, before in enumerate(nodes, start=1):
            for event in self.node.events(node, before):
                local = self.local_step(memory, node, before, event)
                yield Occur(node, event), *self._combine(state, node, local, in_flight)
        for deliver, left in self.network.deliveries(in_flight):
            node, event = self.node.arrival(deliver.message)
            local = self.local_step(memory, node, nodes[node - 1], event)
            yield deliver, *self._combine(state, node, local, left)
        for lose, left in self.network.losses(in_flight):
            yield lose, State(nodes, left, memory), None, ()

    def take(
        self, state: State[S, Q, H], action: Action[E, M]
    ) -> tuple[State[S, Q, H], Violation | None, tuple[str, ...]] | None:
        """Where ``action`` leads, what it breaks and reaches; None if it is not enabled."""
        nodes, in_flight, memory = state
        match action:
            case Occur(node, event):
                if event not in self.node.events(node, nodes[node - 1]):
                    return None
                left = in_flight
            case Deliver(message):
                deliveries = dict(self.network.deliveries(in_flight))
                if action not in deliveries:
                    return None
                node, event = self.node.arrival(message)
                left = deliveries[action]
            case Lose():
                losses = dict(self.network.losses(in_flight))
                return (
                    (State(nodes, losses[action], memory), None, ()) if action in losses else None
                )
        local = self.local_step(memory, node, nodes[node - 1], event)
        return self._combine(state, node, local, left)

    def local_step(self, memory: H, node: NodeNumber, before: S, event: E) -> LocalStep[S, M, H]:
        """All of a step that does not depend on the network or the other nodes."""
        outcome = attempt(self.node, node, before, event)
        memory, violation, reached = self.watch.observe(memory, node, before, event, outcome)
        messages = tuple((self.node.link(message), message) for message in outcome.messages)
        is_restart = self.node.is_restart(event)
        return LocalStep(outcome.state, messages, memory, is_restart, violation, reached)

    def _combine(
        self, state: State[S, Q, H], node: NodeNumber, local: LocalStep[S, M, H], in_flight: Q
    ) -> tuple[State[S, Q, H], Violation | None, tuple[str, ...]]:
        """The world after a step of ``node``, having been ``state``, but with ``in_flight``."""
        nodes = state.nodes
        after, messages, memory, is_restart, violation, reached = local
        if is_restart:
            in_flight = self.network.restart(in_flight, node)
        if messages:
            in_flight = self.network.send(in_flight, messages)
        if after != nodes[node - 1]:
            nodes = (*nodes[: node - 1], after, *nodes[node:])
            violation = violation or self._compare_with_all(nodes, node)
        elif in_flight == state.in_flight and memory == state.memory:
            return state, violation, reached
        return State(nodes, in_flight, memory), violation, reached

    def _compare_with_all(self, nodes: tuple[S, ...], node: NodeNumber) -> Violation | None:
        """What the new state of ``node`` breaks together with that of some other node."""
        state = nodes[node - 1]
        for other, other_state in enumerate(nodes, start=1):
            if other != node:
                violation = self.watch.compare(node, state, other, other_state)
                if violation is not None:
                    return violation
        return None


def attempt(node: Node[S, E, O, M], number: NodeNumber, before: S, event: E) -> Outcome[S, O, M]:
    """A step of ``node``; if it raises, a step that changes nothing and says why it failed."""
    try:
        return node.step(number, before, event)
    except Exception as error:  # whatever it is, it is a finding about the node, not about us
        return Outcome(before, failure=f"{type(error).__name__}: {error}")
