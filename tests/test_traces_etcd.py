"""Traces as etcd writes them: those of the core, in its format, and its own, where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_check.traces import etcd
from model_check.traces.happening import TraceError
from model_check.traces.judge import NEVER_SENT, WITHIN, judge_trace
from model_check.traces.verdict import TraceVerdict
from spec.profiles import ETCD
from tests.etcd_traces import random_etcd_trace
from tests.recorded import placed

Json: TypeAlias = dict[str, Any]
SEEDS = range(12)
IN_THE_WILD = Path(__file__).parents[2] / "shared/traces/etcd"


def verdict_on(lines: list[bytes]) -> TraceVerdict:
    return judge_trace(etcd.read(placed(lines)), ETCD)


def changed(lines: list[bytes], number: int, change: Callable[[Json], None]) -> list[bytes]:
    """The lines, of which that of this ``number`` is another."""
    line = json.loads(lines[number])
    change(line["event"])
    return [*lines[:number], json.dumps(line).encode() + b"\n", *lines[number + 1 :]]


def where(lines: list[bytes], name: str, **fields: Any) -> list[int]:
    """The numbers of the lines of this name, with such a message."""
    found = []
    for number, line in enumerate(lines):
        event = json.loads(line)["event"]
        message = event.get("msg", {})
        if event["name"] == name and all(message.get(key) == fields[key] for key in fields):
            found.append(number)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_core_does_conforms_in_this_format_too(seed: int) -> None:
    found = verdict_on(random_etcd_trace(3, 250, seed))
    assert found.offence is None
    assert found.doubt is None


def test_entries_are_inferred() -> None:
    """Of two leaders' entries at one index, the terms are known, and their order."""
    lines = random_etcd_trace(3, 250, 3)
    number = where(lines, "SendAppendEntriesRequest", entries=1)[-1]
    assert verdict_on(lines).verdict == "conforms"
    found = verdict_on(changed(lines, number, lambda event: event["msg"].update(logTerm=77)))
    assert found.offence is not None
    assert found.offence.name == "APPEND-TRUTHFUL"


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("ReceiveRequestVoteResponse", lambda event: event["msg"].update(term=99), NEVER_SENT),
        ("ReceiveAppendEntriesRequest", lambda event: event["msg"].update(commit=99), NEVER_SENT),
        ("SendAppendEntriesRequest", lambda event: event["msg"].update(commit=99), "APPEND-COMMIT"),
        ("Commit", lambda event: event["state"].update(commit=99), "COMMIT-QUORUM"),
        ("BecomeLeader", lambda event: event["state"].update(term=99), WITHIN),
        ("SendAppendEntriesResponse", lambda event: event["state"].update(term=0), WITHIN),
    ],
)
def test_what_is_not_so_is_noticed(
    name: str, change: Callable[[Json], None], expected: str
) -> None:
    lines = random_etcd_trace(3, 250, 3)
    number = where(lines, name)[1]
    found = verdict_on(changed(lines, number, change)).offence
    assert found is not None
    assert found.name == expected
    assert found.happening.place.number <= number + 1


@pytest.mark.parametrize(
    ("name", "number", "shown"),
    [
        ("SendRequestVoteResponse", 0, {"term": 0}),  # it was, before; but the term changes first
        ("SendRequestVoteResponse", 0, {"vote": "3"}),
        ("SendAppendEntriesResponse", 3, {"vote": "0"}),
        ("SendAppendEntriesResponse", 3, {"commit": 1}),
        ("SendAppendEntriesRequest", 6, {"commit": 0}),
        ("SendAppendEntriesResponse", 3, {"role": "StateLeader"}),
    ],
)
def test_within_a_step_nothing_is_other_than_before_and_after_it(
    name: str, number: int, shown: Json
) -> None:
    lines = random_etcd_trace(3, 250, 3)[:60]
    place = where(lines, name)[number]

    def show(event: Json) -> None:
        event.update({key: value for key, value in shown.items() if key == "role"})
        event["state"].update({key: value for key, value in shown.items() if key != "role"})

    assert verdict_on(lines).verdict == "conforms"
    found = verdict_on(changed(lines, place, show)).offence
    assert found is not None
    assert found.name == WITHIN


def test_a_leader_elected_without_votes_is_noticed() -> None:
    lines = random_etcd_trace(3, 250, 3)
    leader = where(lines, "BecomeLeader")[0]
    reply = leader - 1
    assert "ReceiveRequestVoteResponse" in lines[reply].decode()
    found = verdict_on([*lines[:reply], *lines[leader:]]).offence
    assert found is not None
    assert found.name in ("ELECT-QUORUM", "ELECT-CANDIDATE")


def test_lines_of_other_loggers_are_passed_over() -> None:
    lines = random_etcd_trace(3, 50, 3)
    lines.insert(20, b"2024-04-05 raft: something\n")
    lines.insert(40, b'{"level": "info", "msg": "an entry"}\n')
    assert verdict_on(lines).verdict == "conforms"


def test_an_event_may_stand_by_itself() -> None:
    lines = random_etcd_trace(3, 50, 3)
    bare = [json.dumps(json.loads(line)["event"]).encode() + b"\n" for line in lines]
    assert verdict_on(bare).verdict == "conforms"


def test_what_was_not_ready_is_lost_in_a_crash() -> None:
    lines = random_etcd_trace(3, 60, 3)
    last = json.loads(lines[-1])["event"]
    restarted = json.dumps({"event": {**last, "name": "InitState", "role": "StateFollower"}})
    candidate = {**last, "name": "BecomeCandidate", "role": "StateCandidate"}
    candidate["state"] = {**last["state"], "term": 99, "vote": last["nid"]}
    crashed = [*lines, json.dumps({"event": candidate}).encode(), restarted.encode()]
    assert verdict_on(crashed).verdict == "conforms"
    ready = json.dumps({"event": {**candidate, "name": "Ready"}}).encode()
    found = verdict_on([*crashed[:-1], ready, crashed[-1]]).offence
    assert found is not None
    assert found.name == "RESTART-TERM"


