"""Finding out what a foreign server does: its history done again on a fresh server, and one more
event.

A server is a deterministic function of what has happened to it, if the adapter keeps its promises.
That is seen, not believed: all that is done again must come out as it did before.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event
from typing import assert_never

from model_check.conformance.difference import difference
from model_check.conformance.observed import Arrival, ForeignEvent, ObservedState
from model_check.conformance.process import AdapterFailed, AdapterProcess, Unanswered
from model_check.conformance.protocol import (
    PROTOCOL_VERSION,
    AnyReply,
    AnyRequest,
    Crash,
    DeliverRequest,
    ElectionTimeoutRequest,
    ErrorReply,
    EventReply,
    HeartbeatTimeoutRequest,
    Init,
    InitOk,
    Propose,
    ProtocolError,
    Reply,
    Reset,
    RestartRequest,
)
from model_check.conformance.table import LearntStep, LocalEvent, Table
from model_check.deadline import Deadline
from raft_ref import ClientRequest, ElectionTimeout, HeartbeatTimeout, NodeId, Restart


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """How to start an adapter."""

    command: tuple[str, ...]
    servers: int
    options: tuple[tuple[str, str], ...] = ()
    step_timeout: float

    def start(self) -> Cluster:
        """A fresh process.

        Raises:
            AdapterFailed: if it does not start, or breaks the protocol at once.
        """
        return Cluster(self)

    def identity(self, init: InitOk) -> dict[str, str]:
        """What must be the same for what was learnt before to be true still: the command, and the
        contents of the files that it names."""
        digests = []
        for word in self.command:
            path = Path(shutil.which(word) or word)
            if path.is_file():
                digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
        return {
            "adapter": init.name,
            "command": " ".join(self.command),
            "contents": " ".join(digests),
            "servers": str(self.servers),
            "options": " ".join(f"{name}={value}" for name, value in sorted(self.options)),
        }


RESET = -1
"""The position of a reset, which comes before the events of a history."""


@dataclass(eq=False)
class StepFailed(Exception):
    """A server did not survive an event."""

    position: int
    """Of the event in the history; `RESET`, if it was none."""
    node: NodeId
    how: str
    is_alive: bool
    """Whether the process is: it can be reset."""
    request: str = ""
    """The request that was not answered, as it was written."""
    stderr: tuple[str, ...] = ()
    """The last lines of standard error."""
    is_early: bool = False
    """Whether it did on something that it had survived before."""

    def __post_init__(self) -> None:
        # Pickling makes an exception again from these.
        self.args = (self.position, self.node, self.how, self.is_alive, self.request, self.stderr)

    def __str__(self) -> str:
        return self.how

    @property
    def description(self) -> str:
        """How it failed, with what was said last."""
        return self.how + "".join(f"\n  {line}" for line in self.stderr[-5:])

    def as_adapters_fault(self) -> AdapterFailed:
        """The same as the fault of the adapter, where no server was asked to do anything new."""
        if self.position == RESET:
            reason = f"{self.how}, at a reset of server {self.node}"
        else:
            reason = (
                f"server {self.node} failed on event {self.position + 1} of its history, which it "
                f"survived before: {self.how}"
            )
        return AdapterFailed(reason, self.request, stderr=self.stderr)


class Cluster:
    """The servers of one adapter process."""

    def __init__(self, adapter: Adapter) -> None:
        self._msg_ids = count(1)
        self._process = AdapterProcess(adapter.command, adapter.step_timeout)
        nodes = list(range(1, adapter.servers + 1))
        init = Init(
            msg_id=next(self._msg_ids),
            protocol_version=PROTOCOL_VERSION,
            nodes=nodes,
            options=dict(adapter.options),
        )
        try:
            self.init = self._greet(init)
        except BaseException:
            self._process.close()
            raise

    def _greet(self, init: Init) -> InitOk:
        try:
            (reply,) = self._process.exchange([init])
        except Unanswered as unanswered:
            raise AdapterFailed(
                f"{unanswered.how}, at init", unanswered.request, stderr=unanswered.stderr
            ) from None
        if isinstance(reply, ErrorReply):
            raise self.failed(f"error {reply.code} at init: {reply.text}", reply)
        assert isinstance(reply, InitOk)
        if [each.node for each in reply.states] != init.nodes:
            raise self.failed(f"init_ok must give the states of {init.nodes}", reply)
        return reply

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def kill(self) -> None:
        """End the process, which another thread may be waiting for: it gets no answer."""
        self._process.kill()

    def perform(
        self, node: NodeId, events: Sequence[ForeignEvent], *, from_start: bool
    ) -> list[EventReply]:
        """What ``node`` does on a reset, if ``from_start``, and then on each of ``events``.

        Raises:
            AdapterFailed: if the adapter breaks the protocol.
            StepFailed: if the server does not survive one of them.
        """
        requests: list[AnyRequest] = []
        positions: list[int] = []
        if from_start:
            requests.append(Reset(msg_id=next(self._msg_ids), node=node))
            positions.append(RESET)
        for position, event in enumerate(events):
            needed = self._requests(node, event)
            requests += needed
            positions += [position] * len(needed)
        try:
            replies = self._process.exchange(requests)
        except Unanswered as unanswered:
            raise StepFailed(
                positions[unanswered.position],
                node,
                unanswered.how,
                is_alive=False,
                request=unanswered.request,
                stderr=unanswered.stderr,
            ) from None
        return self._event_replies(node, positions, replies)

    def _event_replies(
        self, node: NodeId, positions: list[int], replies: list[AnyReply]
    ) -> list[EventReply]:
        """The replies that say what a server did, one for the reset and for each event."""
        wanted: list[EventReply] = []
        for position, reply in zip(positions, replies, strict=True):
            if isinstance(reply, ErrorReply):
                if reply.code == ErrorReply.CRASH and position != RESET:
                    raise StepFailed(position, node, reply.text, is_alive=True)
                raise self.failed(f"error {reply.code}: {reply.text}", reply)
            if isinstance(reply, EventReply):
                wanted.append(reply)
        return wanted

    def failed(self, reason: str, reply: Reply) -> AdapterFailed:
        """That the adapter is at fault for ``reason``, as a ``reply`` to what was last asked of it
        shows."""
        return self._process.failed(reason, reply)

    def _requests(self, node: NodeId, event: ForeignEvent) -> list[AnyRequest]:
        msg_id = next(self._msg_ids)
        match event:
            case ElectionTimeout():
                return [ElectionTimeoutRequest(msg_id=msg_id, node=node)]
            case HeartbeatTimeout():
                return [HeartbeatTimeoutRequest(msg_id=msg_id, node=node)]
            case ClientRequest(command):
                return [Propose(msg_id=msg_id, node=node, command=command)]
            case Arrival(message):
                source, payload = message.source, message.payload
                return [DeliverRequest(msg_id=msg_id, node=node, source=source, payload=payload)]
            case Restart():
                crash = Crash(msg_id=msg_id, node=node)
                return [crash, RestartRequest(msg_id=next(self._msg_ids), node=node)]
            case _:
                assert_never(event)


class Learner:
    """Fills a table, by as many processes of an adapter as there are workers.

    Raises:
        AdapterFailed: here or later, if the adapter is at fault.
        TableError: if ``table_path`` is no table of this adapter.
    """

    def __init__(
        self,
        adapter: Adapter,
        workers: int | None,
        table_path: Path | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> None:
        self._adapter = adapter
        self._deadline = deadline or Deadline()
        self._closing = Event()
        first = _Pupil(adapter, self._closing)
        try:
            self.table = Table(first.init, adapter.identity(first.init), table_path)
        except ProtocolError as error:
            first.close()
            raise first.failed_at_init(error) from None
        except BaseException:
            first.close()
            raise
        self._pupils = [first]
        self._workers = workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers)
        self.calls = 0
        """Steps learnt from the adapter: those that stood in the table already are not among them.
        """

    def __enter__(self) -> Learner:
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes, and save the table."""
        self._closing.set()
        for pupil in self._pupils:
            pupil.kill()  # so that nobody waits for an answer
        self._pool.shutdown(cancel_futures=True)
        for pupil in self._pupils:
            pupil.close()
        self.table.close()

    def step(self, key: LocalEvent) -> LearntStep:
        """What an event does to a server in some state."""
        if key not in self.table:
            self.learn([key])
        return self.table[key]

    def learn(self, keys: Iterable[LocalEvent]) -> None:
        """Find out what the events of ``keys`` do, as far as it is not known.

        All start in states that are in the table.

        Raises:
            OutOfTime: if the deadline comes before that. Then nothing more can be learnt.
        """
        unknown = [key for key in dict.fromkeys(keys) if key not in self.table]
        if not unknown:
            return
        self._deadline.check()
        # Events of the same server and state stand together: one that changes nothing leaves the
        # server where the next one needs it.
        share = -(-len(unknown) // self._workers)
        shares = [unknown[start : start + share] for start in range(0, len(unknown), share)]
        while len(self._pupils) < len(shares):
            self._pupils.append(_Pupil(self._adapter, self._closing))
        futures = [
            self._pool.submit(pupil.learn, self.table, its)
            for pupil, its in zip(self._pupils, shares, strict=False)
        ]
        self._await(futures)
        for its, future in zip(shares, futures, strict=True):
            for key, learnt in zip(its, future.result(), strict=True):
                self.calls += 1
                try:
                    self.table.add(key, learnt)
                except ProtocolError as error:  # it contradicts what another process said
                    raise AdapterFailed(str(error)) from None
        self.table.save()

    def _await(self, futures: Sequence[Future[list[EventReply | str]]]) -> None:
        """Wait until all have learnt what they should.

        Raises:
            KeyboardInterrupt: if an interrupt comes, or the deadline. They learn no more then.
        """
        try:
            while wait(futures, self._deadline.left).not_done:
                self._deadline.check()
        except KeyboardInterrupt:
            self._closing.set()
            raise


class _Pupil:
    """A cluster, and where each of its servers stands."""

    def __init__(self, adapter: Adapter, closing: Event) -> None:
        self._adapter = adapter
        self._closing = closing
        self._cluster = adapter.start()
        self._at: dict[NodeId, ObservedState] = {}
        self.init = self._cluster.init

    def close(self) -> None:
        self._cluster.close()

    def kill(self) -> None:
        self._cluster.kill()

    def failed_at_init(self, error: ProtocolError) -> AdapterFailed:
        return self._cluster.failed(f"at init: {error}", self.init)

    def learn(self, table: Table, keys: Sequence[LocalEvent]) -> list[EventReply | str]:
        """What each of ``keys`` does, or how it makes the server fail; less, once closing."""
        return [self._learn(table, key) for key in keys if not self._closing.is_set()]

    def _learn(self, table: Table, key: LocalEvent) -> EventReply | str:
        try:
            return self._perform(table, key)
        except StepFailed as failed:
            if self._closing.is_set():  # it was killed, and nobody asks any more
                raise
            if failed.position == RESET:
                raise failed.as_adapters_fault() from None
            first = failed
        # Chance, or the adapter's fault? A fresh process tells.
        self._start_again()
        try:
            reply = self._perform(table, key)
        except StepFailed as failed:
            if failed.is_early:
                raise failed.as_adapters_fault() from None
            if not failed.is_alive:
                self._start_again()
            return failed.description
        if not first.is_early:
            raise AdapterFailed(
                f"server {key[0]} failed on an event, and did not when a fresh process did the "
                f"same: {first.how}",
                first.request,
                stderr=first.stderr,
            )
        # Something that was done before left its mark on the process, not on the server.
        return reply

    def _start_again(self) -> None:
        self._cluster.close()
        self._cluster, self._at = self._adapter.start(), {}

    def _perform(self, table: Table, key: LocalEvent) -> EventReply:
        node, before, event = key
        in_place = self._at.pop(node, None) == before
        history = [] if in_place else table.history(node, before)
        events = [past for past, _ in history] + [event]
        try:
            *replies, reply = self._cluster.perform(node, events, from_start=not in_place)
        except StepFailed as failed:
            failed.is_early = failed.position < len(history)
            raise
        expected = [] if in_place else [LearntStep(table.initial[node - 1])]
        expected += [step for _, step in history]
        for number, (step, again) in enumerate(zip(expected, replies, strict=True)):
            if (now := self._read(table, node, again)) != step:
                what = (
                    f"server {node} does not do the same again: event {number} of its history has "
                    f"another outcome than before"
                    if number
                    else f"a reset of server {node} does not lead back to how it started"
                )
                raise self._cluster.failed(f"{what}: {difference(step, now)}", again)
        self._at[node] = self._read(table, node, reply).state
        return reply

    def _read(self, table: Table, node: NodeId, reply: EventReply) -> LearntStep:
        try:
            return table.read(node, reply)
        except ProtocolError as error:
            raise self._cluster.failed(str(error), reply) from None
