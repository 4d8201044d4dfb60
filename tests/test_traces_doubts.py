"""Where nobody can tell what a server is like, a trace is inconclusive; elsewhere it is not."""

from __future__ import annotations

from typing import Any

import pytest

from model_check.traces.judge import NEVER_SENT
from tests.test_traces_partial import UNKNOWN, begun
from tests.trace_lines import (
    BEAT,
    ENTRY,
    RESTART,
    SPARSE,
    START,
    TIMEOUT,
    UNREAD,
    Json,
    after_start,
    applies,
    campaign,
    encoded,
    granted,
    receives,
    request,
    sends,
    showing,
    verdict_on,
)

# --- before the trace -----------------------------------------------------------------------------

OLD: Json = {"term": 2, "command": "old"}


def after(state: Json, *lines: Json) -> tuple[str, str]:
    """The verdict on server 1, which begins in ``state`` of term 3; and why it is in doubt."""
    header, start = begun(**state)
    found = verdict_on(encoded([header | SPARSE, start, *lines]))
    return found.verdict, "" if found.doubt is None else found.doubt.reason


@pytest.mark.parametrize(
    "shown",
    [
        {"last_log_index": 4},
        {"log": {"from": 5, "entries": []}},
        {"log": {"from": 4, "entries": [OLD] * 4}, "last_log_index": 7},
    ],
)
def test_an_end_of_the_log_before_the_trace_leaves_it_open(shown: Json) -> None:
    reason = "what is seen of the log is from before the trace"
    assert after(UNKNOWN, showing(RESTART, **shown)) == ("inconclusive", reason)


def test_where_the_log_begins_it_is_known() -> None:
    for term, verdict in ((2, "conforms"), (3, "violates")):
        shows = showing(BEAT, last_log_index=5, last_log_term=term)
        assert after(UNKNOWN, shows) == (verdict, "")


@pytest.mark.parametrize(
    ("term", "prev_log_index", "entries", "is_open"),
    [
        (3, 3, [OLD, {"term": 3, "command": "x"}], True),
        (3, 4, [{"term": 3, "command": "x"}], True),
        (3, 3, [OLD, OLD, {"term": 3, "command": "x"}], False),
        (2, 3, [OLD, {"term": 1, "command": "x"}], False),  # of a term that is over
    ],
)
def test_a_request_that_replaces_the_last_entry_before_the_trace_leaves_it_open(
    term: int, prev_log_index: int, entries: list[Json], is_open: bool
) -> None:
    arrives = request(term, entries, 0, {"prev_log_index": prev_log_index, "prev_log_term": 2})
    verdict, reason = after(UNKNOWN, arrives, showing(BEAT, current_term=3))
    assert verdict == ("inconclusive" if is_open else "conforms")
    assert ("a request replaces entries from before the trace" in reason) is is_open


def test_it_may_have_been_refused_but_need_not() -> None:
    """An unread message may have raised the term beyond that of the request."""
    arrives = request(4, [OLD, {"term": 4, "command": "x"}], 0, {"prev_log_index": 3})
    arrives["message"]["fields"]["prev_log_term"] = 2
    _, reason = after(UNKNOWN, UNREAD, arrives, showing(BEAT, current_term=5))
    assert reason.startswith("a request replaces entries from before the trace")


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (UNKNOWN | {"current_term": 0, "snapshot_term": 1}, {"commit_index": 5}),
        ({"role": "candidate", "voted_for": 1, "last_log_index": 0}, {"role": "leader"}),
    ],
    ids=["commits", "is-elected"],
)
def test_what_came_before_the_trace_may_have_allowed_what_follows(state: Json, shown: Json) -> None:
    verdict, reason = after(state, showing(BEAT, **shown))
    assert verdict == "inconclusive"
    assert "what came before the trace may have allowed the step" in reason


# --- what a server is known by --------------------------------------------------------------------


def acknowledges(term: int) -> Json:
    return sends("AppendEntriesReply", term=term, success=True, match_index=5)