def test_the_hard_state_is_read_after_the_start() -> None:
    """As etcd does it: it becomes a follower of the term that it reads."""
    lines = random_etcd_trace(3, 60, 3)
    last = json.loads(lines[-1])["event"]
    blank = {**last, "name": "InitState", "role": "StateFollower"}
    blank["state"] = {"term": 0, "vote": "0", "commit": 0}
    back = {**last, "name": "BecomeFollower", "role": "StateFollower"}
    again = [json.dumps({"event": each}).encode() + b"\n" for each in (blank, back)]
    assert verdict_on([*lines, *again]).verdict == "conforms"
    forgotten = {**back, "state": {**back["state"], "term": last["state"]["term"] - 1}}
    again[1] = json.dumps({"event": forgotten}).encode()
    found = verdict_on([*lines, *again]).offence
    assert found is not None
    assert found.name == "RESTART-TERM"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda event: event.update(role="StatePreCandidate"), "pre-vote"),
        (lambda event: event.update(name="ChangeConf"), "membership changes"),
        (lambda event: event.get("msg", event).update(type="MsgSnap"), "snapshots"),
    ],
)
def test_it_is_judged_up_to_what_the_rules_do_not_cover(
    change: Callable[[Json], None], reason: str
) -> None:
    lines = random_etcd_trace(3, 250, 3)
    number = where(lines, "SendAppendEntriesRequest")[3]
    found = verdict_on(changed(lines, number, change))
    assert found.verdict == "inconclusive"
    assert found.doubt is not None
    assert found.doubt.happening.place.number == number + 1
    assert reason in found.doubt.reason


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "no line has an event of etcd's"),
        ([b"nothing\n"], "no line has an event of etcd's"),
        ([b'{"event": {"nid": 1}}\n'], "line 1: no event as etcd writes it"),
        ([b'{"event": {"nid": "1"\n'], "line 1: no event as etcd writes it"),
    ],
)
def test_what_is_no_trace_is_said_where(lines: list[bytes], complaint: str) -> None:
    with pytest.raises(TraceError) as raised:
        etcd.read(placed(lines))
    assert complaint in str(raised.value)


def test_a_server_begins_with_its_start() -> None:
    lines = random_etcd_trace(3, 50, 3)
    without = [line for line in lines if b"InitState" not in line]
    with pytest.raises(TraceError, match=r"server \d does something before its InitState"):
        etcd.read(placed(without))


def test_a_message_is_where_its_name_says() -> None:
    lines = random_etcd_trace(3, 50, 3)
    number = where(lines, "ReceiveRequestVoteRequest")[0]
    with pytest.raises(TraceError, match="a ReceiveRequestVoteRequest without a message"):
        etcd.read(placed(changed(lines, number, lambda event: event.pop("msg"))))


GARBAGE: list[Any] = [None, -1, 0, 1, 2**70, "x", "1", [], {}, True]


def verdict_or_refusal(lines: list[bytes]) -> TraceVerdict | str:
    try:
        return verdict_on(lines)
    except TraceError as error:
        return str(error)


@given(st.integers(0, 99), st.data())
@settings(max_examples=150, deadline=None)
def test_a_garbled_trace_gets_a_verdict_or_is_refused(seed: int, data: st.DataObject) -> None:
    lines = random_etcd_trace(3, 20, seed)
    number = data.draw(st.integers(0, len(lines) - 1))
    line = json.loads(lines[number])
    part: Any = line["event"]
    while isinstance(part, dict):
        key = data.draw(st.sampled_from(sorted(part)))
        if not isinstance(part[key], dict) or not part[key]:
            part[key] = data.draw(st.sampled_from(GARBAGE))
            break
        part = part[key]
    lines[number] = json.dumps(line).encode() + b"\n"
    found = verdict_or_refusal(lines)
    assert not isinstance(found, str) or found.startswith("line ")


# --- as they are in the wild ---------------------------------------------------------------------

KNOWN: dict[str, tuple[str, int, int | None]] = {
    "example": ("membership changes", 207, 684),
    "interaction_campaign": ("", 20, None),
    "interaction_checkquorum": ("", 60, None),
    "interaction_confchange_v1_add_single": ("membership changes", 3, 11),
    "interaction_heartbeat_resp_recovers_from_probing": ("", 27, None),
    "interaction_lagging_commit": ("", 39, None),
    "interaction_prevote": ("pre-vote", 5, 10),
    "interaction_probe_and_replicate": ("", 327, None),
    "interaction_single_node": ("", 4, None),
    "interaction_snapshot_succeed_via_app_resp": ("snapshots", 17, 48),
}
"""By trace: what the rules do not cover in it, how many steps are allowed, and the line of that."""


@pytest.mark.skipif(not IN_THE_WILD.is_dir(), reason="etcd's own traces are not here")
@pytest.mark.parametrize("name", KNOWN)
def test_what_etcd_wrote_conforms_as_far_as_the_rules_go(name: str) -> None:
    feature, steps, line = KNOWN[name]
    found = verdict_on((IN_THE_WILD / f"{name}.ndjson").read_bytes().splitlines(keepends=True))
    assert found.offence is None
    assert found.matched == steps
    assert (found.doubt and found.doubt.happening.place.number) == line
    assert found.doubt is None or found.doubt.reason.endswith(feature)
