"""Figures 6, 7 and 8: the paper's logs, entry for entry."""

from __future__ import annotations

import pytest

from raft_ref import AppendEntries, AppendEntriesReply, Candidate, Leader, Term
from tests.cluster import Cluster


def all_terms(cluster: Cluster) -> list[list[Term]]:
    """The cluster as the figures draw it: one row for each server."""
    return [cluster.terms(server) for server in cluster.states]


# --- Figure 6 --------------------------------------------------------------------------------


def test_figure_6() -> None:
    """Figure 6: logs of a leader and four followers. Entries up to index 7 are committed: a leader
    of term 3 has replicated them on a majority, though only two followers hold all of them."""
    cluster = Cluster([1, 1, 1, 2], [1, 1, 1], [1, 1, 1, 2], [1, 1], [1, 1, 1, 2])
    cluster.elect(1, voters=[3, 5], term=3)
    cluster.settle(among={1, 2, 3, 5})
    for count, reached in [(1, [2, 3, 5]), (2, [3, 5]), (1, [3])]:
        for _ in range(count):
            cluster.lose()
            cluster.request(1, "x")
        for follower in reached:
            cluster.deliver(AppendEntries, to=follower)
            cluster.deliver(AppendEntriesReply, source=follower)
    cluster.lose()
    assert all_terms(cluster) == [
        [1, 1, 1, 2, 3, 3, 3, 3],
        [1, 1, 1, 2, 3],
        [1, 1, 1, 2, 3, 3, 3, 3],
        [1, 1],
        [1, 1, 1, 2, 3, 3, 3],
    ]
    assert cluster[1].commit_index == 7
    assert [apply.entry.term for apply in cluster.applied[1]] == [1, 1, 1, 2, 3, 3, 3]
    # "... leaders retry until all followers eventually store all log entries"
    cluster.heartbeat(1)
    cluster.settle()
    assert all_terms(cluster) == [[1, 1, 1, 2, 3, 3, 3, 3]] * 5
    assert cluster[1].commit_index == 8


# --- Figure 7 --------------------------------------------------------------------------------

LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
FOLLOWERS = {
    "a": [1, 1, 1, 4, 4, 5, 5, 6, 6],
    "b": [1, 1, 1, 4],
    "c": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    "d": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    "e": [1, 1, 1, 4, 4, 4, 4],
    "f": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
}


@pytest.mark.parametrize(
    ("follower", "agree_until"), [("a", 9), ("b", 4), ("c", 10), ("d", 10), ("e", 5), ("f", 3)]
)
def test_figure_7_one_by_one(follower: str, agree_until: int) -> None:
    """Figure 7: when the leader at the top comes to power, any of scenarios (a-f) could occur in
    follower logs. §5.3: the leader finds the latest entry where the two logs agree; what the
    follower has after that point is replaced by the leader's entries."""
    cluster = Cluster(LEADER, LEADER, FOLLOWERS[follower])
    cluster.elect(1, voters=[2], term=8)
    probe = None
    while cluster.leader(1).match_index[3] == 0:
        assert cluster.terms(3) == FOLLOWERS[follower]
        (probe,) = cluster.take(AppendEntries, to=3)
        cluster.receive(probe)
        cluster.deliver(AppendEntriesReply, source=3)
    assert probe is not None
    assert probe.prev_log_index == agree_until
    assert cluster.leader(1).match_index[3] == 10
    assert cluster.terms(3)[:10] == LEADER
    cluster.request(1, "x")
    cluster.settle()
    assert cluster.terms(1) == [*LEADER, 8]
    assert cluster[3].log == cluster[1].log


def test_figure_7_all_at_once() -> None:
    """Figure 7, as one cluster of seven: the leader wins term 8 without (c) and (d), whose logs are
    more up-to-date (§5.4.1), and brings all six in line."""
    cluster = Cluster(LEADER, *FOLLOWERS.values())
    cluster.timeout(1)
    cluster.settle()
    assert isinstance(cluster[1].role, Leader)
    assert [cluster[server].current_term for server in cluster.states] == [8] * 7
    refused = [server for server in cluster.states if cluster[server].voted_for is None]
    assert refused == [4, 5]  # (c) and (d)
    # A new leader writes nothing by itself: (c) and (d) keep what exceeds its log, for now.
    kept = FOLLOWERS["c"], FOLLOWERS["d"]
    assert all_terms(cluster) == [LEADER, LEADER, LEADER, *kept, LEADER, LEADER]
    assert cluster[1].commit_index == 0
    cluster.request(1, "x")
    cluster.settle()
    cluster.heartbeat(1)
    cluster.settle()
    assert all_terms(cluster) == [[*LEADER, 8]] * 7
    for server in cluster.states:
        assert cluster[server].commit_index == 11
        assert cluster.commands_applied(server) == cluster.commands_applied(1)


