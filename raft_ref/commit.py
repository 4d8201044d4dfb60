"""Committing and applying (§5.3, §5.4.2).

An entry is committed once a leader has replicated it on a majority *and* it is of that leader's own
term, or stands before one that is. Leaders find out by counting acknowledgements, followers by
being told; both apply what is committed, in order.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from raft_ref.events import Apply, Transition
from raft_ref.types import Config, Index, Leader, NodeState


def has_majority(config: Config, leader: Leader, index: Index) -> bool:
    """Whether a majority, leader included, is known to hold the leader's log up to ``index``."""
    holders = frozenset(
        peer for peer, match_index in leader.match_index.items() if match_index >= index
    )
    return config.is_majority(holders | {config.id})


def may_commit_by_counting(config: Config, state: NodeState, leader: Leader, index: Index) -> bool:
    """Figure 2, Leaders, last rule: a majority of ``matchIndex[i] >= N`` and
    ``log[N].term == currentTerm`` (§5.3, §5.4.2).

    Without the condition on the term an entry could be counted as committed and still be
    overwritten: Figure 8.
    """
    return state.log.term_at(index) == state.current_term and has_majority(config, leader, index)


def leader_commit_index(config: Config, state: NodeState, leader: Leader) -> Index:
    """The highest index the leader may consider committed; never below its ``commit_index``.

    Found by bisection, since thousands of entries may be uncommitted: whoever holds an index holds
    those below it, so a majority holds all up to some index. If that one is of an older term, so
    are those below it, and none of them may be committed by counting.
    """
    uncommitted = range(state.commit_index + 1, state.log.last_index + 1)
    held = bisect_left(uncommitted, True, key=lambda index: not has_majority(config, leader, index))
    highest = state.commit_index + held
    if held and may_commit_by_counting(config, state, leader, highest):
        return highest
    return state.commit_index


def follower_commit_index(state: NodeState, leader_commit: Index, confirmed: Index) -> Index:
    """Figure 2, AppendEntries receiver rule 5: ``min(leaderCommit, index of last new entry)``.

    ``confirmed`` is that last entry's index (or ``prev_log_index``, if the request had no entries).
    The log may be longer, but what lies beyond is not known to be the leader's. Never below
    ``commit_index``: a delayed request confirms less than an earlier one did.
    """
    return max(state.commit_index, min(leader_commit, confirmed))


def advance_commit(state: NodeState, commit_index: Index) -> Transition:
    """Raise ``commit_index``, then apply what that uncovered."""
    return apply_committed(replace(state, commit_index=commit_index))


def apply_committed(state: NodeState) -> Transition:
    """Figure 2, All servers: while ``commitIndex > lastApplied``, apply the next entry (§5.3)."""
    entries = state.log.between(state.last_applied, state.commit_index)
    first = state.last_applied + 1
    return Transition(
        replace(state, last_applied=state.last_applied + len(entries)),
        tuple(Apply(index, entry) for index, entry in enumerate(entries, start=first)),
    )
