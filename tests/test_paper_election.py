"""§5.2: leader election."""

from __future__ import annotations

import pytest

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Candidate,
    Follower,
    IndexMap,
    Leader,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
    Send,
)
from tests.cluster import Cluster, sent

# --- candidates, voters and leaders ----------------------------------------------------------


def test_candidate_votes_for_itself_and_asks_all_others() -> None:
    """§5.2: to begin an election, a follower increments its current term, becomes a candidate,
    votes for itself and sends RequestVote to each of the other servers."""
    cluster = Cluster([1, 1, 2], [], [])
    outputs = cluster.timeout(1)
    assert cluster[1].current_term == 3
    assert cluster[1].voted_for == 1
    assert cluster[1].role == Candidate(votes_granted=frozenset({1}))
    assert outputs == (
        ResetElectionTimer(),
        *(
            Send(RequestVote(source=1, destination=peer, term=3, last_log_index=3, last_log_term=2))
            for peer in (2, 3)
        ),
    )


@pytest.mark.parametrize(
    ("size", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)]
)
def test_majority_wins_and_less_does_not(size: int, majority: int) -> None:
    """§5.2: a candidate wins with votes from a majority of the servers in the full cluster."""
    cluster = Cluster(*[[]] * size)
    cluster.timeout(1)
    for voter in range(2, majority + 1):
        assert isinstance(cluster[1].role, Candidate)
        cluster.deliver(RequestVote, to=voter)
        cluster.deliver(RequestVoteReply, source=voter)
    assert isinstance(cluster[1].role, Leader)
    assert cluster[1].current_term == 1


def test_split_vote_is_resolved_in_a_new_term() -> None:
    """§5.2: if many followers become candidates at the same time, votes may be split; each then
    times out and starts a new election by incrementing its term."""
    cluster = Cluster([], [], [], [])
    cluster.timeout(1)
    cluster.timeout(2)
    cluster.deliver(RequestVote, source=1, to=3)
    cluster.deliver(RequestVote, source=2, to=4)
    cluster.settle()
    assert cluster[1].role == Candidate(frozenset({1, 3}))
    assert cluster[2].role == Candidate(frozenset({2, 4}))
    cluster.timeout(1)
    cluster.settle()
    assert isinstance(cluster[1].role, Leader)
    assert [cluster[server].current_term for server in (1, 2, 3, 4)] == [2, 2, 2, 2]
    assert [cluster[server].role for server in (2, 3, 4)] == [Follower(leader=1)] * 3


def test_one_vote_a_term_first_come_first_served() -> None:
    """§5.2: each server votes for at most one candidate in a given term, first-come-first-served.
    The same candidate's request, should it arrive again, is granted again (Figure 2, rule 2)."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    cluster.timeout(2)
    (first,) = cluster.take(RequestVote, source=1, to=3)
    (second,) = cluster.take(RequestVote, source=2, to=3)
    granted = Send(RequestVoteReply(source=3, destination=1, term=1, vote_granted=True))
    refused = Send(RequestVoteReply(source=3, destination=2, term=1, vote_granted=False))
    assert cluster.receive(first) == (ResetElectionTimer(), granted)
    assert cluster[3].voted_for == 1
    assert cluster.receive(second) == (refused,)
    assert cluster.receive(first) == (ResetElectionTimer(), granted)
    assert cluster[3].voted_for == 1


def test_candidate_does_not_vote_for_another() -> None:
    """§5.2: a candidate has given its vote of the term to itself."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    cluster.timeout(2)
    before = cluster[2]
    (reply,) = sent(cluster.deliver(RequestVote, source=1, to=2))
    assert reply == RequestVoteReply(source=2, destination=1, term=1, vote_granted=False)
    assert cluster[2] == before


def test_a_new_term_brings_a_new_vote() -> None:
    """§5.2: the vote is one a term, so who voted for another before may vote in a later term."""
    cluster = Cluster([], [], [])
    cluster.elect(1, voters=[3])
    cluster.elect(2, voters=[3], term=2)
    assert cluster[3].voted_for == 2


def test_candidate_recognizes_the_leader_of_its_term() -> None:
    """§5.2: a candidate that receives AppendEntries of a term at least as large as its own returns
    to follower state. The vote it gave in this term remains given."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    cluster.timeout(2)
    (late,) = cluster.take(RequestVote, source=1, to=2)
    cluster.deliver(RequestVote, source=1, to=3)
    cluster.deliver(RequestVoteReply, source=3)
    assert isinstance(cluster[1].role, Leader)
    cluster.deliver(AppendEntries, source=1, to=2)
    assert cluster[2].role == Follower(leader=1)
    assert (cluster[2].current_term, cluster[2].voted_for) == (1, 2)
    (reply,) = sent(cluster.receive(late))
    assert reply == RequestVoteReply(source=2, destination=1, term=1, vote_granted=False)


def test_vote_of_an_older_term_does_not_count() -> None:
    """§5.2: a majority of votes *for the same term* is needed."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    cluster.deliver(RequestVote, to=2)
    cluster.timeout(1)
    before = cluster[1]
    assert before.role == Candidate(frozenset({1}))
    assert cluster.deliver(RequestVoteReply, source=2) == ()
    assert cluster[1] == before