# --- Figure 8 --------------------------------------------------------------------------------


def figure_8_until_c() -> Cluster:
    """Figure 8 (a) to (c). What S1 sends about its entry of term 4 is in transit."""
    cluster = Cluster([1], [1], [1], [1], [1])
    # (a) S1 is leader and partially replicates the log entry at index 2.
    cluster.elect(1, voters=[2, 3], term=2)
    cluster.settle()
    cluster.request(1, "two")
    cluster.deliver(AppendEntries, to=2)
    cluster.lose()
    assert all_terms(cluster) == [[1, 2], [1, 2], [1], [1], [1]]
    # (b) S1 crashes; S5 is elected leader for term 3 with votes from S3, S4, and itself, and
    # accepts a different entry at log index 2.
    cluster.elect(5, voters=[3, 4], term=3)
    cluster.lose()
    cluster.request(5, "three")
    cluster.lose()
    assert all_terms(cluster) == [[1, 2], [1, 2], [1], [1], [1, 3]]
    # (c) S5 crashes; S1 restarts, is elected leader, and continues replication.
    cluster.restart(1)
    cluster.elect(1, voters=[2, 3], term=4)
    cluster.settle(among={1, 2, 3})
    cluster.request(1, "four")
    return cluster


def test_figure_8_c_entry_on_a_majority_is_not_committed() -> None:
    """Figure 8 (c): the log entry from term 2 has been replicated on a majority of the servers, but
    it is not committed. §5.4.2: Raft never commits entries from previous terms by counting."""
    cluster = figure_8_until_c()
    assert all_terms(cluster) == [[1, 2, 4], [1, 2], [1, 2], [1], [1, 3]]
    leader = cluster.leader(1)
    assert [leader.match_index[peer] for peer in (2, 3)] == [2, 2]
    assert [cluster[server].commit_index for server in cluster.states] == [0] * 5


def test_figure_8_d_entry_on_a_majority_is_overwritten() -> None:
    """Figure 8 (d): if S1 crashes, S5 could be elected leader (with votes from S2, S3, and S4) and
    overwrite the entry with its own from term 3."""
    cluster = figure_8_until_c()
    cluster.lose()
    cluster.restart(5)
    cluster.elect(5, voters=[2, 3, 4], term=5)
    cluster.settle(among={2, 3, 4, 5})
    assert all_terms(cluster) == [[1, 2, 4], [1, 3], [1, 3], [1, 3], [1, 3]]
    # Its first own entry commits this one; S1, back as a follower, loses its entries.
    cluster.request(5, "five")
    cluster.settle()
    cluster.heartbeat(5)
    cluster.settle()
    assert all_terms(cluster) == [[1, 3, 5]] * 5
    for server in cluster.states:
        assert cluster.commands_applied(server)[1:] == ["three", "five"]


def test_figure_8_e_entry_is_committed_through_one_of_the_current_term() -> None:
    """Figure 8 (e): if S1 replicates an entry from its current term on a majority before crashing,
    this entry is committed (S5 cannot win an election), and so are all preceding entries."""
    cluster = figure_8_until_c()
    first = cluster[1].log.entries[0]
    cluster.settle(among={1, 2, 3})
    assert all_terms(cluster) == [[1, 2, 4], [1, 2, 4], [1, 2, 4], [1], [1, 3]]
    assert cluster[1].commit_index == 3
    assert cluster.commands_applied(1) == [first.command, "two", "four"]
    # S1 crashes, S5 is back: whatever the term, only S4 votes for it.
    cluster.restart(5)
    for term in (4, 5, 6):
        cluster.timeout(5)
        cluster.settle(among={2, 3, 4, 5})
        assert cluster[5].current_term == term
        assert cluster[5].role == Candidate(frozenset({4, 5}))
    # The next leader has S1's entries, and S5 gets them.
    cluster.elect(2, voters=[3, 4])
    cluster.request(2, "seven")
    cluster.settle(among={2, 3, 4, 5})
    assert cluster.terms(5) == [1, 2, 4, 7]
    assert cluster.commands_applied(2) == [first.command, "two", "four", "seven"]
