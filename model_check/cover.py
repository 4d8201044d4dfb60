"""Runs of the core that take each of its local steps, within bounds, at least once.

A local step is an event at a server in some state; two that are the same but for the names of
servers and commands count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from model_check.deadline import Deadline
from model_check.engine.explorer import Options, Search
from model_check.engine.prepared import prepare
from model_check.engine.symmetry import Group
from model_check.engine.uses import Use, first_uses
from model_check.explore import Budget, Figures, ignore
from model_check.interned import Memo
from model_check.network import Replayable
from model_check.raft import Bounds, RaftAction, RaftNode, raft_system
from model_check.system import State
from model_check.watch import Memory
from raft_ref import Event, Message, NodeId, NodeState

LocalStep: TypeAlias = tuple[NodeId, NodeState, Event]
RaftState: TypeAlias = State[NodeState, tuple[Message, ...], Memory]


@dataclass(frozen=True)
class Cover:
    """Runs that take each local step of the core within bounds."""

    bounds: Bounds
    runs: tuple[tuple[RaftAction, ...], ...]
    """Longest first."""
    steps: int
    """How many local steps there are, but for names."""


def cover(
    bounds: Bounds,
    on_progress: Callable[[Figures], None] = ignore,
    deadline: Deadline | None = None,
) -> Cover:
    """Find such runs, on a network that repeats and reorders.

    Of each step a shortest run to it is taken, but for those that stand on the way to another.

    Raises:
        ValueError: if ``bounds`` limit how often something happens in a run: whether a step is
            possible depends then on what came before, not on the server alone.
        KeyboardInterrupt: if it was interrupted, or the deadline came: some of the runs are none.
    """
    if bounds.limits:
        raise ValueError("local steps cannot be covered where a run is limited, or scripted")
    deadline = deadline or Deadline()
    prepare(deadline)
    core = _Core(bounds)
    group = Group(bounds.servers, tuple(core.node.renamings()), deadline.check)
    options = Options(workers=1, eager=True)
    search = Search(core.system, group, options, Budget(deadline=deadline), on_progress)
    if search.run().stopped_by is not None:
        deadline.check()
        raise KeyboardInterrupt
    places: dict[str, int] = {}
    for use in first_uses(search):
        deadline.check()
        for step in core.steps_of(use):
            name = core.names[step]
            places[name] = min(places.get(name, use.place), use.place)
    runs: list[tuple[RaftAction, ...]] = []
    covered: set[str] = set()
    for name, place in sorted(places.items(), key=lambda item: (-item[1], item[0])):
        deadline.check()
        if name not in covered:
            actions, state = search.run_to(place)
            run = (*actions, core.action_of(state, name))
            covered |= core.covered_by(run)
            runs.append(run)
    return Cover(bounds, tuple(runs), len(places))


def step_names(node: RaftNode) -> Memo[LocalStep, str]:
    """By local step: what it is called, the same as all its renamings."""
    renamings = tuple(node.renamings())

    def name(step: LocalStep) -> str:
        number, state, event = step
        return min(
            repr((each.node(number), node.rename(state, each), node.rename(event, each)))
            for each in renamings
        )

    return Memo(name)


class _Core:
    """The core within bounds, and what its local steps are called."""

    def __init__(self, bounds: Bounds) -> None:
        self.node = RaftNode(bounds)
        self.system = raft_system(self.node, Replayable(), ())
        self.names = step_names(self.node)

    def steps_of(self, use: Use[NodeState, Message]) -> Iterator[LocalStep]:
        """The local steps that are possible there."""
        if use.message is not None:
            yield use.node, use.state, self.node.arrival(use.message)[1]
            return
        for event in self.node.events(use.node, use.state):
            yield use.node, use.state, event

    def action_of(self, state: RaftState, name: str) -> RaftAction:
        """An action that takes the step of this name."""
        actions = (action for action, *_ in self.system.successors(state))
        return next(each for each in actions if self.names[self._taken(state, each)] == name)

    def covered_by(self, run: Iterable[RaftAction]) -> set[str]:
        """The names of the steps that ``run`` takes."""
        state, names = self.system.initial(), set()
        for action in run:
            names.add(self.names[self._taken(state, action)])
            taken = self.system.take(state, action)
            assert taken is not None, f"{action} cannot happen"
            state = taken[0]
        return names

    def _taken(self, state: RaftState, action: RaftAction) -> LocalStep:
        step = self.system.step_of(state, action)
        assert step is not None, "nothing is ever lost here"
        return step
