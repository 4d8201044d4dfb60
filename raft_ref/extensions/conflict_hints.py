"""Conflict hints: a rejection says where to try next (the end of §5.3).

In Figure 2 a leader whose AppendEntries is rejected decrements ``nextIndex`` and tries again: one
round trip for each entry in which the logs differ. §5.3 sketches how to do with one for each *term*
in which they differ. Two things are new:

1. A follower that rejects an AppendEntries because of its log adds the term of its entry at
   ``prevLogIndex``, and the index of its first entry of that term; or, if its log is shorter, the
   index after its last entry.
2. The leader lowers ``nextIndex`` not by one, but to the last index at which, by the hint, the logs
   can agree, plus one.

A hint is never evidence. It only says which request to send next, and the follower compares that
request with its log as any other. So a wrong hint can cost time, but not safety, and no rule
mentions hints: nothing may be acknowledged, counted or committed because of one.
"""

from __future__ import annotations

from raft_ref.messages import ConflictHint
from raft_ref.types import Config, Index, Log


def hint_for(config: Config, log: Log, prev_log_index: Index) -> ConflictHint | None:
    """Where ``log`` conflicts with a request that it does not match at ``prev_log_index``."""
    if not config.conflict_hints:
        return None
    term = log.term_at(prev_log_index)
    if term is None:
        return ConflictHint(log.last_index + 1, None)
    # Only in a log that is not Raft's, the entry in conflict is the base, which has no first index.
    return ConflictHint(min(log.first_index_of(term), prev_log_index), term)


def lowered(log: Log, next_index: Index, hint: ConflictHint | None) -> Index:
    """The ``nextIndex`` of a leader with ``log`` after a rejection. If it is no lower than before,
    the rejection is an old one, which answers none of the requests from ``next_index`` on.

    Terms never fall along a log. So where the follower's entry is of ``hint.term``, the logs agree
    at no later index than the leader's last entry of that term or an earlier one; and if the leader
    has no entry of that term, not within those of the follower either.
    """
    if hint is None:
        return next_index - 1
    if hint.term is None:
        return hint.index
    last = log.last_index_of(hint.term)
    if log.term_at(last) == hint.term:
        return last + 1
    return min(last + 1, hint.index)
