"""Traces that do not tell everything: what was not seen may have been anything that Raft allows."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from model_check.traces.happening import TraceError
from model_check.traces.judge import BEGINNING as NO_BEGINNING
from model_check.traces.record import recorded
from model_check.traces.verdict import TraceVerdict
from raft_ref import NodeState
from tests.recorded import CALM, STORMY, Weather, random_run, random_trace
from tests.sparse import sparse
from tests.trace_lines import GRANT, HEAD, START, Json, arrival, changed, encoded, verdict_on

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("field", ["current_term", "voted_for", "role", "commit_index"])
def test_a_field_may_never_be_seen(field: str, seed: int) -> None:
    def hide(_: int, line: Json) -> Json:
        if line["event"] != "start":
            line.get("state", {}).pop(field, None)
        return line

    assert verdict_on(changed(random_trace(3, 150, seed), hide)).verdict == "conforms"


def without_entries(line: Json) -> None:
    """As of someone who logs how many entries a request has."""
    message = line.get("message", {})
    if message.get("kind") == "AppendEntries":
        message["fields"]["entry_count"] = len(message["fields"].pop("entries"))


@pytest.mark.parametrize("seed", SEEDS)
def test_logs_may_be_seen_by_their_ends_alone(seed: int) -> None:
    def shorten(_: int, line: Json) -> Json:
        state = line.get("state", {})
        if "log" in state:
            log = state.pop("log")
            state["last_log_index"] = log["from"] - 1 + len(log["entries"])
        if line["event"] != "send":
            line.pop("entry", None)
        without_entries(line)
        return line

    assert verdict_on(changed(random_trace(3, 150, seed), shorten)).verdict == "conforms"


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_not_seen_nobody_is_accused(seed: int, share: float) -> None:
    chance = random.Random(seed)  # noqa: S311

    def hide(_: int, line: Json) -> Json:
        for field in ("current_term", "voted_for", "role", "commit_index", "log"):
            if line["event"] != "start" and chance.random() < share:
                line.get("state", {}).pop(field, None)
        if line["event"] == "apply" and chance.random() < share:
            del line["entry"]
        return line

    assert verdict_on(changed(random_trace(3, 60, seed), hide)).verdict in (
        "conforms",
        "inconclusive",
    )


def assert_nobody_is_accused(servers: int, steps: int, seeds: range) -> None:
    """However little of what the core does is logged."""
    weathers = (STORMY, Weather(restarts=1, elections=2), CALM)
    verdicts = set()
    for seed in seeds:
        lines = random_trace(servers, steps, seed, weathers[seed % 3])
        found = verdict_on(sparse(lines, seed))
        assert found.verdict != "violates", seed
        verdicts.add(found.verdict)
    assert verdicts == {"conforms", "inconclusive"}


def test_however_little_is_logged_nobody_is_accused() -> None:
    assert_nobody_is_accused(servers=3, steps=60, seeds=range(60))


@pytest.mark.slow
@pytest.mark.parametrize("servers", [2, 3, 5])
def test_however_little_of_long_runs_is_logged_nobody_is_accused(servers: int) -> None:
    assert_nobody_is_accused(servers, steps=150, seeds=range(60, 160))


@pytest.mark.parametrize("seed", SEEDS)
def test_sends_and_even_whole_states_may_be_missing(seed: int) -> None:
    def hide(number: int, line: Json) -> Json | None:
        if line["event"] == "send":
            return None
        if number % 4 and line["event"] != "start":
            line.pop("state", None)
        return line

    lines = changed(random_trace(3, 60, seed), hide)
    lines[0] = lines[0].replace(b'"unobserved":[]', b'"unobserved":["sends"]')
    assert verdict_on(lines).verdict != "violates"


def test_lines_may_be_mixed_up_as_long_as_each_server_has_its_own_in_order() -> None:
    lines = random_trace(3, 200, 5)
    by_server = sorted(lines[1:], key=lambda line: json.loads(line)["server"])
    assert verdict_on([lines[0], *by_server]).verdict == "conforms"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trace_may_begin_anywhere(seed: int) -> None:
    """What came before, in that term, nobody knows; so what hangs on it is left open."""
    steps = list(random_run(3, 200, seed))
    states = {1: NodeState(), 2: NodeState(), 3: NodeState()}
    for step in steps[:100]:
        states[step.node] = step.after
    verdicts = verdict_on(list(recorded([states[1], states[2], states[3]], steps[100:])))
    assert verdicts.offence is None
    assert verdicts.matched == 103


def test_a_commit_that_was_not_seen_was_early_enough() -> None:
    """Once the term has changed, nobody could commit by what was said in the last one."""
    lines: list[Json] = [
        {"event": "start", "server": 1},
        arrival(term=1, entries=[{"term": 1, "command": "a"}], leader_commit=1),
        {
            "event": "receive",
            "server": 1,
            "message": {
                "from": 3,
                "to": 1,
                "kind": "RequestVote",
                "fields": {"term": 2, "last_log_index": 0, "last_log_term": 0},
            },
            "state": {"commit_index": 1, "current_term": 2},
        },
    ]
    head = {**HEAD, "servers": [1, 2, 3]}
    assert verdict_on(encoded([head, *lines])).verdict == "conforms"
    lines[1] = arrival(term=1, entries=[], leader_commit=1)
    head = {**HEAD, "servers": [1, 2, 3]}
    assert verdict_on(encoded([head, *lines])).verdict == "violates"


# --- what shows elsewhere, or later --------------------------------------------------------------

ENTRY = {"term": 1, "command": "x"}
CAMPAIGN: list[Json] = [
    {**HEAD, "servers": [1, 2, 3], "unobserved": ["sends"]},
    START,
    {"event": "start", "server": 2},
    {"event": "election_timeout", "server": 1},
    {"event": "receive", "server": 1, "message": {"from": 2, "to": 1, **GRANT}},
]
"""Server 1 becomes leader of term 1, whatever else is not seen of it."""


def request(destination: int, **fields: Any) -> Json:
    """Of the leader of term 1, or of another one, server 2."""
    source = 1 if destination == 2 else 2
    at_first = {"term": 1, "prev_log_index": 0, "prev_log_term": 0, "leader_commit": 0}
    fields = at_first | fields
    message = {"from": source, "to": destination, "kind": "AppendEntries", "fields": fields}
    return {"server": destination, "event": "receive", "message": message}


def verdict_after_campaign(*lines: Json) -> TraceVerdict:
    return verdict_on(encoded([*CAMPAIGN, *lines]))


def test_what_was_counted_is_learnt_where_it_is_shown() -> None:
    """The leader logs how long its log is; the follower, what it then holds."""
    leads = {"event": "heartbeat_timeout", "server": 1, "state": {"last_log_index": 1}}
    taken = {"state": {"log": {"from": 1, "entries": [ENTRY]}}}
    own_log = {"log": {"from": 1, "entries": [ENTRY]}}
    again = {"event": "heartbeat_timeout", "server": 1, "state": own_log}
    shows = request(2, entries=[ENTRY]) | taken
    assert verdict_after_campaign(leads, shows, again).verdict == "conforms"
    counts = request(2, entry_count=1) | taken
    assert verdict_after_campaign(leads, counts, again).verdict == "conforms"
    other = {"log": {"from": 1, "entries": [{"term": 1, "command": "y"}]}}
    assert verdict_after_campaign(leads, counts, again | {"state": other}).verdict == "violates"


def test_entries_that_nobody_tells_leave_open_what_follows() -> None:
    lines = [request(2, entry_count=1) | {"state": {"last_log_index": 1}}]
    head = {**HEAD, "servers": [1, 2, 3]}
    found = verdict_on(encoded([head, {"event": "start", "server": 2}, *lines]))
    assert found.doubt is not None
    assert found.doubt.reason.startswith("which entries S1 has sent nobody tells")
    shown = request(2, entry_count=1) | {"state": {"log": {"from": 1, "entries": [ENTRY]}}}
    found = verdict_on(encoded([head, {"event": "start", "server": 2}, shown]))
    assert found.verdict == "conforms"


@pytest.mark.parametrize(
    "reason",
    [
        {"event": "restart", "server": 1, "state": {"last_log_index": 3}},
        {"event": "election_timeout", "server": 1, "state": {"last_log_index": 3}},
        request(1, term=2, prev_log_index=3, prev_log_term=1, entries=[])
        | {"state": {"role": "follower", "last_log_index": 3}},
    ],
)
def test_what_a_leader_has_appended_may_show_when_it_leads_no_more(reason: Json) -> None:
    assert verdict_after_campaign(reason).verdict == "conforms"
    back = {"event": "restart", "server": 1, "state": {"role": "follower"}}
    too_late = {**reason, "state": {"last_log_index": 4}}
    assert verdict_after_campaign(reason, back, too_late).verdict == "violates"


@pytest.mark.parametrize("number", [1, 3])
def test_a_change_of_a_log_tells_that_it_had_grown_before(number: int) -> None:
    """By what a new leader appends at once, or by what clients asked for unseen."""
    grown = {"state": {"log": {"from": number + 1, "entries": []}}}
    shows = {"event": "heartbeat_timeout", "server": 1, **grown}
    assert verdict_after_campaign(shows).verdict == "conforms"
    later = {"event": "heartbeat_timeout", "server": 1}
    assert verdict_after_campaign(later, shows).verdict == "conforms"
    ended = {**shows, "state": {"role": "follower", "last_log_index": 0}}
    shows = {**shows, "state": {"role": "follower"} | grown["state"]}
    assert verdict_after_campaign(ended, shows).verdict == "violates"


def test_refusals_do_not_hide_where_the_log_of_a_past_leader_shows() -> None:
    """A new leader goes back entry by entry, until the follower agrees."""
    leads = {"event": "heartbeat_timeout", "server": 1, "state": {"role": "leader"}}
    back = {"event": "restart", "server": 1, "state": {"role": "follower"}}
    probes = [
        request(1, term=2, prev_log_index=index, prev_log_term=2, entries=[])
        | {"state": {"role": "follower"}}
        for index in range(20, 9, -1)
    ]
    probes[-1]["state"]["last_log_index"] = 3
    assert verdict_after_campaign(leads, back, *probes).verdict == "conforms"


COUNTED = {"prev_log_index": 5, "prev_log_term": 1, "entry_count": 1}


@pytest.mark.parametrize(
    "arrives",
    [
        request(1, term=2, **COUNTED) | {"state": {"log": {"from": 1, "entries": []}}},
        {
            "event": "receive",
            "server": 1,
            "message": {"from": 2, "to": 1, "kind": "TimeoutNow", "fields": {"term": 1}},
        },
    ],
)
def test_a_message_that_cannot_be_read_may_raise_the_term_unseen(arrives: Json) -> None:
    shows = {"event": "heartbeat_timeout", "server": 1, "state": {"current_term": 2}}
    head = {**HEAD, "servers": [1, 2, 3], "unobserved": ["sends"]}
    assert verdict_on(encoded([head, START, arrives, shows])).verdict != "violates"
    known = arrives | {"state": arrives.get("state", {}) | {"current_term": 0}}
    assert verdict_on(encoded([head, START, known, shows])).verdict == "violates"


# --- where a trace begins ------------------------------------------------------------------------

BEGINNING = {"current_term": 3, "voted_for": None, "role": "follower", "commit_index": 0}


def begun(**state: Any) -> list[Json]:
    return [{**HEAD, "servers": [1, 2, 3]}, {**START, "state": BEGINNING | state}]


def test_a_start_says_all_or_nothing() -> None:
    assert verdict_on(encoded(begun(last_log_index=0))).verdict == "conforms"
    with pytest.raises(TraceError, match=r"line 2: a start says all .*: log missing"):
        verdict_on(encoded(begun()))
    with pytest.raises(TraceError, match="log missing"):
        verdict_on(encoded(begun(last_log_index=4)))
    with pytest.raises(TraceError, match="voted_for, role, commit_index, log missing"):
        verdict_on(encoded([begun()[0], {**START, "state": {"current_term": 1}}]))


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"log": {"from": 1, "entries": []}, "commit_index": 1}, "entry 1 is committed in a log"),
        ({"log": {"from": 1, "entries": [{"term": 4, "command": ""}]}}, "entry 1 is of term 4"),
        (
            {"log": {"from": 1, "entries": [{"term": n, "command": ""} for n in (2, 1)]}},
            "entry 1 is of term 2, what follows of 1",
        ),
        (
            {"snapshot_index": 5, "snapshot_term": 2, "log": {"from": 6, "entries": [ENTRY]}},
            "entry 5 is of term 2, what follows of 1",
        ),
    ],
)
def test_nothing_leads_to_a_start_that_contradicts_itself(state: Json, problem: str) -> None:
    found = verdict_on(encoded(begun(**state))).offence
    assert found is not None
    assert found.name == NO_BEGINNING
    assert problem in found.explanation


@pytest.mark.parametrize(
    "step",
    [
        {"event": "heartbeat_timeout", "server": 1, "state": {"last_log_index": 4}},
        {"event": "restart", "server": 1, "state": {"log": {"from": 3, "entries": []}}},
        request(1, term=3, prev_log_index=3, prev_log_term=2, entries=[{**ENTRY, "term": 3}] * 2),
    ],
)
def test_what_was_before_the_trace_is_left_open(step: Json) -> None:
    header, start = begun(snapshot_index=5, snapshot_term=2, last_log_index=5)
    found = verdict_on(encoded([header | {"unobserved": ["sends"]}, start, step]))
    assert found.doubt is not None
    assert "before the trace" in found.doubt.reason


UNKNOWN = {"current_term": 3, "snapshot_index": 5, "snapshot_term": 2, "last_log_index": 5}
"""A log up to 5 of which the trace does not tell the entries."""
OLD = {"term": 2, "command": "old"}


def sent_by_leader(**fields: Any) -> Json:
    at_first = {"term": 3, "prev_log_index": 3, "prev_log_term": 2, "leader_commit": 3}
    message = {"from": 1, "to": 2, "kind": "AppendEntries", "fields": at_first | fields}
    return {"event": "send", "server": 1, "message": message}


def verdict_on_leader_of_unknown_log(*lines: Json) -> TraceVerdict:
    header, start = begun(**UNKNOWN, role="leader", voted_for=1, commit_index=3)
    beat = {"event": "heartbeat_timeout", "server": 1, "state": {"commit_index": 3}}
    return verdict_on(encoded([header, start, beat, *lines]))


@pytest.mark.parametrize("entries", [{"entries": [OLD] * 2}, {"entry_count": 2}, {"entries": []}])
def test_entries_from_before_the_trace_may_be_sent(entries: Json) -> None:
    assert verdict_on_leader_of_unknown_log(sent_by_leader(**entries)).verdict == "conforms"


def test_entries_from_before_the_trace_are_held_against_what_is_known() -> None:
    """That is the term of the last, and where the log ends."""
    for entries in [[OLD, {**OLD, "term": 3}], [OLD] * 3]:
        found = verdict_on_leader_of_unknown_log(sent_by_leader(entries=entries)).offence
        assert found is not None
        assert found.name == "APPEND-TRUTHFUL"


def test_entries_from_before_the_trace_may_be_applied() -> None:
    applies = {"event": "apply", "server": 1, "index": 3, "entry": OLD}
    assert verdict_on_leader_of_unknown_log(applies).verdict == "conforms"
    early = verdict_on_leader_of_unknown_log(applies | {"index": 6}).offence
    assert early is not None
    assert early.explanation == "the index applied: expected at most 5, applied before, observed 6"


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        ({"state": {"current_term": 4, "commit_index": 5}}, "inconclusive"),
        # It may have applied the entry before the trace, and a restart made it forget the commit.
        ({"state": {"current_term": 4}}, "conforms"),
    ],
)
def test_what_was_heard_before_the_trace_may_commit_unseen(shown: Json, verdict: str) -> None:
    """Of five servers, one has acknowledged before; and in the next term it would be too late."""
    entries = [{"term": 3, "command": "x"}] * 5
    log = {"log": {"from": 1, "entries": entries}}
    header, start = begun(current_term=3, role="leader", voted_for=1, **log)
    header = header | {"servers": [1, 2, 3, 4, 5], "unobserved": ["sends"]}
    reply = {"term": 3, "success": True, "match_index": 5}
    acknowledged = {
        "event": "receive",
        "server": 1,
        "message": {"from": 2, "to": 1, "kind": "AppendEntriesReply", "fields": reply},
    }
    ends = request(1, term=4, prev_log_index=5, prev_log_term=3, entries=[]) | shown
    applies = {"event": "apply", "server": 1, "index": 5}
    found = verdict_on(encoded([header, start, acknowledged, ends, applies]))
    assert found.verdict == verdict
    if found.doubt is not None:
        assert "since what came before the trace may have allowed" in found.doubt.reason
    new = {**START, "server": 1}
    found = verdict_on(encoded([header, new, acknowledged, ends, applies]))
    assert found.verdict == "violates"


def test_what_cannot_be_judged_of_a_step_does_not_hide_what_it_commits() -> None:
    """It acknowledges more than was confirmed since; and commits what was."""
    log = {"log": {"from": 1, "entries": [ENTRY] * 5}}
    beat = request(1, term=3, prev_log_index=2, prev_log_term=1, entries=[], leader_commit=2)
    reply = {"term": 3, "success": True, "match_index": 5}
    message = {"from": 1, "to": 2, "kind": "AppendEntriesReply", "fields": reply}
    says = {"event": "send", "server": 1, "message": message}
    later = {"event": "election_timeout", "server": 1, "state": {"commit_index": 2}}
    header, start = begun(**log)
    found = verdict_on(encoded([header | {"unobserved": ["sends"]}, start, beat, says, later]))
    assert found.offence is None
    assert found.doubt is not None
    assert found.doubt.reason.startswith("ACK-CONFIRMED")
