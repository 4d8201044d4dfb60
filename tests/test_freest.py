"""The freest server does all that the rules allow, and what it says of the rules is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import spec
from model_check import necessity
from model_check.check import Means, explore_system
from model_check.cli import run
from model_check.commands import claims
from model_check.explore import Budget
from model_check.freest import Forged, freest_system
from model_check.necessity import (
    NECESSITY,
    SUFFICIENT,
    Necessity,
    Search,
    explore_freest,
    find_need,
    find_sufficiency,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    IndexMap,
    Message,
    NodeState,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Send,
)
from spec.conduct import watch
from spec.freest import FIELDS, GUARDS, ROLES, Choice, Freest
from spec.properties import PROPERTIES, PROPERTY_NAMES
from spec.rule import Rule
from spec.rules import RULES, RULES_BY_ID
from spec.shadow import Evidence, Shadow
from spec.universe import Universe
from tests.interrupts import interrupting

SERVERS = frozenset({1, 2})
WORLD = Universe(servers=2, max_term=2, max_log=1)


def all_states() -> Iterator[NodeState]:
    """Every state of `WORLD`."""
    for term, vote, role, log, commit in product(
        WORLD.terms, (None, 1, 2), ROLES, WORLD.logs, range(WORLD.max_log + 1)
    ):
        yield NodeState(PersistentState(term, vote, log), role, commit)


EVERY = list(all_states())
BEFORE = EVERY[::7]
KNOWING = [
    Evidence(),
    Evidence(frozenset({2}), IndexMap(((2, 1),)), confirmed=1, claimed=1),
]


def events() -> Iterator[Event]:
    yield HeartbeatTimeout()
    yield ElectionTimeout()
    yield Restart()
    yield from map(Receive, messages())


def messages() -> Iterator[Message]:
    way = {"source": 2, "destination": 1}
    (first, second) = WORLD.entries
    yield RequestVote(**way, term=1, last_log_index=0, last_log_term=0)
    yield RequestVote(**way, term=2, last_log_index=1, last_log_term=1)
    yield AppendEntries(
        **way, term=2, prev_log_index=0, prev_log_term=0, entries=(second,), leader_commit=1
    )
    yield AppendEntries(
        **way, term=1, prev_log_index=0, prev_log_term=0, entries=(first,), leader_commit=0
    )
    yield AppendEntries(
        **way, term=2, prev_log_index=1, prev_log_term=1, entries=(), leader_commit=1
    )


def allowed(guards: list[Rule], before: Shadow, event: Event) -> set[NodeState]:
    """All states that ``guards`` allow after ``event``, each tried."""
    of_states = [rule for rule in guards if rule.observes <= set(FIELDS)]
    return {
        state
        for state in all_states()
        if all(rule.predicate(watch(before, event, state, ())) is None for rule in of_states)
    }


@pytest.mark.parametrize(
    "without", [None, *(pytest.param(rule.id, marks=pytest.mark.slow) for rule in GUARDS)]
)
def test_it_does_all_that_the_rules_allow(without: str | None) -> None:
    """As much as plain trial of all states finds, but for what it may do by itself later."""
    guards = [rule for rule in GUARDS if rule.id != without]
    freest = Freest(WORLD, guards)
    for state, evidence in product(BEFORE[:: 1 if without is None else 11], KNOWING):
        before = Shadow(1, SERVERS, state, evidence)
        for event in events():
            by_itself: set[NodeState] = set()
            if isinstance(event, Receive):
                noted = watch(before, event, state, ()).after
                for own in (HeartbeatTimeout(), ElectionTimeout()):
                    by_itself |= allowed(guards, noted, own)
            chosen = [_chosen(choice) for choice in freest.choices(before, event)]
            if isinstance(event, HeartbeatTimeout):
                for command in WORLD.commands:
                    request = next(iter([e for e in freest.events(state) if command in str(e)]))
                    chosen += [_chosen(each) for each in freest.choices(before, request)]
            expected = allowed(guards, before, event) - by_itself
            if isinstance(event, ElectionTimeout):
                expected = {each for each in expected if each.current_term != state.current_term}
            assert set(chosen) - {state} == expected - {state}


def _chosen(choice: Choice) -> NodeState:
    """A state, but for what was applied, which is an output rather than chosen."""
    return replace(choice.after.state, last_applied=0)


@pytest.mark.parametrize("message", [*messages()], ids=lambda message: type(message).__name__)
def test_a_reply_lets_a_server_do_no_more_than_a_timeout(message: Message) -> None:
    reply = RequestVoteReply(source=2, destination=1, term=message.term, vote_granted=True)
    for rule in [None, *GUARDS]:
        guards = [guard for guard in GUARDS if guard is not rule]
        for state in BEFORE[::13]:
            before = Shadow(1, SERVERS, state)
            noted = watch(before, Receive(reply), state, ()).after
            by_itself = allowed(guards, noted, HeartbeatTimeout()) | allowed(
                guards, noted, ElectionTimeout()
            )
            assert allowed(guards, before, Receive(reply)) <= by_itself


@pytest.mark.parametrize("rule", [*GUARDS], ids=lambda rule: rule.id)
def test_more_evidence_forbids_nothing(rule: Rule) -> None:
    """On this rests that evidence may arrive at once. COMMIT-CURRENT-TERM is held against what is
    counted, and so needs COMMIT-QUORUM beside it."""
    guards = [rule, RULES_BY_ID["COMMIT-QUORUM"]]
    for before, after in product(BEFORE[::3], BEFORE[::3]):
        for event in events():
            little, much = (
                watch(Shadow(1, SERVERS, before, evidence), event, after, sent())
                for evidence in KNOWING
            )
            if all(each.predicate(little) is None for each in guards):
                assert all(each.predicate(much) is None for each in guards)


def sent() -> tuple[Send, ...]:
    reply = AppendEntriesReply(source=1, destination=2, term=1, success=True, match_index=1)
    return (Send(reply),)


@pytest.mark.parametrize("rule", [*RULES], ids=lambda rule: rule.id)
def test_a_rule_looks_at_nothing_but_what_it_says(rule: Rule) -> None:
    """Two steps that differ in nothing that it observes are the same to it."""
    hidden = set(FIELDS) - rule.observes
    chosen = Random(rule.id)  # noqa: S311 - a sample, always the same
    for _ in range(2000):
        before, after, other = chosen.choices(EVERY, k=3)
        for event in events():
            seen = watch(Shadow(1, SERVERS, before, KNOWING[1]), event, after, ())
            unlike = watch(
                Shadow(1, SERVERS, mixed(before, other, hidden), KNOWING[1]),
                event,
                mixed(after, other, hidden),
                (),
            )
            if seen.after.evidence == unlike.after.evidence:
                assert (rule.predicate(seen) is None) == (rule.predicate(unlike) is None)


def mixed(state: NodeState, other: NodeState, hidden: set[str]) -> NodeState:
    """``state``, with the ``hidden`` fields of ``other``."""
    term, vote, log = (
        getattr(other if name in hidden else state, name)
        for name in ("current_term", "voted_for", "log")
    )
    return NodeState(
        PersistentState(term, vote, log),
        (other if "role" in hidden else state).role,
        (other if "commit_index" in hidden else state).commit_index,
    )


# --- claims --------------------------------------------------------------------------------------


@pytest.mark.parametrize("universe", [WORLD, Universe(servers=2, max_term=1, values=2)])
def test_both_explorers_find_as_much(universe: Universe) -> None:
    system = freest_system(universe, PROPERTIES)
    plain = explore_system(system, Budget(), Means(engine="reference"))
    compiled = explore_system(system, Budget(), Means(engine="compiled"))
    assert (plain.verdict, plain.states, plain.transitions, plain.depth) == (
        compiled.verdict,
        compiled.states,
        compiled.transitions,
        compiled.depth,
    )
    assert compiled.notes == []
    assert plain.verdict == "holds"


@pytest.mark.parametrize(
    "universe",
    [
        WORLD,
        Universe(max_term=1),
        pytest.param(Universe(restarts=False), marks=pytest.mark.slow),
    ],
)
def test_the_rules_are_enough(universe: Universe) -> None:
    found = find_sufficiency(Search(universe, reduced=True)).exploration
    assert (found.verdict, found.notes) == ("holds", [])


QUICK = [
    "VOTE-ONCE",
    "VOTE-SELF",
    "ELECT-QUORUM",
    "LOG-SOURCE",
    "FOLLOWER-SPLICE-SOURCE",
    "APPEND-TRUTHFUL",
    "APPLY-COMMITTED",
    "RESTART-VOTE",
]


@pytest.mark.parametrize("rule_id", QUICK)
def test_a_rule_is_needed(rule_id: str) -> None:
    found = find_need(RULES_BY_ID[rule_id])
    assert found.need == "needed"
    assert found.is_as_known


@pytest.mark.slow
@pytest.mark.parametrize("rule_id", [rule.id for rule in RULES if rule.id not in QUICK])
def test_what_is_known_of_the_need_for_each_rule(rule_id: str) -> None:
    assert find_need(RULES_BY_ID[rule_id]).is_as_known


@pytest.mark.slow
@pytest.mark.parametrize("search", SUFFICIENT, ids=str)
def test_the_rules_are_enough_wherever_it_is_said(search: Search) -> None:
    assert find_sufficiency(search).exploration.verdict == "holds"


def test_something_is_known_of_each_rule_and_hygiene_was_searched_for_widely() -> None:
    assert NECESSITY.keys() == RULES_BY_ID.keys()
    for known in NECESSITY.values():
        widest = {(each.universe.servers, each.universe.max_term) for each in known.searches}
        assert known.need == "needed" or (5, 4) in widest


def test_without_several_rules_a_property_of_one_server_breaks_too() -> None:
    """So that the sufficiency of all of them is no accident of the search."""
    guards = [rule for rule in GUARDS if rule.id not in {"COMMIT-MONOTONIC", "TERM-MONOTONIC"}]
    found = explore_freest(Search(WORLD), guards, PROPERTY_NAMES).exploration
    assert found.violation is not None
    assert found.violation.property in {"MonotonicTerm", "CommitStability"}


def test_a_message_may_be_in_anothers_name_where_no_rule_is_against_it() -> None:
    guards = [rule for rule in GUARDS if rule.id != "MESSAGE-WELL-FORMED"]
    system = freest_system(Universe(servers=3, max_term=1, max_log=0), PROPERTIES, guards)
    state = system.initial()
    seen: list[Forged] = []
    for _ in range(2):
        for _, after, *_ in system.successors(state):
            carried = [each for own in after.in_flight for each in system.network.messages(own)]
            seen += [each for each in carried if isinstance(each, Forged)]
        state = after
    assert seen
    assert all(each.source != each.sender for each in seen)


@pytest.mark.parametrize(
    "bounds",
    [{"servers": 0}, {"max_term": 0}, {"values": 0}, {"candidates": (4,)}, {"candidates": (0,)}],
)
def test_a_universe_that_makes_no_sense_is_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must be at least|there is no server"):
        Universe(**bounds)  # type: ignore[arg-type] # of any of these types


# --- the commands --------------------------------------------------------------------------------


def validated(text: str) -> dict[str, Any]:
    path = Path(str(spec.__file__)).with_name("schemas") / "claims_report.schema.json"
    report: dict[str, Any] = json.loads(text)
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    return report


def test_necessary_shows_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["rules", "--necessary", "--id", "ELECT-CANDIDATE"]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "Without ELECT-CANDIDATE" in out
    assert "ElectionSafety: term 2 has had more than one leader: S1, S2" in out
    assert run([*arguments, "--json", "-"]) == 0
    (row,) = validated(capsys.readouterr().out)["rules"]
    assert (row["need"], row["property"], len(row["run"]["actions"])) == (
        "needed",
        "ElectionSafety",
        6,
    )


def test_an_interrupt_ends_it_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims, "live_progress", interrupting)
    ids = ["--id", "COMMIT-QUORUM", "--id", "ELECT-QUORUM"]
    assert run(["rules", "--necessary", *ids, "--json", "-"]) == 4
    assert len(validated(capsys.readouterr().out)["rules"]) == 1
    assert run(["rules", "--sufficient", "--json", "-"]) == 4
    assert len(validated(capsys.readouterr().out)["searches"]) == 1


def test_necessary_fails_where_something_else_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(NECESSITY["ELECT-QUORUM"], steps=3)
    monkeypatch.setattr(necessity, "NECESSITY", {**NECESSITY, "ELECT-QUORUM": wrong})
    assert run(["rules", "--necessary", "--id", "ELECT-QUORUM", "--json", "-"]) == 1
    assert validated(capsys.readouterr().out)["rules"][0]["as_known"] is False


def test_a_budget_that_runs_out_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    limit = ["--max-seconds", "0.01", "--json", "-"]
    assert run(["rules", "--necessary", "--id", "COMMIT-QUORUM", *limit]) == 4
    assert validated(capsys.readouterr().out)["rules"][0]["need"] == "inconclusive"
    assert run(["rules", "--sufficient", *limit]) == 4
    searches = validated(capsys.readouterr().out)["searches"]
    assert [each["verdict"] for each in searches] == ["inconclusive"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sufficient", "--necessary"],
        ["--sufficient", "--id", "VOTE-ONCE"],
        ["--max-seconds", "1"],
        ["--necessary", "--html", "here"],
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str]) -> None:
    assert run(["rules", *arguments]) == 2


def test_what_is_known_is_said_in_words() -> None:
    assert str(NECESSITY["VOTE-ONCE"]) == "needed: ElectionSafety breaks in 7 steps"
    assert str(NECESSITY["APPEND-COMMIT"]).endswith("in ≤ 14 steps")
    assert str(NECESSITY["TERM-ADOPT"]).startswith("needless: ")
    hygiene = str(Necessity((Search(Universe(participants=((1, 2),))),)))
    assert hygiene == (
        "open: nothing breaks within servers 3, max term 2, max log 1, values 1, restarts, "
        "participants 1+2"
    )
