"""What a judge of traces must look at although little was logged of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trace_lines import GRANT, HEAD, START, Json, arrival, encoded, verdict_on

ENTRY = {"term": 1, "command": "x"}
LED: list[Json] = [
    {**HEAD, "servers": [1, 2, 3], "unobserved": ["sends"]},
    START,
    {"event": "election_timeout", "server": 1},
    {"event": "receive", "server": 1, "message": {"from": 2, "to": 1, **GRANT}},
    {"event": "propose", "server": 1, "command": "x"}
    | {"state": {"role": "leader", "commit_index": 0, "log": {"from": 1, "entries": [ENTRY]}}},
]
"""Server 1 leads term 1, with one entry."""


def sends(**fields: Any) -> Json:
    """Server 1 sends a request of which the entries are only counted."""
    at_first = {"term": 1, "prev_log_index": 0, "prev_log_term": 0, "leader_commit": 0}
    message = {"from": 1, "to": 2, "kind": "AppendEntries", "fields": at_first | fields}
    return {"event": "send", "server": 1, "message": message}


def offence(*lines: Json) -> str | None:
    found = verdict_on(encoded(lines)).offence
    return None if found is None else found.name


# --- requests with counted entries ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"entry_count": 1}, None),
        ({"prev_log_index": 1, "prev_log_term": 1, "entry_count": 0}, None),
        ({"entry_count": 2}, "APPEND-TRUTHFUL"),
        ({"prev_log_index": 1, "prev_log_term": 1, "entry_count": 1}, "APPEND-TRUTHFUL"),
        ({"prev_log_index": 2, "prev_log_term": 1, "entry_count": 1}, "APPEND-TRUTHFUL"),
        ({"entry_count": 1, "leader_commit": 1}, "APPEND-COMMIT"),
        ({"entry_count": 1, "term": 2}, "APPEND-LEADER"),
    ],
)
def test_a_request_with_counted_entries_is_judged(fields: Json, rule: str | None) -> None:
    assert offence(*LED, sends(**fields)) == rule


def test_a_request_with_counted_entries_is_sent_by_the_leader_alone() -> None:
    follows = arrival(term=2, entries=[], leader_commit=0) | {"state": {"role": "follower"}}
    assert offence(*LED, follows) is None
    assert offence(*LED, follows, sends(entry_count=1)) == "APPEND-LEADER"
    assert offence(*LED, follows, sends(entry_count=1, term=2)) == "APPEND-LEADER"


# --- terms that rise unseen -----------------------------------------------------------------------


def shows(term: int) -> Json:
    return {"event": "heartbeat_timeout", "server": 1, "state": {"current_term": term}}


def asks(term: int) -> Json:
    fields = {"term": term, "last_log_index": 0, "last_log_term": 0}
    message = {"from": 1, "to": 2, "kind": "RequestVote", "fields": fields}
    return {"event": "send", "server": 1, "message": message}


TIMEOUT: Json = {"event": "election_timeout", "server": 1}
RISES = [
    ([TIMEOUT], 1),
    ([TIMEOUT, asks(1)], 1),
    ([TIMEOUT, asks(3)], 3),  # strange, but it is its own candidacy by which it rises
    ([arrival(term=5, entries=[], leader_commit=0)], 5),
    ([{"event": "restart", "server": 1}], 0),
    ([{"event": "heartbeat_timeout", "server": 1}], 0),
    ([{"event": "propose", "server": 1, "command": "x"}], 0),
]
"""Steps of which the term was not seen, and the term after them."""


@pytest.mark.parametrize(("lines", "term"), RISES)
def test_a_term_that_was_not_seen_has_risen_as_far_as_it_may_and_no_further(
    lines: list[Json], term: int
) -> None:
    begins = [LED[0], START, *lines]
    assert offence(*begins, shows(term)) is None
    assert offence(*begins, shows(term + 1)) == "TERM-ADOPT"


def test_a_term_that_has_risen_unseen_does_not_fall_again() -> None:
    rises = [LED[0], START, arrival(term=5, entries=[], leader_commit=0), TIMEOUT, asks(6)]
    assert offence(*rises, shows(5)) == "TERM-MONOTONIC"
    assert offence(*rises, shows(6)) is None


def test_who_votes_in_a_term_that_was_not_seen_does_so_once() -> None:
    request: Json = {"term": 4, "last_log_index": 0, "last_log_term": 0}
    grants = {"kind": "RequestVoteReply", "fields": {"term": 4, "vote_granted": True}}

    def grant(to: int) -> list[Json]:
        asked = {"from": to, "to": 1, "kind": "RequestVote", "fields": request}
        return [
            {"event": "receive", "server": 1, "message": asked},
            {"event": "send", "server": 1, "message": {"from": 1, "to": to, **grants}},
        ]

    assert offence(LED[0], START, *grant(2), *grant(2)) is None
    assert offence(LED[0], START, *grant(2), *grant(3)) in ("VOTE-ONCE", "VOTE-TRUTHFUL")


# --- what is applied by a server of which little else is known ------------------------------------


def test_another_entry_that_is_applied_is_seen_though_the_server_may_be_like_several_things() -> (
    None
):
    """Of server 2 neither term nor role is seen; what it applies is, all the same."""

    def takes(server: int, term: int, command: str, **state: Any) -> list[Json]:
        entry = {"term": term, "command": command}
        request = arrival(term=term, entries=[entry], leader_commit=1)
        request["message"] |= {"from": 3, "to": server}
        return [
            {"event": "start", "server": server},
            request | {"server": server} | ({"state": state} if state else {}),
            {"event": "apply", "server": server, "index": 1, "entry": entry},
        ]

    first = takes(1, 1, "x", current_term=1, role="follower", commit_index=1)
    assert offence(LED[0], *first, *takes(2, 1, "x")) is None
    assert offence(LED[0], *first, *takes(2, 2, "y")) == "StateMachineSafety"


# --- servers without a vote -----------------------------------------------------------------------


def test_only_a_leader_without_a_vote_that_may_lead_leaves_doubt() -> None:
    """One of a term that is over leads nobody, and is refused."""
    learns = arrival(term=5, entries=[], leader_commit=0) | {"state": {"current_term": 5}}
    outside = arrival(term=4, entries=[], leader_commit=0)
    outside["message"]["from"] = 9
    found = verdict_on(encoded([LED[0], START, learns, outside, shows(5)]))
    assert found.verdict == "conforms"
    outside["message"]["fields"]["term"] = 5
    found = verdict_on(encoded([LED[0], START, learns, outside, shows(5)]))
    assert found.verdict == "inconclusive"
