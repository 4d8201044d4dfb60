"""A closed system: some pure nodes, a network, and an environment that makes things happen.

No word of Raft in here. To check a pure node of your own, give a `Node`: an initial state, the
events the environment may cause in a state, and a step function. Combine it with a network
(`model_check.network`) and properties (`spec.forms`) into a `System`, and hand that to
`model_check.explore`.

What can happen in a state is a finite choice of *actions*: the environment causes an event at a
node, the network delivers a message, or loses one. One action is one step of at most one node,
which runs to its end: handlers are atomic. A node may have a choice of what to make of an event;
then each choice is an action of its own. Given the action, the next state is determined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from model_check.contracts import (
    ASKED_AGAIN,
    ContractError,
    not_the_same_in,
    require_hashable,
    spread,
)
from spec.forms import E, H, NodeNumber, O, Renaming, S

M = TypeVar("M", bound=Hashable)
"""A message."""
Q = TypeVar("Q", bound=Hashable)
"""What one node has in flight: the messages it sent, as a network keeps them."""
Addressed: TypeAlias = tuple[NodeNumber, M]
"""A message, and to whom it goes."""
T = TypeVar("T")


class NotTheNode(Exception):
    """A step could not be made, for a reason that says nothing of the node.

    Unlike every other exception of a step, it is no finding, and ends the exploration.
    """


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
    """What one node does. All methods are pure functions; see `System` for what that means, and for
    what becomes of a node that does not keep to its contracts."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many nodes there are, at least one; they are numbered from 1."""

    @abstractmethod
    def initial(self, node: NodeNumber) -> S:
        """The state ``node`` starts in."""

    @abstractmethod
    def events(self, node: NodeNumber, state: S) -> Iterable[E]:
        """What the environment may do to ``node`` now, within bounds: finitely many events, in a
        fixed order. One that is given twice is one."""

    def step(self, node: NodeNumber, state: S, event: E) -> Outcome[S, O, M]:
        """What ``event`` makes of ``node``. An exception counts as a violation of `TOTALITY`."""
        raise NotImplementedError(f"{type(self).__name__} gives neither step nor outcomes")

    def outcomes(self, node: NodeNumber, state: S, event: E) -> tuple[Outcome[S, O, M], ...]:
        """All that ``event`` may make of ``node``, in a fixed order: what `step` says, unless the
        node has a choice. If there is nothing, the event does not happen. Each is an action of its
        own, equal ones included."""
        return (self.step(node, state, event),)

    def foresee(self, steps: Iterable[tuple[NodeNumber, S, E]]) -> None:
        """Told which steps are about to be asked for. A node that is slow may take many at once."""

    @abstractmethod
    def arrival(self, message: M) -> tuple[NodeNumber, E]:
        """At whom ``message`` arrives, and as which event."""

    @abstractmethod
    def sender(self, message: M) -> NodeNumber:
        """Who sent ``message``: it says so itself, so that no two nodes send the same.

        A step that sends in another's name, or to nobody, violates `TOTALITY`.
        """

    def is_outdated(self, state: S, message: M) -> bool:
        """Whether ``message`` can never again do anything to its receiver, which is in ``state``.

        It changes nothing, sends nothing and gives nothing to remember there, nor in any state that
        the receiver may ever come to. An explorer that makes use of such claims checks them.
        """
        return False

    def simulates(self, state: S, other: S) -> bool:
        """Whether a node in ``state`` may do all that one in ``other`` may, and still may then.

        Properties see no difference between the two. Every state simulates itself; and one that
        simulates another simulates whatever that does. An explorer that makes use of such claims
        believes them: only a circle of three or more states, in which not each is said to simulate
        each, is noticed.
        """
        return state == other

    @abstractmethod
    def is_restart(self, event: E) -> bool:
        """Whether ``event``, of the environment or a message's arrival, breaks the node's
        connections."""

    def renamings(self) -> Iterable[Renaming]:
        """The other names under which everything would happen just the same.

        They must form a group, with the one that changes nothing first: each gives every node, and
        every value that it names, another's name or its own, and none is given twice. None, unless
        a node says so. Claims are checked: see `model_check.engine.symmetry`.
        """
        return ()

    def rename(self, value: T, renaming: Renaming) -> T:
        """A state, event or message under other names.

        Raises:
            TypeError: if it is none of these, or the node is not symmetric at all.
        """
        raise TypeError(f"{type(self).__name__} gives no renamings")


