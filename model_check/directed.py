"""Finding a run that ends in a certain step, however large the space is.

Of all steps of the relaxation (`model_check.relaxed`) few have anything to do with the one that is
wanted. The system is explored with those alone that stand in a cheapest plan for it; if the nodes
cannot agree on that, with those of plans that cost one step more, then two, four, eight: until a
run is found, or all steps were allowed and there is none.

A plan makes every state and every message that its steps need, by other steps, and counts a step as
often as something needs it. What it costs to make a thing, and what the rest of the cheapest plan
around it costs, are found as in parsing by weighted deduction: Knuth's generalization of Dijkstra's
algorithm, inwards and then outwards.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias

from model_check.explore import Exploration
from model_check.relaxed import Move
from model_check.system import M, Node, Outcome, Q, System
from spec.forms import E, H, NodeNumber, O, S

Thing: TypeAlias = Hashable
"""What a step needs or makes: a node and a state of it, or a message."""

_NEVER = 1 << 40
"""The cost of what no plan makes."""


@dataclass(frozen=True)
class Directed(Generic[E, M]):
    """What came of looking for a run."""

    exploration: Exploration[E, M]
    """The last one: it found a violation, or was stopped, or there is none to find."""
    steps: int
    """How many different steps of nodes were allowed in it."""
    is_everything: bool
    """Whether those were all there are."""


def find_run(
    system: System[S, E, O, M, Q, H],
    moves: Sequence[Move[S, E, M]],
    goals: Iterable[Move[S, E, M]],
    explore: Callable[[System[S, E, O, M, Q, H]], Exploration[E, M]],
) -> Directed[E, M]:
    """Look for a run of ``system`` to a violation, where ``goals`` lead to one.

    ``moves`` are the steps of its relaxation, ``goals`` some of them.
    """
    wanted = set(map(id, goals))
    costs = _costs(
        system, moves, [number for number, move in enumerate(moves) if id(move) in wanted]
    )
    needed = sorted({cost for cost in costs if cost < _NEVER})
    width = 0
    while True:
        limit = needed[0] + width
        chosen = [move for move, cost in zip(moves, costs, strict=True) if cost <= limit]
        is_everything = limit >= needed[-1]
        sliced = _Slice(system.node, moves if is_everything else chosen)
        found = explore(System(sliced, system.network, system.watch))
        if is_everything or found.verdict != "holds":
            return Directed(found, len(chosen), is_everything)
        width = 2 * width or 1


class _Slice(Node[S, E, O, M]):
    """A node that does no more than some of its steps."""

    def __init__(self, node: Node[S, E, O, M], moves: Iterable[Move[S, E, M]]) -> None:
        self._node = node
        self._allowed = {(move.node, move.before, move.event) for move in moves}

    @property
    def count(self) -> int:
        return self._node.count

    def initial(self, node: NodeNumber) -> S:
        return self._node.initial(node)

    def events(self, node: NodeNumber, state: S) -> Iterable[E]:
        events = self._node.events(node, state)
        return (event for event in events if (node, state, event) in self._allowed)

    def outcomes(self, node: NodeNumber, state: S, event: E) -> tuple[Outcome[S, O, M], ...]:
        if (node, state, event) not in self._allowed:
            return ()
        return self._node.outcomes(node, state, event)

    def arrival(self, message: M) -> tuple[NodeNumber, E]:
        return self._node.arrival(message)

    def sender(self, message: M) -> NodeNumber:
        return self._node.sender(message)

    def is_restart(self, event: E) -> bool:
        return self._node.is_restart(event)


# --- what a plan costs ---------------------------------------------------------------------------


def _costs(
    system: System[S, E, O, M, Q, H], moves: Sequence[Move[S, E, M]], goals: Iterable[int]
) -> list[int]:
    """For each move what the cheapest plan for some goal costs that it is part of."""
    numbers: dict[Thing, int] = {}

    def number(things: Iterable[Thing]) -> list[int]:
        return [numbers.setdefault(thing, len(numbers)) for thing in things]

    nodes = range(1, system.node.count + 1)
    given = number((node, system.node.initial(node)) for node in nodes)
    needs = [number(_needs(move)) for move in moves]
    makes = [number(_makes(move)) for move in moves]
    inside = _inside(given, needs, makes, len(numbers))
    costs = [1 + sum(inside[thing] for thing in needed) for needed in needs]
    outside = _outside(needs, makes, inside, costs, goals)
    return [cost + rest for cost, rest in zip(costs, outside, strict=True)]


def _needs(move: Move[S, E, M]) -> list[Thing]:
    state: Thing = (move.node, move.before)
    return [state] if move.arrived is None else [state, move.arrived]


def _makes(move: Move[S, E, M]) -> list[Thing]:
    return [(move.node, move.after), *move.sent]


def _inside(
    given: Iterable[int], needs: list[list[int]], makes: list[list[int]], count: int
) -> list[int]:
    """How many steps it takes to make each of ``count`` things."""
    users = _by_thing(needs, count)
    inside, is_settled = [_NEVER] * count, [False] * count
    missing, cost = list(map(len, needs)), [1] * len(needs)
    queue = [(0, thing) for thing in given]
    while queue:
        steps, thing = heapq.heappop(queue)
        if is_settled[thing]:
            continue
        inside[thing], is_settled[thing] = steps, True
        for move in users[thing]:
            missing[move] -= 1
            cost[move] += steps
            if missing[move] == 0:
                for made in makes[move]:
                    heapq.heappush(queue, (cost[move], made))
    return inside


def _outside(
    needs: list[list[int]],
    makes: list[list[int]],
    inside: list[int],
    costs: list[int],
    goals: Iterable[int],
) -> list[int]:
    """How many steps the cheapest plan for a goal has besides a move, and besides what makes it
    possible."""
    makers = _by_thing(makes, len(inside))
    outside = [_NEVER] * len(needs)
    queue = [(0, goal) for goal in goals]
    while queue:
        steps, move = heapq.heappop(queue)
        if outside[move] < _NEVER:
            continue
        outside[move] = steps
        for thing in needs[move]:
            rest = steps + costs[move] - inside[thing]
            for maker in makers[thing]:
                if outside[maker] == _NEVER:
                    heapq.heappush(queue, (rest, maker))
    return outside


def _by_thing(things: list[list[int]], count: int) -> list[list[int]]:
    """For each thing the moves that name it."""
    moves: list[list[int]] = [[] for _ in range(count)]
    for move, named in enumerate(things):
        for thing in named:
            moves[thing].append(move)
    return moves
