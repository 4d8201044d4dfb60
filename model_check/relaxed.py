"""A system in which nothing is ever used up: what a node may do, if any message may reach it.

In the *relaxation* of a system, each state that a node was ever in, and each message that was ever
sent, stays there for good; so nodes need not agree on one history. It has every step that the
system has, and some that it has not: two messages may both arrive that no run sends together. For
that it is small: it grows with the steps of single nodes, not with their combinations.
(Automated planning calls it the delete relaxation.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeAlias

from model_check.system import M, Node, Outcome, attempt
from spec.forms import E, NodeNumber, O, S


class Move(NamedTuple, Generic[S, E, O, M]):
    """Something that a node may do."""

    node: NodeNumber
    before: S
    event: E
    outcome: Outcome[S, O, M]


Possible: TypeAlias = tuple[NodeNumber, S, E]


def relaxation(
    node: Node[S, E, O, M], is_allowed: Callable[[Possible[S, E]], bool]
) -> Iterator[Move[S, E, O, M]]:
    """All that may happen, what needs the least before it first; nothing that is not allowed."""
    numbers = range(1, node.count + 1)
    states: dict[NodeNumber, dict[S, None]] = {number: {} for number in numbers}
    arrivals: dict[NodeNumber, dict[E, None]] = {number: {} for number in numbers}
    new_states = {number: dict.fromkeys([node.initial(number)]) for number in numbers}
    new_arrivals: dict[NodeNumber, dict[E, None]] = {number: {} for number in numbers}
    while any(new_states.values()) or any(new_arrivals.values()):
        possible: list[Possible[S, E]] = []
        for number in numbers:
            own = [
                (number, state, event)
                for state in new_states[number]
                for event in (*node.events(number, state), *arrivals[number])
            ]
            states[number] |= new_states[number]
            arrived = [
                (number, state, event) for state in states[number] for event in new_arrivals[number]
            ]
            arrivals[number] |= new_arrivals[number]
            possible += filter(is_allowed, (*own, *arrived))
        node.foresee(possible)
        new_states = {number: {} for number in numbers}
        new_arrivals = {number: {} for number in numbers}
        for number, state, event in possible:
            for outcome in attempt(node, number, state, event):
                yield Move(number, state, event, outcome)
                if outcome.state not in states[number]:
                    new_states[number][outcome.state] = None
                for message in outcome.messages:
                    to, arrival = node.arrival(message)
                    if arrival not in arrivals[to]:
                        new_arrivals[to][arrival] = None
