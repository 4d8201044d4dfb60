"""What actions remember of messages is what a judge learns of them (`spec.shadow.learn`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from model_check.proof.walk import NOBODY, action_named, after
from raft_ref import (
    AppendEntries,
    Apply,
    Entry,
    HeartbeatTimeout,
    Log,
    Message,
    NodeState,
    Receive,
    Restart,
    Role,
)
from spec.freest import ROLES
from spec.proof.abstraction import messages
from spec.proof.evaluation import Meaning, compiled
from spec.proof.terms import Term
from spec.shadow import Evidence, Shadow, learn
from tests.test_proof_guards import KNOWLEDGE, PAIR, THREE, Bounds, appends, small_messages, state

SERVERS = frozenset({1, 2, 3})


@cache
def finite(formula: Term) -> Any:
    return compiled(formula, {"Node": sorted(SERVERS), "Int": range(6)})


def world(
    before: Shadow, message: Message | None, after_step: NodeState, applied: int | None = None
) -> dict[str, Any]:
    """Before a server takes note of anything, but with the log that it has then."""
    known, log = before.evidence, after_step.log
    return {
        **messages(NOBODY),
        "entry_term": lambda entry: entry.term,
        "server": 1,
        "received": message is not None,
        "arrived": message or NOBODY.message,
        "new_term": after_step.current_term,
        "term": lambda server: before.state.current_term,
        "length": lambda server: log.last_index,
        "entry": lambda server, index: log.entry_at(index),
        "grants": lambda server, other: other in known.grants,
        "acknowledged": lambda server, other: known.acknowledged.get(other, 0),
        "confirmed": lambda server: known.confirmed,
        "claimed": lambda server: known.claimed,
        "ever_applied": lambda server: known.ever_applied,
        "applied_index": 0 if applied is None else applied,
    }


def as_actions_remember(before: Shadow, event: Any, after_step: NodeState) -> Meaning:
    """Entering another term, if it does, and taking note of a message, if it is of its term."""
    message = event.message if isinstance(event, Receive) else None
    known: dict[str, Any] = world(before, message, after_step)
    if before.state.current_term != after_step.current_term:
        known = evidence_after("enter", known)
    known["term"] = lambda server: after_step.current_term
    note = action_named("note")
    if finite(note.is_such(note.step)["message-of-its-term"])(known):
        known = evidence_after("note", known)
    return known


def evidence_after(action: str, known: dict[str, Any]) -> dict[str, Any]:
    changed = after(action_named(action), known)
    return {**known, **{name: changed[name] for name in EVIDENCE}}


NO_PROOF_RESTS_ON = {"unread", "leaders", "applied"}  # see spec.proof.guards
EVIDENCE = tuple(each.name for each in fields(Evidence) if each.name not in NO_PROOF_RESTS_ON)


def is_same(evidence: Evidence, known: Any) -> bool:
    """Whether what is remembered is this evidence."""
    learnt = [(each in evidence.grants, evidence.acknowledged.get(each, 0)) for each in SERVERS]
    noted = [(known["grants"](1, each), known["acknowledged"](1, each)) for each in SERVERS]
    highest = tuple(known[name](1) for name in ("confirmed", "claimed", "ever_applied"))
    own = evidence.confirmed, evidence.claimed, evidence.ever_applied
    return learnt == noted and own == highest


def happenings(bounds: Bounds) -> Iterator[tuple[Shadow, Any, NodeState]]:
    messages = [
        *appends(bounds, 2, 1),
        *small_messages(bounds, 2, 1),
        *small_messages(bounds, 3, 1),
    ]
    events = [Restart(), *map(Receive, messages)]
    terms = product(bounds.terms, repeat=2)
    for (term, new), known, pieces, event in product(terms, KNOWLEDGE, bounds.pieces, events):
        role: Role = ROLES[0]
        before = Shadow(1, SERVERS, state(term, None, role, Log(), 0), known)
        yield before, event, state(new, None, role, Log(pieces), 0)


def disagreement(bounds: Bounds) -> Any:
    """A step of which what is learnt and what is remembered are not the same."""
    for step in happenings(bounds):
        if not is_same(learn(*step), as_actions_remember(*step)):
            return step
    return None


def test_actions_remember_what_a_judge_learns() -> None:
    assert disagreement(Bounds(terms=(1, 2), entries=(Entry(1, "a"),), max_log=1)) is None


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [PAIR, THREE], ids=["two", "three"])
def test_so_they_do_with_longer_logs(bounds: Bounds) -> None:
    assert disagreement(bounds) is None


@pytest.mark.parametrize("wrong", ["enter", "note"])
def test_what_is_remembered_otherwise_is_told(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remembers = evidence_after

    def forgetful(action: str, known: dict[str, Any]) -> dict[str, Any]:
        return known if action == wrong else remembers(action, known)

    monkeypatch.setattr("tests.test_proof_evidence.evidence_after", forgetful)
    found = disagreement(Bounds(terms=(1, 2), entries=(Entry(1, "a"),), max_log=1))
    assert found is not None


@pytest.mark.parametrize("index", [1, 2, 3])
def test_the_action_that_applies_remembers_what_a_judge_learns(index: int) -> None:
    known = replace(KNOWLEDGE[2], ever_applied=2)
    own = state(1, None, ROLES[0], Log((Entry(1, "a"),) * 3), 3)
    before = Shadow(1, SERVERS, own, known)
    learnt = learn(before, HeartbeatTimeout(), own, (Apply(index, Entry(1, "a")),))
    remembered = evidence_after("apply", world(before, None, own, applied=index))
    assert learnt.ever_applied == max(index, 2)
    assert is_same(learnt, remembered)


def test_a_request_whose_entries_are_not_there_is_not_taken_note_of() -> None:
    request = AppendEntries(
        source=2, destination=1, term=1, prev_log_index=0, prev_log_term=0,
        entries=(Entry(1, "a"),), leader_commit=1,
    )  # fmt: skip
    before = Shadow(1, SERVERS, state(1, None, ROLES[0], Log(), 0))
    without = as_actions_remember(before, Receive(request), before.state)
    assert is_same(Evidence(), without)
