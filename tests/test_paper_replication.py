"""§5.3: log replication."""

from __future__ import annotations

import pytest

from raft_ref import (
    Appended,
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Entry,
    Follower,
    Index,
    ResetElectionTimer,
    Send,
    Term,
)
from tests.cluster import Cluster, acknowledgement, appends, entries_of, established, sent

# --- the normal case -------------------------------------------------------------------------


def test_command_is_appended_replicated_committed_and_applied() -> None:
    """§5.3: the leader appends the command to its log, sends AppendEntries to all, and once the
    entry is safely replicated applies it; followers apply it when they learn it is committed."""
    cluster = established([], [], [])
    entry = Entry(1, "x")

    # The leader appends and sends to everyone.
    assert cluster.request(1, "x") == (
        Appended(index=1, term=1),
        *(
            Send(
                AppendEntries(
                    source=1,
                    destination=peer,
                    term=1,
                    prev_log_index=0,
                    prev_log_term=0,
                    entries=(entry,),
                    leader_commit=0,
                )
            )
            for peer in (2, 3)
        ),
    )
    assert cluster[1].log.entries == (entry,)
    assert cluster[1].commit_index == 0

    # A follower appends and acknowledges.
    assert cluster.deliver(AppendEntries, to=2) == (
        ResetElectionTimer(),
        Send(acknowledgement(2, term=1, match_index=1)),
    )
    assert cluster[2].log.entries == (entry,)
    assert cluster[2].commit_index == 0

    # Leader and one follower are a majority of three.
    assert cluster.deliver(AppendEntriesReply) == (Apply(1, entry),)
    assert cluster.leader(1).match_index[2] == 1
    assert cluster.leader(1).next_index[2] == 2
    assert (cluster[1].commit_index, cluster[1].last_applied) == (1, 1)

    # Followers learn it from the next AppendEntries, and apply before they answer.
    cluster.heartbeat(1)
    assert cluster.deliver(AppendEntries, to=2) == (
        ResetElectionTimer(),
        Apply(1, entry),
        Send(acknowledgement(2, term=1, match_index=1)),
    )
    assert (cluster[2].commit_index, cluster[2].last_applied) == (1, 1)


def test_all_state_machines_execute_the_same_commands_in_log_order() -> None:
    """§5.3: once a follower learns that an entry is committed, it applies it in log order. S3 hears
    nothing for a while; the leader retries until all followers store all entries."""
    cluster = established([], [], [])
    for command in "abc":
        cluster.request(1, command)
        cluster.settle(among={1, 2})
    assert cluster[1].commit_index == 3
    assert cluster.terms(3) == []
    cluster.heartbeat(1)
    cluster.settle()
    for server in (1, 2, 3):
        assert cluster.commands_applied(server) == ["a", "b", "c"]
        assert [apply.index for apply in cluster.applied[server]] == [1, 2, 3]


