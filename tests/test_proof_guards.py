"""The formulas of the proof are the rules: they allow the same local steps, either way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product

import pytest

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Event,
    HeartbeatTimeout,
    IndexMap,
    Log,
    Message,
    NodeState,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Role,
    Send,
)
from spec.conduct import Conduct, watch
from spec.freest import FIELDS, ROLES
from spec.proof.abstraction import ANY_STEP, FiniteGuard, Undefined
from spec.proof.guards import GUARDS, WITHOUT_GUARD, Guard
from spec.proof.obligations import PROPERTY_ARGUMENTS
from spec.proof.terms import FALSE, TRUE, Term, both, either, equal, implies, subterms
from spec.proof.vocabulary import APPEND_ENTRIES, kind, leader_commit
from spec.proof.world import World
from spec.properties import FIGURE_3
from spec.rule import Rule
from spec.rules import RULES, RULES_BY_ID
from spec.shadow import NO_EVIDENCE, Evidence, Shadow
from tests.conducts import BREACHES
from tests.random_conducts import Way


@dataclass(frozen=True)
class Bounds:
    """All local steps that there are, of server 1."""

    servers: frozenset[int] = frozenset({1, 2, 3})
    terms: tuple[int, ...] = (0, 1, 2)
    entries: tuple[Entry, ...] = (Entry(1, "a"), Entry(2, "a"))
    max_log: int = 2

    @property
    def indexes(self) -> range:
        return range(self.max_log + 1)

    @property
    def pieces(self) -> list[tuple[Entry, ...]]:
        return [each for size in self.indexes for each in product(self.entries, repeat=size)]


THREE = Bounds()
ALONE = Bounds(servers=frozenset({1}), terms=(1, 2), max_log=1)
PAIR = Bounds(servers=frozenset({1, 2}), terms=(1, 2), max_log=1)
WIDE = Bounds(terms=(1, 2), entries=(Entry(1, "a"), Entry(1, "b"), Entry(2, "a")))


def states(rule: Rule, bounds: Bounds) -> Iterator[NodeState]:
    """All states, as far as the rule looks at them."""
    votes = (None, *sorted(bounds.servers))
    values: dict[str, tuple[object, ...]] = {
        "current_term": bounds.terms,
        "voted_for": votes,
        "role": ROLES,
        "log": tuple(map(Log, bounds.pieces)),
        "commit_index": tuple(bounds.indexes),
    }
    usual = (1, None, ROLES[0], Log(), 0)
    ranges = [
        values[field] if field in rule.observes else (default,)
        for field, default in zip(FIELDS, usual, strict=True)
    ]
    for term, vote, role, log, commit in product(*ranges):
        yield state(term, vote, role, log, commit)  # type: ignore[arg-type] # of their fields


def state(term: int, vote: int | None, role: Role, log: Log, commit: int) -> NodeState:
    return NodeState(PersistentState(term, vote, log), role, commit)


def appends(bounds: Bounds, source: int, destination: int) -> Iterator[AppendEntries]:
    for index, prev_term, entries, term, commit in product(
        bounds.indexes, bounds.terms, bounds.pieces, bounds.terms, (0, 1)
    ):
        yield AppendEntries(
            source=source,
            destination=destination,
            term=term,
            prev_log_index=index,
            prev_log_term=prev_term,
            entries=entries,
            leader_commit=commit,
        )


def small_messages(bounds: Bounds, source: int, destination: int) -> Iterator[Message]:
    for term in bounds.terms:
        way = Way(source=source, destination=destination, term=term)
        for granted in (False, True):
            yield RequestVoteReply(**way, vote_granted=granted)
        for index, last_term in product(bounds.indexes, bounds.terms):
            yield RequestVote(**way, last_log_index=index, last_log_term=last_term)
        for success, index in product((False, True), (-1, *bounds.indexes)):
            yield AppendEntriesReply(**way, success=success, match_index=index)


def events(rule: Rule, bounds: Bounds) -> Iterator[Event]:
    """All events, but where an AppendEntries matters by its arrival alone, only a few of those."""
    yield from (HeartbeatTimeout(), ElectionTimeout(), ClientRequest("a"), Restart())
    for peer in sorted(bounds.servers - {1})[:2]:
        yield from map(Receive, small_messages(bounds, peer, 1))
    requests = list(appends(bounds, 2, 1))
    yield from map(Receive, requests if rule.id.startswith("FOLLOWER") else requests[::7])


GUARDED = [rule for rule in RULES if rule.id not in WITHOUT_GUARD]
"""The rules that have a guard."""

KNOWLEDGE = (
    NO_EVIDENCE,
    Evidence(frozenset({2}), IndexMap(((2, 1),)), confirmed=1, claimed=2, ever_applied=1),
    Evidence(frozenset({2, 3}), IndexMap(((2, 2), (3, 1))), confirmed=2, claimed=1, ever_applied=2),
)


def outputs(bounds: Bounds) -> Iterator[tuple[Output, ...]]:
    """Nothing, each thing, and two things of which only one may be wrong."""
    yield ()
    odd = AppendEntries(
        source=1,
        destination=2,
        term=2,
        prev_log_index=0,
        prev_log_term=0,
        entries=(Entry(2, "a"), Entry(1, "a")),
        leader_commit=-1,
    )
    ways = ((1, 2), (2, 3), (1, 1), (1, 4))
    for source, destination in ways:
        for message in (odd, *small_messages(bounds, source, destination)):
            yield (Send(message),)
    for request in appends(bounds, 1, 2):
        yield (Send(request),)
    for index, entry in product(bounds.indexes, bounds.entries):
        yield (Apply(index, entry),)
        yield (Send(odd), Apply(index, entry))


def conducts(rule: Rule, bounds: Bounds) -> Iterator[Conduct]:
    """All local steps, as far as the rule looks at them."""
    all_states = list(states(rule, bounds))
    knows = KNOWLEDGE if rule.allowed_by - {"arrival"} else KNOWLEDGE[:1]
    if rule.observes & {"outputs", "applied"}:
        # What is put out is of the state after the step: that before it is another, one of two.
        for first, own, known, out in product(
            (all_states[0], all_states[-1]), all_states, knows, outputs(bounds)
        ):
            before = Shadow(1, bounds.servers, first, known)
            yield Conduct(before, HeartbeatTimeout(), replace(before, state=own), out)
        return
    if rule.allowed_by - {"arrival"}:
        happening = list(events(rule, bounds))[:9]
    else:
        happening = list(events(rule, bounds))
    for before, known in product(all_states, knows):
        shadow = Shadow(1, bounds.servers, before, known)
        for event, after in product(happening, all_states):
            yield watch(shadow, event, after, ())


ASKED = AppendEntries(
    source=2, destination=1, term=1, prev_log_index=0, prev_log_term=0,
    entries=(Entry(1, "a"), Entry(2, "a")), leader_commit=2,
)  # fmt: skip
GRANTED = RequestVoteReply(source=2, destination=3, term=2, vote_granted=True)
ACKNOWLEDGED = AppendEntriesReply(source=3, destination=2, term=0, success=True, match_index=2)
WANTED = RequestVote(source=3, destination=1, term=2, last_log_index=2, last_log_term=2)
UNDEFINED = (
    Undefined(server=1, entry=Entry(1, "a"), message=ASKED, number=1),
    Undefined(server=2, entry=Entry(2, "a"), message=GRANTED, number=0),
    Undefined(server=3, entry=Entry(0, "c"), message=ACKNOWLEDGED, number=2),
    Undefined(server=2, entry=Entry(9, "a"), message=WANTED, number=1),
)
"""Of each kind of message one; entries that occur, and some that do not."""


def disagreement(
    rule: Rule, guard: Guard, bounds: Bounds, undefined: tuple[Undefined, ...] = UNDEFINED
) -> Conduct | None:
    """A step of which the rule and a guard do not say the same."""
    finite = [
        FiniteGuard.of(guard, bounds.servers, 2 * bounds.max_log + 1, each) for each in undefined
    ]
    for conduct in conducts(rule, bounds):
        is_obeyed = rule.predicate(conduct) is None
        if any(each.obeys(conduct) is not is_obeyed for each in finite):
            return conduct
    return None


def test_each_rule_has_a_guard() -> None:
    assert list(GUARDS) == [rule.id for rule in GUARDED]
    assert {rule.id for rule in RULES} - set(GUARDS) == WITHOUT_GUARD.keys()


def test_a_rule_that_has_no_guard_is_about_nothing_that_the_proof_has() -> None:
    """No part of the proof's state tells in which order something was applied, or what a client
    was told."""
    assert set(WITHOUT_GUARD) == {"APPLY-ORDER", "REDIRECT-LEADER"}
    parts = {each.name for each in fields(World)}
    applied = {"applied", "applied_term", "ever_applied", "ever_applied_term"}
    assert {name for name in parts if "appl" in name} == applied
    assert not {name for name in parts if "client" in name or "redirect" in name}
    assert not {"StateMachineOrder", "ClientRedirection"} & PROPERTY_ARGUMENTS.keys()
    assert set(FIGURE_3) <= PROPERTY_ARGUMENTS.keys()
    assert all(len(reason) > 50 for reason in WITHOUT_GUARD.values())


@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_a_guard_allows_what_its_rule_allows(rule: Rule) -> None:
    assert disagreement(rule, GUARDS[rule.id], ALONE, UNDEFINED[:1]) is None


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [ALONE, PAIR], ids=["one", "two"])
@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_so_it_does_whatever_stands_where_there_is_nothing(rule: Rule, bounds: Bounds) -> None:
    assert disagreement(rule, GUARDS[rule.id], bounds) is None


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [THREE, WIDE], ids=["three", "two-values"])
@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_so_it_does_among_three_with_longer_logs(rule: Rule, bounds: Bounds) -> None:
    assert disagreement(rule, GUARDS[rule.id], bounds, UNDEFINED[:2]) is None


@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_every_guard_says_the_same_of_the_breaches_of_every_rule(rule: Rule) -> None:
    finite = [FiniteGuard.of(GUARDS[rule.id], frozenset({1, 2, 3}), 5, each) for each in UNDEFINED]
    for _, conduct in BREACHES:
        is_obeyed = rule.predicate(conduct) is None
        assert all(each.obeys(conduct) is is_obeyed for each in finite)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [TRUE, FALSE], ids=["nothing", "everything"])
@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_a_guard_that_forbids_something_else_is_told(rule: Rule, wrong: Term) -> None:
    assert disagreement(rule, lambda _: wrong, PAIR) is not None


def test_a_guard_that_forbids_a_little_more_or_less_is_told() -> None:
    """Each on another side of its rule."""
    a_little_off: dict[str, Guard] = {
        "TERM-MONOTONIC": lambda step: step.before.term <= step.after.term,
        "VOTE-ONCE": lambda step: implies(
            both(step.keeps_term, step.before.has_voted), equal(step.before.vote, step.after.vote)
        ),
        "COMMIT-CLAIMED": lambda step: step.after.commit <= step.evidence.claimed,
        "APPEND-COMMIT": lambda step: implies(
            step.sends(APPEND_ENTRIES), leader_commit(step.output.message) < step.after.commit
        ),
        "ACK-TERM": lambda step: GUARDS["ACK-TERM"](replace(step, after=step.before)),
        # Nothing may have arrived, and there may be no entry.
        "LOG-SOURCE": lambda step: implies(
            step.changes_log, equal(kind(step.event.message), APPEND_ENTRIES)
        ),
        "APPLY-COMMITTED": lambda step: implies(
            step.output.is_apply,
            both(
                either(
                    step.output.index <= step.after.commit,
                    step.output.index <= step.evidence.ever_applied,
                ),
                equal(step.after.log.at(step.output.index), step.output.entry),
            ),
        ),
    }
    for rule_id, guard in a_little_off.items():
        assert disagreement(RULES_BY_ID[rule_id], guard, PAIR) is not None


SYMBOLS = {
    "term": "current_term",
    "has_voted": "voted_for",
    "vote": "voted_for",
    "role": "role",
    "length": "log",
    "entry": "log",
    "commit": "commit_index",
}


@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_a_guard_looks_at_what_its_rule_observes_and_at_nothing_else(rule: Rule) -> None:
    """So that it is enough to try all values of that."""
    seen = {part.head for part in subterms(GUARDS[rule.id](ANY_STEP))}
    fields = {SYMBOLS[name] for name in SYMBOLS if {f"before_{name}", f"after_{name}"} & seen}
    if {"first_removed", "log_is_kept"} & seen:
        fields.add("log")
    assert fields <= rule.observes
