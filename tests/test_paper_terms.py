"""§5.1: terms, and who is out of date."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Follower,
    Message,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
)
from tests.cluster import Cluster, sent


def as_leader() -> Cluster:
    cluster = Cluster([1], [1], [1])
    cluster.elect(1, voters=[2], term=2)
    return cluster


def as_candidate() -> Cluster:
    cluster = Cluster([1], [1], [1])
    cluster.timeout(1)
    return cluster


def as_follower() -> Cluster:
    cluster = Cluster([1], [1], [1])
    cluster.elect(2, voters=[1], term=2)
    cluster.deliver(AppendEntries, source=2, to=1)
    return cluster


@pytest.mark.parametrize("started", [as_leader, as_candidate, as_follower])
@pytest.mark.parametrize(
    ("news", "role"),
    [
        (
            RequestVote(source=3, destination=1, term=5, last_log_index=0, last_log_term=0),
            Follower(),
        ),
        (RequestVoteReply(source=3, destination=1, term=5, vote_granted=False), Follower()),
        (
            AppendEntries(
                source=3,
                destination=1,
                term=5,
                prev_log_index=9,
                prev_log_term=4,
                entries=(),
                leader_commit=0,
            ),
            Follower(leader=3),
        ),
        (
            AppendEntriesReply(source=3, destination=1, term=5, success=False, match_index=0),
            Follower(),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_higher_term_is_adopted_by_anyone_from_any_message(
    started: Callable[[], Cluster], news: Message, role: Follower
) -> None:
    """§5.1: if one server's current term is smaller than the other's, it updates to the larger
    value; a candidate or leader whose term is out of date reverts to follower state."""
    cluster = started()
    log = cluster[1].log
    cluster.receive(news)
    assert cluster[1].current_term == 5
    assert cluster[1].voted_for is None
    assert cluster[1].role == role
    assert cluster[1].log == log


def test_deposed_leader_hears_of_it_from_a_rejection() -> None:
    """§5.1: a server rejects a request with a stale term number, and its answer tells the term."""
    cluster = Cluster([], [], [])
    cluster.elect(1, voters=[2])
    cluster.lose()
    cluster.elect(2, voters=[3], term=2)
    cluster.lose()
    cluster.request(1, "lost")
    before = cluster[3]
    (rejection,) = sent(cluster.deliver(AppendEntries, source=1, to=3))
    assert rejection == AppendEntriesReply(
        source=3, destination=1, term=2, success=False, match_index=0
    )
    assert cluster[3] == before
    assert cluster.deliver(AppendEntriesReply, to=1) == (ResetElectionTimer(),)
    assert cluster[1].role == Follower()
    assert (cluster[1].current_term, cluster[1].voted_for) == (2, None)


def test_candidate_of_an_older_term_is_refused() -> None:
    """§5.1; Figure 2, RequestVote rule 1."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    (late,) = cluster.take(RequestVote, to=3)
    cluster.elect(2, voters=[3], term=2)
    before = cluster[3]
    (refusal,) = sent(cluster.receive(late))
    assert refusal == RequestVoteReply(source=3, destination=1, term=2, vote_granted=False)
    assert cluster[3] == before


def test_older_term_is_refused_even_by_who_voted_for_nobody_since() -> None:
    """§5.1: the stale request finds voter S3 in a later term, with its vote still to give."""
    cluster = Cluster([], [], [], [], [])
    cluster.timeout(1)
    (late,) = cluster.take(RequestVote, to=3)
    cluster.elect(2, voters=[4, 5], term=2)
    cluster.deliver(AppendEntries, to=3)
    assert (cluster[3].current_term, cluster[3].voted_for) == (2, None)
    (refusal,) = sent(cluster.receive(late))
    assert refusal == RequestVoteReply(source=3, destination=1, term=2, vote_granted=False)
