"""A run as a space-time diagram: a line for each server, time downwards, an arrow for each message.

An arrow leads from the step that sent the message to the one in which it arrived, so that a message
that was long on its way is a long arrow. Here it is only said what is where; a template draws it.
Runs of foreign implementations are drawn as those of our own core are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from types import MappingProxyType
from typing import Literal, TypeAlias, assert_never

from model_check.check import RaftReplay
from model_check.conformance.node import ForeignReplay
from model_check.conformance.observed import (
    Arrival,
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    understood,
)
from model_check.counterexample import Moment
from model_check.judged import Breach
from model_check.render import (
    AnyEvent,
    changes,
    describe_entries,
    describe_message,
    describe_role,
)
from model_check.system import Deliver, Lose, Occur
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ConflictHint,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    NodeId,
    NodeState,
    Output,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
)

DrawnRun: TypeAlias = RaftReplay | ForeignReplay
DrawnMessage: TypeAlias = Message | ForeignMessage
DrawnMoment: TypeAlias = (
    Moment[NodeState, Event, Output, Message]
    | Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]
)
Alarms: TypeAlias = Mapping[int, tuple[str, ...]]
"""By the number of an action, from 1: what is wrong with it."""
NO_ALARMS: Alarms = MappingProxyType({})
Face: TypeAlias = Literal["heading", "change", "alarm"]
"""How a line of text looks."""

COLUMN, BOX, MARGIN = 256, 232, 30
"""Widths in pixels: of a server's column, of a box in it, of the margin with the numbers."""
LINE, PADDING, GAP = 16, 7, 16
"""Heights: of a line of text, of the padding of a box, between two boxes."""
CHARACTERS = 31
"""Of a line of text in a box."""
TOP = 46


@dataclass(frozen=True, slots=True)
class Box:
    """A step: what happened, and what it changed."""

    number: int
    left: float
    top: float
    height: float
    heading: tuple[str, ...]
    lines: tuple[str, ...]
    role: str
    """Of the server after it; ``lost`` for a message that is lost."""
    alarms: tuple[str, ...]
    """What is wrong with it."""

    width: float = BOX

    @property
    def middle(self) -> float:
        """Where arrows begin and end."""
        return self.top + self.height / 2

    def baselines(self) -> Iterator[tuple[float, str, Face]]:
        """Each line of text with where it stands, and how it looks."""
        texts: list[tuple[str, Face]] = [(text, "heading") for text in self.heading]
        texts += [(text, "change") for text in self.lines]
        texts += [(text, "alarm") for text in self.alarms]
        for position, (text, face) in enumerate(texts):
            yield self.top + PADDING + LINE * position + 12, text, face


@dataclass(frozen=True, slots=True)
class Arrow:
    """A message on its way."""

    start: tuple[float, float]
    end: tuple[float, float]
    text: str
    is_alarming: bool
    """Whether there is something wrong with the step in which it arrived."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a server's line, on which its role is the same."""

    x: float
    top: float
    bottom: float
    role: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """Everything to draw."""

    width: float
    height: float
    servers: tuple[tuple[float, str], ...]
    """By server: where its line is, and its name."""
    segments: tuple[Segment, ...]
    arrows: tuple[Arrow, ...]
    boxes: tuple[Box, ...]


def alarms_of(run: DrawnRun, breach: Breach | None) -> Alarms:
    """Where the first rule is broken, and where that comes to light."""
    alarms: dict[int, tuple[str, ...]] = {}
    if breach is not None:
        alarms[breach.action] = (f"breaks {breach.rule.id}",)
    if run.violation is not None and (breach is None or run.violation.property != breach.rule.id):
        last = len(run.moments)
        alarms[last] = (*alarms.get(last, ()), f"violates {run.violation.property}")
    return alarms


def diagram(run: DrawnRun, alarms: Alarms = NO_ALARMS) -> Diagram:
    """Lay out ``run``."""
    boxes = tuple(_boxes(run.moments, alarms))
    bottom = (boxes[-1].top + boxes[-1].height if boxes else TOP) + GAP
    servers = range(1, len(run.initial) + 1)
    return Diagram(
        width=MARGIN + COLUMN * len(run.initial),
        height=bottom,
        servers=tuple((_line(server), f"S{server}") for server in servers),
        segments=tuple(
            segment for server in servers for segment in _segments(server, run, boxes, bottom)
        ),
        arrows=tuple(_arrows(run.moments, boxes)),
        boxes=boxes,
    )


