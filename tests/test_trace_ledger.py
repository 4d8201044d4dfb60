"""What the ledger of a trace says of all servers is what the properties of `spec` say."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_check.traces.belief import Belief
from model_check.traces.happening import RoleName
from model_check.traces.ledger import Ledger
from raft_ref import Apply, Candidate, Entry, Follower, HeartbeatTimeout, IndexMap, Leader, Log
from raft_ref.types import NodeState, PersistentState, Role
from spec.chain import Chains
from spec.forms import HistoryProperty, Step
from spec.properties import (
    ElectionSafety,
    LeaderCompleteness,
    LogMatching,
    RaftStep,
    StateMachineSafety,
)

ROLES: dict[RoleName, Role] = {
    "follower": Follower(),
    "candidate": Candidate(frozenset()),
    "leader": Leader(IndexMap(), IndexMap()),
}


@dataclass(frozen=True)
class Shown:
    """What a server shows of itself."""

    server: int
    term: int
    role: RoleName
    log: tuple[Entry, ...]
    commit: int

    @property
    def state(self) -> NodeState:
        persistent = PersistentState(self.term, None, Log(self.log))
        return NodeState(persistent, ROLES[self.role], self.commit, self.commit)

    def belief(self, chains: Chains) -> Belief:
        log = chains.extended(chains.beginning(), *self.log)
        return Belief(log, self.term, None, self.role, self.commit)


@st.composite
def histories(draw: st.DrawFn) -> list[Shown]:
    """Anything that three servers may show, one after the other; terms never fall."""
    terms = {1: 0, 2: 0, 3: 0}
    shown = []
    for _ in range(draw(st.integers(1, 8))):
        server = draw(st.integers(1, 3))
        terms[server] += draw(st.integers(0, 1))
        log = draw(st.lists(st.builds(Entry, st.integers(1, 2), st.sampled_from("ab")), max_size=3))
        entries = tuple(sorted(log, key=lambda entry: entry.term))
        role = draw(st.sampled_from(sorted(ROLES)))
        commit = draw(st.integers(0, len(entries)))
        shown.append(Shown(server, terms[server], role, entries, commit))
    return shown


def step_to(before: NodeState, shown: Shown) -> RaftStep:
    after = shown.state
    applied = tuple(
        Apply(index, entry)
        for index in range(before.commit_index + 1, after.commit_index + 1)
        if (entry := after.log.entry_at(index)) is not None
    )
    return Step(shown.server, before, HeartbeatTimeout(), after, applied)


def violated_in(history: list[Shown]) -> list[set[str]]:
    """By step, the properties that are violated by then."""
    states = {server: NodeState() for server in (1, 2, 3)}
    properties: list[HistoryProperty[NodeState, object, object, object, object]]
    properties = [ElectionSafety(), LeaderCompleteness(), StateMachineSafety()]  # type: ignore[list-item] # each has facts of its own
    memories = [item.initial() for item in properties]
    found = []
    for shown in history:
        step = step_to(states[shown.server], shown)
        states[shown.server] = shown.state
        violated = set()
        for number, item in enumerate(properties):
            fact = item.fact(step)  # type: ignore[arg-type] # as above
            if fact is not None:
                memories[number] = item.remember(memories[number], fact)
            if item.violation(memories[number]) is not None:
                violated.add(item.name)
        if any(
            LogMatching().violation(one, states[one].log, two, states[two].log) is not None
            for one in states
            for two in states
            if one < two
        ):
            violated.add("LogMatching")
        found.append(violated)
    return found


@given(histories())
@settings(max_examples=250, deadline=None)
def test_up_to_the_first_violation_they_are_of_one_mind(history: list[Shown]) -> None:
    chains, ledger = Chains(), Ledger()
    known: dict[int, Belief] = {server: Belief(chains.beginning()) for server in (1, 2, 3)}
    for shown, expected in zip(history, violated_in(history), strict=True):
        belief = shown.belief(chains)
        found = {each.property for each in ledger.enter(shown.server, known[shown.server], belief)}
        known[shown.server] = belief
        # Logs that are never there at the same time must match, too; and where two entries are
        # committed at one index, no more is said.
        assert found <= expected | {"LogMatching"}
        assert expected <= found or "StateMachineSafety" in found
        if found:
            break


def test_a_commit_may_turn_out_to_have_been_earlier() -> None:
    """And then a leader that was elected meanwhile should have had the entry."""
    chains, ledger = Chains(), Ledger()
    log = (Entry(1, "a"),)
    started = Belief(chains.beginning())
    assert not list(ledger.enter(2, started, Shown(2, 2, "leader", (), 0).belief(chains)))
    assert not list(ledger.enter(1, started, Shown(1, 3, "follower", log, 1).belief(chains)))
    found = list(ledger.enter(3, started, Shown(3, 1, "follower", log, 1).belief(chains)))
    assert [each.property for each in found] == ["LeaderCompleteness"]


@pytest.mark.parametrize("order", list(permutations((1, 2))))
def test_a_snapshot_hides_no_commit_of_others(order: tuple[int, ...]) -> None:
    """One has all in a snapshot, another as entries; a leader with nothing lacks it."""
    chains, ledger = Chains(), Ledger()
    log = (Entry(1, "a"), Entry(1, "b"))
    shown = {
        1: Belief(chains.beginning(2, 1), 2, None, "follower", 2),
        2: Shown(2, 2, "follower", log, 2).belief(chains),
    }
    for server in order:
        assert not list(ledger.enter(server, None, shown[server]))
    leader = Shown(3, 3, "leader", (), 0).belief(chains)
    found = list(ledger.enter(3, Belief(chains.beginning()), leader))
    assert [each.property for each in found] == ["LeaderCompleteness"]


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_logs_match_beside_a_snapshot_too(order: tuple[int, ...]) -> None:
    chains, ledger = Chains(), Ledger()
    last = Entry(2, "b")
    shown = {
        1: Belief(chains.extended(chains.beginning(1, 1), last), 2),
        2: Shown(2, 2, "follower", (Entry(1, "a"), last), 0).belief(chains),
        3: Shown(3, 2, "follower", (Entry(2, "q"), last), 0).belief(chains),
    }
    found = [each for server in order for each in ledger.enter(server, None, shown[server])]
    assert [each.property for each in found] == ["LogMatching"]


def test_what_is_committed_later_a_leader_need_not_have() -> None:
    chains, ledger = Chains(), Ledger()
    log = (Entry(1, "a"), Entry(5, "b"))
    assert not list(ledger.enter(1, None, Shown(1, 6, "follower", log, 2).belief(chains)))
    hidden = Belief(chains.beginning(9, 5), 6, None, "follower", 9)
    assert not list(ledger.enter(2, None, hidden))
    leader = Shown(3, 4, "leader", log[:1], 1).belief(chains)
    assert not list(ledger.enter(3, None, leader))
