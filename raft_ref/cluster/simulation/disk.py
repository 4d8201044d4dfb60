"""A simulated disk: writing takes time, and a server that dies meanwhile may find it not done."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Sequence
from dataclasses import dataclass, field
from random import Random

from raft_ref.cluster.coalescing import Step
from raft_ref.cluster.storage import Change, changed
from raft_ref.cluster.timers import Seconds
from raft_ref.types import PersistentState


@dataclass(frozen=True, slots=True)
class Delay(Awaitable[None]):
    """Awaited by whoever must wait; the simulation is handed it, and goes on later."""

    seconds: Seconds

    def __await__(self) -> Generator[Delay, None, None]:
        yield self


@dataclass(slots=True)
class Disk:
    """Storage and journal of one server. A write is there as a whole or not at all.

    That is what the transactions of the real storage give; that they do, files that were cut off
    and damaged show (``tests/test_cluster_storage.py``).
    """

    chance: Random
    durable: PersistentState = field(default_factory=PersistentState)
    trace: list[Step | PersistentState] = field(default_factory=list)
    """Where the server started again, with what."""
    writes: int = 0
    _writing: Change | None = None
    _noted: tuple[Step, ...] = ()

    async def save(self, change: Change, note: bytes) -> None:
        """Mostly takes a millisecond or two; sometimes a hundred."""
        self._writing = change
        await Delay(self._seconds())
        self._finish()

    def note(self, steps: Sequence[Step]) -> bytes:
        """Keep these with the next change."""
        self._noted = tuple(steps)
        return b""

    def write(self, steps: Sequence[Step]) -> None:
        """Add steps to the trace."""
        self.trace += steps

    def crash(self) -> None:
        """The server dies: what was being written is there, or it is not."""
        if self._writing is not None and self.chance.random() < 0.5:
            self._finish()
            self.trace += self._noted
        self._writing = None
        self.trace.append(self.durable)

    def _finish(self) -> None:
        assert self._writing is not None
        self.durable = changed(self.durable, self._writing)
        self._writing = None
        self.writes += 1

    def _seconds(self) -> Seconds:
        slow = self.chance.random() < 0.01
        return self.chance.uniform(0.02, 0.15) if slow else self.chance.uniform(0.0005, 0.003)
