"""§5.3, where messages get lost, arrive late, or twice; and messages that cannot come."""

from __future__ import annotations

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    Follower,
    RequestVote,
)
from tests.cluster import acknowledgement, appends, entries_of, established, sent

# --- what a network can do -------------------------------------------------------------------


def test_delayed_append_entries_takes_nothing_back() -> None:
    """§5.3, Figure 2: a request may arrive when what followed it is there already. It conflicts
    with nothing, so nothing is deleted, and commitIndex increases monotonically."""
    cluster = established([], [], [])
    cluster.request(1, "a")
    (delayed,) = cluster.take(AppendEntries, to=2)
    cluster.settle()
    cluster.request(1, "b")
    cluster.settle()
    cluster.request(1, "c")
    cluster.deliver(AppendEntries, to=2)
    before = cluster[2]
    assert before.commit_index == 2
    assert cluster.terms(2) == [1, 1, 1]
    (reply,) = sent(cluster.receive(delayed))
    assert reply == acknowledgement(2, term=1, match_index=1)
    assert cluster[2] == before


def test_late_and_repeated_acknowledgements_take_nothing_back() -> None:
    """Figure 2: matchIndex increases monotonically."""
    cluster = established([], [], [])
    cluster.request(1, "a")
    cluster.deliver(AppendEntries, to=2)
    (first,) = cluster.take(AppendEntriesReply)
    cluster.request(1, "b")
    cluster.deliver(AppendEntries, to=2)
    cluster.deliver(AppendEntriesReply)
    before = cluster[1]
    assert cluster.leader(1).match_index[2] == 2
    assert cluster.receive(first, first) == ()
    assert cluster[1] == before


def test_each_follower_has_its_own_indexes() -> None:
    """Figure 2: nextIndex[] and matchIndex[] hold one index for each server."""
    cluster = established([], [], [])
    cluster.request(1, "a")
    cluster.deliver(AppendEntries, to=3)
    cluster.deliver(AppendEntriesReply)
    leader = cluster.leader(1)
    assert (leader.next_index[2], leader.match_index[2]) == (1, 0)
    assert (leader.next_index[3], leader.match_index[3]) == (2, 1)


def test_heartbeat_retries_what_was_not_acknowledged() -> None:
    """§5.3: if packets are lost, the leader retries AppendEntries. Here a request gets lost
    first, then an acknowledgement, then nothing."""
    cluster = established([], [], [])
    cluster.request(1, "x")
    cluster.lose()
    for lost in (True, False):
        cluster.heartbeat(1)
        (request,) = cluster.take(AppendEntries, to=2)
        assert request.entries == (Entry(1, "x"),)
        cluster.receive(request)
        if lost:
            cluster.lose()
    assert cluster[1].commit_index == 0
    cluster.deliver(AppendEntriesReply)
    assert cluster[1].commit_index == 1
    assert cluster.terms(2) == [1]
    # Once acknowledged, there is nothing left to carry.
    assert [request.entries for request in appends(cluster.heartbeat(1))] == [
        (),
        (Entry(1, "x"),),
    ]


def test_acknowledgement_of_an_earlier_leadership_does_not_count() -> None:
    """Figure 2: matchIndex is reinitialized after election. Between two terms in which S1 leads, a
    follower's log may lose what it acknowledged in the first."""
    cluster = established([], [], [])
    cluster.request(1, "x")
    cluster.deliver(AppendEntries, to=2)
    (late,) = cluster.take(AppendEntriesReply)
    cluster.lose()
    cluster.restart(1)
    cluster.elect(1, voters=[2], term=2)
    cluster.lose()
    before = cluster[1]
    assert cluster.receive(late) == ()
    assert cluster[1] == before


def test_reply_to_a_deposed_leader_is_ignored() -> None:
    """§5.1: S1 does not lead in the term it is in now."""
    cluster = established([], [], [])
    cluster.request(1, "x")
    cluster.deliver(AppendEntries, to=2)
    (late,) = cluster.take(AppendEntriesReply)
    for _ in range(2):
        cluster.timeout(3)
    cluster.deliver(RequestVote, to=1)
    before = cluster[1]
    assert before.role == Follower()
    assert cluster.receive(late) == ()
    assert cluster[1] == before


# --- what cannot happen as long as Raft is right ---------------------------------------------


def test_leader_ignores_append_entries_of_its_own_term() -> None:
    """§5.2, Election Safety: at most one leader is elected in a term; another does not exist."""
    cluster = established([1], [1], [1])
    request = AppendEntries(
        source=2,
        destination=1,
        term=2,
        prev_log_index=0,
        prev_log_term=0,
        entries=entries_of(2),
        leader_commit=1,
    )
    before = cluster[1]
    assert cluster.receive(request) == ()
    assert cluster[1] == before


def test_acknowledgement_beyond_the_leaders_log_is_ignored() -> None:
    """§5.3: followers acknowledge what the leader sent."""
    cluster = established([1], [1], [1])
    before = cluster[1]
    assert cluster.receive(acknowledgement(2, term=2, match_index=2)) == ()
    assert cluster[1] == before
    cluster.receive(acknowledgement(2, term=2, match_index=1))
    assert cluster.leader(1).match_index[2] == 1


def test_acknowledgement_of_less_than_was_sent_takes_nothing_back() -> None:
    """Figure 2: nextIndex only falls when AppendEntries fails. S2 acknowledges a request from index
    1 on, where the leader has sent none but from index 3 on."""
    cluster = established([1, 1], [1, 1], [])
    cluster.receive(acknowledgement(2, term=2, match_index=1))
    assert cluster.leader(1).match_index[2] == 1
    assert cluster.leader(1).next_index[2] == 3
