"""Conflict hints: how few requests find where two logs agree, and that a hint is never evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Config,
    ConflictHint,
    Entry,
    Index,
    Log,
    Term,
)
from raft_ref.extensions.conflict_hints import hint_for, lowered
from tests.cluster import Cluster, appends, entries_of, established

ON = Config(id=1, servers=frozenset({1, 2}), conflict_hints=True)


def log_of(*terms: Term) -> Log:
    return Log(entries_of(*terms))


# --- what a follower says --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "prev_log_index", "hint"),
    [
        (log_of(), 1, ConflictHint(1, None)),
        (log_of(1, 1), 3, ConflictHint(3, None)),
        (log_of(1, 1), 9, ConflictHint(3, None)),
        (log_of(1, 2, 2, 2), 4, ConflictHint(2, 2)),
        (log_of(1, 2, 2, 3), 3, ConflictHint(2, 2)),
        (log_of(1, 2, 2, 3), 1, ConflictHint(1, 1)),
        (Log(entries_of(2, 2), 5, 1), 7, ConflictHint(6, 2)),
        (Log(entries_of(2, 2), 5, 1), 8, ConflictHint(8, None)),
        (Log(entries_of(2, 2), 5, 2), 6, ConflictHint(6, 2)),
        (Log((), 5, 2), 5, ConflictHint(5, 2)),
    ],
)
def test_a_rejection_names_the_first_index_of_the_conflicting_term(
    log: Log, prev_log_index: Index, hint: ConflictHint
) -> None:
    assert hint_for(ON, log, prev_log_index) == hint
    assert hint_for(replace(ON, conflict_hints=False), log, prev_log_index) is None


def test_a_request_of_an_older_term_is_rejected_without_a_hint() -> None:
    """It is rejected for its term, whatever the log holds."""
    cluster = established([1], [1], conflict_hints=True)
    (request,) = appends(cluster.heartbeat(1))
    cluster.timeout(2)
    cluster.lose()
    cluster.receive(request)
    (rejection,) = cluster.take(AppendEntriesReply)
    assert (rejection.success, rejection.hint) == (False, None)


# --- what a leader makes of it ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "next_index", "hint", "expected"),
    [
        # The follower's log is shorter.
        (log_of(1, 1, 1, 1), 5, ConflictHint(1, None), 1),
        (log_of(1, 1, 1, 1), 5, ConflictHint(3, None), 3),
        # The leader has entries of that term: try after the last of them.
        (log_of(1, 2, 2, 3, 3), 6, ConflictHint(2, 2), 4),
        # It has none: try before the follower's entries of that term.
        (log_of(1, 1, 4, 4), 5, ConflictHint(3, 2), 3),
        (log_of(1, 1, 1, 4), 5, ConflictHint(2, 3), 2),
        # Nor so many of earlier terms: try after those that there are.
        (log_of(1, 4, 4, 4), 5, ConflictHint(4, 2), 2),
        # An old rejection, answered already.
        (log_of(1, 1, 1, 1), 2, ConflictHint(3, None), 3),
        (log_of(1, 1, 2, 2), 3, ConflictHint(2, 1), 3),
        (log_of(1, 1, 2, 2), 3, ConflictHint(2, 2), 5),
        # The follower sends no hints.
        (log_of(1, 1), 3, None, 2),
    ],
)
def test_next_index_falls_to_where_logs_can_agree(
    log: Log, next_index: Index, hint: ConflictHint | None, expected: Index
) -> None:
    assert lowered(log, next_index, hint) == expected


@st.composite
def diverged(draw: st.DrawFn) -> tuple[Log, Log]:
    """Two logs of one cluster: once they differ, they have no entry in common any more."""
    common = draw(st.lists(st.integers(1, 3), max_size=4).map(sorted))
    after = max(common, default=1)
    tails = st.lists(st.integers(after, after + 6), max_size=6).map(sorted)
    leader, follower = draw(tails), draw(tails)
    ends = (
        tuple(Entry(term, f"{name} {term}") for term in tail if term % 2 == parity)
        for name, tail, parity in (("leader", leader, 0), ("follower", follower, 1))
    )
    mine, theirs = ends
    return Log(entries_of(*common) + mine), Log(entries_of(*common) + theirs)


def last_match(leader: Log, follower: Log) -> Index:
    shorter = min(leader.last_index, follower.last_index)
    return max(i for i in range(shorter + 1) if leader.term_at(i) == follower.term_at(i))


def rejections(leader: Log, follower: Log) -> int:
    """How many requests the follower rejects until one matches; each is sent with its hint."""
    next_index, count = leader.last_index + 1, 0
    while leader.term_at(next_index - 1) != follower.term_at(next_index - 1):
        hint = hint_for(ON, follower, next_index - 1)
        fallen = lowered(leader, next_index, hint)
        assert last_match(leader, follower) < fallen < next_index
        next_index, count = fallen, count + 1
    return count


@given(diverged())
def test_one_rejection_for_each_conflicting_term_of_the_follower(logs: tuple[Log, Log]) -> None:
    leader, follower = logs
    conflicting = {each.term for each in follower.entries} - {each.term for each in leader.entries}
    assert rejections(leader, follower) <= 1 + len(conflicting)


@pytest.mark.parametrize(
    ("leader", "follower"),
    [
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4, 4, 5, 5, 6, 6]),  # Figure 7, a
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4]),  # b
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4, 4, 4, 4]),  # e
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),  # f
    ],
)
def test_the_followers_of_figure_7_need_one_or_two_rejections(
    leader: list[Term], follower: list[Term]
) -> None:
    assert rejections(log_of(*leader), log_of(*follower)) in (1, 2)


def recovery(*, conflict_hints: bool) -> tuple[Cluster, int]:
    """A leader of term 2 brings a follower up to date that lacks 20 entries; its rejections."""
    cluster = established([1] * 30, [1] * 30, [1] * 10, conflict_hints=conflict_hints)
    cluster.heartbeat(1)
    count = 0
    while cluster.deliver(AppendEntries, to=3):
        replies = cluster.take(AppendEntriesReply, source=3)
        count += sum(not reply.success for reply in replies)
        cluster.receive(*replies)
    return cluster, count


def test_a_follower_that_lacks_entries_has_them_after_one_rejection() -> None:
    cluster, count = recovery(conflict_hints=True)
    assert cluster[3].log == cluster[1].log
    assert count == 1


def test_without_hints_it_takes_a_rejection_for_each_entry() -> None:
    cluster, count = recovery(conflict_hints=False)
    assert cluster[3].log == cluster[1].log
    assert count == 20


def rejection(hint: ConflictHint | None, term: Term = 2) -> AppendEntriesReply:
    return AppendEntriesReply(
        source=3, destination=1, term=term, success=False, match_index=0, hint=hint
    )


@pytest.mark.parametrize("hint", [ConflictHint(1, None), ConflictHint(1, 1), ConflictHint(9, 2)])
def test_no_hint_reaches_below_what_is_acknowledged_or_counts_as_an_acknowledgement(
    hint: ConflictHint,
) -> None:
    cluster = established([1] * 5, [1] * 5, [1] * 5, conflict_hints=True)
    cluster.heartbeat(1)
    cluster.settle()
    cluster.request(1, "new")
    cluster.lose()
    before = cluster.leader(1).match_index
    assert before[3] == 5
    cluster.receive(rejection(hint))
    after = cluster.leader(1)
    assert after.match_index == before
    assert after.next_index[3] == 6
    assert not cluster.in_transit


def test_a_leader_without_the_extension_does_not_look_at_hints() -> None:
    cluster = established([1] * 5, [1] * 5, [], conflict_hints=False)
    cluster.receive(rejection(ConflictHint(1, None)))
    assert cluster.leader(1).next_index[3] == 5