@dataclass(frozen=True)
class Occur(Generic[E]):
    """The environment causes an event at a node."""

    node: NodeNumber
    event: E
    choice: int = 0
    """Which of the `Node.outcomes` it has."""


@dataclass(frozen=True)
class Deliver(Generic[M]):
    """The network delivers a message."""

    message: M
    choice: int = 0
    """Which of the `Node.outcomes` that has."""


@dataclass(frozen=True)
class Lose(Generic[M]):
    """The network loses a message."""

    message: M


Action: TypeAlias = Occur[E] | Deliver[M] | Lose[M]


class Network(ABC, Generic[M, Q]):
    """What may become of messages: how they wait, arrive and get lost. Pure functions again.

    Messages belong to their sender: what one node has in flight does not depend on the others. A
    network never looks into a message: it may be given numbers in their place.
    """

    keeps_delivered: bool
    """Whether a message that was delivered is in flight as before."""
    keeps_order: bool
    """Whether it means anything which of the messages to one node was sent first."""
    breaks_on_restart: bool
    """Whether a restart of a node loses messages of its own or to it."""

    @abstractmethod
    def empty(self) -> Q:
        """Nothing in flight."""

    @abstractmethod
    def send(self, in_flight: Q, messages: tuple[Addressed[M], ...]) -> Q:
        """What a node has in flight once it also sent ``messages``, in this order."""

    @abstractmethod
    def messages(self, in_flight: Q) -> tuple[M, ...]:
        """All messages in flight."""

    @abstractmethod
    def deliveries(self, in_flight: Q) -> Iterable[tuple[Deliver[M], Q]]:
        """Each message that may arrive next, and what is then left in flight."""

    def without(self, in_flight: Q, messages: Collection[M]) -> Q:
        """What is in flight but for ``messages``.

        Raises:
            TypeError: if the network keeps what it delivers otherwise than as a set.
        """
        raise TypeError(f"{type(self).__name__} cannot forget messages")

    @abstractmethod
    def losses(self, in_flight: Q) -> Iterable[tuple[Lose[M], Q]]:
        """Each message that may get lost next, and what is then left in flight."""

    @abstractmethod
    def restart(self, in_flight: Q, sender: NodeNumber, node: NodeNumber) -> Q:
        """What is left of what ``sender`` has in flight once ``node`` has restarted."""

    @abstractmethod
    def rename(
        self,
        in_flight: Q,
        message: Callable[[M], M],
        node: Callable[[NodeNumber], NodeNumber],
    ) -> Q:
        """The same in flight, with every message and every node replaced."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A property does not hold, and which part of it failed."""

    property: str
    explanation: str


TOTALITY = "Totality"
"""The property every system has: a step is defined for whatever can happen, and a node speaks for
itself, to nodes there are."""


class Observation(NamedTuple):
    """What the properties make of a step, whatever happened before it."""

    fact: Hashable | None
    """What of it the history properties should remember; None for nothing."""
    violation: Violation | None
    reached: tuple[str, ...]
    """The milestones the step reached."""


