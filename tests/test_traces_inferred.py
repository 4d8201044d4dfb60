"""What a trace does not show of a step is inferred from what it shows later: no more, no less."""

from __future__ import annotations

from typing import Any

import pytest

from model_check.traces.verdict import TraceVerdict
from tests.trace_lines import HEAD, START, Json, arrival, encoded, verdict_on

SPARSE: Json = {**HEAD, "servers": [1, 2, 3], "unobserved": ["sends"]}
ENTRY = {"term": 1, "command": "x"}
TIMEOUT: Json = {"event": "election_timeout", "server": 1}
BEAT: Json = {"event": "heartbeat_timeout", "server": 1}
RESTART: Json = {"event": "restart", "server": 1}


def showing(line: Json, **state: Any) -> Json:
    """A line that shows some of the state after its step."""
    return line | {"state": line.get("state", {}) | state}


def receives(kind: str, source: int = 2, **fields: Any) -> Json:
    message = {"from": source, "to": 1, "kind": kind, "fields": fields}
    return {"event": "receive", "server": 1, "message": message}


def sends(kind: str, destination: int = 2, **fields: Any) -> Json:
    message = {"from": 1, "to": destination, "kind": kind, "fields": fields}
    return {"event": "send", "server": 1, "message": message}


def applies(index: int) -> Json:
    return {"event": "apply", "server": 1, "index": index}


def campaign(term: int, source: int = 3) -> Json:
    """A candidate of another term asks for a vote, whose log is better than any."""
    return receives("RequestVote", source, term=term, last_log_index=9, last_log_term=term - 1)


def granted(term: int) -> Json:
    return receives("RequestVoteReply", term=term, vote_granted=True)


UNREAD = receives("Gossip")
"""A message that nobody can read arrives."""


def after_start(*lines: Json) -> TraceVerdict:
    return verdict_on(encoded([SPARSE, START, *lines]))


# --- the log of a leader, which shows when it leads no more ---------------------------------------

LEADS: list[Json] = [TIMEOUT, showing(granted(1), role="leader")]
"""Server 1 becomes leader of term 1."""


@pytest.mark.parametrize(
    "end",
    [
        [TIMEOUT, sends("RequestVote", term=2, last_log_index=3, last_log_term=1)],
        [RESTART, showing(BEAT, role="follower", last_log_index=3)],
        [showing(UNREAD, current_term=2, last_log_index=3)],
        [showing(BEAT, role="follower", last_log_index=3)],
        [showing(BEAT, role="candidate", last_log_index=3)],
        [showing(campaign(2), current_term=2, last_log_index=3)],
    ],
    ids=["timeout", "restart", "unread", "steps-down", "gives-up", "later-term"],
)
def test_what_a_leader_has_appended_may_show_once_its_term_is_over(end: list[Json]) -> None:
    assert after_start(*LEADS, *end).verdict != "violates"
    follows = showing(BEAT, role="follower", last_log_index=0)
    assert after_start(*LEADS, follows, *end).verdict == "violates"


# --- the term -------------------------------------------------------------------------------------

ASKS = sends("RequestVote", term=2, last_log_index=0, last_log_term=0)


@pytest.mark.parametrize(
    "shows",
    [
        [showing(BEAT, current_term=2)],
        [BEAT, ASKS],
        [RESTART, showing(BEAT, current_term=2)],
        [showing(BEAT, current_term=2), showing(TIMEOUT, current_term=3)],
        [showing(BEAT, current_term=2), showing(campaign(7), current_term=7)],
    ],
    ids=["shown", "sent", "after-a-restart", "then-a-timeout", "then-a-message"],
)
def test_a_message_that_cannot_be_read_may_have_raised_the_term_to_what_shows_next(
    shows: list[Json],
) -> None:
    assert after_start(UNREAD, *shows).verdict == "inconclusive"
    assert after_start(showing(UNREAD, current_term=0), *shows).verdict == "violates"


# --- the commit index -----------------------------------------------------------------------------

FOLLOWS = showing(
    arrival(term=1, entries=[ENTRY] * 3, leader_commit=0),
    current_term=1,
    role="follower",
    log={"from": 1, "entries": [ENTRY] * 3},
)
"""Server 1 takes three entries of term 1."""
UNREAD_IN_TERM = showing(UNREAD, current_term=1, role="follower")
NEXT_TERM = showing(campaign(2), current_term=2, role="follower")


@pytest.mark.parametrize("applied", [[1], [1, 2], [1, 2, 3]])
def test_what_is_applied_in_the_next_term_was_committed_before(applied: list[int]) -> None:
    """All of it, of which only the highest index is needed."""
    ends = [NEXT_TERM, *map(applies, applied)]
    assert after_start(FOLLOWS, UNREAD_IN_TERM, *ends).verdict == "inconclusive"
    assert after_start(FOLLOWS, *ends).verdict == "violates"


@pytest.mark.parametrize("applied", [[1], [1, 2, 3]])
@pytest.mark.parametrize("shown", [{}, {"commit_index": 0}], ids=["hidden", "shown"])
def test_what_is_applied_after_a_restart_may_have_been_committed_before(
    shown: Json, applied: list[int]
) -> None:
    """By a message that cannot be read; the restart has made it forget that it is committed."""
    crash = showing(RESTART, role="follower", current_term=1, **shown)
    later = showing(NEXT_TERM, **shown)
    for ends in (
        [crash, later, *map(applies, applied)],
        [crash, later, *(line for index in applied for line in (BEAT, applies(index)))],
        [crash, crash, later, *map(applies, applied)],
    ):
        assert after_start(FOLLOWS, UNREAD_IN_TERM, *ends).verdict == "inconclusive"
        assert after_start(FOLLOWS, *ends).verdict == "violates"


def test_what_is_known_after_a_restart_does_not_say_what_was_known_before() -> None:
    committed = arrival(term=1, entries=[], leader_commit=2)
    committed["message"]["fields"] |= {"prev_log_index": 3, "prev_log_term": 1}
    crash = showing(RESTART, commit_index=0)
    assert after_start(FOLLOWS, committed, BEAT, applies(2), crash).verdict != "violates"
    assert after_start(FOLLOWS, BEAT, applies(2), crash).verdict == "violates"


@pytest.mark.parametrize("entries", [{"entries": []}, {"entries": [ENTRY]}, {"entry_count": 1}])
def test_what_a_leader_says_is_committed_may_have_been_so_in_an_earlier_term(entries: Json) -> None:
    """In its own term it commits nothing that is of an earlier one."""
    request = sends(
        "AppendEntries", term=2, prev_log_index=0, prev_log_term=0, leader_commit=1, **entries
    )
    elected = [
        showing(TIMEOUT, current_term=2, role="candidate"),
        showing(granted(2), role="leader"),
        request,
    ]
    assert after_start(FOLLOWS, UNREAD_IN_TERM, *elected).verdict == "inconclusive"
    assert after_start(FOLLOWS, *elected).verdict == "violates"
