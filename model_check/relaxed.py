"""A system in which nothing is ever used up: what a node may do, if any message may reach it.

In the *relaxation* of a system, each state that a node was ever in, and each message that was ever
sent, stays there for good; so nodes need not agree on one history. It has every step that the
system has, and some that it has not: two messages may both arrive that no run sends together. For
that it is small: it grows with the steps of single nodes, not with their combinations.

It is the *delete relaxation* of automated planning (Bonet and Geffner, "Planning as heuristic
search", 2001). Its steps say where to look; `model_check.directed` sees whether a run gets there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple

from model_check.system import M, Q, System
from spec.forms import E, H, NodeNumber, O, S


class Move(NamedTuple, Generic[S, E, M]):
    """Something that a node may do by itself, or once a message has reached it."""

    node: NodeNumber
    before: S
    event: E
    arrived: M | None
    """The message of which the event is the arrival."""
    after: S
    sent: tuple[M, ...]
    broken: str | None
    """The property of single steps that it violates."""


Allowed = Callable[[NodeNumber, S, E], bool]


class Relaxation(Generic[S, E, O, M, Q, H]):
    """The steps of a system's relaxation, layer by layer: each has all that the ones before it have
    made possible."""

    def __init__(
        self, system: System[S, E, O, M, Q, H], is_allowed: Allowed[S, E] | None = None
    ) -> None:
        """Steps that are not allowed are left out."""
        self.moves: list[Move[S, E, M]] = []
        self.is_complete = False
        """Whether there are no more."""
        self._system = system
        self._is_allowed = is_allowed
        nodes = range(1, system.node.count + 1)
        self._states: dict[NodeNumber, dict[S, None]] = {
            node: {system.node.initial(node): None} for node in nodes
        }
        self._messages: dict[NodeNumber, dict[M, None]] = {node: {} for node in nodes}

    def layers(self) -> Iterator[list[Move[S, E, M]]]:
        """The steps of one layer after the other; of those that lead nowhere, only such as violate
        something."""
        new_states = {node: list(states) for node, states in self._states.items()}
        new_messages: dict[NodeNumber, list[M]] = {node: [] for node in self._states}
        while any(new_states.values()) or any(new_messages.values()):
            possible = list(self._possible(new_states, new_messages))
            self._system.node.foresee((node, state, event) for node, state, event, _ in possible)
            for node, messages in new_messages.items():
                self._messages[node].update(dict.fromkeys(messages))
            new_states = {node: [] for node in self._states}
            new_messages = {node: [] for node in self._states}
            layer: list[Move[S, E, M]] = []
            for node, state, event, message in possible:
                for move in self._moves(node, state, event, message):
                    layer.append(move)
                    if move.after not in self._states[node]:
                        self._states[node][move.after] = None
                        new_states[node].append(move.after)
                    for sent in move.sent:
                        to, _ = self._system.node.arrival(sent)
                        if sent not in self._messages[to]:
                            new_messages[to].append(sent)
            new_messages = {to: list(dict.fromkeys(sent)) for to, sent in new_messages.items()}
            self.moves += layer
            yield layer
        self.is_complete = True

    def _possible(
        self, new_states: dict[NodeNumber, list[S]], new_messages: dict[NodeNumber, list[M]]
    ) -> Iterator[tuple[NodeNumber, S, E, M | None]]:
        """What may happen now and could not before; all that may happen in one state together."""
        node_of = self._system.node
        for node, states in self._states.items():
            fresh = set(new_states[node])
            arrivals = [
                (message, node_of.arrival(message)[1])
                for message in (*self._messages[node], *new_messages[node])
            ]
            latest = arrivals[len(self._messages[node]) :]
            for state in states:
                is_new = state in fresh
                if is_new:
                    for event in node_of.events(node, state):
                        if self._admits(node, state, event):
                            yield node, state, event, None
                for message, event in arrivals if is_new else latest:
                    if self._admits(node, state, event):
                        yield node, state, event, message

    def _admits(self, node: NodeNumber, state: S, event: E) -> bool:
        return self._is_allowed is None or self._is_allowed(node, state, event)

    def _moves(
        self, node: NodeNumber, state: S, event: E, message: M | None
    ) -> Iterator[Move[S, E, M]]:
        for step in self._system.local_steps(node, state, event):
            sent = tuple(each for _, each in step.messages)
            broken = None if step.violation is None else step.violation.property
            if broken is not None or step.state != state or sent:
                yield Move(node, state, event, message, step.state, sent, broken)