class Watch(ABC, Generic[S, E, O, M, H]):
    """All properties and milestones of a system as one observer, which remembers what it must by
    pure functions. See `model_check.watch`."""

    @abstractmethod
    def initial(self) -> H:
        """What is remembered before anything happened."""

    @abstractmethod
    def observe(
        self, node: NodeNumber, before: S, event: E, outcome: Outcome[S, O, M]
    ) -> Observation:
        """What one step breaks by itself, reaches, and gives to remember."""

    @abstractmethod
    def remember(self, memory: H, fact: Hashable) -> H:
        """What is remembered once ``fact`` has come to pass, too."""

    @abstractmethod
    def judge(self, memory: H) -> Violation | None:
        """What is broken by all that is remembered."""

    def is_limited(self, fact: Hashable) -> bool:
        """Whether a step with this fact may happen so and so often only: true, if any memory is
        ever beyond by it."""
        return False

    def is_beyond(self, memory: H) -> bool:
        """Whether something has happened too often: then the last step was not enabled."""
        return False

    @abstractmethod
    def view(self, state: S) -> Hashable:
        """What `compare` has to see of a state."""

    @abstractmethod
    def compare(
        self, node: NodeNumber, view: Hashable, other: NodeNumber, other_view: Hashable
    ) -> Violation | None:
        """What two nodes break together at one moment. Asked in both orders."""

    @property
    @abstractmethod
    def has_global_properties(self) -> bool:
        """Whether `survey` looks at anything at all."""

    @abstractmethod
    def survey(self, states: tuple[S, ...]) -> Violation | None:
        """What all nodes break together at one moment."""

    @abstractmethod
    def rank(self, violation: Violation) -> int:
        """Which of several violations counts: the one with the lowest rank. From 0 to 2**20 - 1,
        and its own for each property."""

    @abstractmethod
    def rename(self, memory: H, renaming: Renaming) -> H:
        """``memory`` under other names."""


class State(NamedTuple, Generic[S, Q, H]):
    """The whole world at one moment."""

    nodes: tuple[S, ...]
    """The local state of node ``i`` stands at ``i - 1``."""
    in_flight: tuple[Q, ...]
    """What node ``i`` has in flight stands at ``i - 1``."""
    memory: H
    """What the properties remember."""


class LocalStep(NamedTuple, Generic[S, M]):
    """A step of one node: what it becomes, sends, breaks by itself, reaches, gives to remember."""

    state: S
    messages: tuple[Addressed[M], ...]
    is_restart: bool
    fact: Hashable | None
    violation: Violation | None
    reached: tuple[str, ...]


Successor: TypeAlias = tuple[Action[E, M], State[S, Q, H], Violation | None, tuple[str, ...]]
"""An action, the state it leads to, what it broke, and the milestones it reached."""


