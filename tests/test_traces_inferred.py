"""The term or log that a trace does not show is inferred from what it shows later."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trace_lines import (
    BEAT,
    ENTRY,
    LEADS,
    RESTART,
    SECOND,
    TIMEOUT,
    UNREAD,
    Json,
    after_start,
    applies,
    campaign,
    granted,
    receives,
    request,
    sends,
    showing,
)


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


FOLLOWER = showing(BEAT, role="follower")


@pytest.mark.parametrize("number", [3, 30])
@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "one-by-one"])
def test_however_many_entries_show_one_by_one_all_may_be_of_its_time_as_leader(
    at_once: bool, number: int
) -> None:
    """Whether they are committed is not known, since a message cannot be read."""
    crash = showing(RESTART, role="follower", current_term=1)
    steps = [[] if at_once else [FOLLOWER] for _ in range(number)]
    shows = [line for index, step in enumerate(steps, 1) for line in (*step, applies(index))]
    assert after_start(*LEADS, UNREAD, crash, FOLLOWER, *shows).verdict == "inconclusive"
    assert after_start(*LEADS, crash, FOLLOWER, *shows).verdict == "violates"


def test_what_a_leader_has_appended_shows_by_where_the_next_one_goes_on() -> None:
    """And long after; nothing but the last entry of its own was seen of it."""
    ends = [showing(RESTART, role="follower"), FOLLOWER, FOLLOWER]
    replaced = [{"term": 2, "command": "y"}] * 5
    taken = request(2, replaced, 0, {"prev_log_index": 3, "prev_log_term": 1})
    for shown, verdict in ((4, "conforms"), (5, "violates")):
        shows = showing(taken, role="follower", log={"from": shown, "entries": replaced})
        assert after_start(*LEADS, *ends, shows).verdict == verdict


def appends(destination: int = 2, **fields: Any) -> Json:
    at_first = {"term": 1, "prev_log_index": 0, "prev_log_term": 0, "leader_commit": 0}
    return sends("AppendEntries", destination, **at_first | fields)


READ_BY_NOBODY = showing(UNREAD, current_term=1, role="leader")
LEADING = showing(BEAT, current_term=1, role="leader")


@pytest.mark.parametrize(
    "shows",
    [
        [appends(entries=[ENTRY] * 3), appends(entries=[])],
        [appends(entry_count=3)],
        [appends(prev_log_index=3, prev_log_term=1, entries=[])],
        [appends(prev_log_index=3, prev_log_term=1, entry_count=0)],
        [appends(leader_commit=3, entries=[])],
        [applies(3) | {"entry": ENTRY}],
        [showing(LEADING, commit_index=3)],
    ],
    ids=["entries", "counted", "before-none", "before-none-counted", "claims", "applies", "commit"],
)
def test_what_a_leader_has_appended_shows_by_what_it_does(shows: list[Json]) -> None:
    """It may have committed that, since a message cannot be read."""
    assert after_start(*LEADS, READ_BY_NOBODY, LEADING, *shows).verdict != "violates"
    follows = showing(campaign(2), current_term=2, role="follower", last_log_index=0)
    quiet = showing(BEAT, current_term=2, role="follower", last_log_index=0)
    assert after_start(*LEADS, READ_BY_NOBODY, follows, quiet, *shows).verdict == "violates"


CRASH = showing(RESTART, role="follower", current_term=1)
LEADS_AGAIN = [
    showing(TIMEOUT, current_term=2, role="candidate"),
    showing(granted(2), current_term=2, role="leader"),
]
ASKS_WITH_THREE = sends("RequestVote", term=2, last_log_index=3, last_log_term=1)
REFUSED = receives("AppendEntriesReply", term=1, success=False, match_index=9)
LATER_UNREAD = showing(UNREAD, current_term=2, role="follower")


@pytest.mark.parametrize(
    "shows",
    [
        [showing(FOLLOWER, log={"from": 1, "entries": [ENTRY] * 3})],
        [FOLLOWER, showing(LATER_UNREAD, log={"from": 4, "entries": [SECOND] * 2})],
        [
            LEADS_AGAIN[0],
            ASKS_WITH_THREE,
            LEADS_AGAIN[1],
            showing(BEAT, last_log_index=5, last_log_term=2),
        ],
        # Where it is refused itself, an index says nothing of its log.
        [REFUSED, showing(FOLLOWER, last_log_index=3)],
    ],
    ids=["log", "change-of-log", "leads-again", "is-refused"],
)
def test_what_a_leader_had_appended_shows_by_what_it_does_later(shows: list[Json]) -> None:
    assert after_start(*LEADS, CRASH, *shows).verdict != "violates"
    empty = showing(CRASH, last_log_index=0)
    assert after_start(*LEADS, empty, *shows).verdict == "violates"


def test_what_a_leader_had_appended_shows_by_what_it_appends_when_it_leads_again() -> None:
    """From the fourth entry on, its log is of the term that it then leads."""
    for entry, verdict in ((SECOND, "conforms"), (SECOND | {"term": 3}, "violates")):
        shows = showing(BEAT, log={"from": 4, "entries": [entry] * 2})
        assert after_start(*LEADS, CRASH, *LEADS_AGAIN, shows).verdict == verdict


@pytest.mark.parametrize("is_counted", [False, True])
def test_what_a_leader_had_appended_shows_by_what_it_accepts(is_counted: bool) -> None:
    """One entry is applied, since it has those before the request, of which three are committed."""
    accepted = request(2, [SECOND], 3, {"prev_log_index": 3, "prev_log_term": 1})
    shows = [showing(accepted, current_term=2, role="follower"), FOLLOWER, applies(1)]
    if is_counted:  # by itself; its sender tells what it has sent
        del accepted["message"]["fields"]["entries"]
        accepted["message"]["fields"]["entry_count"] = 1
        log = {"from": 1, "entries": [ENTRY, ENTRY, ENTRY, SECOND]}
        leads = {"current_term": 2, "voted_for": 2, "role": "leader", "commit_index": 3}
        sender = {"event": "start", "server": 2, "state": leads | {"log": log}}
        beat = {"event": "heartbeat_timeout", "server": 2}
        sent = {"event": "send", "server": 2, "message": accepted["message"]}
        shows = [sender, beat, sent, *shows]
    assert after_start(*LEADS, CRASH, *shows).verdict != "violates"
    assert after_start(*LEADS, showing(CRASH, last_log_index=0), *shows).verdict == "violates"


def at_second(line: Json) -> Json:
    """As ``line``, of server 2, to whom server 1 sends."""
    line = line | {"server": 2}
    if "message" in line:
        line["message"] = line["message"] | {"to": 2, "from": 1}
    return line


@pytest.mark.parametrize(
    "elsewhere",
    [
        [appends(3, entries=[ENTRY])],
        [at_second(request(1, [ENTRY], 0))],
        [UNREAD, applies(1) | {"entry": ENTRY}],
    ],
    ids=["sent", "arrived", "applied"],
)
def test_an_entry_of_which_the_index_alone_was_seen_is_the_one_that_shows_elsewhere(
    elsewhere: list[Json],
) -> None:
    leads = showing(LEADING, last_log_index=1)
    for command, verdict in (("x", False), ("y", True)):
        log = {"from": 1, "entries": [{"term": 1, "command": command}]}
        shows = showing(at_second(request(1, [], 0)), log=log)
        del shows["message"]["fields"]["entries"]
        shows["message"]["fields"]["entry_count"] = 1
        second = {"event": "start", "server": 2}
        found = after_start(*LEADS, second, leads, *elsewhere, appends(entry_count=1), shows)
        assert (found.verdict == "violates") is verdict


MANY = 70_000


@pytest.mark.parametrize(
    "shows",
    [
        [showing(BEAT, log={"from": MANY + 1, "entries": []})],
        [showing(BEAT, last_log_index=MANY)],
        [BEAT, applies(MANY)],
        [showing(BEAT, commit_index=MANY)],
        [showing(CRASH, last_log_index=MANY)],
        [showing(campaign(2), current_term=2, role="follower", last_log_index=MANY)],
    ],
    ids=["change-of-log", "end-of-log", "applied", "commit-index", "crash", "next-term"],
)
def test_a_leader_may_have_appended_more_than_anybody_looks_for(shows: list[Json]) -> None:
    found = after_start(*LEADS, *shows)
    assert found.doubt is not None
    assert "may have appended more than" in found.doubt.reason
    assert after_start(TIMEOUT, granted(1), applies(MANY)).verdict == "inconclusive"
    assert after_start(TIMEOUT, *shows).verdict == "violates"


# --- the term -------------------------------------------------------------------------------------


def refuses(term: int) -> Json:
    """A refusal promises nothing, whatever term it names."""
    return sends("AppendEntriesReply", term=term, success=False, match_index=0)


ASKS = sends("RequestVote", term=2, last_log_index=0, last_log_term=0)


@pytest.mark.parametrize(
    "shows",
    [
        [showing(BEAT, current_term=2)],
        [BEAT, ASKS],
        [BEAT, refuses(1), ASKS],
        [showing(BEAT, current_term=2), refuses(7)],
        [RESTART, showing(BEAT, current_term=2)],
        [showing(BEAT, current_term=2), showing(TIMEOUT, current_term=3)],
        [showing(BEAT, current_term=2), showing(campaign(7), current_term=7)],
    ],
    ids=[
        "shown",
        "sent",
        "sent-with-a-refusal",
        "shown-with-a-refusal",
        "after-a-restart",
        "then-a-timeout",
        "then-a-message",
    ],
)
def test_a_message_that_cannot_be_read_may_have_raised_the_term_to_what_shows_next(
    shows: list[Json],
) -> None:
    assert after_start(UNREAD, *shows).verdict == "inconclusive"
    assert after_start(showing(UNREAD, current_term=0), *shows).verdict == "violates"
