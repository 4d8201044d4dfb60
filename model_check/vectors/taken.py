"""A run of the core as the steps that it takes, each in the light of those before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from model_check.cover import LocalStep
from model_check.raft import RaftAction, RaftNode
from model_check.system import Deliver, Lose, Occur
from raft_ref import Event, Message, NodeId, Receive, Send, Transition
from spec.conduct import watch
from spec.shadow import Shadow


@dataclass(frozen=True)
class Taken:
    """A step that a run takes."""

    before: Shadow
    """The server, and what a judge knows of it."""
    event: Event
    answer: Transition
    sent_in: tuple[int, int] | None
    """Of a message that arrives: in which step it was sent the last time before this, and as
    which of its outputs, both from 0 on."""

    @property
    def local(self) -> LocalStep:
        """The step alone."""
        return self.before.id, self.before.state, self.event


def steps_taken(node: RaftNode, run: Iterable[RaftAction]) -> Iterator[Taken]:
    """The steps of ``run``, but for those in which a message arrives that nobody has sent.

    Those are in the runs of bugs: the core does not always go along.
    """
    servers = frozenset(range(1, node.count + 1))
    shadows = {number: Shadow(number, servers, node.initial(number)) for number in servers}
    sent: dict[Message, tuple[int, int]] = {}
    action = 0
    for number, event in map(happening, run):
        place = sent.get(event.message) if isinstance(event, Receive) else None
        if isinstance(event, Receive) and place is None:
            continue
        outcome = node.step(number, shadows[number].state, event)
        answer = Transition(outcome.state, outcome.outputs)
        yield Taken(shadows[number], event, answer, place)
        shadows[number] = watch(shadows[number], event, outcome.state, outcome.outputs).after
        for output_number, output in enumerate(outcome.outputs):
            if isinstance(output, Send):
                sent[output.message] = (action, output_number)
        action += 1


def happening(action: RaftAction) -> tuple[NodeId, Event]:
    """What an action does to which server."""
    match action:
        case Deliver(message):
            return message.destination, Receive(message)
        case Occur(node, event):
            return node, event
        case Lose():
            raise AssertionError("nothing is ever lost here")
