"""`model_check.strategies`: they reach what is worth testing."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from typing import get_args

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from model_check.strategies import (
    MESSAGE_TYPES,
    ROLE_TYPES,
    logs,
    messages,
    messages_to,
    node_states,
    outputs,
)
from raft_ref import (
    AppendEntriesReply,
    Apply,
    Candidate,
    Config,
    Event,
    Leader,
    Log,
    NodeState,
    Output,
    RequestVoteReply,
    step,
)
from tests.situations import (
    Situation,
    plausible,
    sent,
)


@pytest.mark.slow
def test_the_strategies_reach_everything_worth_testing() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=600, database=None, derandomize=True)
    @given(plausible(), st.data())
    def collect(situation: Situation, data: st.DataObject) -> None:
        config, state, event = situation
        transition = step(config, state, event)
        seen[type(state.role).__name__] += 1
        seen[type(event).__name__] += 1
        seen[type(data.draw(outputs(config))).__name__] += 1
        seen["of one"] += len(config.servers) == 1
        seen["snapshot"] += state.log.snapshot_index > 0
        seen["elected"] += isinstance(transition.state.role, Leader) > isinstance(
            state.role, Leader
        )
        seen["applied"] += any(isinstance(output, Apply) for output in transition.outputs)
        seen["counted"] += isinstance(state.role, Leader) and (
            transition.state.commit_index > state.commit_index
        )
        kept = transition.state.log.entries[: len(state.log.entries)]
        seen["truncated"] += kept != state.log.entries
        for message in sent(transition):
            seen[type(message).__name__] += 1
            seen["granted"] += isinstance(message, RequestVoteReply) and message.vote_granted
            seen["accepted"] += isinstance(message, AppendEntriesReply) and message.success

    collect()
    wanted = [*ROLE_TYPES, *MESSAGE_TYPES, *get_args(Event), *get_args(Output)]
    names = {wanted_type.__name__ for wanted_type in wanted}
    names |= {"of one", "snapshot", "elected", "applied", "counted", "truncated"}
    names |= {"granted", "accepted"}
    assert {name for name in names if not seen[name]} == set()


def test_a_cluster_of_one_has_no_candidate_and_no_messages() -> None:
    config = Config(id=0, servers=frozenset({0}))
    with pytest.raises(ValueError, match="no server in a role"):
        find(node_states(config, among=[Candidate]), lambda _: True)
    assert messages(config).is_empty
    assert messages_to(config, NodeState()).is_empty


@given(logs(snapshots=False))
def test_logs_without_snapshots_start_at_index_1(log: Log) -> None:
    assert (log.snapshot_index, log.snapshot_term) == (0, 0)


def test_without_hypothesis_the_strategies_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "model_check.strategies")
    with pytest.raises(ImportError, match=r"pip install raft-ref\[strategies\]"):
        importlib.import_module("model_check.strategies")
