"""§7: a log whose beginning a snapshot has replaced."""

from __future__ import annotations

import pytest

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    Entry,
    Index,
    Leader,
    Log,
    RequestVote,
    RequestVoteReply,
    Term,
)
from tests.cluster import Cluster, entries_of, sent

COMPACTED = Log(entries_of(2, 3, after=3), snapshot_index=3, snapshot_term=2)


def test_compacted_log_ends_like_the_whole_one() -> None:
    """§7: the snapshot includes the index and the term of the last entry it replaces."""
    assert (COMPACTED.last_index, COMPACTED.last_term) == (5, 3)
    empty = COMPACTED.truncate_from(4)
    assert empty == Log((), snapshot_index=3, snapshot_term=2)
    assert (empty.last_index, empty.last_term) == (3, 2)


def test_compacted_log_knows_terms_from_its_base_on() -> None:
    """§7: kept for the consistency check of the first entry after the snapshot."""
    assert [COMPACTED.term_at(index) for index in range(7)] == [None, None, None, 2, 2, 3, None]


def test_compacted_log_holds_entries_after_its_base() -> None:
    """§7: a snapshot replaces the entries up to its last included index."""
    fourth, fifth = COMPACTED.entries
    assert [COMPACTED.entry_at(index) for index in range(2, 7)] == [None, None, fourth, fifth, None]


@pytest.mark.parametrize(
    ("after", "until", "terms"),
    [
        (0, 9, [2, 3]),
        (2, 9, [2, 3]),
        (3, 5, [2, 3]),
        (3, 4, [2]),
        (4, 5, [3]),
        (5, 9, []),
        (0, 2, []),
        (4, 4, []),
    ],
)
def test_entries_between(after: Index, until: Index, terms: list[Term]) -> None:
    """§7: as far as the log still holds them."""
    assert [entry.term for entry in COMPACTED.between(after, until)] == terms


def test_compacted_log_grows_and_shrinks_at_its_end() -> None:
    """§7: the rest of the log is used as before; the base stays."""
    new = Entry(4, "x")
    longer = COMPACTED.append(new)
    assert (longer.entry_at(6), longer.last_index, longer.snapshot_index) == (new, 6, 3)
    assert longer.truncate_from(6) == COMPACTED
    assert COMPACTED.truncate_from(5).last_index == 4


@pytest.mark.parametrize(
    ("prev_log_index", "prev_log_term", "terms", "result"),
    [
        (0, 0, [1], [2, 3]),  # all before the base
        (0, 0, [1, 1, 2, 2], [2, 3]),  # from before the base to after it
        (1, 1, [1, 2, 2, 3, 4], [2, 3, 4]),  # and with something new
        (2, 1, [2, 4], [4]),  # and with a conflict
        (2, 1, [3, 4], [4]),  # which the base itself cannot have
        (3, 2, [2, 3, 4], [2, 3, 4]),  # exactly from the base on
        (3, 2, [], [2, 3]),  # a heartbeat there
        (4, 2, [4], [2, 4]),  # after the base
    ],
)
def test_follower_whose_base_covers_part_of_a_request(
    prev_log_index: Index, prev_log_term: Term, terms: list[Term], result: list[Term]
) -> None:
    """§7: what a snapshot covers is committed, so a leader's entries there are the same; those
    after it are handled as ever (§5.3)."""
    cluster = Cluster([], [1, 1, 2, 2, 3], [])
    cluster.compact(2, 3)
    cluster.receive(
        AppendEntries(
            source=1,
            destination=2,
            term=4,
            prev_log_index=prev_log_index,
            prev_log_term=prev_log_term,
            entries=entries_of(*terms, after=prev_log_index),
            leader_commit=3,
        )
    )
    assert cluster[2].log == Log(entries_of(*result, after=3), 3, 2)
    assert cluster[2].commit_index == 3
    (reply,) = cluster.take(AppendEntriesReply)
    assert reply.success
    assert reply.match_index == prev_log_index + len(terms)


