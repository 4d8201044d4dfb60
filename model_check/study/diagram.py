"""A run as a space-time diagram: a line for each server, time downwards, an arrow for each message.

An arrow leads from the step that sent the message to the one in which it arrived, so that a message
that was long on its way is a long arrow. Here it is only said what is where; a template draws it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap

from model_check.check import RaftReplay
from model_check.counterexample import Moment
from model_check.render import changes, describe_entries, describe_message, describe_role
from model_check.system import Deliver, Lose, Occur
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    NodeId,
    NodeState,
    Output,
    RequestVote,
    RequestVoteReply,
    Restart,
)

RaftMoment = Moment[NodeState, Event, Output, Message]

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

    width: float = BOX

    @property
    def middle(self) -> float:
        """Where arrows begin and end."""
        return self.top + self.height / 2

    def baselines(self) -> Iterator[tuple[float, str, bool]]:
        """Each line of text with where it stands, and whether it belongs to the heading."""
        texts = [(text, True) for text in self.heading] + [(text, False) for text in self.lines]
        for position, (text, is_heading) in enumerate(texts):
            yield self.top + PADDING + LINE * position + 12, text, is_heading


@dataclass(frozen=True, slots=True)
class Arrow:
    """A message on its way."""

    start: tuple[float, float]
    end: tuple[float, float]
    text: str


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


def diagram(run: RaftReplay) -> Diagram:
    """Lay out ``run``."""
    boxes = tuple(_boxes(run.moments))
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


def brief(message: Message) -> str:
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
        case AppendEntriesReply(term=term):
            return f"rejection in term {term}"


def _heading(moment: RaftMoment) -> str:
    match moment.action:
        case Deliver(message):
            return f"from S{message.source}: {brief(message)}"
        case Lose(message):
            return f"lost, from S{message.source}: {brief(message)}"
        case Occur(event=event):
            return _happening(event)


def _happening(event: Event) -> str:
    match event:
        case ElectionTimeout():
            return "election timeout"
        case HeartbeatTimeout():
            return "heartbeat timeout"
        case ClientRequest(command):
            return f"a client asks for {command}"
        case Restart():
            return "crash and restart"
    raise AssertionError(f"{event} is no event of the environment")


def _where(moment: RaftMoment) -> NodeId:
    """The server at which something happens."""
    if isinstance(moment.action, Deliver | Lose):
        return moment.action.message.destination
    return moment.action.node


def _line(server: NodeId) -> float:
    return MARGIN + COLUMN * (server - 1) + BOX / 2


def _boxes(moments: Iterable[RaftMoment]) -> Iterator[Box]:
    top: float = TOP
    for number, moment in enumerate(moments, start=1):
        heading = tuple(wrap(_heading(moment), CHARACTERS))
        changed, role = [], "lost"
        if moment.before is not None and moment.outcome is not None:
            changed = changes(moment.before, moment.outcome.state)
            changed += [f"fails: {moment.outcome.failure}"] if moment.outcome.failure else []
            role = describe_role(moment.outcome.state.role)
        lines = tuple(line for each in changed for line in wrap(each, CHARACTERS))
        height = LINE * (len(heading) + len(lines)) + 2 * PADDING
        yield Box(number, _line(_where(moment)) - BOX / 2, top, height, heading, lines, role)
        top += height + GAP


def _arrows(moments: tuple[RaftMoment, ...], boxes: tuple[Box, ...]) -> Iterator[Arrow]:
    sent: dict[Message, Box] = {}
    for moment, box in zip(moments, boxes, strict=True):
        if isinstance(moment.action, Deliver | Lose):
            message = moment.action.message
            start = sent[message]
            is_rightward = start.left < box.left
            yield Arrow(
                (start.left + BOX if is_rightward else start.left, start.middle),
                (box.left if is_rightward else box.left + BOX, box.middle),
                describe_message(message),
            )
        if moment.outcome is not None:
            for message in moment.outcome.messages:
                sent.setdefault(message, box)


def _segments(
    server: NodeId, run: RaftReplay, boxes: tuple[Box, ...], bottom: float
) -> Iterator[Segment]:
    top, role = TOP - 14.0, describe_role(run.initial[server - 1].role)
    for moment, box in zip(run.moments, boxes, strict=True):
        if moment.node == server:
            yield Segment(_line(server), top, box.top, role)
            top, role = box.top, box.role
    yield Segment(_line(server), top, bottom, role)
