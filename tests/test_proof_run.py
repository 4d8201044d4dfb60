"""The hypotheses of the proof are no contradiction: here is a run on which all of them hold.

Three servers. S1 is elected in term 1 and appends an entry; S2 is elected in term 2 without it,
appends another, commits it by counting, and S3 commits it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from itertools import product
from typing import Any

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    Message,
    RequestVote,
    RequestVoteReply,
)
from spec.proof.abstraction import MESSAGES, majorities
from spec.proof.actions import ACTIONS, Action
from spec.proof.evaluation import Meaning, compiled
from spec.proof.invariants import INVARIANTS
from spec.proof.terms import Sort, Term, constant
from spec.proof.world import ANY, World

SERVERS = frozenset({1, 2, 3})
MAJORITIES = majorities(SERVERS)
OLD, NEW = Entry(1, "a"), Entry(2, "b")
FIRST, SECOND = frozenset({1, 2}), frozenset({2, 3})


def request(source: int, destination: int, term: int) -> RequestVote:
    return RequestVote(
        source=source, destination=destination, term=term, last_log_index=0, last_log_term=0
    )


def grant(source: int, destination: int, term: int) -> RequestVoteReply:
    return RequestVoteReply(source=source, destination=destination, term=term, vote_granted=True)


def append(commit: int) -> AppendEntries:
    return AppendEntries(
        source=2,
        destination=3,
        term=2,
        prev_log_index=0,
        prev_log_term=0,
        entries=(NEW,),
        leader_commit=commit,
    )


ACKNOWLEDGED = AppendEntriesReply(source=3, destination=2, term=2, success=True, match_index=1)


def candidacy(server: int, term: int) -> list[tuple[str, int, dict[str, Any]]]:
    """What a server does that stands for election."""
    return [
        ("enter", server, {"timed_out": True, "new_term": term}),
        ("vote", server, {"timed_out": True, "has_new_vote": True, "new_vote": server}),
        ("change-role", server, {"timed_out": True, "new_role": 1}),
    ]


def election(server: int, voter: int, term: int) -> list[tuple[str, int, dict[str, Any]]]:
    asks, grants = request(server, voter, term), grant(voter, server, term)
    asked: dict[str, Any] = {"received": True, "arrived": asks}
    return [
        *candidacy(server, term),
        ("send", server, {"sent_now": asks}),
        ("enter", voter, {**asked, "new_term": term}),
        ("vote", voter, {**asked, "has_new_vote": True, "new_vote": server}),
        ("send", voter, {"sent_now": grants}),
        ("note", server, {"received": True, "arrived": grants}),
        ("elect", server, {"votes": frozenset({server, voter})}),
    ]


def log_of_one(entry: Entry) -> dict[str, Any]:
    return {"new_length": 1, "new_entry": lambda index: entry, "removed": 1}


RUN: list[tuple[str, int, dict[str, Any]]] = [
    *election(1, 2, 1),
    ("propose", 1, log_of_one(OLD)),
    *election(2, 3, 2),
    ("propose", 2, log_of_one(NEW)),
    ("send", 2, {"sent_now": append(0)}),
    ("append", 3, {"received": True, "arrived": append(0), **log_of_one(NEW)}),
    ("note", 3, {"received": True, "arrived": append(0)}),
    ("send", 3, {"sent_now": ACKNOWLEDGED}),
    ("note", 2, {"received": True, "arrived": ACKNOWLEDGED}),
    ("commit", 2, {"new_commit": 1, "counted": 1, "holders": SECOND}),
    ("apply", 2, {"applied_index": 1, "applied_entry": NEW}),
    ("send", 2, {"sent_now": append(1)}),
    ("note", 3, {"received": True, "arrived": append(1)}),
    ("commit", 3, {"new_commit": 1}),
    ("change-role", 1, {"restarted": True, "new_role": 0}),
]

SENT: list[Message] = [each["sent_now"] for _, _, each in RUN if "sent_now" in each]

DOMAINS: dict[Sort, Sequence[object]] = {
    "Node": sorted(SERVERS),
    "Quorum": MAJORITIES,
    "Int": range(4),
    "Entry": (OLD, NEW),
    "Message": SENT,
}

RIGID: dict[str, object] = {
    **MESSAGES,
    "is_server": lambda node: node in SERVERS,
    "is_alone": lambda node: False,
    "is_member": lambda node, majority: node in majority,
    "common": lambda one, other: min(one & other),
    "entry_term": lambda entry: entry.term,
}

NOTHING: dict[str, object] = {
    "timed_out": False,
    "restarted": False,
    "received": False,
    "arrived": None,
    "no_entry": None,
    "has_new_vote": False,
    "new_vote": 1,
    "counted": 0,
    "holders": FIRST,
}
"""What does not happen in a step."""


def beginning() -> dict[str, object]:
    default = {"Bool": False, "Int": 0, "Node": 1, "Quorum": FIRST, "Entry": OLD}
    parts: dict[str, object] = {}
    for part in fields(World):
        sort = getattr(ANY, part.name).sort
        parts[part.name] = lambda *_, value=default[sort]: value
    return parts


@cache
def action_named(name: str) -> Action:
    return next(each for each in ACTIONS if each.name == name)


@cache
def finite(formula: Term) -> Callable[[Meaning], object]:
    return compiled(formula, DOMAINS)


def after(action: Action, known: dict[str, object]) -> dict[str, object]:
    """The functions of the world once an action has been taken."""
    changed: dict[str, object] = {}
    for part in fields(World):
        function = getattr(action.after, part.name)
        if function is not getattr(ANY, part.name):
            arguments = [f"argument_{n}" for n in range(getattr(ANY, part.name).arity)]
            body = finite(function(*(constant(each, "Int") for each in arguments)))
            changed[part.name] = _function(body, arguments, known)
    return {**known, **changed}


def _function(
    body: Callable[[Meaning], object], names: list[str], known: Meaning
) -> Callable[..., object]:
    return cache(lambda *values: body({**known, **dict(zip(names, values, strict=True))}))


def broken_invariants(known: dict[str, object]) -> list[str]:
    stars = [
        {"term_star": term, "index_star": index, "majority_star": majority}
        for term, index, majority in product((0, 1, 2), (1, 2), MAJORITIES)
    ]
    return [
        each.name
        for each in INVARIANTS
        for star in (stars if each.argument == "completeness" else stars[:1])
        if not finite(each.formula(ANY))({**known, **star})
    ]


def test_every_hypothesis_holds_along_a_run_to_a_commit_in_a_second_term() -> None:
    known = {**RIGID, **beginning()}
    assert broken_invariants(known) == []
    for name, server, happening in RUN:
        action = action_named(name)
        here = {**known, **NOTHING, **happening, "server": server}
        asked = action.hypotheses()
        refused = [each for each, formula in asked.items() if not finite(formula)(here)]
        assert (name, server, refused) == (name, server, [])
        known = after(action, here)
        assert broken_invariants(known) == []
    assert {action for action, _, _ in RUN} == {action.name for action in ACTIONS}
    commit: Any = known["commit"]
    committed: Any = known["committed"]
    assert [commit(server) for server in (1, 2, 3)] == [0, 1, 1]
    assert [committed(term) for term in (1, 2)] == [0, 1]


def test_a_run_that_breaks_a_rule_is_told() -> None:
    """The commit of an entry that nobody else has acknowledged."""
    known = {**RIGID, **beginning()}
    until = next(n for n, (name, *_) in enumerate(RUN) if name == "append")
    for name, server, happening in RUN[:until]:
        known = after(action_named(name), {**known, **NOTHING, **happening, "server": server})
    hasty = {"new_commit": 1, "counted": 1, "holders": SECOND, "server": 2}
    guard = action_named("commit").guards["COMMIT-QUORUM"]
    assert not finite(guard)({**known, **NOTHING, **hasty})


def test_a_world_in_which_an_invariant_does_not_hold_is_told() -> None:
    known = {**RIGID, **beginning(), "commit": lambda server: 1}
    assert "commit-indexes-are-committed" in broken_invariants(known)
