"""Which client waits for what, and what may be said to it.

A request is *waiting* until a leader is known, then *forwarded* to it, or *appended* if that is
this server. What was appended comes to an end when an entry is applied at its index: if it is of
the request's term, it is the request, and its reply goes out; if not, the request is in no log and
never will be (see `raft_ref.Appended`).

A client is told one of three things: the reply, *not done* or *outcome unknown*. "Not done" must be
true for ever, since clients ask again. So a request that is in no log goes back to waiting, and one
that was appended or forwarded, and of which nothing more is heard in time, is unknown.

**At most once.** A frame between servers may arrive twice, late, or out of order. So a forwarded
request carries the life of its server and an ascending number, and a server takes up only what has
a greater number than all before. A leader that restarts has forgotten these numbers; but it does
not lead the term that it led before, and the request names the term. That is why a request for a
term in which this server has already been when it started is passed over in silence: an earlier
life may have appended it, so it must be neither appended nor refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from raft_ref.cluster.frames import Answer, Forward, Tag
from raft_ref.cluster.replies import Reply, not_done, unknown
from raft_ref.cluster.timers import Seconds
from raft_ref.types import Command, Index, NodeId, Term

Ticket: TypeAlias = int
"""By this the server's surroundings know which client to answer."""


MAX_LIVES = 100_000
"""The number of lives of other servers whose numbers are remembered. Requests of further ones are
ignored: to forget an earlier life instead could let a request be appended twice."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A request came from another server, for a client of that one."""

    server: NodeId
    tag: Tag
    term: Term
    """For the leader of this term, and nobody else."""


Origin: TypeAlias = Ticket | Remote


@dataclass(slots=True, eq=False)
class Request:
    """A command, for whom, and how far it has come."""

    command: Command
    origin: Origin
    deadline: Seconds
    stage: Literal["waiting", "forwarded", "appended", "over"] = "waiting"


@dataclass(frozen=True, slots=True)
class ToClient:
    """A client of this server is to be answered."""

    ticket: Ticket
    reply: Reply


@dataclass(frozen=True, slots=True)
class ToServer:
    """A server that forwarded a request is to be answered."""

    server: NodeId
    answer: Answer


Told: TypeAlias = ToClient | ToServer