@pytest.mark.parametrize(
    ("prev", "entries", "verdict"),
    [
        ({"prev_log_index": 5, "prev_log_term": 2}, [], "conforms"),
        ({"prev_log_index": 5, "prev_log_term": 3}, [], "violates"),
        ({"prev_log_index": 3, "prev_log_term": 2}, [OLD] * 2, "conforms"),
    ],
    ids=["its-last", "another", "all-of-it"],
)
def test_what_a_snapshot_covers_is_confirmed_by_a_request_that_agrees_with_it(
    prev: Json, entries: list[Json], verdict: str
) -> None:
    later = showing(campaign(4), current_term=4, role="follower")
    arrives = showing(request(4, entries, 0, prev), current_term=4, role="follower")
    assert after(UNKNOWN, later, arrives, acknowledges(4))[0] == verdict


def test_a_vote_of_a_term_that_a_server_does_not_enter_does_not_elect_it() -> None:
    ignores = showing(granted(5), current_term=1, role="candidate")
    found = after_start(TIMEOUT, ignores, showing(BEAT, current_term=1, role="leader"))
    assert found.verdict == "violates"


def test_messages_that_cannot_be_read_may_together_have_brought_a_majority() -> None:
    header = SPARSE | {"servers": [1, 2, 3, 4, 5]}
    leads = showing(BEAT, current_term=1, role="leader")
    two = [showing(receives("Gossip", source), role="candidate") for source in (2, 3)]
    for unread, verdict in ((two, "inconclusive"), (two[:1], "violates")):
        assert verdict_on(encoded([header, START, TIMEOUT, *unread, leads])).verdict == verdict


def test_what_was_applied_once_may_be_applied_again_after_every_restart() -> None:
    """Even if less was applied in between."""
    header = SPARSE | {"complete": ["apply", "start"]}
    takes = request(1, [ENTRY] * 3, 3)
    crash = showing(RESTART, commit_index=0)
    later = showing(campaign(2), current_term=2, commit_index=0)
    three = [applies(index) for index in (1, 2, 3)]
    lines = [takes, *three, crash, later, applies(1), crash, BEAT, *three]
    assert verdict_on(encoded([header, START, *lines])).verdict == "conforms"


# --- a leader without a vote ----------------------------------------------------------------------


@pytest.mark.parametrize("entries", [{"entries": []}, {"entry_count": 1}])
@pytest.mark.parametrize("before", [[], [UNREAD]], ids=["all-read", "unread"])
def test_a_leader_without_a_vote_leaves_it_open_unless_its_term_is_over_for_certain(
    before: list[Json], entries: Json
) -> None:
    """An unread message may have raised the term, or not."""
    fields = {"term": 5, "prev_log_index": 0, "prev_log_term": 0, "leader_commit": 0} | entries
    outside = receives("AppendEntries", 9, **fields)
    found = after_start(*before, outside, showing(BEAT, current_term=6))
    assert found.doubt is not None
    assert found.doubt.reason.startswith("S4, which has no vote, leads term 5")


# --- messages -------------------------------------------------------------------------------------


def lines_of(*lines: Json) -> list[bytes]:
    """A trace in which each message that a server of it sends has its line."""
    return encoded([{**SPARSE, "unobserved": []}, START, {**START, "server": 2}, *lines])


def at_second(kind: str, **fields: Any) -> Json:
    """A message of server 1 arrives at server 2."""
    message = {"from": 1, "to": 2, "kind": kind, "fields": fields}
    return {"event": "receive", "server": 2, "message": message}


def test_a_message_that_cannot_be_read_was_sent_all_the_same() -> None:
    says = {"event": "send", "server": 1, "message": at_second("Gossip")["message"]}
    assert verdict_on(lines_of(BEAT, says, at_second("Gossip"))).verdict == "conforms"
    found = verdict_on(lines_of(BEAT, at_second("Gossip"))).offence
    assert found is not None
    assert found.name == NEVER_SENT


def test_a_message_whose_entries_are_counted_is_of_the_past_by_its_term() -> None:
    """Server 2 begins in term 1; what it sent in that may have been sent before the trace."""
    header, start = begun(current_term=1, last_log_index=0)
    header, start = header | {"unobserved": []}, start | {"server": 2}
    for term, verdict in ((1, None), (2, NEVER_SENT)):
        fields = REQUEST | {"term": term, "entry_count": 1}
        arrives = receives("AppendEntries", 2, **fields)
        found = verdict_on(encoded([header, start, START, arrives])).offence
        assert (None if found is None else found.name) == verdict


