"""Servers and drivers with one bug each, for the tests that must notice it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from raft_ref.cluster.commands import as_words
from raft_ref.cluster.driver import Driver
from raft_ref.cluster.frames import Forward
from raft_ref.cluster.machine import Machine
from raft_ref.cluster.replies import Done, Reply, Value
from raft_ref.cluster.requests import Request, Requests, ToClient
from raft_ref.cluster.server import Asked, Batch, Input, Server
from raft_ref.cluster.simulation import Outcome, Scale, Weather, simulate
from raft_ref.cluster.simulation.host import NewDriver, NewServer
from raft_ref.cluster.timers import Seconds
from raft_ref.types import Index, NodeId, Term


class SendsBeforeDurable(Driver):
    """Messages and answers leave, and then what they tell of is made durable."""

    async def carry_out(self, batch: Batch) -> None:
        self._release(batch)
        await self._keep(batch)


class ForgetsToSave(Driver):
    """What changed is traced and told, but never written."""

    async def _keep(self, batch: Batch) -> None:
        self._journal.write(batch.steps)


class AnswersBeforeCommit(Server):
    """A write is acknowledged as soon as it is in the leader's log."""

    def _append(self, group: Sequence[Request]) -> None:
        super()._append(group)
        for request in group:
            if as_words(request.command)[0] == b"SET":
                self._requests._settle(request, Done())


class ReadsWhatItHas(Server):
    """Who takes itself for the leader reads from its own store, without asking anyone."""

    def _take_up(self, happened: Input) -> None:
        if isinstance(happened, Asked) and self.is_leader:
            words = as_words(happened.command)
            if words[0] == b"GET":
                reply = Value(self.machine.store.get(words[1]))
                self._requests.told.append(ToClient(happened.ticket, reply))
                return
        super()._take_up(happened)


class _TakesAnything(Requests):
    def take_up(self, source: NodeId, forward: Forward, leads: Term | None, until: Seconds) -> None:
        self._taken.clear()
        super().take_up(source, forward, leads, until)


class TakesUpTwice(Server):
    """A request that arrives a second time is appended a second time."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type] # whatever a Server takes
        self._requests = _TakesAnything(self._requests.life, self._requests.term_at_start)


class _TellsByIndex(Requests):
    def applied(self, index: Index, term: Term, replies: Sequence[Reply]) -> None:
        for requests in self._appended.pop(index, {}).values():
            for request, reply in zip(requests, [*replies, *[Done()] * 99], strict=False):
                self._settle(request, reply)


class TellsByIndex(Server):
    """Whatever is applied at an index is taken for what was appended there, of whatever term."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type] # whatever a Server takes
        self._requests = _TellsByIndex(self._requests.life, self._requests.term_at_start)


class _ForgetfulMachine(Machine):
    def _call(self, number: int, sequence: int, words: tuple[bytes, ...]) -> Reply:
        session = self._sessions.get(number)
        if session is not None:
            session.sequence = -1
        return super()._call(number, sequence, words)


class CallsTwice(Server):
    """A call is applied again when it is repeated."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type] # whatever a Server takes
        self.machine = _ForgetfulMachine()


class Bug(NamedTuple):
    """A bug, and how it shows."""

    shows: str
    """What is said of some run with it, as a regular expression."""
    new_server: NewServer = Server
    new_driver: NewDriver = Driver
    scale: Scale = Scale()
    since: int = 0
    """The seed to begin with."""

    @property
    def shows_in_traces(self) -> bool:
        """Whether one must look at the traces."""
        return self.new_driver is not Driver

    def simulate(self, seed: int) -> Outcome:
        return simulate(seed, self.scale, self.new_server, self.new_driver)


ANOMALY = "no order of its operations explains"

MANY_CLIENTS = Scale(clients=8, keys=1)
ECHO = Scale(clients=6, keys=1, weather=Weather(repetition=0.5, delay=0.03))

BUGS: dict[str, Bug] = {
    "sends before fsync": Bug("was never sent", new_driver=SendsBeforeDurable, since=3),
    "forgets to save": Bug("RESTART-TERM at .*: the term after", new_driver=ForgetsToSave),
    "answers before commit": Bug(ANOMALY, AnswersBeforeCommit, since=37),
    "reads from a stale leader": Bug(
        "explains the answer .* to GET", ReadsWhatItHas, scale=MANY_CLIENTS, since=8
    ),
    "takes up twice": Bug(ANOMALY, TakesUpTwice, scale=ECHO, since=9),
    "tells by index": Bug(f"{ANOMALY}|got", TellsByIndex, since=1),
    "calls twice": Bug("call .* got Count", CallsTwice),
}