@pytest.mark.parametrize(("size", "majority"), [(2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_entry_is_committed_once_a_majority_holds_it(size: int, majority: int) -> None:
    """§5.3: a log entry is committed once the leader that created it has replicated it on a
    majority of the servers, of which it is one itself; acknowledging twice does not count twice."""
    cluster = established(*[[]] * size)
    cluster.request(1, "x")
    for follower in range(2, majority + 1):
        assert cluster[1].commit_index == 0
        cluster.deliver(AppendEntries, to=follower, times=2)
        cluster.deliver(AppendEntriesReply, source=follower)
    assert cluster[1].commit_index == 1
    assert cluster.commands_applied(1) == ["x"]


def test_cluster_of_one_elects_commits_and_applies_at_once() -> None:
    """§5.2, §5.3: the one server is a majority."""
    cluster = Cluster([])
    assert cluster.timeout(1) == (ResetElectionTimer(),)
    assert cluster.request(1, "x") == (Appended(index=1, term=1), Apply(1, Entry(1, "x")))
    assert cluster.request(1, "y") == (Appended(index=2, term=1), Apply(2, Entry(1, "y")))
    assert cluster.commands_applied(1) == ["x", "y"]


def test_messages_hold_a_bounded_number_of_entries() -> None:
    """§5.3: AppendEntries carries entries from nextIndex on; a follower that lacks more than fits
    gets the rest as it acknowledges, along with what that has committed."""
    cluster = established([], [], [], max_entries_per_append=2)
    for command in "abcde":
        cluster.request(1, command)
    cluster.lose()
    cluster.heartbeat(1)
    batches = []
    while requests := cluster.take(AppendEntries, to=2):
        (request,) = requests
        commands = [entry.command for entry in request.entries]
        batches.append((commands, request.leader_commit))
        cluster.receive(request)
        cluster.deliver(AppendEntriesReply, times=2)
    assert batches == [(["a", "b"], 0), (["c", "d"], 2), (["e"], 4)]
    assert cluster[1].commit_index == 5


# --- consistency: finding where the logs agree -----------------------------------------------


def test_next_index_backs_off_one_at_a_time() -> None:
    """§5.3: after a rejection, the leader decrements nextIndex and retries; eventually nextIndex
    reaches a point where leader and follower logs match. The follower's log stays until then."""
    cluster = established([1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 1])
    cluster.heartbeat(1)
    probes = []
    while cluster.terms(3) == [1, 1, 1]:
        (request,) = cluster.take(AppendEntries, to=3)
        probes.append((request.prev_log_index, len(request.entries)))
        cluster.receive(request)
        if rejections := [reply for reply in cluster.take(AppendEntriesReply) if not reply.success]:
            cluster.receive(*rejections)
            assert cluster.leader(1).next_index[3] == request.prev_log_index
            assert cluster.leader(1).match_index[3] == 0
    assert probes == [(4, 0), (3, 1), (2, 2)]
    assert cluster.terms(3) == [1, 1, 2, 2]


def test_follower_rejects_what_does_not_follow_its_log() -> None:
    """Figure 2, AppendEntries rule 2: reply false if the log has no entry at prevLogIndex whose
    term matches prevLogTerm. S2's log is too short, S3's has another term there."""
    cluster = Cluster([1, 2], [1], [1, 1], [1, 2], [1, 2])
    cluster.elect(1, voters=[4, 5])
    for follower in (2, 3):
        log = cluster[follower].log
        assert cluster.deliver(AppendEntries, to=follower) == (
            ResetElectionTimer(),
            Send(
                AppendEntriesReply(
                    source=follower, destination=1, term=3, success=False, match_index=0
                )
            ),
        )
        assert cluster[follower].log == log
        assert cluster[follower].role == Follower(leader=1)


def test_next_index_never_backs_off_to_what_is_known_to_match() -> None:
    """§5.3: matchIndex is known to be replicated; a rejection that arrives after the follower's
    log was brought in line is an old one."""
    cluster = established([1, 1, 1], [1], [])
    cluster.heartbeat(1)
    cluster.deliver(AppendEntries, to=2)
    (rejection,) = cluster.take(AppendEntriesReply, source=2)
    cluster.receive(rejection)
    cluster.settle(among={1, 2})
    before = cluster[1]
    assert cluster.leader(1).match_index[2] == 3
    assert cluster.leader(1).next_index[2] == 4
    assert cluster.receive(rejection, rejection) == ()
    assert cluster[1] == before


def test_repeated_rejections_stop_at_the_beginning_of_the_log() -> None:
    """Figure 2: the log begins at index 1, and every log agrees before that."""
    cluster = established([1, 1], [1, 1], [])
    cluster.heartbeat(1)
    cluster.deliver(AppendEntries, to=3)
    outputs = cluster.deliver(AppendEntriesReply, times=5)
    assert [request.prev_log_index for request in appends(outputs)] == [1, 0]
    assert cluster.leader(1).next_index[3] == 1
    cluster.settle()
    assert cluster.terms(3) == [1, 1]


@pytest.mark.parametrize(
    ("prev_log_index", "prev_log_term", "terms", "result"),
    [
        (5, 2, [3, 3], [1, 1, 2, 2, 2, 3, 3]),  # new entries only
        (3, 2, [2, 2, 3], [1, 1, 2, 2, 2, 3]),  # some known already
        (2, 1, [3], [1, 1, 3]),  # a conflict at once
        (1, 1, [1, 2, 3, 3], [1, 1, 2, 3, 3]),  # a conflict after what is known
        (0, 0, [3], [3]),  # a conflict from the beginning on
        (1, 1, [1, 2], [1, 1, 2, 2, 2]),  # all known, and more
        (3, 2, [], [1, 1, 2, 2, 2]),  # a heartbeat
    ],
)
def test_follower_removes_from_the_first_conflict_on(
    prev_log_index: Index, prev_log_term: Term, terms: list[Term], result: list[Term]
) -> None:
    """Figure 2, AppendEntries rules 3 and 4: if an entry conflicts with a new one (same index but
    different terms), delete it and all that follow it; append new entries not already there."""
    cluster = Cluster([], [1, 1, 2, 2, 2])
    (reply,) = sent(
        cluster.receive(
            AppendEntries(
                source=1,
                destination=2,
                term=3,
                prev_log_index=prev_log_index,
                prev_log_term=prev_log_term,
                entries=entries_of(*terms, after=prev_log_index),
                leader_commit=0,
            )
        )
    )
    assert cluster[2].log.entries == entries_of(*result)
    assert reply == acknowledgement(2, term=3, match_index=prev_log_index + len(terms))


def test_follower_commits_only_what_the_leader_has_confirmed() -> None:
    """Figure 2, AppendEntries rule 5: commitIndex is the minimum of leaderCommit and the index of
    the last new entry. S2's entries of term 2 lie below leaderCommit, and are not the leader's."""
    cluster = established([1, 2, 3, 3], [1, 2, 2, 2], [1, 2, 3, 3], max_entries_per_append=1)
    cluster.heartbeat(1)
    cluster.request(1, "x")
    cluster.settle(among={1, 3})
    assert cluster[1].commit_index == 5
    # S2's rejection arrives twice more, so that nextIndex falls below where the logs part.
    cluster.heartbeat(1)
    cluster.deliver(AppendEntries, to=2, times=3)
    cluster.deliver(AppendEntriesReply, source=2)
    probe = cluster.take(AppendEntries, to=2)[-1]
    assert (probe.prev_log_index, probe.entries) == (1, entries_of(2, after=1))
    assert probe.leader_commit == 5
    (reply,) = sent(cluster.receive(probe))
    assert reply == acknowledgement(2, term=4, match_index=2)
    assert cluster.terms(2) == [1, 2, 2, 2]
    assert cluster[2].commit_index == 2
    # Eventually it is brought in line.
    cluster.settle()
    assert cluster.terms(2) == [1, 2, 3, 3, 4]
    assert cluster[2].commit_index == 5


def test_follower_does_not_commit_more_than_it_is_told() -> None:
    """Figure 2, AppendEntries rule 5, the other half: entries it holds may be uncommitted yet."""
    cluster = established([], [], [], [], [])
    cluster.request(1, "x")
    cluster.settle(among={1, 2, 3})
    cluster.request(1, "y")
    cluster.deliver(AppendEntries, to=2)
    assert cluster.terms(2) == [1, 1]
    assert cluster[2].commit_index == 1
