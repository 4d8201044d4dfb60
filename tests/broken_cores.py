"""The core with one rule of Raft broken, for a test: a checker that sees nothing is no checker."""

from __future__ import annotations

import pytest

from raft_ref import (
    Config,
    Entry,
    Index,
    Leader,
    Log,
    NodeState,
    PersistentState,
    Term,
    commit,
    election,
    node,
    replication,
)


def vote_regardless_of_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop §5.4.1: voters do not compare logs."""

    def is_up_to_date(log: Log, last_log_index: Index, last_log_term: Term) -> bool:
        return True

    monkeypatch.setattr(election, "is_up_to_date", is_up_to_date)


def forget_vote_in_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop the persistence of ``votedFor`` (Figure 2)."""

    def restart(state: NodeState) -> NodeState:
        return NodeState(PersistentState(state.current_term, None, state.log))

    monkeypatch.setattr(node, "restart", restart)


def ignore_prev_log_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop half of AppendEntries rule 2: an entry at ``prevLogIndex`` of any term will do."""

    def is_consistent(log: Log, prev_log_index: Index, prev_log_term: Term) -> bool:
        return prev_log_index <= log.last_index

    monkeypatch.setattr(replication, "is_consistent", is_consistent)


def commit_any_term_by_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop ``log[N].term == currentTerm`` from the leaders' last rule: Figure 8."""

    def may_commit_by_counting(
        config: Config, state: NodeState, leader: Leader, index: Index
    ) -> bool:
        return commit.has_majority(config, leader, index)

    monkeypatch.setattr(commit, "may_commit_by_counting", may_commit_by_counting)


def truncate_without_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break AppendEntries rule 3: remove whatever follows ``prevLogIndex``, conflict or not."""

    def merge(log: Log, prev_log_index: Index, entries: tuple[Entry, ...]) -> Log:
        return log.truncate_from(prev_log_index + 1).append(*entries)

    monkeypatch.setattr(replication, "merge", merge)


def divide_by_zero_on_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a step fail."""

    def follower_commit_index(state: NodeState, leader_commit: Index, confirmed: Index) -> Index:
        return 1 // 0 if leader_commit else state.commit_index

    monkeypatch.setattr(commit, "follower_commit_index", follower_commit_index)
