"""§5.5 and §8: crashes and clients."""

from __future__ import annotations

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    Follower,
    Log,
    NodeState,
    NotLeader,
    PersistentState,
    RequestVote,
    RequestVoteReply,
)
from tests.cluster import Cluster, sent

# --- §5.5, crashes ---------------------------------------------------------------------------


def test_restart_keeps_term_vote_and_log_only() -> None:
    """Figure 2: currentTerm, votedFor and log[] are persistent, everything else is volatile. A
    server that comes back is a follower (§5.2)."""
    cluster = Cluster([], [], [])
    cluster.elect(1, voters=[2])
    cluster.request(1, "x")
    cluster.settle()
    assert cluster[1].last_applied == 1
    assert cluster.restart(1) == ()
    assert cluster[1] == NodeState(
        PersistentState(current_term=1, voted_for=1, log=Log((Entry(1, "x"),)))
    )
    assert cluster[1].role == Follower()
    # Its state machine starts anew, and executes the log again from the beginning.
    cluster.elect(2, voters=[3], term=2)
    cluster.request(2, "y")
    cluster.settle()
    cluster.heartbeat(2)
    cluster.settle()
    assert cluster.commands_applied(1) == ["x", "y"]


def test_voter_that_restarts_does_not_vote_twice() -> None:
    """§5.2, Figure 2: votedFor is persistent, or a crash could give two leaders to a term."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    cluster.timeout(2)
    cluster.deliver(RequestVote, source=1, to=3)
    cluster.restart(3)
    (reply,) = sent(cluster.deliver(RequestVote, source=2, to=3))
    assert reply == RequestVoteReply(source=3, destination=2, term=1, vote_granted=False)


def test_candidate_that_restarts_is_no_candidate_any_more() -> None:
    """§5.2: servers begin as followers; votes for a candidacy that a crash ended count nothing."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    cluster.deliver(RequestVote)
    cluster.restart(1)
    assert cluster.deliver(RequestVoteReply) == ()
    assert cluster[1].role == Follower()


def test_follower_crash_goes_unnoticed() -> None:
    """§5.5: RPCs are idempotent; a follower that completed one, but crashed before it responded,
    receives it again after it restarts."""
    cluster = Cluster([], [], [])
    cluster.elect(1, voters=[2])
    cluster.lose()
    cluster.request(1, "x")
    (request,) = cluster.take(AppendEntries, to=2)
    cluster.receive(request)
    (first,) = cluster.take(AppendEntriesReply)
    before = cluster[2].persistent
    cluster.restart(2)
    cluster.receive(request)
    (second,) = cluster.take(AppendEntriesReply)
    assert first == second
    assert cluster[2].persistent == before


# --- §8, clients -----------------------------------------------------------------------------


def test_client_is_sent_to_the_leader_once_it_is_known() -> None:
    """§8: if the client's first choice is not the leader, that server rejects the request and tells
    about the most recent leader it has heard from. Nothing enters its log."""
    cluster = Cluster([], [], [])
    cluster.timeout(1)
    assert cluster.request(1, "x") == (NotLeader(None),)  # a candidate
    cluster.deliver(RequestVote, to=2)
    assert cluster.request(2, "x") == (NotLeader(None),)  # who voted does not know who won
    cluster.deliver(RequestVoteReply)
    cluster.deliver(AppendEntries, to=2)
    assert cluster.request(2, "x") == (NotLeader(1),)
    assert cluster.terms(1) == cluster.terms(2) == []


def test_a_leader_of_an_earlier_term_is_not_recommended() -> None:
    """§8: S2 has heard of a new term, and not yet who leads in it; nor does it know after a
    crash."""
    cluster = Cluster([], [], [])
    cluster.elect(1, voters=[2])
    cluster.settle()
    cluster.timeout(3)
    cluster.deliver(RequestVote)
    assert cluster.request(2, "x") == (NotLeader(None),)
    cluster.elect(1, voters=[2], term=3)
    cluster.settle()
    assert cluster.request(2, "x") == (NotLeader(1),)
    cluster.restart(2)
    assert cluster.request(2, "x") == (NotLeader(None),)
