"""Servers that run a mutant of the core."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import cast

from model_check.mutants.mutant import Mutant
from model_check.raft import Bounds, RaftNode
from model_check.renaming import rename_persistent, rename_state
from model_check.system import Outcome, T
from raft_ref import Event, Follower, Message, NodeId, NodeState, Output, PersistentState
from spec.forms import Renaming

_NOTHING_WRITTEN = PersistentState()


@dataclass(frozen=True, slots=True)
class Remembering(NodeState, ABC):
    """The state of a server that remembers more than Raft asks for."""

    @abstractmethod
    def under(self, renaming: Renaming) -> Remembering:
        """What more it remembers, under other names."""


@dataclass(frozen=True, slots=True)
class BeforeSync(Remembering):
    """The state of a server whose last write may not be durable yet."""

    durable: PersistentState = _NOTHING_WRITTEN
    """What a crash leaves."""

    def under(self, renaming: Renaming) -> BeforeSync:
        return replace(self, durable=rename_persistent(self.durable, renaming))


class MutantNode(RaftNode):
    """The core as ``mutant`` has it."""

    def __init__(self, bounds: Bounds, mutant: Mutant) -> None:
        super().__init__(bounds)
        self.mutant = mutant

    def initial(self, node: NodeId) -> NodeState:
        return self.mutant.initial if self.mutant.crash_leaves is None else BeforeSync()

    def step(
        self, node: NodeId, state: NodeState, event: Event
    ) -> Outcome[NodeState, Output, Message]:
        if isinstance(state, BeforeSync):
            return self._step_before_sync(node, state, event)
        with self.mutant.in_force():
            return super().step(node, state, event)

    def is_outdated(self, state: NodeState, message: Message) -> bool:
        """Nothing is: what would be in Raft, may do something here."""
        return False

    def rename(self, value: T, renaming: Renaming) -> T:
        if isinstance(value, Remembering):
            return cast(T, rename_state(value, renaming).under(renaming))
        return super().rename(value, renaming)

    def _step_before_sync(
        self, node: NodeId, state: BeforeSync, event: Event
    ) -> Outcome[NodeState, Output, Message]:
        """A step whose outputs leave at once, while a crash leaves what the mutant says of its
        writes. With the next write, those before it have become durable."""
        assert self.mutant.crash_leaves is not None
        if self.is_restart(event):
            return Outcome(BeforeSync(state.durable, Follower(), durable=state.durable))
        outcome = super().step(node, state, event)
        before, after = state.persistent, outcome.state.persistent
        if before == after:
            return outcome
        durable = self.mutant.crash_leaves(event, before, after)
        return replace(outcome, state=replace(cast(BeforeSync, outcome.state), durable=durable))
