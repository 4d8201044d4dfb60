"""The formulas that are proved are the properties of `spec.properties`, neither less nor more."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import pytest

from model_check.proof.walk import action_named, after, beginning
from raft_ref import (
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Log,
    NodeState,
    PersistentState,
    Restart,
)
from spec.forms import Step
from spec.proof.evaluation import compiled
from spec.proof.obligations import PROPERTY_ARGUMENTS
from spec.proof.properties import OF_MOMENTS, OF_STEPS
from spec.proof.terms import Function, Sort, is_number, subterms
from spec.proof.world import ANY
from spec.properties import (
    CommitStability,
    CommittedEntry,
    Elected,
    ElectionSafety,
    LeaderAppendOnly,
    LeaderCompleteness,
    LogMatching,
    MonotonicTerm,
    Reign,
    StateMachineSafety,
    VoteOncePerTerm,
)

Meaning = Mapping[str, object]
Comparison = Iterator[tuple[Meaning, bool]]
"""Worlds, and whether a property holds in each."""

SERVERS = (1, 2, 3)
TERMS = (1, 2, 7)
ENTRIES = tuple(Entry(term, command) for term in (1, 7) for command in "ab")
MAX_LOG = 3
DOMAINS: dict[Sort, tuple[object, ...]] = {
    "Node": SERVERS,
    "Int": tuple(sorted({0, *TERMS, *range(MAX_LOG + 1)})),
    "Entry": ENTRIES,
}
WORLDS = 400

AFTER = replace(
    ANY,
    **{
        name: Function(f"after_{name}", getattr(ANY, name).sort, getattr(ANY, name).arity)
        for name in ("term", "has_voted", "vote", "role", "entry", "length", "commit")
    },
)
"""A world after a step of which nothing is known."""


# --- worlds at random -----------------------------------------------------------------------------


def random_log(dice: random.Random) -> Log:
    return Log(tuple(dice.choices(ENTRIES, k=dice.randint(0, MAX_LOG))))


def random_state(dice: random.Random) -> NodeState:
    log = random_log(dice)
    role = dice.choice((Follower(), Leader(IndexMap(), IndexMap())))
    vote = dice.choice((None, *SERVERS))
    persistent = PersistentState(dice.choice(TERMS), vote, log)
    return NodeState(persistent, role, commit_index=dice.randint(0, log.last_index))


def mostly_the_same(dice: random.Random, before: NodeState) -> NodeState:
    """Another state, in one part or in all."""
    other = random_state(dice)
    term = dice.choice((before, before, other)).current_term
    vote = dice.choice((before, before, other)).voted_for
    log = dice.choice((before, before, other)).log
    role = dice.choice((before, before, other)).role
    commit = dice.choice((before, before, other)).commit_index
    persistent = PersistentState(term, vote, log)
    return NodeState(persistent, role, commit_index=min(commit, log.last_index))


def meaning(states: Mapping[int, NodeState], prefix: str = "") -> dict[str, object]:
    """What a world says of servers."""
    return {
        f"{prefix}term": lambda n: states[n].current_term,
        f"{prefix}has_voted": lambda n: states[n].voted_for is not None,
        f"{prefix}vote": lambda n: states[n].voted_for or 1,
        f"{prefix}role": lambda n: 2 if isinstance(states[n].role, Leader) else 0,
        f"{prefix}entry": lambda n, i: states[n].log.entry_at(i) or ENTRIES[0],
        f"{prefix}length": lambda n: states[n].log.last_index,
        f"{prefix}commit": lambda n: states[n].commit_index,
        "entry_term": lambda entry: entry.term,
    }


def leaderships(dice: random.Random) -> Comparison:
    for size in range(WORLDS):
        pairs = [(term, server) for term in TERMS for server in SERVERS]
        led = frozenset(dice.sample(pairs, size % 5))
        holds = ElectionSafety().violation(led) is None
        yield {"led": lambda n, t, led=led: (t, n) in led}, holds


def logs(dice: random.Random) -> Comparison:
    for _ in range(WORLDS):
        base = random_log(dice)
        kept = dice.randint(0, base.last_index)
        states = {server: random_state(dice) for server in SERVERS}
        beginning = base.entries[:kept]
        rest = tuple(dice.choices(ENTRIES, k=MAX_LOG - kept))
        states[2] = replace(
            states[2], persistent=PersistentState(1, None, Log((*beginning, *rest)))
        )
        states[1] = replace(states[1], persistent=PersistentState(1, None, base))
        holds = all(
            LogMatching().violation(one, states[one].log, two, states[two].log) is None
            for one, two in combinations(SERVERS, 2)
        )
        yield meaning(states), holds


def reigns(dice: random.Random) -> Comparison:
    for _ in range(WORLDS):
        considered = frozenset(
            CommittedEntry(dice.randint(1, MAX_LOG), dice.choice(ENTRIES), dice.choice(TERMS))
            for _ in range(dice.randint(0, 2))
        )
        led = {term: random_log(dice) for term in dice.sample(TERMS, dice.randint(0, 2))}
        for known in considered:  # so that some leader has it
            for term in led:
                if dice.random() < 0.6:
                    log = led[term].entries[: known.index - 1]
                    filled = (*log, *dice.choices(ENTRIES, k=known.index - 1 - len(log)))
                    led[term] = Log((*filled, known.entry))
        elected = frozenset(Elected(term, log) for term, log in led.items())
        holds = LeaderCompleteness().violation(Reign(considered, elected)) is None
        found = {(known.index, known.entry, known.term) for known in considered}
        yield (
            {
                "considered": lambda i, e, t, found=found: (i, e, t) in found,
                "started": lambda t, led=led: t in led,
                "led_length": lambda t, led=led: led.get(t, Log()).last_index,
                "led_entry": lambda t, i, led=led: led.get(t, Log()).entry_at(i) or ENTRIES[0],
            },
            holds,
        )


def applications(dice: random.Random) -> Comparison:
    pairs = [(index, entry) for index in range(1, MAX_LOG + 1) for entry in ENTRIES]
    for size in range(WORLDS):
        applied = frozenset(dice.sample(pairs, size % 4))
        holds = StateMachineSafety().violation(applied) is None
        terms = {pair: dice.choice(TERMS) for pair in pairs}
        yield (
            {
                "applied": lambda i, e, applied=applied: (i, e) in applied,
                "applied_term": lambda i, e, terms=terms: terms.get((i, e), 0),
            },
            holds,
        )


MOMENTS: dict[str, Callable[[random.Random], Comparison]] = {
    "ElectionSafety": leaderships,
    "LogMatching": logs,
    "LeaderCompleteness": reigns,
    "StateMachineSafety": applications,
}
STEPS = {
    "LeaderAppendOnly": LeaderAppendOnly(),
    "MonotonicTerm": MonotonicTerm(),
    "VoteOncePerTerm": VoteOncePerTerm(),
    "CommitStability": CommitStability(),
}


def steps(name: str, dice: random.Random) -> Comparison:
    """Steps of server 1, of which the others see nothing."""
    for _ in range(WORLDS):
        before = random_state(dice)
        later = mostly_the_same(dice, before)
        if name == "LeaderAppendOnly":  # the formula is of all that happens in a term once led
            later = replace(later, role=before.role)
        event: Event = dice.choice((Restart(), HeartbeatTimeout()))
        holds = STEPS[name].violation(Step(1, before, event, later, ())) is None
        states = dict.fromkeys(SERVERS, before)
        yield (
            {
                **meaning(states),
                **meaning({**states, 1: later}, "after_"),
                "restarted": isinstance(event, Restart),
                "led": lambda n, t, before=before: (
                    isinstance(before.role, Leader) and t == before.current_term
                ),
            },
            holds,
        )


@cache
def finite(name: str) -> Any:
    formula = OF_MOMENTS[name](ANY) if name in OF_MOMENTS else OF_STEPS[name](AFTER)
    return compiled(formula, DOMAINS)


# --- they are the same ---------------------------------------------------------------------------


def test_every_property_has_a_formula() -> None:
    assert {*OF_MOMENTS, *OF_STEPS} == {*MOMENTS, *STEPS} == set(PROPERTY_ARGUMENTS)


@pytest.mark.parametrize("name", PROPERTY_ARGUMENTS)
def test_a_formula_holds_just_where_its_property_does(name: str) -> None:
    dice = random.Random(name)  # noqa: S311 - no secret
    worlds = MOMENTS[name](dice) if name in MOMENTS else steps(name, dice)
    seen: Counter[bool] = Counter()
    for known, holds in worlds:
        assert finite(name)(known) is holds
        seen[holds] += 1
    assert min(seen[True], seen[False]) > WORLDS // 20, seen


@pytest.mark.parametrize("name", PROPERTY_ARGUMENTS)
def test_a_formula_is_bounded_by_no_number(name: str) -> None:
    """Beyond the terms and indexes of the small worlds above, it says the same: the only numbers in
    it are those where logs begin."""
    formula = OF_MOMENTS[name](ANY) if name in OF_MOMENTS else OF_STEPS[name](AFTER)
    assert {part.head for part in subterms(formula) if is_number(part)} <= {"0", "1"}


# --- what they speak of is what has happened -----------------------------------------------------

HELD = Log((ENTRIES[0], ENTRIES[1]))


def once(action: str, role: int, **means: object) -> dict[str, Any]:
    """The world after server 2, in term 7 with a log of two entries, has taken an action."""
    server = NodeState(PersistentState(7, None, HELD))
    known = {**beginning(), **meaning(dict.fromkeys(SERVERS, server))}
    known["role"] = lambda n: role if n == 2 else 0
    quiet = {"restarted": False, "timed_out": False, "received": False, "holders": frozenset({2})}
    return after(action_named(action), {**known, **quiet, "counted": 0, "server": 2, **means})


@pytest.mark.parametrize("role", [0, 1, 2])
def test_all_that_is_committed_by_whomever_is_remembered_as_such(role: int) -> None:
    known = once("commit", role, new_commit=2)
    entries = {(1, ENTRIES[0]), (2, ENTRIES[1])}
    found = {
        (index, entry, term)
        for index in range(4)
        for entry in ENTRIES
        for term in range(9)
        if known["considered"](index, entry, term)
    }
    assert found == {(index, entry, 7) for index, entry in entries}


def test_all_that_is_applied_is_remembered_as_such() -> None:
    known = once("apply", 0, applied_index=2, applied_entry=ENTRIES[1])
    found = [(i, e) for i in range(4) for e in ENTRIES if known["applied"](i, e)]
    assert found == [(2, ENTRIES[1])]


def test_who_becomes_leader_has_led_its_term_with_the_log_that_it_has() -> None:
    known = once("elect", 1, votes=frozenset({1, 2}))
    assert [(n, t) for n in SERVERS for t in range(9) if known["led"](n, t)] == [(2, 7)]
    assert [t for t in range(9) if known["started"](t)] == [7]
    assert known["led_length"](7) == 2
    assert [known["led_entry"](7, i) for i in (1, 2)] == list(HELD.entries)


def test_what_a_leader_appends_is_in_the_log_of_its_term() -> None:
    longer = (*HELD.entries, Entry(7, "a"))
    known = once("propose", 2, new_length=3, new_entry=lambda i: longer[i - 1], removed=3)
    assert known["led_length"](7) == known["length"](2) == 3
    assert known["led_entry"](7, 3) == known["entry"](2, 3) == longer[2]


def test_the_beginning_has_seen_nothing() -> None:
    known: dict[str, Any] = beginning()
    assert not any(known["led"](n, t) or known["started"](t) for n in SERVERS for t in range(3))
    assert not any(known["applied"](i, e) for i in range(3) for e in ENTRIES)
    assert not any(known["considered"](i, e, t) for i in range(3) for e in ENTRIES for t in (0, 1))
