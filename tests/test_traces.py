"""Traces in the format of raft-ref, judged; whatever was seen, nobody is accused wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from model_check.check import Setup
from model_check.counterexample import replay
from model_check.judged import Docket, WitnessedStep, core_steps
from model_check.mutants import MUTANTS
from model_check.mutants.runs import recorded_runs
from model_check.traces import own
from model_check.traces.happening import TraceError
from model_check.traces.judge import NEVER_SENT, judge_trace
from model_check.traces.lines import schema
from model_check.traces.record import recorded
from model_check.traces.verdict import TraceVerdict
from raft_ref import (
    Candidate,
    Entry,
    Event,
    Follower,
    IndexMap,
    Leader,
    NodeState,
    Output,
    Receive,
)
from spec.forms import Step
from spec.profiles import Departure, Profile
from spec.properties import PROPERTY_NAMES
from spec.rules import RULES
from tests.recorded import CALM, placed, random_run, random_trace
from tests.trace_lines import GRANT, HEAD, START, Json, arrival, changed, one_step, verdict_on

SEEDS = range(12)
TRACES = Path(__file__).parent / "traces"
VALIDATOR = Draft202012Validator(schema())


# --- what Raft does is allowed -------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_core_does_conforms(seed: int) -> None:
    found = verdict_on(random_trace(3, 400, seed))
    assert found.verdict == "conforms"
    assert found.matched == len(found.trace.happenings) == 403


def test_so_does_a_long_calm_run() -> None:
    assert verdict_on(random_trace(5, 3000, 1, CALM)).verdict == "conforms"


def test_servers_may_have_names() -> None:
    names = {1: "a", 2: "b", 3: "c", None: None}

    def rename(_: int, line: Json) -> Json:
        line["server"] = names[line["server"]]
        state, message = line.get("state", {}), line.get("message", {})
        if "voted_for" in state:
            state["voted_for"] = names[state["voted_for"]]
        message |= {end: names[message[end]] for end in ("from", "to") if end in message}
        return line

    lines = changed(random_trace(3, 200, 5), rename)
    lines[0] = lines[0].replace(b"[1,2,3]", b'["a","b","c"]')
    found = verdict_on(lines)
    assert found.verdict == "conforms"
    assert found.trace.names == {1: "a", 2: "b", 3: "c"}


# --- what it does not is not -------------------------------------------------------------------


@cache
def lines_of(name: str) -> tuple[bytes, ...]:
    """The trace of the run that is kept of a mutant."""
    initial, steps = run_of(name)
    return tuple(recorded(initial, steps))  # type: ignore[arg-type] # nothing is unread here


def run_of(name: str) -> tuple[tuple[NodeState, ...], list[WitnessedStep]]:
    """The run that is kept of a mutant, and how it begins."""
    mutant = MUTANTS[name]
    system = Setup(bounds=mutant.bounds, properties=mutant.violable, mutant=name).system()
    run = replay(system, recorded_runs()[name])
    return run.initial, [step for step in core_steps(run.moments) if step is not None]


@pytest.mark.parametrize("name", recorded_runs())
def test_the_run_of_each_bug_breaks_its_rule(name: str) -> None:
    found = verdict_on(list(lines_of(name)))
    assert found.verdict == "violates"
    assert found.offence is not None
    assert found.offence.name == MUTANTS[name].breaks


# Whether a server leads that is named to a client does not show in a trace that ends before that.
@pytest.mark.parametrize(
    "name", [name for name in recorded_runs() if MUTANTS[name].expected != ("ClientRedirection",)]
)
def test_no_profile_hides_that_a_property_is_violated(name: str) -> None:
    everything = tuple(Departure(rule.id, rule, "", lambda _: True) for rule in RULES)
    found = judge_trace(own.read(placed(lines_of(name))), Profile("lenient", everything))
    assert found.offence is not None
    assert found.offence.name in (*PROPERTY_NAMES, NEVER_SENT)


VARIATIONS: list[Callable[[NodeState], NodeState]] = [
    lambda state: _kept(state, current_term=state.current_term + 1),
    lambda state: _kept(state, current_term=max(state.current_term - 1, 0)),
    lambda state: _kept(state, voted_for=None),
    lambda state: _kept(state, voted_for=2),
    lambda state: _kept(state, log=state.log.append(Entry(state.current_term, "x"))),
    lambda state: _kept(state, log=state.log.truncate_from(state.log.last_index)),
    lambda state: replace(state, role=Leader(IndexMap(), IndexMap())),
    lambda state: replace(state, role=Candidate(frozenset())),
    lambda state: replace(state, role=Follower()),
    lambda state: replace(state, commit_index=state.log.last_index),
    lambda state: replace(state, commit_index=max(state.commit_index - 1, 0)),
]
"""Ways to show another state than a server is in."""


def _kept(state: NodeState, **fields: Any) -> NodeState:
    return replace(state, persistent=replace(state.persistent, **fields))


@given(st.integers(0, 999), st.lists(st.tuples(st.integers(0, 79), st.sampled_from(VARIATIONS))))
@settings(max_examples=200, deadline=None)
def test_the_first_step_that_breaks_a_rule_is_found(
    seed: int, lies: list[tuple[int, Callable[[NodeState], NodeState]]]
) -> None:
    """The judge of traces and that of runs are of one mind, whatever servers show of themselves."""
    steps: list[Step[NodeState, Event, Output]] = list(random_run(3, 80, seed))
    shown = [NodeState()] * 3
    for number, step in enumerate(steps):
        after = step.after
        for place, vary in lies:
            after = vary(after) if place == number else after
        steps[number] = replace(step, before=shown[step.node - 1], after=after)
        shown[step.node - 1] = after
    docket = Docket((NodeState(),) * 3)
    expected = None
    for number, step in enumerate(steps):
        broken = next(iter(docket.hear(step)), None)  # type: ignore[arg-type] # as above
        if broken is not None:
            expected = (number + 3, broken[0].id)
            break
    found = verdict_on(list(recorded((NodeState(),) * 3, steps)))
    assert (found.offence and (found.matched, found.offence.name)) == expected


@given(st.integers(0, 99), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_what_was_never_sent_does_not_arrive(seed: int, drawn: int) -> None:
    lines = random_trace(3, 80, seed)
    sent = [number for number, line in enumerate(lines) if b'"send"' in line]
    number = sent[drawn % len(sent)]
    message = json.loads(lines[number])["message"]
    arrives = any(
        json.loads(line).get("message") == message for line in lines if b'"receive"' in line
    )
    others = [json.loads(line).get("message") for line in lines if b'"send"' in line]
    found = verdict_on([line for n, line in enumerate(lines) if n != number])
    if arrives and others.count(message) == 1:
        assert found.offence is not None
        assert found.offence.name == NEVER_SENT
    else:
        assert found.verdict == "conforms"


def test_what_raft_would_have_allowed_is_said() -> None:
    step = next(each for each in random_run(3, 200, 1) if isinstance(each.event, Receive))
    lines = random_trace(3, 200, 1)
    number = next(n for n, line in enumerate(lines) if b'"receive"' in line)
    line = json.loads(lines[number])
    line["state"]["commit_index"] = 9
    lines[number] = json.dumps(line).encode()
    found = verdict_on(lines).offence
    assert found is not None
    assert found.happening.place.number == number + 1
    assert found.name.startswith("COMMIT-")
    assert found.allowed
    assert any("no change" in each for each in found.allowed)
    assert f"S{step.node}" in found.explanation or "9" in found.explanation


# --- what the rules do not cover -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("addition", "reason"),
    [
        ({"event": "beyond", "server": 1, "feature": "read leases"}, "read leases"),
        (
            {
                "event": "receive",
                "server": 1,
                "message": {"from": 2, "to": 1, "kind": "PreVote", "fields": {}},
            },
            "pre-vote",
        ),
        (
            {
                "event": "receive",
                "server": 1,
                "message": {"from": 2, "to": 1, "kind": "InstallSnapshot", "fields": {"x": 1}},
            },
            "snapshots",
        ),
    ],
)
def test_it_is_judged_up_to_what_the_rules_do_not_cover(addition: Json, reason: str) -> None:
    lines = random_trace(3, 50, 2)
    place = len(lines) // 2
    lines.insert(place, json.dumps(addition).encode() + b"\n")
    found = verdict_on(lines)
    assert found.verdict == "inconclusive"
    assert found.doubt is not None
    assert reason in found.doubt.reason
    assert found.doubt.happening.place.number == place + 1


def test_a_message_of_an_unknown_kind_leaves_open_only_what_it_might_allow() -> None:
    message = {"from": 2, "to": 1, "kind": "Gossip", "fields": {}}
    lines = random_trace(3, 40, 2)[:4]
    send = {"event": "send", "server": 2, "message": message}
    lines.append(json.dumps({"event": "heartbeat_timeout", "server": 2}).encode() + b"\n")
    lines.append(json.dumps(send).encode() + b"\n")

    def receive(state: Json) -> bytes:
        line = {"event": "receive", "server": 1, "message": message, "state": state}
        return json.dumps(line).encode() + b"\n"

    assert verdict_on([*lines, receive({"current_term": 0})]).verdict == "conforms"
    found = verdict_on([*lines, receive({"current_term": 1})])
    assert found.doubt is not None
    assert (
        "TERM-ADOPT cannot be judged, since messages of the unknown kind Gossip may have allowed"
        in found.doubt.reason
    )
    found = verdict_on([*lines, receive({"role": "candidate", "voted_for": None})])
    assert found.offence is not None
    assert found.offence.name == "VOTE-SELF"


# --- traces that were recorded -------------------------------------------------------------------

RECORDED = {
    "toy": ("paper", None),
    "etcd": ("paper", None),
    "canonical_raft": ("paper", None),
    "pysyncobj": ("pysyncobj", None),
    "raftos": ("paper", "RESTART-VOTE"),
    "pyraftlog": ("paper", "RESTART-TERM"),
}
"""By implementation, its profile and the rule that it breaks; see tests/record_traces.py."""


@pytest.mark.parametrize("name", RECORDED)
def test_what_was_recorded_of_other_implementations(name: str) -> None:
    profile, rule = RECORDED[name]
    lines = (TRACES / f"{name}.ndjson").read_bytes().splitlines(keepends=True)
    found = verdict_on(lines, profile)
    assert (found.offence and found.offence.name) == rule
    assert found.doubt is None


def test_all_that_was_recorded_is_judged() -> None:
    assert {path.stem for path in TRACES.glob("*.ndjson")} == set(RECORDED)


# --- the format ----------------------------------------------------------------------------------


def test_the_published_schema_is_that_of_the_types() -> None:
    published = files("spec").joinpath("schemas/trace.schema.json").read_text("utf-8")
    assert published == json.dumps(schema(), indent=2) + "\n"


def test_what_is_recorded_is_what_the_schema_says() -> None:
    for line in random_trace(3, 60, 1):
        VALIDATOR.validate(json.loads(line))


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "the trace is empty"),
        ([HEAD], "the trace tells of nothing"),
        ([START], "line 1: the first line is"),
        ([HEAD, START, HEAD], "line 3: a second first line; name the files one by one"),
        ([{}], "line 1: Object missing required field `format`"),
        ([{**HEAD, "version": 2}], "line 1: Invalid enum value 2"),
        ([{**HEAD, "servers": [1, 1]}], "line 1: server 1 is named twice"),
        ([{**HEAD, "servers": ["1", 1]}], "line 1: server 1 is named twice"),
        ([{**HEAD, "servers": []}], "line 1: Expected `array` of length >= 1"),
        ([HEAD, {"event": "stop", "server": 1}], "line 2: Invalid value 'stop' - at `$.event`"),
        ([HEAD, {**START, "server": 3}], "line 2: no server 3 among those of the first line: 1, 2"),
        ([HEAD, {**START, "state": {"trem": 1}}], "line 2: Object contains unknown field `trem`"),
        ([HEAD, START, START], "line 3: server 1 starts a second time"),
        ([HEAD, {"event": "election_timeout", "server": 1}], "begin with a start"),
        ([HEAD, {"event": "restart", "server": 1}], "is a restart; begin with a start"),
        (
            [HEAD, {"event": "apply", "server": 1, "index": 1}],
            "server 1 does an apply before it starts",
        ),
        (
            [HEAD, START, {"event": "apply", "server": 1, "index": 1}],
            "server 1 does an apply when it has only started",
        ),
        (
            [
                HEAD,
                START,
                {
                    "event": "receive",
                    "server": 1,
                    "message": {"from": 1, "to": 2, "kind": "x", "fields": {}},
                },
            ],
            "line 3: a message to server 2 arrives at another",
        ),
        (
            [
                HEAD,
                START,
                {
                    "event": "receive",
                    "server": 1,
                    "message": {"from": 2, "to": 1, "kind": "RequestVote", "fields": {}},
                },
            ],
            "line 3: Object missing required field `term`",
        ),
        (
            [HEAD, START, {"event": "restart", "server": 1, "state": {"snapshot_index": 1}}],
            "line 3: snapshot_index and snapshot_term belong to a start",
        ),
    ],
)
def test_what_is_no_trace_is_said_where(lines: list[Json], complaint: str) -> None:
    encoded = [json.dumps(line).encode() + b"\n" for line in lines]
    with pytest.raises(TraceError) as raised:
        own.read(placed(encoded))
    assert complaint in str(raised.value)


def test_a_first_line_that_is_blank_is_none() -> None:
    with pytest.raises(TraceError, match="line 1: the first line is"):
        own.read(placed([b"\n", json.dumps(HEAD).encode()]))


def test_a_log_does_not_change_where_it_does_not_reach() -> None:
    """If it was told where it ends, the trace contradicts itself; if not, nothing leads there."""
    lines = random_trace(3, 5, 1)[:4]
    log = {"from": 5, "entries": [{"term": 1, "command": "x"}]}
    beyond = {"event": "heartbeat_timeout", "server": 1, "state": {"log": log}}
    with pytest.raises(TraceError, match="changes from 5 on, but ended at 0"):
        verdict_on([*lines, json.dumps(beyond).encode()])
    unseen = {"event": "heartbeat_timeout", "server": 1}
    found = verdict_on([*lines, json.dumps(unseen).encode(), json.dumps(beyond).encode()])
    assert found.offence is not None
    assert found.offence.name == "the log"


def verdict_or_refusal(lines: list[bytes]) -> TraceVerdict | str:
    try:
        return verdict_on(lines)
    except TraceError as error:
        return str(error)


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
def test_garbage_is_no_trace(garbage: list[bytes], has_header: bool) -> None:
    lines = [json.dumps(HEAD).encode() + b"\n"] * has_header + garbage
    assert isinstance(verdict_or_refusal(lines), str)


@given(st.integers(0, 99), st.data())
@settings(max_examples=150, deadline=None)
def test_a_garbled_trace_gets_a_verdict_or_is_refused(seed: int, data: st.DataObject) -> None:
    """And if it conforms, so do the servers that it shows: see the judge of runs."""
    lines = random_trace(3, 20, seed)
    number = data.draw(st.integers(1, len(lines) - 1))
    line = json.loads(lines[number])
    where: Any = line
    while isinstance(where, dict | list) and where:
        keys = sorted(where) if isinstance(where, dict) else list(range(len(where)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(where[key], dict | list) or data.draw(st.booleans()):
            where[key] = data.draw(st.sampled_from((None, -1, 0, 1, 2, 2**60, "x", [], {}, True)))
            break
        where = where[key]
    lines[number] = json.dumps(line).encode() + b"\n"
    found = verdict_or_refusal(lines)
    assert not isinstance(found, str) or found.startswith("line ")


# --- what is no trace of any server ---------------------------------------------------------------


@pytest.mark.parametrize("way", [{"from": 2, "to": 1}, {"from": 1, "to": 1}])
def test_nobody_forges_what_is_sent(way: Json) -> None:
    with pytest.raises(TraceError, match="line 4: server 1 sends a message from"):
        verdict_on(one_step(event="send", message={**way, **GRANT}))


def test_what_is_applied_is_there() -> None:
    found = verdict_on(one_step(event="apply", index=99)).offence
    assert found is not None
    assert found.name == "APPLY-COMMITTED"


def test_a_state_does_not_contradict_itself() -> None:
    state = {"log": {"from": 1, "entries": []}, "last_log_index": 7}
    with pytest.raises(TraceError, match="ends at 0, but last_log_index is 7"):
        verdict_on(one_step(event="heartbeat_timeout", state=state))


def test_a_command_may_be_called_as_it_likes() -> None:
    entries = [{"term": 1, "command": "entry_count"}]
    lines = one_step(**arrival(term=1, entries=entries, leader_commit=0))
    assert verdict_on(lines).verdict == "conforms"


@pytest.mark.parametrize("number", [2**53 - 1, 10**6])
@pytest.mark.parametrize(
    ("role", "verdict"), [("follower", "violates"), ("leader", "inconclusive")]
)
def test_numbers_without_reason_take_no_time(number: int, role: str, verdict: str) -> None:
    """A leader may have appended as much as it likes, which nobody looks for; others may not."""
    state = {"current_term": 1, "voted_for": 1, "role": role, "last_log_index": number}
    head = {**HEAD, "servers": [1]}
    lines = [head, START, {"event": "election_timeout", "server": 1, "state": state}]
    found = verdict_on([json.dumps(each).encode() for each in lines])
    assert found.verdict == verdict


def test_text_that_is_none_is_told() -> None:
    lines = one_step(event="send", message={"from": 1, "to": 2, **GRANT})
    lines[-1] = lines[-1].replace(b'"term"', b'"t\xffrm"')
    with pytest.raises(TraceError, match="line 4:"):
        verdict_on(lines)
