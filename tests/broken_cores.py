"""The core with a rule of Raft broken, as if someone had edited it: mutants of the catalogue, and a
core that fails."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from model_check.mutants import MUTANTS
from raft_ref import Index, NodeState, commit

Break = Callable[[pytest.MonkeyPatch], None]


def edited_as(mutant: str) -> Break:
    """Edits the core as ``mutant`` has it."""

    def break_core(monkeypatch: pytest.MonkeyPatch) -> None:
        for each in MUTANTS[mutant].substitutions:
            module = sys.modules[each.original.__module__]
            monkeypatch.setattr(module, each.original.__name__, each.replacement)

    return break_core


vote_regardless_of_log = edited_as("vote-without-log-check")
forget_vote_in_restart = edited_as("vote-not-persisted")
ignore_prev_log_term = edited_as("prev-log-term-not-checked")
commit_any_term_by_counting = edited_as("commit-old-term-by-counting")
truncate_without_conflict = edited_as("truncate-without-conflict")


def divide_by_zero_on_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a step fail."""

    def follower_commit_index(state: NodeState, leader_commit: Index, confirmed: Index) -> Index:
        return 1 // 0 if leader_commit else state.commit_index

    monkeypatch.setattr(commit, "follower_commit_index", follower_commit_index)
