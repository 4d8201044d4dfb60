"""Which message of an implementation comes closest to one of our core."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from model_check.conformance.observed import ForeignMessage, understood
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
    Term,
)

Likeness: TypeAlias = tuple[bool, int]
"""The greater, the more alike: whether it says yes or no to the same, or carries or acknowledges
entries as the other does; then minus how far apart the logs are that it speaks of."""

_FAR = 1 << 53
"""An acknowledgement that reaches anywhere is more like another than a refusal is."""


def closest(
    wanted: Message, sent: Iterable[ForeignMessage], first_term: Term
) -> tuple[ForeignMessage, Likeness] | None:
    """Of the messages ``sent``, the latest of those that are most like ``wanted``.

    It must be of the same kind, between the same servers, and in the same term; an implementation
    starts in its ``first_term``, not in 0.
    """
    best: tuple[ForeignMessage, Likeness] | None = None
    for message in sent:
        if (message.source, message.destination) != (wanted.source, wanted.destination):
            continue
        known = understood(message)
        if type(known) is type(wanted) and known.term == wanted.term + first_term:
            alike = _likeness(wanted, known)
            if best is None or alike >= best[1]:
                best = message, alike
    return best


def _likeness(wanted: Message, known: Message) -> Likeness:
    match wanted, known:
        case RequestVote(), RequestVote():
            return True, -abs(wanted.last_log_index - known.last_log_index)
        case RequestVoteReply(), RequestVoteReply():
            return wanted.vote_granted == known.vote_granted, 0
        case AppendEntries(), AppendEntries():
            ends = (each.prev_log_index + len(each.entries) for each in (wanted, known))
            return bool(wanted.entries) == bool(known.entries), -abs(next(ends) - next(ends))
        case AppendEntriesReply(), AppendEntriesReply():
            is_same = wanted.success == known.success
            acknowledges = bool(wanted.match_index) == bool(known.match_index)
            distance = abs(wanted.match_index - known.match_index)
            return is_same and acknowledges, -distance if is_same else -_FAR - distance
        case _:
            raise AssertionError("messages of different kinds are not compared")
