"""Does what a server says, in the one order that is right.

First the change of the persistent state becomes durable, with the trace of the steps that led to
it; then messages and answers leave (the persistence contract of `raft_ref.Transition`). All that
was ready at once is one batch, and one write to the disk: the more there is to do, the more share
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from raft_ref.cluster.coalescing import Step
from raft_ref.cluster.frames import Frame
from raft_ref.cluster.replies import Reply
from raft_ref.cluster.requests import Ticket
from raft_ref.cluster.server import Batch
from raft_ref.cluster.storage import Storage
from raft_ref.types import NodeId


class Outlet(Protocol):
    """By which what a server says leaves it."""

    def send(self, destination: NodeId, frame: Frame) -> None:
        """Send a frame to another server; it may get lost, and nobody waits for it."""

    def answer(self, ticket: Ticket, reply: Reply) -> None:
        """Answer a client of this server, if it still waits."""


class Journal(Protocol):
    """Keeps the trace of what a server does."""

    def note(self, steps: Sequence[Step]) -> bytes:
        """What the storage is to keep with a change, so that neither gets ahead of the other."""

    def write(self, steps: Sequence[Step]) -> None:
        """Add steps to the trace."""


class NoJournal:
    """No trace is kept."""

    def note(self, steps: Sequence[Step]) -> bytes:
        """Nothing."""
        return b""

    def write(self, steps: Sequence[Step]) -> None:
        """Nothing."""


class Driver:
    """Does what one server says."""

    def __init__(self, storage: Storage, journal: Journal, outlet: Outlet) -> None:
        self._storage = storage
        self._journal = journal
        self._outlet = outlet

    async def carry_out(self, batch: Batch) -> None:
        """Do all of a batch. Whoever waits may collect the next one meanwhile.

        Raises:
            StorageError: if it may not have become durable; then nothing of it has left.
        """
        await self._keep(batch)
        self._release(batch)

    async def _keep(self, batch: Batch) -> None:
        if batch.change is not None:
            await self._storage.save(batch.change, self._journal.note(batch.steps))
        self._journal.write(batch.steps)

    def _release(self, batch: Batch) -> None:
        for destination, frame in batch.sends:
            self._outlet.send(destination, frame)
        for ticket, reply in batch.answers:
            self._outlet.answer(ticket, reply)
