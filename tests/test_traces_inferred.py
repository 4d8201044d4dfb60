"""What a trace does not show of a step is inferred from what it shows later: no more, no less."""

from __future__ import annotations

from typing import Any

import pytest

from model_check.traces.verdict import TraceVerdict
from tests.trace_lines import HEAD, START, Json, arrival, encoded, verdict_on

SPARSE: Json = {**HEAD, "servers": [1, 2, 3], "unobserved": ["sends"]}
ENTRY = {"term": 1, "command": "x"}
SECOND: Json = {"term": 2, "command": "y"}
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


def request(term: int, entries: list[Json], leader_commit: int, prev: Json | None = None) -> Json:
    """An AppendEntries arrives that begins after the entry of ``prev``, its index and term."""
    line = arrival(term=term, entries=entries, leader_commit=leader_commit)
    line["message"]["fields"] |= prev or {}
    return line


def after_third(term: int = 1) -> Json:
    return {"prev_log_index": 3, "prev_log_term": term}


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


def test_as_much_was_committed_as_is_applied_in_the_next_term() -> None:
    """Not only the first entry, the only one that is known to be the leader's."""
    first = showing(request(1, [ENTRY], 0), current_term=1, role="follower")
    others = showing(UNREAD_IN_TERM, log={"from": 2, "entries": [ENTRY] * 2})
    ends = [NEXT_TERM, *map(applies, (1, 2, 3))]
    assert after_start(first, others, *ends).verdict == "inconclusive"


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


# --- a commit index that nobody can judge ---------------------------------------------------------


def test_what_may_have_been_committed_need_not_have_been() -> None:
    """A leader of the next term replaces two entries, which later are committed and applied."""
    replaces = request(2, [SECOND] * 2, 3, {"prev_log_index": 1, "prev_log_term": 1})
    replaces = showing(replaces, current_term=2, log={"from": 2, "entries": [SECOND] * 2})
    ends = [BEAT, replaces, *map(applies, (1, 2, 3))]
    assert after_start(FOLLOWS, UNREAD_IN_TERM, *ends).verdict != "violates"
    is_committed = showing(UNREAD_IN_TERM, commit_index=2)
    assert after_start(FOLLOWS, is_committed, *ends).verdict == "violates"


def test_what_is_shown_to_be_committed_is_no_guess() -> None:
    """A crash may spare the commit index; all that is shown next is that one entry is applied."""
    shown = showing(UNREAD_IN_TERM, commit_index=3)
    complete = {**SPARSE, "complete": ["apply", "start"]}
    lines = [complete, START, FOLLOWS, shown, RESTART, NEXT_TERM, *map(applies, (1,))]
    assert verdict_on(encoded(lines)).verdict == "inconclusive"


@pytest.mark.parametrize(
    "lines",
    [
        [FOLLOWS],
        [FOLLOWS, UNREAD_IN_TERM, applies(1)],
    ],
    ids=["all-read", "one-guessed"],
)
def test_what_can_be_judged_is_committed_whatever_little_of_it_shows_next(
    lines: list[Json],
) -> None:
    """The leader says that three entries are committed; they are applied one by one, later."""
    says = request(1, [], 3, after_third())
    one_by_one = [NEXT_TERM, applies(2), BEAT, applies(3)]
    if lines[-1] != applies(1):
        one_by_one[1:1] = [applies(1), BEAT]
    assert after_start(*lines, says, *one_by_one).verdict != "violates"


def test_what_else_cannot_be_judged_of_a_step_says_nothing_of_what_it_commits() -> None:
    """It acknowledges more than what it was sent in its term, as far as that can be read."""
    says = request(2, [], 2, {"prev_log_index": 2, "prev_log_term": 1})
    reply = sends("AppendEntriesReply", term=2, success=True, match_index=3)
    third = showing(campaign(3), current_term=3, role="follower")
    ends = [third, applies(1), BEAT, applies(2)]
    for unread, verdict in ([UNREAD], "inconclusive"), ([], "violates"):
        found = after_start(FOLLOWS, NEXT_TERM, *unread, says, reply, *ends)
        assert found.verdict == verdict


def test_a_step_that_is_judged_wholly_one_way_is_not_in_doubt() -> None:
    """It is not known whether the unread message has raised the term, nor does it matter."""
    leads = showing(request(1, [], 0), current_term=1)
    assert after_start(UNREAD, leads, NEXT_TERM, BEAT).verdict == "conforms"


@pytest.mark.parametrize(
    "lines",
    [[], [request(1, [], 1, after_third())], [UNREAD_IN_TERM]],
    ids=["nothing", "one-entry", "nobody-knows-what"],
)
def test_what_was_committed_unseen_does_not_hide_what_else_is_known(lines: list[Json]) -> None:
    """Two entries of one index and term differ."""

    def other(command: str) -> Json:
        entry = {"term": 1, "command": command}
        line = request(1, [entry], 0, after_third())
        return showing(line, current_term=1, role="follower", log={"from": 4, "entries": [entry]})

    def second(line: Json) -> Json:
        line = line | {"server": 2}
        if "message" in line:
            line["message"] = line["message"] | {"to": 2, "from": 3}
        return line

    for command, verdict in (("x", "violates"), ("y", "conforms")):
        theirs = [second(line) for line in (START, FOLLOWS, other("y"))]
        found = verdict_on(encoded([SPARSE, START, FOLLOWS, *lines, other(command), *theirs]))
        assert found.verdict == verdict
        assert found.offence is None or found.offence.name == "LogMatching"
