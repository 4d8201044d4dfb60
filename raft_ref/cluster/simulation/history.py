"""What a simulated run has come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raft_ref.cluster.coalescing import Step
from raft_ref.cluster.history import Operation
from raft_ref.cluster.tracing import beginning, header, lines_of
from raft_ref.types import Config, NodeId, NodeState, PersistentState


@dataclass(frozen=True, slots=True)
class Metrics:
    """How much happened in a run."""

    steps: int
    frames: int
    lost: int
    repeated: int
    writes: int
    """To the disks."""
    crashes: int
    partitions: int
    pauses: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a server did; and where it started again, with what."""

    config: Config
    steps: tuple[Step | PersistentState, ...]

    def lines(self) -> bytes:
        """The trace, as the real journal writes it."""
        lines = [header(self.config), beginning(self.config.id, NodeState(), is_restart=False)]
        for each in self.steps:
            match each:
                case Step():
                    lines.append(lines_of(self.config.id, (each,)))
                case PersistentState():
                    lines.append(beginning(self.config.id, NodeState(each), is_restart=True))
        return b"".join(lines)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is known of a run once it is over, and all servers have been left in peace."""

    history: tuple[Operation, ...]
    """In the order in which they ended."""
    recorded: tuple[Recorded, ...]
    """Of each server."""
    states: Mapping[NodeId, NodeState]
    stores: Mapping[NodeId, Mapping[bytes, bytes]]
    given_up: Mapping[NodeId, str]
    """The errors of servers that ended by themselves, which none should."""
    metrics: Metrics

    @property
    def traces(self) -> Mapping[NodeId, bytes]:
        """The servers' traces; written when asked for, since that takes as long as the run."""
        return {each.config.id: each.lines() for each in self.recorded}
