"""What a judge outside a server knows of it: what it sees, and what it remembers of what it saw.

Rules (`spec.rules`) are about one step of one server. For most of them the states before and after
it are enough. But whether a server *may* become leader depends on the votes that have arrived;
whether a follower may acknowledge an entry, on the request that has confirmed it. A server may keep
such things wherever it likes, or not at all. So the judge keeps its own account of them, the
*evidence*: made of messages that arrived, and of nothing that the server says of itself.

All evidence is of the current term, and none of it survives that: what a message of another term
confirmed, it confirmed to somebody else (§5.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from raft_ref.events import Event, Receive
from raft_ref.messages import AppendEntries, AppendEntriesReply, RequestVoteReply
from raft_ref.types import Index, IndexMap, Log, NodeId, NodeState

_NOBODY = IndexMap()


@dataclass(frozen=True, slots=True)
class Unread:
    """A message has arrived that the judge cannot read, of this kind."""

    kind: str


Witnessed: TypeAlias = Event | Unread
"""What happens to a server, as a judge sees it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What has arrived at a server in its current term."""

    grants: frozenset[NodeId] = frozenset()
    """Who has granted it a vote in this term."""
    acknowledged: IndexMap = _NOBODY
    """By server: the highest index it has acknowledged in this term; nobody who has not."""
    confirmed: Index = 0
    """Up to where requests of this term have confirmed its log."""
    claimed: Index = 0
    """The highest ``leaderCommit`` in a request of this term."""
    unread: frozenset[str] = frozenset()
    """Kinds of messages that the judge could not read: there may be more evidence than this."""

    def only(self, names: frozenset[str]) -> Evidence:
        """As much of it as stands in the fields of these names, and what could not be read."""
        return Evidence(
            grants=self.grants if "grants" in names else frozenset(),
            acknowledged=self.acknowledged if "acknowledged" in names else _NOBODY,
            confirmed=self.confirmed if "confirmed" in names else 0,
            claimed=self.claimed if "claimed" in names else 0,
            unread=self.unread,
        )


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Shadow:
    """A server as a judge knows it at one moment."""

    id: NodeId
    servers: frozenset[NodeId]
    state: NodeState
    """What it shows of itself."""
    evidence: Evidence = NO_EVIDENCE

    def is_majority(self, servers: frozenset[NodeId]) -> bool:
        """Whether these are more than half of the cluster."""
        return 2 * len(servers & self.servers) > len(self.servers)


def learn(before: Shadow, event: Witnessed, after: NodeState) -> Evidence:
    """The evidence once ``event`` has happened, and made ``after`` of the server.

    Only a message of the term in which the server then is counts; one that cannot be read may be.
    """
    same_term = before.state.current_term == after.current_term
    evidence = before.evidence if same_term else NO_EVIDENCE
    match event:
        case Receive(message) if message.term == after.current_term:
            pass
        case Unread(kind):
            return replace(evidence, unread=evidence.unread | {kind})
        case _:
            return evidence
    match message:
        case RequestVoteReply(vote_granted=True):
            return replace(evidence, grants=evidence.grants | {message.source})
        case AppendEntriesReply(success=True):
            return replace(evidence, acknowledged=_raised(evidence.acknowledged, message))
        case AppendEntries() if holds(after.log, message):
            confirmed = message.prev_log_index + len(message.entries)
            return replace(
                evidence,
                confirmed=max(evidence.confirmed, confirmed),
                claimed=max(evidence.claimed, message.leader_commit),
            )
    return evidence


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