@dataclass(slots=True)
class Requests:
    """All requests that a server has to do with."""

    life: int
    """Of this server."""
    term_at_start: Term
    _waiting: deque[Request] = field(default_factory=deque)
    _forwarded: dict[int, tuple[Request, Term]] = field(default_factory=dict)
    """By number; and the term whose leader each went to."""
    _appended: dict[Index, dict[Term, Sequence[Request]]] = field(default_factory=dict)
    _deadlines: deque[Request] = field(default_factory=deque)
    """All of them, in the order in which they came and so in that of their deadlines."""
    _forwards: int = 0
    _open: int = 0
    _ended_term: Term = 0
    """The leader of this term has said that it is over."""
    _taken: dict[tuple[NodeId, int], int] = field(default_factory=dict)
    """The greatest number taken up, by server and life of it."""
    told: list[Told] = field(default_factory=list)
    """What is to be said, and has not been fetched yet."""

    @property
    def deadline(self) -> Seconds | None:
        """When the next request has waited for long enough."""
        while self._deadlines and self._deadlines[0].stage == "over":
            self._deadlines.popleft()
        return self._deadlines[0].deadline if self._deadlines else None

    @property
    def open_count(self) -> int:
        """How many are not over."""
        return self._open

    def add(self, command: Command, origin: Origin, deadline: Seconds) -> None:
        """A request has come. Deadlines must not fall."""
        request = Request(command, origin, deadline)
        self._open += 1
        self._deadlines.append(request)
        self._waiting.append(request)

    def take_up(self, source: NodeId, forward: Forward, leads: Term | None, until: Seconds) -> None:
        """A forwarded request has arrived; ``leads`` is the term that this server leads, if any."""
        if forward.term <= self.term_at_start:
            return
        key = source, forward.tag.life
        if key not in self._taken and len(self._taken) >= MAX_LIVES:
            return
        if forward.tag.number <= self._taken.get(key, 0):
            return
        self._taken[key] = forward.tag.number
        if forward.term == leads:
            self.add(forward.command, Remote(source, forward.tag, forward.term), until)
        else:
            self.told.append(ToServer(source, Answer(forward.tag, None)))

    def waiting(self, leads: Term | None) -> list[Request]:
        """Those that wait for a leader, and do so no longer; ``leads`` as above."""
        waiting, self._waiting = self._waiting, deque()
        taken = []
        for request in waiting:
            if isinstance(request.origin, Remote) and request.origin.term != leads:
                self._refuse(request)
            elif request.stage == "waiting":
                taken.append(request)
        return taken

    def may_forward(self, term: Term) -> bool:
        """Whether a leader of this term may still take up anything."""
        return term > self._ended_term

    def keep_waiting(self, request: Request) -> None:
        """There is no leader for one of these."""
        self._waiting.append(request)

    def forward(self, request: Request, term: Term) -> Forward:
        """How a request goes to the leader of this term."""
        self._forwards += 1
        request.stage = "forwarded"
        self._forwarded[self._forwards] = request, term
        return Forward(Tag(self.life, self._forwards), term, request.command)

    def appended(self, requests: Sequence[Request], index: Index, term: Term) -> None:
        """This server leads, and has appended an entry with these requests."""
        for request in requests:
            request.stage = "appended"
        self._appended.setdefault(index, {})[term] = requests

    def applied(self, index: Index, term: Term, replies: Sequence[Reply]) -> None:
        """The entry of this term was applied at this index, with these replies."""
        for appended_in, requests in self._appended.pop(index, {}).items():
            if appended_in != term:
                for request in requests:
                    self._refuse(request)
                continue
            if len(replies) != len(requests):  # another entry of the same term: Raft is broken
                replies = [unknown("its entry was replaced by another")] * len(requests)
            for request, reply in zip(requests, replies, strict=True):
                self._settle(request, reply)

    def answered(self, answer: Answer) -> None:
        """A server says what became of what was forwarded to it; perhaps a second time."""
        if answer.tag.life != self.life:
            return
        if answer.tag.number not in self._forwarded:
            return
        request, term = self._forwarded.pop(answer.tag.number)
        if answer.reply is None:
            self._ended_term = max(self._ended_term, term)
            self._refuse(request)
        else:
            self._settle(request, answer.reply)

    def expire(self, now: Seconds) -> None:
        """Give up what has waited for long enough."""
        while (deadline := self.deadline) is not None and deadline <= now:
            self._give_up(self._deadlines.popleft())
            if self.deadline is None or self.deadline > now:
                self._forget_what_is_over()

    def _give_up(self, request: Request) -> None:
        if request.stage == "waiting":
            self._settle(request, not_done("no leader was found in time"))
        elif isinstance(request.origin, Remote):
            self._end(request)  # its own server has waited as long, and given up
        else:
            self._settle(request, unknown(f"it was {request.stage}, and then nothing heard"))

    def _refuse(self, request: Request) -> None:
        """A request is in no log, and never will be: if its client is here, it may try again."""
        if request.stage == "over":
            return
        if isinstance(request.origin, Remote):
            self._end(request)
            self.told.append(ToServer(request.origin.server, Answer(request.origin.tag, None)))
        else:
            request.stage = "waiting"
            self._waiting.append(request)

    def _settle(self, request: Request, reply: Reply) -> None:
        if request.stage == "over":
            return
        self._end(request)
        if isinstance(request.origin, Remote):
            answer = Answer(request.origin.tag, reply)
            self.told.append(ToServer(request.origin.server, answer))
        else:
            self.told.append(ToClient(request.origin, reply))

    def _end(self, request: Request) -> None:
        request.stage = "over"
        self._open -= 1

    def _forget_what_is_over(self) -> None:
        """Of those whose outcome will never be heard: they would be kept for ever."""
        for number in [n for n, (each, _) in self._forwarded.items() if each.stage == "over"]:
            del self._forwarded[number]
        for index in [i for i, by_term in self._appended.items() if _are_over(by_term)]:
            del self._appended[index]


def _are_over(by_term: dict[Term, Sequence[Request]]) -> bool:
    return all(request.stage == "over" for requests in by_term.values() for request in requests)
