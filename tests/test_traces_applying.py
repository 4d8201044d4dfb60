"""Traces of what servers apply: where lines may be missing, nobody is accused for it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from model_check.traces.verdict import TraceVerdict
from tests.recorded import STORMY, random_trace
from tests.trace_lines import Json, encoded, verdict_on

CASES = Path(__file__).parent / "traces" / "cases"
SKIPS, TWICE = ("e01_apply_skips", "e02_apply_twice")
COMPLETE = ["apply", "start"]


def case(name: str, complete: list[str] | None = None) -> list[bytes]:
    header, *lines = (CASES / f"{name}.ndjson").read_bytes().splitlines(keepends=True)
    return [with_claim(header, complete), *lines]


def with_claim(header: bytes, complete: list[str] | None) -> bytes:
    parts: Json = json.loads(header)
    parts.pop("complete", None)
    if complete is not None:
        parts["complete"] = complete
    return json.dumps(parts).encode() + b"\n"


def offence(found: TraceVerdict) -> str | None:
    return None if found.offence is None else found.offence.name


@pytest.mark.parametrize("name", [SKIPS, TWICE])
@pytest.mark.parametrize("claim", [None, [], ["apply"], ["start"]])
def test_what_may_be_a_missing_line_is_inconclusive(name: str, claim: list[str] | None) -> None:
    found = verdict_on(case(name, claim))
    assert found.verdict == "inconclusive"
    assert found.doubt is not None
    assert 'say "complete": ["apply", "start"] in the first line' in found.doubt.reason


@pytest.mark.parametrize("name", [SKIPS, TWICE])
def test_with_all_lines_it_is_a_violation(name: str) -> None:
    found = verdict_on(case(name, COMPLETE))
    assert (found.verdict, offence(found)) == ("violates", "APPLY-ORDER")


def test_what_is_applied_before_it_is_committed_is_one_without_the_claim() -> None:
    lines = case(SKIPS)
    last = json.loads(lines[-1])
    found = verdict_on([*lines[:-2], json.dumps(last).encode()])  # without what commits it
    assert (found.verdict, offence(found)) == ("violates", "APPLY-COMMITTED")


# --- after a restart -----------------------------------------------------------------------------


def state(commit: int, start: int = 3, entries: Iterable[Json] = ()) -> Json:
    return {
        "current_term": 1,
        "voted_for": "a",
        "role": "follower",
        "commit_index": commit,
        "log": {"from": start, "entries": list(entries)},
    }


X, Y = ({"term": 1, "command": command} for command in "xy")


def applying(index: int) -> Json:
    return {"event": "apply", "server": "a", "index": index, "entry": (X, Y)[index - 1]}


def after_a_crash(
    *applied: int, claim: list[str] | None = COMPLETE, before: int = 2
) -> TraceVerdict:
    """The verdict, if a server has applied ``before`` entries and crashed, and applies these."""
    lines = case(SKIPS, claim)[:-1]
    more = [
        *map(applying, range(1, before + 1)),
        {"event": "restart", "server": "a", "state": state(0)},
        *map(applying, applied),
    ]
    return verdict_on([*lines, *(json.dumps(each).encode() for each in more)])


@pytest.mark.parametrize("applied", [(), (1,), (1, 2), (2,)])
@pytest.mark.parametrize("claim", [None, COMPLETE])
def test_a_server_may_begin_where_its_state_machine_was_saved(
    applied: tuple[int, ...], claim: list[str] | None
) -> None:
    """Though its commit index, which is volatile, says less."""
    assert after_a_crash(*applied, claim=claim).verdict == "conforms"


def test_where_it_had_applied_nothing_it_may_apply_nothing_that_it_does_not_know_committed() -> (
    None
):
    assert offence(after_a_crash(1, before=0)) == "APPLY-COMMITTED"
    assert offence(after_a_crash(1, 2, before=1)) == "APPLY-COMMITTED"


def test_without_the_claim_it_may_have_applied_unseen_all_that_was_committed() -> None:
    assert after_a_crash(1, 2, claim=None, before=0).verdict == "conforms"


@pytest.mark.parametrize("applied", [(1, 1), (2, 2), (2, 1)])
def test_it_applies_each_once_in_order_all_the_same(applied: tuple[int, ...]) -> None:
    assert offence(after_a_crash(*applied)) == "APPLY-ORDER"
    assert after_a_crash(*applied, claim=None).verdict == "inconclusive"


# --- a trace that begins in the middle -----------------------------------------------------------


@pytest.mark.parametrize(
    ("commit", "applied", "rule"),
    [
        (2, (1, 2), None),  # a volatile state machine
        (2, (2,), None),
        (0, (1, 2), None),  # the commit index was lost, what was applied was not
        (2, (1, 1), "APPLY-ORDER"),
        (2, (2, 1), "APPLY-ORDER"),
    ],
)
def test_what_a_server_had_applied_before_the_trace_is_unknown(
    commit: int, applied: tuple[int, ...], rule: str | None
) -> None:
    header, *others = case(SKIPS, COMPLETE)[:4]
    start = {"event": "start", "server": "a", "state": state(commit, 1, (X, Y))}
    beat = {"event": "heartbeat_timeout", "server": "a", "state": state(commit)}
    lines = [start, beat, *map(applying, applied)]
    found = verdict_on([header, *others[1:], *(json.dumps(each).encode() for each in lines)])
    assert offence(found) == rule
    assert rule is not None or found.verdict == "conforms"


def after_a_snapshot(
    *applied: int, shown: bool = True, claim: list[str] | None = COMPLETE
) -> TraceVerdict:
    """The verdict if a server with a snapshot up to 3 and two entries more applies these."""
    header, *others = case(SKIPS, claim)[:4]
    past = {"snapshot_index": 3, "snapshot_term": 1}
    start = {"event": "start", "server": "a", "state": {**state(5, 4, (X, Y)), **past}}
    beat = {"event": "heartbeat_timeout", "server": "a", "state": state(5, 6)}
    lines: list[Json] = [start, beat]
    for index in applied:
        entry = {"entry": Y if index == 5 else X} if shown else {}
        lines.append({"event": "apply", "server": "a", "index": index, **entry})
    return verdict_on([header, *others[1:], *(json.dumps(each).encode() for each in lines)])


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize(
    ("applied", "in_order"),
    [
        ((1, 2, 3, 4, 5), True),
        ((4, 5), True),
        ((3, 4, 5), True),  # a durable state machine
        ((4, 3), False),
        ((3, 3), False),
        ((3, 5), False),
    ],
)
def test_what_a_snapshot_hides_is_applied_in_order_too(
    applied: tuple[int, ...], in_order: bool, shown: bool
) -> None:
    assert offence(after_a_snapshot(*applied, shown=shown)) == (None if in_order else "APPLY-ORDER")
    without = after_a_snapshot(*applied, shown=shown, claim=None)
    assert without.verdict == ("conforms" if in_order else "inconclusive")


def test_what_two_servers_apply_is_the_same_though_a_snapshot_hides_it_in_their_logs() -> None:
    header = {"format": "raft-ref", "version": 1, "servers": ["a", "b", "c"]}
    past = {"snapshot_index": 1, "snapshot_term": 1}

    def lines(server: str, applied: Json | None) -> list[Json]:
        entry = {} if applied is None else {"entry": applied}
        return [
            {"event": "start", "server": server, "state": {**state(1, 2), **past}},
            {"event": "heartbeat_timeout", "server": server, "state": state(1, 2)},
            {"event": "apply", "server": server, "index": 1, **entry},
        ]

    for one, other, fault in ((X, Y, "StateMachineSafety"), (X, X, None), (X, None, None)):
        found = verdict_on(encoded([header, *lines("a", one), *lines("b", other)]))
        assert (offence(found), found.doubt) == (fault, None)


# --- what servers do -----------------------------------------------------------------------------


def test_our_own_traces_claim_to_be_complete() -> None:
    assert json.loads(random_trace(3, 1, 1)[0])["complete"] == COMPLETE


@pytest.mark.parametrize("seed", range(4))
def test_applied_later_in_the_same_order_is_allowed(seed: int) -> None:
    """On a thread of its own, say: each line of it comes some lines of its server later."""
    header, *lines = random_trace(3, 400, seed, STORMY)
    delayed, waiting = [header], list[bytes]()
    chance = Random(seed)  # noqa: S311 - always the same
    for line in lines:
        event = json.loads(line)
        if event["event"] == "apply" and event["server"] == 1:
            waiting.append(line)
            continue
        if event["server"] == 1 and event["event"] == "restart":
            waiting.clear()  # they were never applied
        delayed.append(line)
        is_step = event["event"] not in ("apply", "send", "start", "restart")
        while waiting and is_step and event["server"] == 1 and chance.random() < 0.4:
            delayed.append(waiting.pop(0))
    assert verdict_on(delayed).verdict == "conforms"


@pytest.mark.parametrize("seed", range(4))
def test_a_line_of_an_entry_that_is_applied_is_missed(seed: int) -> None:
    header, *lines = random_trace(3, 400, seed, STORMY)
    applied = [number for number, line in enumerate(lines) if b'"apply"' in line]
    missing = applied[len(applied) // 2]
    rest = lines[:missing] + lines[missing + 1 :]
    assert verdict_on([with_claim(header, None), *rest]).verdict in ("conforms", "inconclusive")
    found = verdict_on([header, *rest])
    assert offence(found) in (None, "APPLY-ORDER")


# --- who leads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "leader", "rule"),
    [
        ("a", "a", None),
        ("b", "a", None),
        ("a", "b", "REDIRECT-LEADER"),
        ("b", "b", "REDIRECT-LEADER"),
    ],
)
def test_a_leader_that_is_named_to_a_client_leads(
    server: str, leader: str, rule: str | None
) -> None:
    redirect = {"event": "redirect", "server": server, "leader": leader}
    found = verdict_on([*case(SKIPS)[:-1], json.dumps(redirect).encode()])
    assert offence(found) == rule
    assert rule is not None or found.verdict == "conforms"