def test_base_of_another_term_is_inconsistent() -> None:
    """§7, §5.3: at its base a log knows the term, and checks it."""
    cluster = Cluster([1, 1, 1], [1, 1, 2])
    cluster.compact(2, 3)
    cluster.receive(
        AppendEntries(
            source=1,
            destination=2,
            term=3,
            prev_log_index=3,
            prev_log_term=1,
            entries=entries_of(3, after=3),
            leader_commit=0,
        )
    )
    (reply,) = cluster.take(AppendEntriesReply)
    assert not reply.success
    assert cluster.terms(2) == []


def test_replication_between_compacted_logs() -> None:
    """§7: servers take snapshots independently; their bases differ, and what follows is
    replicated, committed and applied in order, on from the base."""
    cluster = Cluster([1, 1, 2, 2, 3], [1, 1, 2], [1, 1, 2, 2, 3])
    cluster.compact(1, 2)
    cluster.compact(2, 3)
    cluster.compact(3, 5)
    cluster.elect(1, voters=[2, 3])
    cluster.request(1, "x")
    cluster.settle()
    cluster.heartbeat(1)
    cluster.settle()
    for server, base in [(1, 2), (2, 3), (3, 5)]:
        assert cluster[server].commit_index == 6
        assert cluster.applied[server] == [
            Apply(index, entry)
            for index, entry in enumerate((*entries_of(1, 1, 2, 2, 3), Entry(4, "x")), 1)
            if index > base
        ]


def test_follower_that_lacks_what_a_snapshot_replaced_is_not_served() -> None:
    """§7: the leader has discarded the next entry the follower needs. Until that follower is given
    the snapshot, it rejects; the others make progress."""
    cluster = Cluster([1, 1, 2, 2], [1, 1, 2, 2], [1])
    cluster.compact(1, 3)
    cluster.elect(1, voters=[2])
    cluster.request(1, "x")
    cluster.settle()
    assert cluster[1].commit_index == 5
    assert cluster.terms(3) == [1]
    assert cluster.leader(1).match_index[3] == 0
    assert cluster.leader(1).next_index[3] == 4
    cluster.heartbeat(1)
    (request,) = cluster.take(AppendEntries, to=3)
    assert (request.prev_log_index, request.prev_log_term) == (3, 2)
    assert [entry.term for entry in request.entries] == [2, 3]


@pytest.mark.parametrize(
    ("candidate_log", "granted"), [([1, 2, 2], True), ([1, 2], False), ([1, 1, 1, 1], False)]
)
def test_base_counts_when_logs_are_compared(candidate_log: list[Term], granted: bool) -> None:
    """§7, §5.4.1: a log that a snapshot has replaced entirely still ends where it ended."""
    cluster = Cluster(candidate_log, [1, 1, 2], [])
    cluster.compact(2, 3)
    cluster.timeout(1)
    cluster.deliver(RequestVote, to=2)
    cluster.deliver(RequestVoteReply)
    assert isinstance(cluster[1].role, Leader if granted else Candidate)


def test_candidate_with_compacted_log_asks_with_its_base() -> None:
    """§7, §5.4.1: the same, on the other side."""
    cluster = Cluster([1, 1, 2], [], [])
    cluster.compact(1, 3)
    (request, _) = sent(cluster.timeout(1))
    assert request == RequestVote(
        source=1, destination=2, term=3, last_log_index=3, last_log_term=2
    )


def test_restart_begins_at_the_base() -> None:
    """§7: what a snapshot covers is committed and applied, also after a crash."""
    cluster = Cluster([1, 1, 2, 2], [], [])
    cluster.compact(1, 3)
    log = cluster[1].log
    cluster.restart(1)
    assert cluster[1].log == log
    assert (cluster[1].commit_index, cluster[1].last_applied) == (3, 3)