def brief(message: DrawnMessage) -> str:
    """A message in a few words."""
    match message:
        case RequestVote(term=term, last_log_index=index, last_log_term=last_term):
            log = f"last entry {index} of term {last_term}" if index else "log empty"
            return f"RequestVote of term {term}, {log}"
        case RequestVoteReply(term=term, vote_granted=granted):
            return f"vote {'granted' if granted else 'refused'} in term {term}"
        case AppendEntries(term=term, entries=entries):
            what = describe_entries(entries) if entries else "nothing"
            after = f"{message.prev_log_index} of term {message.prev_log_term}"
            where = f"after {after}" if message.prev_log_index else "at the beginning"
            commit = f"commit {message.leader_commit}"
            return f"AppendEntries of term {term}: {what} {where}, {commit}"
        case AppendEntriesReply(term=term, success=True, match_index=index):
            return f"success in term {term}: match {index}"
        case AppendEntriesReply(term=term, hint=hint):
            return f"rejection in term {term}{_conflict(hint)}"
        case ForeignMessage():
            known = understood(message)
            return describe_message(message) if known is None else brief(known)
        case _:
            assert_never(message)


def _conflict(hint: ConflictHint | None) -> str:
    match hint:
        case None:
            return ""
        case ConflictHint(index, None):
            return f": log ends before {index}"
        case ConflictHint(index, term):
            return f": conflict with term {term} from {index} on"


def _heading(moment: DrawnMoment) -> str:
    match moment.action:
        case Deliver(message):
            return f"from S{message.source}: {brief(message)}"
        case Lose(message):
            return f"lost, from S{message.source}: {brief(message)}"
        case Occur(event=event):
            return _happening(event)


def _happening(event: AnyEvent) -> str:
    match event:
        case ElectionTimeout():
            return "election timeout"
        case HeartbeatTimeout():
            return "heartbeat timeout"
        case ClientRequest(command):
            return f"a client asks for {command}"
        case Restart():
            return "crash and restart"
        case Receive() | Arrival():
            raise AssertionError(f"{event} is no event of the environment")
        case _:
            assert_never(event)


def _where(moment: DrawnMoment) -> NodeId:
    """The server at which something happens."""
    if isinstance(moment.action, Deliver | Lose):
        return moment.action.message.destination
    return moment.action.node


def _line(server: NodeId) -> float:
    return MARGIN + COLUMN * (server - 1) + BOX / 2


def _boxes(moments: Iterable[DrawnMoment], alarms: Alarms) -> Iterator[Box]:
    top: float = TOP
    for number, moment in enumerate(moments, start=1):
        changed, role = [], "lost"
        if moment.before is not None and moment.outcome is not None:
            changed = changes(moment.before, moment.outcome.state)
            changed += [f"fails: {moment.outcome.failure}"] if moment.outcome.failure else []
            role = describe_role(moment.outcome.state.role)
        heading, lines = _wrapped([_heading(moment)]), _wrapped(changed)
        warned = _wrapped(alarms.get(number, ()))
        height = LINE * len((*heading, *lines, *warned)) + 2 * PADDING
        left = _line(_where(moment)) - BOX / 2
        yield Box(number, left, top, height, heading, lines, role, warned)
        top += height + GAP


def _wrapped(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(line for text in texts for line in wrap(text, CHARACTERS))


def _arrows(moments: tuple[DrawnMoment, ...], boxes: tuple[Box, ...]) -> Iterator[Arrow]:
    sent: dict[DrawnMessage, list[Box]] = {}
    gone: Counter[DrawnMessage] = Counter()
    for moment, box in zip(moments, boxes, strict=True):
        if isinstance(moment.action, Deliver | Lose):
            message = moment.action.message
            # What was sent again is taken to arrive in the order in which it was sent.
            start = sent[message][: gone[message] + 1][-1]
            gone[message] += 1
            is_rightward = start.left < box.left
            yield Arrow(
                (start.left + BOX if is_rightward else start.left, start.middle),
                (box.left if is_rightward else box.left + BOX, box.middle),
                describe_message(message),
                bool(box.alarms),
            )
        if moment.outcome is not None:
            for message in moment.outcome.messages:
                sent.setdefault(message, []).append(box)


def _segments(
    server: NodeId, run: DrawnRun, boxes: tuple[Box, ...], bottom: float
) -> Iterator[Segment]:
    top, role = TOP - 14.0, describe_role(run.initial[server - 1].role)
    moments: tuple[DrawnMoment, ...] = run.moments
    for moment, box in zip(moments, boxes, strict=True):
        if moment.node == server:
            yield Segment(_line(server), top, box.top, role)
            top, role = box.top, box.role
    yield Segment(_line(server), top, bottom, role)
