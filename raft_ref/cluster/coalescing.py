"""Consecutive AppendEntries of one batch become one message.

The core sends entries as soon as a client asks, and fills the window of a peer with several
messages at once (see `raft_ref.extensions.pipelining`). Where an AppendEntries to a peer begins
where the one before it in the batch ends, one message with the entries of both takes their place,
if it stays within the limits for one message: fewer frames, and fewer answers. So does an
AppendEntries without entries, which only adds its commit index.

The core could have sent that message instead: it carries entries of the leader's log, and the
commit index of the later of the two. No other message may be left out: since ``nextIndex`` is
already beyond what was sent, later messages do not repeat it, and an entry that is left out is
missed until the peer rejects what follows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from raft_ref.events import Event, Output, Send
from raft_ref.messages import AppendEntries
from raft_ref.types import Config, Entry, NodeId, NodeState

_Place: TypeAlias = tuple[int, int]
"""Of an output: the number of its step, and its position in it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that a server took, and those of its outputs that leave it."""

    event: Event
    before: NodeState
    after: NodeState
    outputs: tuple[Output, ...]


def coalesced(config: Config, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps of a batch, with one AppendEntries in the place of the last of consecutive ones."""
    changed: dict[_Place, AppendEntries | None] = {}
    latest: dict[NodeId, tuple[_Place, AppendEntries]] = {}
    for place, message in _append_entries(steps):
        peer = message.destination
        if peer in latest:
            earlier_place, earlier = latest[peer]
            if (both := _joined(config, earlier, message)) is not None:
                changed[earlier_place], changed[place] = None, both
                message = both
        latest[peer] = place, message
    if not changed:
        return tuple(steps)
    return tuple(_with(step, number, changed) for number, step in enumerate(steps))


def _append_entries(steps: Sequence[Step]) -> Iterator[tuple[_Place, AppendEntries]]:
    for number, step in enumerate(steps):
        for position, output in enumerate(step.outputs):
            match output:
                case Send(AppendEntries() as message):
                    yield (number, position), message
                case _:
                    pass


def _joined(config: Config, first: AppendEntries, second: AppendEntries) -> AppendEntries | None:
    """One message instead of two, where the second begins where the first ends; None elsewhere."""
    if (second.term, second.prev_log_index) != (
        first.term,
        first.prev_log_index + len(first.entries),
    ):
        return None
    if not first.entries:
        return second
    entries = first.entries + second.entries
    if second.entries and not _fits(config, entries):
        return None
    return replace(first, entries=entries, leader_commit=second.leader_commit)


def _fits(config: Config, entries: tuple[Entry, ...]) -> bool:
    if len(entries) > config.max_entries_per_append:
        return False
    size = config.max_size_per_append
    return size is None or sum(len(entry.command) for entry in entries) <= size


def _with(step: Step, number: int, changed: Mapping[_Place, AppendEntries | None]) -> Step:
    outputs: list[Output] = []
    for position, output in enumerate(step.outputs):
        place = number, position
        if place not in changed:
            outputs.append(output)
        elif (message := changed[place]) is not None:
            outputs.append(Send(message))
    return replace(step, outputs=tuple(outputs))
