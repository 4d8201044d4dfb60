"""What a judge outside a server knows of it: what it sees, and what it remembers of what it saw.

Rules (`spec.rules`) are about one step of one server. For most of them the states before and after
it are enough. But whether a server *may* become leader depends on the votes that have arrived;
whether a follower may acknowledge an entry, on the request that has confirmed it. A server may keep
such things wherever it likes, or not at all. So the judge keeps its own account of them, the
*evidence*: made of messages that arrived, and of nothing that the server says of itself.

Evidence of messages is of the current term, and none of it survives that: what a message of
another term confirmed, it confirmed to somebody else (§5.1). Evidence of what was applied does not
depend on terms: `Evidence.applied` lasts until the server restarts, `Evidence.ever_applied` for
ever.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, TypeAlias, assert_never, get_args

from raft_ref.events import (
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Output,
    Receive,
    Restart,
)
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Candidate, Index, IndexMap, Leader, Log, NodeId, NodeState

_NOBODY = IndexMap()


@dataclass(frozen=True, slots=True)
class Unread:
    """A message has arrived that the judge cannot read, of this kind."""

    source: NodeId | None
    """The sender; None where it stands for any messages from anybody."""
    kind: str


Witnessed: TypeAlias = Event | Unread
"""What happens to a server, as a judge sees it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What has arrived at a server in its current term, and what it has applied."""

    grants: frozenset[NodeId] = frozenset()
    """Who has granted it a vote in this term."""
    acknowledged: IndexMap = _NOBODY
    """By server: the highest index it has acknowledged in this term; nobody who has not."""
    confirmed: Index = 0
    """Up to where requests of this term have confirmed its log."""
    claimed: Index = 0
    """The highest ``leaderCommit`` in a request of this term."""
    leaders: frozenset[NodeId] = frozenset()
    """The servers that are known to lead this term: a request of theirs has arrived; and the server
    itself, if it has led it. (More than one only where Election Safety is violated.)"""
    applied: Index = 0
    """The last index applied since the server started or restarted; 0 if none was."""
    ever_applied: Index = 0
    """The highest index that it has ever applied; a durable state machine may go on from there."""
    unread: frozenset[Unread] = frozenset()
    """Messages that the judge could not read: there may be more evidence than this."""

    def only(self, names: frozenset[str]) -> Evidence:
        """The fields of these names; what could not be read stays if any evidence is named."""
        left_out = _none_but(names)
        return replace(self, **left_out) if left_out else self

    def of_applying(self) -> Evidence:
        """As much of it as does not depend on the term; the rest is reset."""
        return Evidence(applied=self.applied, ever_applied=self.ever_applied)


NO_EVIDENCE = Evidence()


@cache
def _none_but(names: frozenset[str]) -> dict[str, Any]:
    """The fields of evidence that are not among ``names``, and what they are at first."""
    kept = names | {"unread"} if names & EVIDENCE else names
    return {
        field.name: getattr(NO_EVIDENCE, field.name)
        for field in fields(Evidence)
        if field.name not in kept
    }


CARRIED_BY = {
    "grants": "RequestVoteReply",
    "acknowledged": "AppendEntriesReply",
    "confirmed": "AppendEntries",
    "claimed": "AppendEntries",
    "leaders": "AppendEntries",
}
"""By the name of evidence: the kind of message that brings it."""
EVIDENCE = frozenset(CARRIED_BY)
"""The evidence that messages bring."""
_KINDS = frozenset(each.__name__ for each in get_args(Message))
_HIGHEST: Index = 2**53 - 1
"""No index is above this one; it is the highest that a message can name."""
OF_APPLYING = frozenset({"applied", "ever_applied"})
"""The evidence of what was applied."""


def first_evidence(state: NodeState) -> Evidence:
    """The evidence about a server that is first seen in ``state``.

    It may have applied earlier whatever its log then holds.
    """
    return Evidence(ever_applied=state.log.last_index) if state.log.last_index else NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class Shadow:
    """A server as a judge knows it at one moment."""

    id: NodeId
    servers: frozenset[NodeId]
    """Those that have a vote. Evidence may come from others, too, and is not counted."""
    state: NodeState
    """What it shows of itself."""
    evidence: Evidence = NO_EVIDENCE

    def is_majority(self, servers: frozenset[NodeId]) -> bool:
        """Whether these are more than half of those that have a vote, and any others."""
        return 2 * len(servers & self.servers) > len(self.servers)

    def may_have_brought(self, name: str, read: frozenset[str]) -> frozenset[Unread]:
        """The messages that could not be read and may have brought evidence of this name.

        An implementation whose votes, or acknowledgements, are ``read`` as messages of a kind of
        Figure 2 has no other kind for them (``spec/adapter_protocol.md``).
        """
        carrier = CARRIED_BY[name]
        return frozenset(
            each
            for each in self.evidence.unread
            if each.source is None
            or each.kind == carrier
            # A leader makes itself known by other messages, too, such as a snapshot.
            or (each.kind not in _KINDS and (carrier not in read or name == "leaders"))
        )

    def at_most(self, unread: frozenset[Unread]) -> Evidence:
        """The evidence if each of ``unread`` has brought as much as its sender can say: a vote, an
        acknowledgement of the whole log, a request that confirms and claims all."""
        if not unread:
            return self.evidence
        named = {each.source for each in unread}
        senders = self.servers if None in named else self.servers & named
        acknowledged = dict(self.evidence.acknowledged)
        acknowledged |= dict.fromkeys(senders, self.state.log.last_index)
        return replace(
            self.evidence,
            grants=self.evidence.grants | senders,
            acknowledged=IndexMap(tuple(sorted(acknowledged.items()))),
            confirmed=_HIGHEST,
            claimed=_HIGHEST,
            leaders=self.evidence.leaders | senders,
        )


def learn(
    before: Shadow, event: Witnessed, after: NodeState, outputs: tuple[Output, ...] = ()
) -> Evidence:
    """The evidence once ``event`` has happened, made ``after`` of the server, and ``outputs``.

    Of messages, only one of the term in which the server then is counts; one that cannot be read
    may be. But a message by which a server becomes a candidate was sent before anybody was asked
    for a vote in the new term, or sent an entry of it, so it brings no evidence of that term.
    """
    same_term = before.state.current_term == after.current_term
    evidence = before.evidence if same_term else before.evidence.of_applying()
    evidence = _applying(evidence, event, outputs)
    if isinstance(after.role, Leader) and before.id not in evidence.leaders:
        evidence = replace(evidence, leaders=evidence.leaders | {before.id})
    match event:
        case Receive(message):
            is_current = message.term == after.current_term
            return _of_message(evidence, message, after.log) if is_current else evidence
        case Unread():
            if not same_term and isinstance(after.role, Candidate):
                return evidence
            return replace(evidence, unread=evidence.unread | {event})
        case ElectionTimeout() | HeartbeatTimeout() | ClientRequest() | Restart():
            return evidence
        case _:
            assert_never(event)


def _of_message(evidence: Evidence, message: Message, log: Log) -> Evidence:
    """The evidence with what a message of the current term brings to a server, whose log is then
    ``log``."""
    match message:
        case RequestVoteReply(vote_granted=True):
            return replace(evidence, grants=evidence.grants | {message.source})
        case AppendEntriesReply(success=True):
            return replace(evidence, acknowledged=_raised(evidence.acknowledged, message))
        case AppendEntries():
            evidence = replace(evidence, leaders=evidence.leaders | {message.source})
            if not holds(log, message):
                return evidence
            confirmed = message.prev_log_index + len(message.entries)
            return replace(
                evidence,
                confirmed=max(evidence.confirmed, confirmed),
                claimed=max(evidence.claimed, message.leader_commit),
            )
        case RequestVote() | RequestVoteReply() | AppendEntriesReply():
            return evidence
        case _:
            assert_never(message)


def _applying(evidence: Evidence, event: Witnessed, outputs: tuple[Output, ...]) -> Evidence:
    """The evidence with what the server has applied in a step."""
    if isinstance(event, Restart) and evidence.applied:
        evidence = replace(evidence, applied=0)
    indexes = [output.index for output in outputs if isinstance(output, Apply)]
    if not indexes:
        return evidence
    ever_applied = max(evidence.ever_applied, *indexes)
    return replace(evidence, applied=indexes[-1], ever_applied=ever_applied)


def holds(log: Log, request: AppendEntries) -> bool:
    """Whether ``log`` has the entries of ``request``, and the one before them.

    What a snapshot covers it has: that is committed, and so the leader has the same (§7).
    """
    first = request.prev_log_index
    return (first < log.snapshot_index or log.term_at(first) == request.prev_log_term) and all(
        index <= log.snapshot_index or log.entry_at(index) == entry
        for index, entry in enumerate(request.entries, start=first + 1)
    )


def _raised(acknowledged: IndexMap, reply: AppendEntriesReply) -> IndexMap:
    known = dict(acknowledged)
    known[reply.source] = max(known.get(reply.source, 0), reply.match_index)
    return IndexMap(tuple(sorted(known.items())))
