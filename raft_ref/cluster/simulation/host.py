"""A simulated computer with one server on it: it crashes, comes back, and stands still."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from traceback import format_exception

from raft_ref.cluster.driver import Driver, Journal, Outlet
from raft_ref.cluster.frames import Frame
from raft_ref.cluster.replies import Reply, unknown
from raft_ref.cluster.requests import Ticket
from raft_ref.cluster.server import Arrived, Asked, Input, Server
from raft_ref.cluster.simulation.agenda import Agenda
from raft_ref.cluster.simulation.disk import Delay, Disk
from raft_ref.cluster.storage import Storage
from raft_ref.cluster.timers import Seconds, Timing
from raft_ref.types import Command, Config, NodeId, PersistentState

NewServer = Callable[[Config, PersistentState, Timing, Random, Seconds], Server]
NewDriver = Callable[[Storage, Journal, Outlet], Driver]

Answered = Callable[[Reply], None]
"""What a client does with the answer."""


class Crash(Exception):
    """The server dies while it sends."""


@dataclass(slots=True)
class Host:
    """One server, its disk, and what it is doing."""

    config: Config
    timing: Timing
    agenda: Agenda
    chance: Random
    send_frame: Callable[[NodeId, NodeId, Frame], None]
    new_server: NewServer
    new_driver: NewDriver
    disk: Disk
    server: Server | None = None
    """None while it is down."""
    crash_chance: float = 0.0
    """That it dies, whenever something leaves it."""
    crashes: int = 0
    given_up: str | None = None
    """The error that it first died of by itself, which it never should, as Python shows it."""
    steps: int = 0
    _driver: Driver = field(init=False)
    _inbox: list[Input] = field(default_factory=list)
    _work: Coroutine[Delay, None, None] | None = None
    """Under way; nothing else is taken up until it is done."""
    _wakes_at: Seconds = float("inf")
    _is_paused: bool = False
    _tickets: Ticket = 0
    _clients: dict[Ticket, Answered] = field(default_factory=dict)

    # --- what happens to it ----------------------------------------------------------------------

    def start(self) -> None:
        """Start, or start again after a crash."""
        if self.server is None:
            self._driver = self.new_driver(self.disk, self.disk, self)
            self.server = self.new_server(
                self.config, self.disk.durable, self.timing, self.chance, self.agenda.now
            )
            self._go_on()

    def crash(self) -> None:
        """Die. Clients see their connections break, and do not know what became of anything."""
        if self.server is None:
            return
        self.server = None
        self.crashes += 1
        if self._work is not None:
            self._work.close()
            self._work = None
        self._inbox.clear()
        self.disk.crash()
        waiting, self._clients = self._clients, {}
        for answered in waiting.values():
            answered(unknown("the connection was closed"))

    def _give_up(self, error: Exception) -> None:
        """Die of an error of its own."""
        self.given_up = self.given_up or "".join(format_exception(error))
        self.crash()

    def pause(self) -> None:
        """Stand still, and notice nothing of it."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on, as if no time had passed."""
        self._is_paused = False
        self._go_on()

    def receive(self, source: NodeId, frame: Frame) -> None:
        """A frame arrives."""
        if self.server is not None:
            self._take(Arrived(source, frame))

    def ask(self, command: Command, answered: Answered) -> bool:
        """A client asks; False if nobody is there."""
        if self.server is None:
            return False
        self._tickets += 1
        self._clients[self._tickets] = answered
        self._take(Asked(self._tickets, command))
        return True

    # --- what leaves it --------------------------------------------------------------------------

    def send(self, destination: NodeId, frame: Frame) -> None:
        """Send a frame, or die."""
        if self.chance.random() < self.crash_chance:
            raise Crash
        self.send_frame(self.config.id, destination, frame)

    def answer(self, ticket: Ticket, reply: Reply) -> None:
        """Answer a client."""
        answered = self._clients.pop(ticket, None)
        if answered is not None:
            answered(reply)

    # --- what it does ----------------------------------------------------------------------------

    def _take(self, happened: Input) -> None:
        self._inbox.append(happened)
        if len(self._inbox) == 1:
            # Not at once: what comes at the same moment becomes one batch.
            self.agenda.after(0, self._go_on)

    def _go_on(self) -> None:
        """Do what there is to do."""
        while self.server is not None and self._work is None and not self._is_paused:
            now = self.agenda.now
            if not self._inbox and now < self.server.deadline:
                self._wake_at(self.server.deadline)
                return
            inputs, self._inbox = self._inbox, []
            try:
                batch = self.server.handle(now, inputs)
            except Exception as error:  # whatever it is, it is the server's fault
                self._give_up(error)
                return
            self.steps += len(batch.steps)
            self._work = self._driver.carry_out(batch)
            self._continue(self._work)

    def _continue(self, work: Coroutine[Delay, None, None]) -> None:
        """Go on with what is under way, unless the server has died since."""
        if self._work is not work:
            return
        try:
            delay = work.send(None)
        except StopIteration:
            self._work = None
        except Crash:
            self.crash()
        except Exception as error:
            self._give_up(error)
        else:
            self.agenda.after(delay.seconds, lambda: self._continue_and_go_on(work))

    def _continue_and_go_on(self, work: Coroutine[Delay, None, None]) -> None:
        if self._is_paused:
            self.agenda.after(0.01, lambda: self._continue_and_go_on(work))
            return
        self._continue(work)
        self._go_on()

    def _wake_at(self, when: Seconds) -> None:
        if self._wakes_at > when or self._wakes_at <= self.agenda.now:
            self._wakes_at = when
            self.agenda.after(when - self.agenda.now, self._go_on)
