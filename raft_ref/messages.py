"""The two RPCs of Figure 2, each as a request and a reply message.

Raft's RPCs become plain messages here, so that a network may lose, repeat, delay and reorder them.
Every message carries its ``source`` and ``destination``; the paper's ``candidateId`` and
``leaderId`` are the ``source``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from raft_ref.types import EXTENSION, Entry, Index, NodeId, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVote:
    """Figure 2, RequestVote RPC: a candidate asks for a vote (§5.2)."""

    source: NodeId
    destination: NodeId
    term: Term
    last_log_index: Index
    last_log_term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVoteReply:
    """Figure 2, RequestVote RPC, results."""

    source: NodeId
    destination: NodeId
    term: Term
    """The voter's current term, for the candidate to update itself."""
    vote_granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendEntries:
    """Figure 2, AppendEntries RPC: a leader's entries (§5.3), or with none a heartbeat (§5.2)."""

    source: NodeId
    destination: NodeId
    term: Term
    prev_log_index: Index
    """Index of the entry immediately before the new ones."""
    prev_log_term: Term
    entries: tuple[Entry, ...]
    leader_commit: Index


@dataclass(frozen=True, slots=True)
class ConflictHint:
    """Where the log of a follower conflicts with the request that it rejects (end of §5.3)."""

    index: Index
    """Index of its first entry of ``term``; one beyond its last entry where ``term`` is None."""
    term: Term | None
    """Term of its entry at ``prev_log_index``; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendEntriesReply:
    """Figure 2, AppendEntries RPC, results.

    ``match_index`` is what Figure 2 leaves open: an RPC's caller knows which request a reply
    belongs to, the receiver of a message does not.
    """

    source: NodeId
    destination: NodeId
    term: Term
    """The follower's current term, for the leader to update itself."""
    success: bool
    match_index: Index
    """On success the last index that the request confirmed to match; 0 on rejection."""
    hint: ConflictHint | None = field(default=None, metadata=EXTENSION)
    """On rejection, perhaps; see `extensions.conflict_hints`."""


Message: TypeAlias = RequestVote | RequestVoteReply | AppendEntries | AppendEntriesReply
