"""Which AppendEntries need not leave.

The core sends one to every follower for every request of a client, each with all that the follower
has not acknowledged. Sent as they come, a thousand requests would carry half a million entries. A
message may get lost, so one may as well not be sent; and two kinds are not missed:

- one that another to the same follower follows in the same batch, which says more;
- one for a request of a client, while the follower has an earlier one to acknowledge: when it does,
  it is sent what it still lacks (§5.3). Should it not, the next heartbeat goes out all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from raft_ref.events import ClientRequest, Event, HeartbeatTimeout, Output, Receive, Restart, Send
from raft_ref.messages import AppendEntries, AppendEntriesReply
from raft_ref.types import NodeId, NodeState


@dataclass(frozen=True, slots=True)
class Step:
    """A step that a server took, and those of its outputs that leave it."""

    event: Event
    before: NodeState
    after: NodeState
    outputs: tuple[Output, ...]


@dataclass(slots=True)
class Pacing:
    """Who has something to acknowledge."""

    _unanswered: set[NodeId] = field(default_factory=set)

    def paced(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """The steps of a batch without what need not leave."""
        kept = [self._without_hasty(step) for step in steps]
        said: set[NodeId] = set()
        for place in reversed(range(len(kept))):
            kept[place] = _without_superseded(kept[place], said)
        return tuple(kept)

    def _without_hasty(self, step: Step) -> Step:
        match step.event:
            case Receive(AppendEntriesReply(source=source)):
                self._unanswered.discard(source)
            case HeartbeatTimeout() | Restart():
                self._unanswered.clear()
            case _:
                pass
        is_hasty = isinstance(step.event, ClientRequest)
        outputs = []
        for output in step.outputs:
            match output:
                case Send(AppendEntries(destination=peer, entries=entries)) if entries:
                    if is_hasty and peer in self._unanswered:
                        continue
                    self._unanswered.add(peer)
                case _:
                    pass
            outputs.append(output)
        return _with(step, outputs)


def _without_superseded(step: Step, said: set[NodeId]) -> Step:
    """Without the AppendEntries to those who are told more later; ``said`` grows by the rest."""
    outputs: list[Output] = []
    for output in reversed(step.outputs):
        match output:
            case Send(AppendEntries(destination=peer)):
                if peer in said:
                    continue
                said.add(peer)
            case _:
                pass
        outputs.append(output)
    return _with(step, outputs[::-1])


def _with(step: Step, outputs: list[Output]) -> Step:
    if len(outputs) == len(step.outputs):
        return step
    return Step(step.event, step.before, step.after, tuple(outputs))
