"""§5.4: who may be elected, and what counts as committed."""

from __future__ import annotations

import pytest

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    Entry,
    Leader,
    RequestVote,
    RequestVoteReply,
    Term,
)
from tests.cluster import Cluster, entries_of, established, sent

# --- §5.4.1, election restriction ------------------------------------------------------------


@pytest.mark.parametrize(
    ("voter_log", "candidate_log", "granted"),
    [
        ([], [], True),
        ([], [1], True),
        ([1], [], False),
        ([1, 1], [1, 1], True),
        ([1, 1], [1, 1, 1], True),
        ([1, 1], [1], False),
        ([1, 1, 1], [1, 2], True),
        ([1, 2], [1, 1, 1], False),
        ([1, 1, 2], [1, 2], False),
        ([1, 2], [2, 2, 2], True),
    ],
)
def test_vote_needs_a_log_at_least_as_up_to_date(
    voter_log: list[Term], candidate_log: list[Term], granted: bool
) -> None:
    """§5.4.1: the log whose last entry has the later term is more up-to-date; if the logs end with
    the same term, the longer one is. A voter whose log is more up-to-date denies its vote, but
    adopts the candidate's term all the same (§5.1)."""
    cluster = Cluster(candidate_log, voter_log, [])
    cluster.timeout(1)
    term = cluster[1].current_term
    (reply,) = sent(cluster.deliver(RequestVote, to=2))
    assert reply == RequestVoteReply(source=2, destination=1, term=term, vote_granted=granted)
    assert cluster[2].current_term == term
    assert cluster[2].voted_for == (1 if granted else None)
    cluster.deliver(RequestVoteReply)
    assert isinstance(cluster[1].role, Leader if granted else Candidate)


def test_refused_candidate_does_not_use_up_the_vote() -> None:
    """§5.4.1: S2 denies S1 its vote, and can still give it to S3 in the same term."""
    cluster = Cluster([1], [1, 1], [1, 1])
    cluster.timeout(1)
    cluster.timeout(3)
    cluster.deliver(RequestVote, source=1, to=2)
    cluster.deliver(RequestVote, source=3, to=2)
    cluster.deliver(RequestVoteReply)
    assert isinstance(cluster[1].role, Candidate)
    assert isinstance(cluster[3].role, Leader)


# --- §5.4.2, committing entries from previous terms ------------------------------------------


def test_entries_of_earlier_terms_are_committed_only_through_the_current_one() -> None:
    """§5.4.2: only entries from the leader's current term are committed by counting replicas; once
    one is, all preceding ones are committed indirectly."""
    cluster = established([1, 2], [1], [])
    cluster.heartbeat(1)
    cluster.settle()
    assert dict(cluster.leader(1).match_index) == {2: 2, 3: 2}
    assert cluster[1].commit_index == 0
    cluster.request(1, "x")
    cluster.deliver(AppendEntries, to=2)
    assert cluster.deliver(AppendEntriesReply) == tuple(
        Apply(index, entry) for index, entry in enumerate((*entries_of(1, 2), Entry(3, "x")), 1)
    )
    assert cluster[1].commit_index == 3


def test_cluster_of_one_commits_its_old_entries_with_its_first_new_one() -> None:
    """§5.4.2, where a majority is never in doubt."""
    cluster = Cluster([1, 1])
    cluster.timeout(1)
    assert cluster[1].commit_index == 0
    cluster.request(1, "x")
    assert cluster[1].commit_index == 3
    assert [apply.entry.term for apply in cluster.applied[1]] == [1, 1, 2]


def test_entry_counted_is_the_last_a_majority_holds() -> None:
    """Figure 2: the leader looks for an N such that a majority of matchIndex[i] >= N. S2 holds
    three new entries, S3 one, S4 and S5 none."""
    cluster = established([], [], [], [], [])
    cluster.request(1, "a")
    cluster.deliver(AppendEntries, to=3)
    for command in "bc":
        cluster.request(1, command)
    cluster.deliver(AppendEntries, to=2)
    cluster.deliver(AppendEntriesReply)
    assert [cluster.leader(1).match_index[peer] for peer in (2, 3, 4, 5)] == [3, 1, 0, 0]
    assert cluster[1].commit_index == 1
