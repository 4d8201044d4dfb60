"""Logs that share what they have in common are logs like any other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_ref import Entry, Log, NodeState
from spec.chain import Chain, Chains, SharedLog
from spec.conduct import Conduct, differences, watch
from spec.rule import Rule
from spec.rules import RULES
from spec.shadow import Shadow
from tests.conducts import BREACHES

ENTRIES = st.lists(st.builds(Entry, st.integers(1, 2), st.sampled_from("ab")), max_size=40)
"""Few different ones, so that logs have much in common."""


@st.composite
def families(draw: st.DrawFn) -> tuple[list[Log], list[Chain]]:
    """The same logs in both forms, many of them beginning as others do."""
    chains = Chains()
    logs, shared = [Log()], [chains.beginning()]
    for _ in range(draw(st.integers(1, 6))):
        number = draw(st.integers(0, len(logs) - 1))
        kept = draw(st.integers(0, logs[number].last_index))
        added = tuple(draw(ENTRIES))
        logs.append(Log(logs[number].entries[:kept] + added))
        shared.append(chains.extended(shared[number].until(kept), *added))
    return logs, shared


@given(families())
def test_a_chain_holds_what_the_log_holds(family: tuple[list[Log], list[Chain]]) -> None:
    for log, chain in zip(*family, strict=True):
        shared = SharedLog(chain)
        assert (shared.last_index, shared.last_term) == (log.last_index, log.last_term)
        for index in range(log.last_index + 3):
            assert shared.entry_at(index) == log.entry_at(index)
            assert shared.term_at(index) == log.term_at(index)
            assert shared.between(index, index + 3) == log.between(index, index + 3)
            assert chain.until(index).last_index == min(index, log.last_index)


@given(families())
def test_two_meet_where_they_differ(family: tuple[list[Log], list[Chain]]) -> None:
    logs, chains = family
    for log, chain in zip(logs, chains, strict=True):
        for other, other_chain in zip(logs, chains, strict=True):
            pairs = zip(log.entries, other.entries, strict=False)
            same = next((n for n, (one, two) in enumerate(pairs) if one != two), None)
            shortest = min(log.last_index, other.last_index)
            assert chain.meeting(other_chain) == (shortest if same is None else same)
            assert (chain is other_chain) == (log == other)
            assert (SharedLog(chain) == SharedLog(other_chain)) == (log == other)
            found = differences(SharedLog(chain), SharedLog(other_chain))
            assert list(found) == list(differences(log, other))


def test_a_log_may_begin_with_a_snapshot() -> None:
    chains = Chains()
    chain = chains.extended(chains.beginning(7, 3), Entry(3, "a"), Entry(4, "b"))
    shared, log = SharedLog(chain), Log((Entry(3, "a"), Entry(4, "b")), 7, 3)
    assert [shared.term_at(index) for index in (6, 7, 8, 9, 10)] == [None, 3, 3, 4, None]
    assert shared.snapshot_index == log.snapshot_index
    assert shared.between(0, 9) == log.between(0, 9)
    assert chain.until(3) is chains.beginning(7, 3)
    assert chain.meeting(chains.beginning()) == 7
    assert [each.follows_snapshot for each in (chain.until(8), chain)] == [True, False]
    first = chains.extended(chains.beginning(), Entry(1, "a"))
    assert not first.follows_snapshot


def test_the_way_to_an_early_entry_is_short() -> None:
    chains = Chains()
    chain = chains.extended(chains.beginning(), *(Entry(1, str(n)) for n in range(5000)))
    steps, here = 0, chain
    while here.last_index > 17:
        shortcut = here._shortcut
        assert shortcut is not None
        assert here.parent is not None
        here = shortcut if shortcut.last_index >= 17 else here.parent
        steps += 1
    assert steps < 40


def shared_state(state: NodeState, chains: Chains) -> NodeState:
    log = state.log
    chain = chains.extended(chains.beginning(log.snapshot_index, log.snapshot_term), *log.entries)
    return replace(state, persistent=replace(state.persistent, log=SharedLog(chain)))


def shared_conduct(step: Conduct) -> Conduct:
    """The same step, with logs that share what they have in common."""
    chains = Chains()
    before = Shadow(
        step.before.id,
        step.before.servers,
        shared_state(step.before.state, chains),
        step.before.evidence,
    )
    return watch(before, step.event, shared_state(step.after.state, chains), step.outputs)


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_every_rule_judges_them_alike(rule: Rule) -> None:
    for _, step in BREACHES:
        assert rule.judge(shared_conduct(step)) == rule.judge(step)
