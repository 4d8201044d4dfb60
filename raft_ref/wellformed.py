"""Messages that make no sense in this cluster.

A message is malformed if it contradicts itself or the configuration: an unknown sender, a negative
term, entries out of order. It is refused with `MalformedEvent` before anything changes.

A well-formed message that Raft has no use for, such as a stale reply, is no error and is ignored.
Nor is one malformed because Raft would never come to send it, such as a second leader's of the same
term: whether servers obey Raft is for others to judge.
"""

from __future__ import annotations

from itertools import pairwise

from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Config, Index, Term


class MalformedEvent(ValueError):
    """The one error of `raft_ref.step`: a message that makes no sense in this cluster."""


def check_message(config: Config, message: Message) -> None:
    """Refuse a message that makes no sense coming to this server.

    Raises:
        MalformedEvent: naming the field, what it holds and what it may hold.
    """
    _require(
        message.source in config.servers and message.source != config.id,
        f"source must be one of the other servers {list(config.peers)}, not {message.source}",
    )
    _require(
        message.destination == config.id,
        f"destination must be this server, {config.id}, not {message.destination}",
    )
    _require(message.term >= 1, f"term must be at least 1, not {message.term}")
    match message:
        case RequestVote():
            _check_position("last_log", message.last_log_index, message.last_log_term, message.term)
        case RequestVoteReply():
            pass
        case AppendEntries():
            _check_append_entries(message)
        case AppendEntriesReply():
            _check_append_entries_reply(message)


def _check_append_entries(message: AppendEntries) -> None:
    _check_position("prev_log", message.prev_log_index, message.prev_log_term, message.term)
    terms = [max(message.prev_log_term, 1), *(entry.term for entry in message.entries)]
    _require(
        all(low <= high for low, high in pairwise(terms)) and terms[-1] <= message.term,
        f"entries must have terms that do not fall, from {terms[0]} to {message.term}, "
        f"not {terms[1:]}",
    )
    _require(
        message.leader_commit >= 0, f"leader_commit must not be negative: {message.leader_commit}"
    )


def _check_append_entries_reply(message: AppendEntriesReply) -> None:
    _require(message.match_index >= 0, f"match_index must not be negative: {message.match_index}")
    _require(
        message.success or message.match_index == 0,
        f"match_index of a rejection must be 0, not {message.match_index}",
    )


def _check_position(name: str, index: Index, term: Term, message_term: Term) -> None:
    """Index and term of one entry of the sender's log; both 0 for "before the log"."""
    _require(index >= 0, f"{name}_index must not be negative: {index}")
    if index == 0:
        _require(term == 0, f"{name}_term must be 0 where {name}_index is 0, not {term}")
    else:
        _require(
            1 <= term <= message_term,
            f"{name}_term must be from 1 to the message's term {message_term}, not {term}",
        )


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise MalformedEvent(problem)
