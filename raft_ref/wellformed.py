"""Messages that make no sense in this cluster.

A message is malformed if it contradicts itself or the configuration: an unknown sender, a negative
term, entries out of order. It is refused with `MalformedEvent` before anything changes.

A well-formed message that Raft has no use for, such as a stale reply, is no error and is ignored.
Nor is one malformed because Raft would never come to send it, such as a second leader's of the same
term: whether servers obey Raft is for others to judge.

From whom a server takes messages and who has a vote are two questions. Only the first is asked
here: a server may know, and answer, servers without a vote (§6).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import assert_never

from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Index, NodeId, Term


class MalformedEvent(ValueError):
    """The one error of `raft_ref.step`: a message that makes no sense in this cluster."""

    def __init__(self, field: str, allowed: str, found: str) -> None:
        super().__init__(field, allowed, found)
        self.field = field
        """The field of the message that is wrong."""
        self.allowed = allowed
        """What it may hold."""
        self.found = found
        """What it holds."""

    def __str__(self) -> str:
        return f"{self.field} must be {self.allowed}, not {self.found}"


def check_message(message: Message, *, receiver: NodeId, known: AbstractSet[NodeId]) -> None:
    """Refuse a message that makes no sense coming to ``receiver``, which knows these servers.

    Raises:
        MalformedEvent: naming the field, what it holds and what it may hold.
    """
    others = known - {receiver}
    _require(
        message.source in others,
        "source",
        f"one of the other servers {sorted(others)}",
        message.source,
    )
    _require(
        message.destination == receiver,
        "destination",
        f"this server, {receiver}",
        message.destination,
    )
    check_contents(message)


def check_contents(message: Message) -> None:
    """Refuse a message that contradicts itself, whoever sends it to whomever.

    Raises:
        MalformedEvent: naming the field, what it holds and what it may hold.
    """
    _require(message.term >= 1, "term", "at least 1", message.term)
    match message:
        case RequestVote():
            _check_position("last_log", message.last_log_index, message.last_log_term, message.term)
        case RequestVoteReply():
            pass
        case AppendEntries():
            _check_append_entries(message)
        case AppendEntriesReply():
            _check_append_entries_reply(message)
        case _:
            assert_never(message)


def _check_append_entries(message: AppendEntries) -> None:
    _check_position("prev_log", message.prev_log_index, message.prev_log_term, message.term)
    terms = [max(message.prev_log_term, 1), *(entry.term for entry in message.entries)]
    _require(
        all(low <= high for low, high in pairwise(terms)) and terms[-1] <= message.term,
        "entries",
        f"in terms that never decrease, from {terms[0]} to {message.term}",
        terms[1:],
    )
    _require(message.leader_commit >= 0, "leader_commit", "at least 0", message.leader_commit)


def _check_append_entries_reply(message: AppendEntriesReply) -> None:
    _require(message.match_index >= 0, "match_index", "at least 0", message.match_index)
    _require(
        message.success or message.match_index == 0,
        "match_index of a rejection",
        "0",
        message.match_index,
    )
    if (hint := message.hint) is None:
        return
    _require(not message.success, "hint of an acknowledgement", "absent", "given")
    _require(hint.index >= 1, "hint.index", "at least 1", hint.index)
    _require(
        hint.term is None or 1 <= hint.term <= message.term,
        "hint.term",
        f"absent, or from 1 to the message's term {message.term}",
        hint.term,
    )


def _check_position(name: str, index: Index, term: Term, message_term: Term) -> None:
    """Index and term of one entry of the sender's log; both 0 for "before the log"."""
    _require(index >= 0, f"{name}_index", "at least 0", index)
    if index == 0:
        _require(term == 0, f"{name}_term", f"0 where {name}_index is 0", term)
    else:
        _require(
            1 <= term <= message_term,
            f"{name}_term",
            f"from 1 to the message's term {message_term}",
            term,
        )


def _require(holds: bool, field: str, allowed: str, found: object) -> None:
    if not holds:
        raise MalformedEvent(field, allowed, str(found))
