"""Fewer AppendEntries: consecutive ones become one message, and a small one waits for an answer.

The core sends entries as soon as a client asks (see `raft_ref.extensions.pipelining`). Each message
costs the follower a write to its disk and an answer. So, as Nagle's algorithm does for TCP:

- Where an AppendEntries to a peer begins where the one before it ends, one message with the entries
  of both takes their place, if it stays within the limits for one message.
- New entries of clients wait while the peer has earlier ones to acknowledge: until it does, or the
  next heartbeat is due, or the peer is sent anything else. Then they leave in one message.

The core could have sent that message instead: it carries entries of the leader's log, and the
commit index of the later of the two. No message is left out while its sender leads: since
``nextIndex`` is already beyond it, later messages do not repeat it, and its entries would be missed
until the peer rejects what follows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from raft_ref.events import ClientRequest, Event, Output, Send
from raft_ref.messages import AppendEntries
from raft_ref.types import Config, Entry, Index, Leader, NodeId, NodeState, Role, Term


@dataclass(frozen=True, slots=True)
class Step:
    """A step that a server took, and those of its outputs that leave it."""

    event: Event
    before: NodeState
    after: NodeState
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class _Pending:
    """A message that may still become a part of the next one to the same peer."""

    message: AppendEntries
    step: int | None
    """The number of the step that sends it; None if it waits since an earlier batch."""
    may_wait: bool
    """Whether all of it is new entries of clients."""


@dataclass(slots=True)
class Coalescing:
    """The AppendEntries of one server."""

    config: Config
    _waiting: dict[NodeId, AppendEntries] = field(default_factory=dict)
    """By peer: of `_term`, and not sent yet."""
    _sent: dict[NodeId, Index] = field(default_factory=dict)
    """By peer: the last entry sent in `_term`."""
    _term: Term = 0

    def coalesced(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """The steps of a batch with the AppendEntries that leave: each with its step, or later."""
        if not steps:
            return ()
        pending = {peer: _Pending(each, None, True) for peer, each in self._waiting.items()}
        leaving: list[list[AppendEntries]] = [[] for _ in steps]
        for number, step in enumerate(steps):
            for message in _append_entries(step):
                after = _Pending(message, number, isinstance(step.event, ClientRequest))
                if (before := pending.get(message.destination)) is not None:
                    if (both := _joined(self.config, before.message, message)) is not None:
                        after = _Pending(both, number, before.may_wait and after.may_wait)
                    elif before.step is not None:
                        leaving[before.step].append(before.message)
                    elif before.message.term == message.term:
                        leaving[number].append(before.message)
                pending[message.destination] = after
        self._settle(steps[-1].after, pending, leaving)
        return tuple(map(_with, steps, leaving))

    def _settle(
        self,
        state: NodeState,
        pending: Mapping[NodeId, _Pending],
        leaving: Sequence[list[AppendEntries]],
    ) -> None:
        """At the end of a batch: the last message to each peer leaves, waits, or is of no use."""
        leads = isinstance(state.role, Leader)
        if not leads or state.current_term != self._term:
            self._sent.clear()
        self._term = state.current_term
        for messages in leaving:
            for message in messages:
                self._note(message)
        self._waiting.clear()
        for peer, last in pending.items():
            is_current = leads and last.message.term == self._term
            if is_current and last.may_wait and self._is_unanswered(state.role, peer):
                self._waiting[peer] = last.message
            elif is_current or last.step is not None:
                leaving[-1 if last.step is None else last.step].append(last.message)
                self._note(last.message)

    def _note(self, message: AppendEntries) -> None:
        if message.term == self._term and message.entries:
            peer, last = message.destination, message.prev_log_index + len(message.entries)
            self._sent[peer] = max(self._sent.get(peer, 0), last)

    def _is_unanswered(self, role: Role, peer: NodeId) -> bool:
        """Whether the peer has entries of this leader to acknowledge."""
        return isinstance(role, Leader) and self._sent.get(peer, 0) > role.match_index[peer]


def _append_entries(step: Step) -> Iterator[AppendEntries]:
    for output in step.outputs:
        match output:
            case Send(AppendEntries() as message):
                yield message
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


def _with(step: Step, messages: Sequence[AppendEntries]) -> Step:
    """The step with these AppendEntries instead of its own."""
    if list(_append_entries(step)) == messages:
        return step
    others: list[Output] = []
    for output in step.outputs:
        match output:
            case Send(AppendEntries()):
                pass
            case _:
                others.append(output)
    return replace(step, outputs=(*others, *map(Send, messages)))
