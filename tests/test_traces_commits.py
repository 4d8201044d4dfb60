"""The commit index that a trace does not show is inferred from what it shows later."""

from __future__ import annotations

import pytest

from tests.trace_lines import (
    BEAT,
    ENTRY,
    RESTART,
    SECOND,
    SPARSE,
    START,
    TIMEOUT,
    UNREAD,
    Json,
    after_start,
    after_third,
    applies,
    arrival,
    campaign,
    encoded,
    granted,
    request,
    sends,
    showing,
    verdict_on,
)

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