def test_where_no_entries_are_counted_nothing_is_hidden() -> None:
    arrives = receives("AppendEntries", 2, **REQUEST, entry_count=0)
    assert after_start(showing(arrives, current_term=2)).verdict == "conforms"


def test_a_step_ends_with_what_it_sends_last() -> None:
    fields = {"term": 1, "last_log_index": 0, "last_log_term": 0}
    found = after_start(TIMEOUT, sends("RequestVote", **fields), sends("RequestVote", 3, **fields))
    assert found.last is not None
    assert found.last.number == 5


REQUEST: Json = {"term": 2, "prev_log_index": 0, "prev_log_term": 0, "leader_commit": 0}
EITHER: list[Json] = [
    receives("AppendEntries", 3, **REQUEST | {"term": 1, "entries": [ENTRY]}),
    TIMEOUT,
    granted(2) | {"message": granted(2)["message"] | {"from": 3}},
    BEAT,
    sends("AppendEntries", **REQUEST, entry_count=1),
]
"""Server 1 has taken an entry, or not; as leader, it sends that, or one of its own."""


@pytest.mark.parametrize("entry", [ENTRY, {"term": 2, "command": "y"}])
def test_a_message_that_may_have_been_either_of_two_may_arrive_as_either(entry: Json) -> None:
    arrives = at_second("AppendEntries", **REQUEST, entries=[entry])
    assert verdict_on(lines_of(*EITHER, arrives)).offence is None


@pytest.mark.parametrize("term", [1, 2])
def test_a_message_that_may_have_been_either_of_two_leaves_open_what_it_brings(term: int) -> None:
    arrives = at_second("AppendEntries", **REQUEST, entry_count=1)
    shows = showing(arrives, last_log_index=1, last_log_term=term)
    found = verdict_on(lines_of(*EITHER, shows))
    assert found.verdict == "inconclusive"
    assert found.doubt is not None
    assert found.doubt.reason.startswith("which entries S1 has sent nobody tells")


# --- what several ways to tell a step have in common ----------------------------------------------


def other_server(line: Json) -> Json:
    """As ``line``, of server 2; what arrives there is of server 3."""
    line = line | {"server": 2}
    if "message" in line:
        line["message"] = line["message"] | {"to": 2, "from": 3}
    return line


def test_a_leader_is_not_accused_of_lacking_what_it_may_have() -> None:
    """It was sent the entry that is committed; whether it took it was not seen."""
    committed = showing(request(1, [ENTRY], 1), current_term=1, commit_index=1, role="follower")
    second = [other_server(line) for line in (START, committed)]
    elected = [TIMEOUT, showing(granted(2), current_term=2, role="leader")]
    takes = showing(request(1, [ENTRY], 0), current_term=1, role="follower")
    assert after_start(takes, *second, *elected).verdict == "conforms"
    lacks = showing(takes, last_log_index=0)
    found = after_start(lacks, *second, *elected).offence
    assert found is not None
    assert found.name == "LeaderCompleteness"


def test_what_is_applied_is_held_against_others_only_if_it_is_known_what_it_is() -> None:
    """Either the first entry, that an unread message has committed, or the one that replaces it."""
    first: Json = ENTRY
    replaced: Json = {"term": 2, "command": "y"}
    takes = showing(request(1, [ENTRY], 0), current_term=1, role="follower")
    unread = showing(UNREAD, current_term=1, role="follower")
    arrives = showing(request(2, [replaced], 1), current_term=2, role="follower")
    either = [takes, unread, arrives, applies(1)]
    for entry, other in ((first, replaced), (replaced, first)):
        elsewhere = [START, request(entry["term"], [entry], 1), applies(1) | {"entry": entry}]
        lines = [*map(other_server, elsewhere), *either]
        assert after_start(*lines).verdict != "violates"
        found = after_start(*lines[:-1], applies(1) | {"entry": other}).offence
        assert found is not None
        assert found.name == "StateMachineSafety"
