"""One step of a server as a judge sees it: all that a rule may look at, and what it is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from raft_ref.events import Apply, NotLeader, Output, Receive, Restart, Send
from raft_ref.messages import AppendEntries, AppendEntriesReply, RequestVote, RequestVoteReply
from raft_ref.types import Index, Leader, Log, NodeId, NodeState
from spec.chain import first_possible_difference
from spec.shadow import Shadow, Witnessed, learn

M = TypeVar("M", RequestVote, RequestVoteReply, AppendEntries, AppendEntriesReply)


@dataclass(frozen=True, slots=True)
class Conduct:
    """A step of a server: what it was, what happened, what it became and put out."""

    before: Shadow
    event: Witnessed
    after: Shadow
    outputs: tuple[Output, ...]

    def received(self, kind: type[M]) -> M | None:
        """The message that has just arrived, if it is of this kind."""
        match self.event:
            case Receive(message) if isinstance(message, kind):
                return message
        return None

    def sent(self, kind: type[M]) -> Iterator[M]:
        """The messages of this kind that the step sends."""
        for output in self.outputs:
            if isinstance(output, Send) and isinstance(output.message, kind):
                yield output.message

    @property
    def applied(self) -> Iterator[Apply]:
        """The entries that the step applies, in order."""
        return (output for output in self.outputs if isinstance(output, Apply))

    @property
    def redirected(self) -> Iterator[NotLeader]:
        """The answers of the step that send a client elsewhere."""
        return (output for output in self.outputs if isinstance(output, NotLeader))

    @property
    def is_restart(self) -> bool:
        """Whether the server has crashed and is back."""
        return isinstance(self.event, Restart)

    @property
    def keeps_term(self) -> bool:
        """Whether the term is the same before and after it."""
        return self.before.state.current_term == self.after.state.current_term

    @property
    def votes_for_another(self) -> bool:
        """Whether it gives a vote to another server."""
        is_new = not self.keeps_term or self.before.state.voted_for != self.after.state.voted_for
        return is_new and self.after.state.voted_for not in (None, self.after.id)

    @property
    def leads(self) -> bool:
        """Whether the server leads the same term before and after it."""
        return stays_leader(self.before.state, self.after.state)

    @property
    def becomes_leader(self) -> bool:
        """Whether the server becomes leader; see `becomes_leader`."""
        return becomes_leader(self.before.state, self.after.state)

    @property
    def is_elected(self) -> bool:
        """Whether a non-leader becomes leader. A leader that becomes leader of another term must
        have stepped down; that is for TERM-STEP-DOWN alone to say."""
        return self.becomes_leader and not isinstance(self.before.state.role, Leader)

    @property
    def changes_log(self) -> bool:
        """Whether it changes the log of a server that does not lead, otherwise than by a crash."""
        is_same = self.before.state.log == self.after.state.log
        return not (self.leads or is_same or self.is_restart)

    @property
    def appended_by(self) -> AppendEntries | None:
        """The request that has changed the log of a server that does not lead, if one has."""
        return self.received(AppendEntries) if self.changes_log else None

    @property
    def commits(self) -> bool:
        """Whether it commits something; in a restart, too, something may come to light."""
        return self.after.state.commit_index > self.before.state.commit_index

    @property
    def commits_as_leader(self) -> bool:
        """Whether a leader commits something."""
        return self.commits and isinstance(self.after.state.role, Leader)

    @property
    def commits_as_follower(self) -> bool:
        """Whether a server that does not lead commits something."""
        return self.commits and not isinstance(self.after.state.role, Leader)

    def holders(self, index: Index) -> frozenset[NodeId]:
        """Who is known to hold a leader's log up to ``index``: itself, and who acknowledged it."""
        acknowledged = self.after.evidence.acknowledged
        holders = frozenset(server for server, match in acknowledged.items() if match >= index)
        return holders | {self.after.id}

    @property
    def counted(self) -> range:
        """The indexes, from the commit index on, that a majority of those with a vote is known to
        hold."""
        after = self.after
        matches = dict(after.evidence.acknowledged) | {after.id: after.state.log.last_index}
        held = sorted((matches.get(server, 0) for server in after.servers), reverse=True)
        highest = min(held[len(held) // 2], after.state.log.last_index)
        return range(after.state.commit_index, highest + 1)


def stays_leader(before: NodeState, after: NodeState) -> bool:
    """Whether a server leads the same term before and after a step."""
    was_leader = isinstance(before.role, Leader)
    keeps_term = before.current_term == after.current_term
    return was_leader and keeps_term and isinstance(after.role, Leader)


def becomes_leader(before: NodeState, after: NodeState) -> bool:
    """Whether a server leads a term after a step that it did not lead before it (§5.2).

    It may have been the leader of an earlier term: a server that is a majority by itself may be
    elected anew in a single step.
    """
    return isinstance(after.role, Leader) and not stays_leader(before, after)


def watch(
    before: Shadow, event: Witnessed, state: NodeState, outputs: tuple[Output, ...]
) -> Conduct:
    """The step from ``before`` to ``state``, with what the judge has learnt from it."""
    evidence = learn(before, event, state, outputs)
    return Conduct(before, event, replace(before, state=state, evidence=evidence), outputs)


def differences(before: Log, after: Log, until: Index | None = None) -> Iterator[Index]:
    """The indexes, up to ``until``, at which ``after`` does not hold what ``before`` held."""
    first = first_possible_difference(before, after)
    last = max(before.last_index, after.last_index) if until is None else until
    for index in range(first, last + 1):
        if before.entry_at(index) != after.entry_at(index):
            yield index


def additions(before: Log, after: Log) -> Iterator[Index]:
    """The indexes at which ``after`` has an entry that ``before`` did not have there."""
    return (index for index in differences(before, after) if after.entry_at(index) is not None)


def first_conflict(log: Log, request: AppendEntries) -> Index | None:
    """The first index at which the log has an entry of another term than the request (§5.3)."""
    for index, entry in enumerate(request.entries, start=request.prev_log_index + 1):
        own = log.entry_at(index)
        if own is not None and own.term != entry.term:
            return index
    return None
