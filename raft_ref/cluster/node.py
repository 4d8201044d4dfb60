"""A server that runs: `Server` and `Driver` with a clock, connections, a disk and clients."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import SystemRandom
from time import perf_counter
from typing import NamedTuple

from raft_ref.cluster.clients import Answered, ClientPort
from raft_ref.cluster.driver import Driver, NoJournal
from raft_ref.cluster.frames import Frame
from raft_ref.cluster.inbox import Inbox
from raft_ref.cluster.journal import TraceFile
from raft_ref.cluster.logs import Log
from raft_ref.cluster.measures import Measures
from raft_ref.cluster.replies import Reply, not_done
from raft_ref.cluster.requests import Ticket
from raft_ref.cluster.server import Arrived, Asked, Batch, Server
from raft_ref.cluster.settings import Settings
from raft_ref.cluster.sqlite import SqliteStorage
from raft_ref.cluster.storage import Change, StorageError
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.tls import require_own
from raft_ref.cluster.transport import Transport
from raft_ref.cluster.wire import MAX_NUMBER
from raft_ref.events import Receive
from raft_ref.messages import AppendEntriesReply
from raft_ref.types import Command, NodeId, Term

MAX_OPEN = 10_000
"""Requests of clients under way; more are refused, and nothing is done."""

MAX_OPEN_SIZE = 64 * 2**20
"""How long their commands are together, in characters."""

_log = Log("node")


class Node:
    """One server of a live cluster.

    Raises:
        StorageError: if what it has stored cannot be used.
        SettingsError: if its secret or its certificates cannot be used, or nobody would let it in
            by them.
    """

    def __init__(self, settings: Settings) -> None:
        chance = SystemRandom()
        if settings.certificates is not None:
            require_own(settings.certificates, settings.config.id)
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        _require_what_was_kept(settings)
        self._storage = SqliteStorage(settings.database_path, settings.identity)
        if self._storage.was_adopted:
            _log.info("adopted", database=str(settings.database_path), cluster=settings.cluster)
        _require_possible(settings, self._storage.persistent.current_term)
        self.server = Server(
            settings.config,
            self._storage.persistent,
            settings.timing,
            chance,
            self._loop.time(),
        )
        self._measures = Measures(self.server)
        self._transport = Transport(
            settings, self._measures, self._arrive, lambda: self.server.state.current_term, chance
        )
        self._clients = ClientPort(self._ask, self._information, settings.limits)
        self._journal = self._open_trace()
        storage = MeasuredStorage(self._storage, self._measures)
        self._driver = Driver(storage, self._journal or NoJournal(), self)
        self._inbox = Inbox()
        self._has_some = asyncio.Event()
        self._asked: dict[Ticket, _Open] = {}
        self._asked_size = 0
        self._tickets: Ticket = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop.

        Raises:
            OSError: if an address cannot be had.
            StorageError: if something may not have become durable.
        """
        try:
            if self._settings.metrics is not None:
                self._measures.serve(self._settings.metrics)
            await self._transport.start()
            await self._clients.start(self._settings.client)
            _log.info("started", client=str(self._settings.client), **self._facts())
            await self._serve(stop)
        finally:
            self._clients.stop()
            await self._transport.stop()
            self._close()
            _log.info("stopped")

    # --- what leaves, as `driver.Outlet` ---------------------------------------------------------

    def send(self, destination: NodeId, frame: Frame) -> None:
        """Send a frame."""
        self._transport.send(destination, frame)

    def answer(self, ticket: Ticket, reply: Reply) -> None:
        """Answer a client, if it is still there."""
        asked = self._asked.pop(ticket)
        self._asked_size -= asked.size
        self._measures.request_seconds.observe(perf_counter() - asked.start)
        asked.answered(reply)

    # --- what comes in ---------------------------------------------------------------------------

    def _arrive(self, source: NodeId, frame: Frame) -> None:
        if self._inbox.arrive(Arrived(source, frame)):
            self._has_some.set()
        else:
            self._measures.dropped.inc()

    def _ask(self, command: Command, answered: Answered) -> None:
        size = len(command)
        if len(self._asked) >= MAX_OPEN or self._asked_size + size > MAX_OPEN_SIZE:
            self._measures.refused.inc()
            answered(not_done("too many requests are under way"))
            return
        self._tickets += 1
        self._asked[self._tickets] = _Open(answered, perf_counter(), size)
        self._asked_size += size
        self._inbox.ask(Asked(self._tickets, command))
        self._has_some.set()

    # --- what is done ----------------------------------------------------------------------------

    async def _serve(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._until_something_happens()
            inputs = self._inbox.take()
            with self._measures.handle_seconds.time():
                batch = self.server.handle(self._loop.time(), inputs)
            self._report(batch)
            await self._driver.carry_out(batch)
            await asyncio.sleep(0)  # so that what has come meanwhile is in the next batch

    async def _until_something_happens(self) -> None:
        """Something has come, or the server's deadline. Look up now and then in any case."""
        if self._inbox:
            return
        self._has_some.clear()
        seconds = min(max(0.0, self.server.deadline - self._loop.time()), 0.2)
        timer = self._loop.call_later(seconds, self._has_some.set)
        await self._has_some.wait()
        timer.cancel()

    def _report(self, batch: Batch) -> None:
        self._measures.steps.inc(len(batch.steps))
        for step in batch.steps:
            match step.event:
                case Receive(AppendEntriesReply(success=False)) if self.server.is_leader:
                    self._measures.rejections.inc()
                case _:
                    pass
            was, now = step.before, step.after
            if type(was.role) is not type(now.role):
                role = type(now.role).__name__.lower()
                _log.info(f"became {role}", term=now.current_term, commit_index=now.commit_index)

    def _information(self) -> Mapping[str, object]:
        """What ``INFO`` says."""
        return {**self._facts(), **self._clients.counts(), **self._measures.totals()}

    def _facts(self) -> Mapping[str, object]:
        state = self.server.state
        return {
            "id": self._settings.config.id,
            "role": type(state.role).__name__.lower(),
            "term": state.current_term,
            "leader": "none" if self.server.leader is None else self.server.leader,
            "commit_index": state.commit_index,
            "last_index": state.log.last_index,
            "keys": len(self.server.machine.store),
            "digest": self.server.machine.digest,
            "open_requests": self.server.open_requests,
        }

    def _open_trace(self) -> TraceFile | None:
        if not self._settings.trace:
            return None
        stored = self._storage
        path, config = self._settings.trace_path, self._settings.config
        return TraceFile(path, config, stored.persistent, stored.note)

    def _close(self) -> None:
        self._storage.close()
        if self._journal is not None:
            self._journal.close()


class _Open(NamedTuple):
    """A request of a client that is under way."""

    answered: Answered
    start: Seconds
    size: int


def _require_possible(settings: Settings, term: Term) -> None:
    """Refuse to start in a term that all other servers would refuse."""
    if term > MAX_NUMBER:
        raise StorageError(
            f"{settings.database_path} is of term {term}, which no election leads to, and none "
            "could follow: a message was forged; begin anew from copies made before, on all servers"
        )


def _require_what_was_kept(settings: Settings) -> None:
    """A server that has left a trace has had a state: it must not begin again without it."""
    database, trace = settings.database_path, settings.trace_path
    if not database.exists() and trace.exists() and trace.stat().st_size > 0:
        raise StorageError(
            f"{database} is missing, but {trace.name} is not: the server has promised what it no "
            "longer knows, and must not go on; if the whole cluster is to begin anew, remove both"
        )


class MeasuredStorage:
    """A storage whose saving is measured."""

    def __init__(self, storage: SqliteStorage, measures: Measures) -> None:
        self._storage = storage
        self._measures = measures

    async def save(self, change: Change, note: bytes) -> None:
        """Make a change durable, and say how long it took."""
        start = perf_counter()
        await self._storage.save(change, note)
        self._measures.save_seconds.observe(perf_counter() - start)