@pytest.mark.parametrize("size", [4, 5])
def test_repeated_vote_counts_once(size: int) -> None:
    """§5.2: votes from a majority of servers are needed, however often one server's arrives."""
    cluster = Cluster(*[[]] * size)
    cluster.timeout(1)
    cluster.deliver(RequestVote, to=2)
    assert cluster.deliver(RequestVoteReply, source=2, times=3) == ()
    assert cluster[1].role == Candidate(frozenset({1, 2}))


def test_vote_after_the_election_is_decided_changes_nothing() -> None:
    """§5.2: votes matter to candidates only. S3's vote for S1 arrives when S2 has won, and S5's
    for S2 when it is not needed any more and S2 has begun to replicate."""
    cluster = Cluster([], [], [], [], [])
    cluster.timeout(1)
    cluster.timeout(2)
    cluster.deliver(RequestVote, source=1, to=3)
    for voter in (4, 5):
        cluster.deliver(RequestVote, source=2, to=voter)
    cluster.deliver(RequestVote, source=2, to=1)
    (vote_of_3,) = cluster.take(RequestVoteReply, source=3)
    (vote_of_5,) = cluster.take(RequestVoteReply, source=5)
    # S2 needs one more vote than S4's.
    cluster.deliver(RequestVoteReply, source=4)
    cluster.receive(vote_of_5)
    cluster.request(2, "x")
    cluster.settle()
    leader, follower = cluster[2], cluster[1]
    assert cluster.leader(2).match_index[5] == 1
    assert follower.role == Follower(leader=2)
    assert cluster.receive(vote_of_3, vote_of_5) == ()
    assert (cluster[2], cluster[1]) == (leader, follower)


def test_new_leader_sends_heartbeats_to_all_at_once() -> None:
    """§5.2: once elected, a leader sends heartbeats to all other servers to establish its authority
    and prevent new elections. Figure 2: nextIndex is its last log index + 1, matchIndex is 0."""
    cluster = Cluster([1, 1, 2], [1], [])
    cluster.timeout(1)
    cluster.deliver(RequestVote, to=2)
    outputs = cluster.deliver(RequestVoteReply)
    assert cluster[1].role == Leader(
        next_index=IndexMap(((2, 4), (3, 4))), match_index=IndexMap(((2, 0), (3, 0)))
    )
    assert sent(outputs) == [
        AppendEntries(
            source=1,
            destination=peer,
            term=3,
            prev_log_index=3,
            prev_log_term=2,
            entries=(),
            leader_commit=0,
        )
        for peer in (2, 3)
    ]


def test_leader_ignores_election_timeouts() -> None:
    """Figure 2: election timeouts are a matter of followers and candidates."""
    cluster = Cluster([], [], [])
    cluster.elect(1, voters=[2])
    before = cluster[1]
    assert cluster.timeout(1) == ()
    assert cluster[1] == before


def test_only_leaders_send_heartbeats() -> None:
    """Figure 2: heartbeats are a matter of leaders."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    before = dict(cluster.states)
    assert cluster.heartbeat(1) == ()  # a candidate
    assert cluster.heartbeat(2) == ()  # a follower
    assert cluster.states == before


# --- the election timer (§5.2; Figure 2, Followers) ------------------------------------------


def test_timer_restarts_when_a_vote_is_granted_but_not_when_refused() -> None:
    """Figure 2: an election begins without AppendEntries from the current leader or *granting* a
    vote. A refused candidate, even of a higher term, does not keep others from trying."""
    cluster = Cluster([1], [1, 1], [1])
    cluster.timeout(1)
    assert ResetElectionTimer() not in cluster.deliver(RequestVote, to=2)
    assert cluster[2].current_term == 2
    assert cluster.deliver(RequestVote, to=3)[0] == ResetElectionTimer()


def test_timer_restarts_when_the_current_leader_is_heard_from() -> None:
    """§5.2: a server remains follower as long as it receives valid RPCs from a leader; also those
    whose entries it cannot accept yet."""
    cluster = Cluster([1], [1], [])
    cluster.elect(1, voters=[2])
    accepted = cluster.deliver(AppendEntries, to=2)
    rejected = cluster.deliver(AppendEntries, to=3)
    assert accepted[0] == rejected[0] == ResetElectionTimer()
    assert [reply.success for reply in cluster.take(AppendEntriesReply)] == [True, False]


def test_timer_does_not_restart_for_a_deposed_leader() -> None:
    """Figure 2: only AppendEntries from the *current* leader count."""
    cluster = Cluster([], [], [])
    cluster.elect(1, voters=[2])
    (stale,) = cluster.take(AppendEntries, source=1, to=3)
    cluster.elect(2, voters=[3], term=2)
    assert ResetElectionTimer() not in cluster.receive(stale)


def test_timer_does_not_restart_for_replies_and_clients() -> None:
    """Figure 2: nothing else restarts the timer; neither the news of a higher term does."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    outputs = cluster.request(1, "x")
    outputs += cluster.receive(
        RequestVoteReply(source=2, destination=1, term=1, vote_granted=False),
        RequestVoteReply(source=2, destination=1, term=2, vote_granted=False),
        AppendEntriesReply(source=2, destination=1, term=3, success=False, match_index=0),
    )
    assert ResetElectionTimer() not in outputs
    assert cluster[1].current_term == 3