class System(Generic[S, E, O, M, Q, H]):
    """Nodes, a network and properties: everything that can happen, and what must hold.

    An exploration is right if the system keeps to the following contracts. One that does not is
    refused with a `ContractError`, unless something else is said.

    *Nodes.* There is at least one. A node may send to itself, and may be restarted by a message.
    `Node.events` is finite, and so is each tuple of `Node.outcomes`; an event that is given twice
    counts once, but each outcome is a transition, whether or not another has the same effect, and
    an event without outcomes does not happen. An exception in a step, a message in another node's
    name, and one to nobody are findings: violations of `TOTALITY`. Exceptions elsewhere are not
    caught. That something is finite cannot be checked: an exploration may not end.

    *Pure functions.* Every method of `Node`, `Network` and `Watch` gives the same for the same
    arguments, and changes nothing. Explorers ask for each local step once, and keep the answer. At
    the end they ask again, in another order, for up to `ASKED_AGAIN` of the steps and lists of
    events: for all of them, exploring would take twice the calls of a node that may be slow. They
    do not, if a budget or an interrupt has ended the exploration: its verdict claims nothing. A
    property is not asked again what it makes of a memory or of two views: it is given no more.

    *Values.* States, events, outputs, messages, facts and memories are hashable, are never changed,
    and may take the place of values they are equal to. Hashes are seen to be there, and to be the
    same after a step. Whether equal values behave the same is not: only one of them is kept.
    Messages that differ have different `repr`s, by which sets of them are ordered; the reference
    explorer refuses others, the compiled one needs no `repr`.

    *Claims.* `Node.renamings` and `Node.rename` are checked wherever they are made use of: the
    compiled explorer explores without symmetry, and says so, or raises `AsymmetryError` if symmetry
    was asked for. `Node.is_outdated` is checked where messages are forgotten (`MistakenClaim`).
    `Node.simulates` is believed where sends are eager: to check it is to compare all that may ever
    happen in the one state and in the other, which is what the claim is there to save. Two states
    that simulate each other are not made use of; a circle of more than two is a `MistakenClaim`.

    *The network.* It never looks into a message, since the compiled explorer gives it numbers
    instead: that cannot be seen from outside. `Network.keeps_delivered` and `Network.keeps_order`
    are checked by what deliveries leave, and by sending in another order. Where
    `Network.breaks_on_restart` is false, `Network.restart` is never called.

    *The watch.* `Watch.is_limited` holds of every fact that makes a memory `Watch.is_beyond`. Ranks
    are from 0 to 2**20 - 1. `Watch.compare` is asked in both orders, so that it may depend on them.
    """

    def __init__(
        self, node: Node[S, E, O, M], network: Network[M, Q], watch: Watch[S, E, O, M, H]
    ) -> None:
        if node.count < 1:
            raise ContractError(f"a system has at least one node, not {node.count}")
        self.node = node
        self.network = network
        self.watch = watch

    def initial(self) -> State[S, Q, H]:
        """The state in which everything starts."""
        count = self.node.count
        nodes = tuple(self.node.initial(number) for number in range(1, count + 1))
        return State(nodes, (self.network.empty(),) * count, self.watch.initial())

    def check_initial(self) -> None:
        """See that there is one initial state.

        Raises:
            ContractError: if it is not always the same, or cannot be stored.
        """
        initial = self.initial()
        require_hashable(initial, "the initial state")
        if self.initial() != initial:
            raise ContractError("the initial state is not the same when it is asked for again")

    def initial_violation(self) -> Violation | None:
        """What the initial state breaks before anything happened.

        Raises:
            ContractError: if it is not always the same, or cannot be stored.
        """
        self.check_initial()
        nodes, _, memory = self.initial()
        violation = self._worst(self.watch.judge(memory), self.watch.survey(nodes))
        for node in range(1, len(nodes) + 1):
            violation = self._worst(violation, self._compare_with_all(nodes, node))
        return violation

    def successors(self, state: State[S, Q, H]) -> Iterator[Successor[E, M, S, Q, H]]:
        """Every action enabled in ``state``, in a fixed order, and where it leads."""
        nodes, in_flight, memory = state
        for node, before in enumerate(nodes, start=1):
            for event in dict.fromkeys(self.node.events(node, before)):
                for choice, led in self._led(state, node, event, in_flight):
                    yield Occur(node, event, choice), *led
        for sender, own in enumerate(in_flight, start=1):
            for deliver, left in self.network.deliveries(own):
                node, event = self.node.arrival(deliver.message)
                remaining = in_flight if left == own else _with(in_flight, sender, left)
                for choice, led in self._led(state, node, event, remaining):
                    yield Deliver(deliver.message, choice), *led
        for sender, own in enumerate(in_flight, start=1):
            for lose, left in self.network.losses(own):
                yield lose, State(nodes, _with(in_flight, sender, left), memory), None, ()

    def _led(
        self, state: State[S, Q, H], node: NodeNumber, event: E, left: tuple[Q, ...]
    ) -> Iterator[tuple[int, tuple[State[S, Q, H], Violation | None, tuple[str, ...]]]]:
        """For each choice that ``node`` has, and that is enabled: where it leads."""
        before = state.nodes[node - 1]
        for choice, local in enumerate(self.local_steps(node, before, event)):
            led = self._combine(state, node, local, left)
            if led is not None:
                yield choice, led

    def take(
        self, state: State[S, Q, H], action: Action[E, M]
    ) -> tuple[State[S, Q, H], Violation | None, tuple[str, ...]] | None:
        """Where ``action`` leads, what it breaks and reaches; None if it is not enabled."""
        nodes, in_flight, memory = state
        match action:
            case Occur(node, event, choice):
                if event not in self.node.events(node, nodes[node - 1]):
                    return None
                return self._choose(state, node, event, choice, in_flight)
            case Deliver(message, choice):
                sender = self.node.sender(message)
                deliveries = dict(self.network.deliveries(in_flight[sender - 1]))
                if Deliver(message) not in deliveries:
                    return None
                node, event = self.node.arrival(message)
                left = _with(in_flight, sender, deliveries[Deliver(message)])
                return self._choose(state, node, event, choice, left)
            case Lose(message):
                sender = self.node.sender(message)
                losses = dict(self.network.losses(in_flight[sender - 1]))
                if action not in losses:
                    return None
                return State(nodes, _with(in_flight, sender, losses[action]), memory), None, ()

    def _choose(
        self, state: State[S, Q, H], node: NodeNumber, event: E, choice: int, left: tuple[Q, ...]
    ) -> tuple[State[S, Q, H], Violation | None, tuple[str, ...]] | None:
        """Where one choice of ``node`` leads; None if it has not so many, or is not enabled."""
        local_steps = self.local_steps(node, state.nodes[node - 1], event)
        if choice >= len(local_steps):
            return None
        return self._combine(state, node, local_steps[choice], left)

    def step_of(
        self, state: State[S, Q, H], action: Action[E, M]
    ) -> tuple[NodeNumber, S, E] | None:
        """To which node, in which state, what happens by ``action``; None, if a message is lost."""
        match action:
            case Occur(node, event):
                return node, state.nodes[node - 1], event
            case Deliver(message):
                node, event = self.node.arrival(message)
                return node, state.nodes[node - 1], event
            case Lose():
                return None

    def local_steps(self, node: NodeNumber, before: S, event: E) -> tuple[LocalStep[S, M], ...]:
        """All of a step that does not depend on the network, the other nodes or the past; one step
        for each choice of the node."""
        outcomes = attempt(self.node, node, before, event)
        return tuple(self._local_step(node, before, event, outcome) for outcome in outcomes)

    def _local_step(
        self, node: NodeNumber, before: S, event: E, outcome: Outcome[S, O, M]
    ) -> LocalStep[S, M]:
        fact, violation, reached = self.watch.observe(node, before, event, outcome)
        messages = tuple((self.node.arrival(message)[0], message) for message in outcome.messages)
        is_restart = self.node.is_restart(event)
        return LocalStep(outcome.state, messages, is_restart, fact, violation, reached)

    def _combine(
        self, state: State[S, Q, H], node: NodeNumber, local: LocalStep[S, M], left: tuple[Q, ...]
    ) -> tuple[State[S, Q, H], Violation | None, tuple[str, ...]] | None:
        """The world after a step of ``node`` from ``state``, but with ``left`` in flight; None if
        such a step has happened too often."""
        nodes, in_flight, memory = state
        after, messages, is_restart, fact, violation, reached = local
        if is_restart and self.network.breaks_on_restart:
            left = tuple(
                self.network.restart(own, sender, node) for sender, own in enumerate(left, start=1)
            )
        if messages:
            left = _with(left, node, self.network.send(left[node - 1], messages))
        if fact is not None:
            memory = self.watch.remember(memory, fact)
            if self.watch.is_beyond(memory):
                return None
            violation = self._worst(violation, self.watch.judge(memory))
        if after != nodes[node - 1]:
            nodes = _with(nodes, node, after)
            violation = self._worst(violation, self._compare_with_all(nodes, node))
            if self.watch.has_global_properties:
                violation = self._worst(violation, self.watch.survey(nodes))
        elif left == in_flight and memory == state.memory:
            return state, violation, reached
        return State(nodes, left, memory), violation, reached

    def _compare_with_all(self, nodes: tuple[S, ...], node: NodeNumber) -> Violation | None:
        """What the state of ``node`` breaks together with that of some other node."""
        view, violation = self.watch.view(nodes[node - 1]), None
        for other, state in enumerate(nodes, start=1):
            if other != node:
                found = self.compare(node, view, other, self.watch.view(state))
                violation = self._worst(violation, found)
        return violation

    def compare(
        self, node: NodeNumber, view: Hashable, other: NodeNumber, other_view: Hashable
    ) -> Violation | None:
        """What two nodes break together, whichever of them `Watch.compare` is told first."""
        # So it is of no account which node moved last, nor whether a property minds.
        return self._worst(
            self.watch.compare(node, view, other, other_view),
            self.watch.compare(other, other_view, node, view),
        )

    def check_pure(
        self,
        states: Collection[State[S, Q, H]],
        look_at_the_clock: Callable[[], None],
        *,
        are_all: bool,
    ) -> None:
        """See, for some of ``states``, that the same happens in them again.

        ``are_all`` says that these are all states there are. ``look_at_the_clock`` is called now
        and then, and may raise to end it.

        Raises:
            ContractError: if it does not.
        """
        # Each of them asks for many steps.
        for state in spread(tuple(states), ASKED_AGAIN // 8):
            look_at_the_clock()
            once, again = (list(self.successors(state)) for _ in range(2))
            if once != again or (
                are_all and any(each[1] not in states for each in once if each[2] is None)
            ):
                raise not_the_same_in(state)

    def _worst(self, violation: Violation | None, other: Violation | None) -> Violation | None:
        """The one of the two that counts."""
        if violation is None or other is None:
            return violation or other
        return min(violation, other, key=self.watch.rank)


def _with(values: tuple[T, ...], node: NodeNumber, value: T) -> tuple[T, ...]:
    """``values`` with that of ``node`` replaced."""
    return (*values[: node - 1], value, *values[node:])


def attempt(
    node: Node[S, E, O, M], number: NodeNumber, before: S, event: E
) -> tuple[Outcome[S, O, M], ...]:
    """The outcomes of an event; if there is an exception, a step that changes nothing and says why
    it failed.

    Raises:
        ContractError: if a state, event or outcome cannot be stored, or was changed in place.
    """
    where = "node", number, "in", before, "on", event
    mark = require_hashable((before, event), *where)
    try:
        outcomes = tuple(node.outcomes(number, before, event))
        for outcome in outcomes:
            for message in outcome.messages:
                _check_way(node, number, message)
    except (NotTheNode, ContractError):
        raise
    except Exception as error:  # whatever it is, it is a finding about the node, not about us
        return (Outcome(before, failure=f"{type(error).__name__}: {error}"),)
    require_hashable(outcomes, "what comes of", *where)
    if hash((before, event)) != mark:
        raise ContractError(f"{_words(where)}: the step changes what it is given, in place")
    if not all(isinstance(outcome.messages, tuple) for outcome in outcomes):
        raise ContractError(f"{_words(where)}: the messages of an outcome must be a tuple")
    return outcomes


def _words(where: Iterable[object]) -> str:
    return " ".join(map(str, where))


def _check_way(node: Node[S, E, O, M], number: NodeNumber, message: M) -> None:
    """Refuse a message in another's name, or to nobody."""
    if node.sender(message) != number:
        raise ValueError(f"node {number} sent a message as node {node.sender(message)}: {message}")
    if not 1 <= node.arrival(message)[0] <= node.count:
        raise ValueError(f"node {number} sent a message to nobody: {message}")
