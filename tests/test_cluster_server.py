"""One server of the cluster, without effects: requests, what is sent, what changed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    Log,
    PersistentState,
    RequestVoteReply,
)
from raft_ref.cluster.commands import as_entry, as_text
from raft_ref.cluster.frames import Answer, Forward, Frame, RaftFrame, Tag
from raft_ref.cluster.replication import replicating
from raft_ref.cluster.replies import NOT_DONE, UNKNOWN, Count, Done, Failed, Reply
from raft_ref.cluster.server import Arrived, Asked, Batch, Server
from raft_ref.cluster.storage import change_between, changed
from raft_ref.cluster.timers import Timing

SERVERS = frozenset({1, 2, 3})
TIMING = Timing(election_timeout=1, heartbeat_interval=0.25, request_timeout=10)
SET = as_text((b"SET", b"k", b"v"))


def new_server(persistent: PersistentState = PersistentState()) -> Server:  # noqa: B008
    return Server(replicating(1, SERVERS), persistent, TIMING, Random(1), now=0)  # noqa: S311


def new_leader() -> Server:
    server = new_server()
    server.handle(2, [])
    vote = RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)
    server.handle(2, [Arrived(2, RaftFrame(vote))])
    assert server.is_leader
    return server


def new_follower() -> Server:
    server = new_server()
    server.handle(0.1, [Arrived(2, RaftFrame(heartbeat()))])
    return server


def heartbeat(*entries: Entry, term: int = 1, commit: int = 0) -> AppendEntries:
    return AppendEntries(
        source=2,
        destination=1,
        term=term,
        prev_log_index=0,
        prev_log_term=0,
        entries=entries,
        leader_commit=commit,
    )


def acknowledge(server: Server, index: int, peer: int = 2) -> Batch:
    term = server.state.current_term
    reply = AppendEntriesReply(
        source=peer, destination=1, term=term, success=True, match_index=index
    )
    return server.handle(2, [Arrived(peer, RaftFrame(reply))])


def appends(batch: Batch, peer: int = 2) -> list[AppendEntries]:
    return [
        frame.message
        for destination, frame in batch.sends
        if isinstance(frame, RaftFrame)
        and isinstance(frame.message, AppendEntries)
        and destination == peer
    ]


def frames(batch: Batch, kind: type[Frame]) -> list[Frame]:
    return [frame for _, frame in batch.sends if isinstance(frame, kind)]


# --- timers ----------------------------------------------------------------------------------


def test_an_election_begins_when_the_timeout_is_over_and_not_before() -> None:
    server = new_server()
    assert 1 <= server.deadline <= 2
    server.handle(server.deadline - 0.001, [])
    assert server.state.current_term == 0
    server.handle(server.deadline, [])
    assert server.state.current_term == 1


def test_what_arrived_counts_before_the_time_does() -> None:
    server = new_server()
    server.handle(100, [Arrived(2, RaftFrame(heartbeat()))])
    assert server.leader == 2
    assert server.deadline > 100


def test_a_leader_sends_heartbeats() -> None:
    leader = new_leader()
    assert leader.deadline == 2.25
    assert len(appends(leader.handle(2.25, []))) == 1


@pytest.mark.parametrize("arguments", [(1, 1, 1), (1, 0, 1), (1, 0.5, 0)])
def test_timing_that_cannot_work_is_refused(arguments: tuple[float, float, float]) -> None:
    election, beat, request = arguments
    with pytest.raises(ValueError, match="must be"):
        Timing(election_timeout=election, heartbeat_interval=beat, request_timeout=request)


# --- requests --------------------------------------------------------------------------------


def test_a_leader_answers_when_the_entry_is_committed() -> None:
    leader = new_leader()
    assert leader.handle(2, [Asked(7, SET)]).answers == ()
    assert acknowledge(leader, 2).answers == ((7, Done()),)
    assert leader.open_requests == 0


def test_a_follower_forwards_to_the_leader_and_hands_on_its_answer() -> None:
    follower = new_follower()
    ((destination, forward),) = follower.handle(0.2, [Asked(7, SET)]).sends
    assert destination == 2
    assert isinstance(forward, Forward)
    assert (forward.term, forward.command) == (1, SET)
    answer = Arrived(2, Answer(forward.tag, Count(5)))
    assert follower.handle(0.3, [answer, answer]).answers == ((7, Count(5)),)


def test_a_leader_answers_who_forwarded() -> None:
    leader, tag = new_leader(), Tag(99, 1)
    leader.handle(2, [Arrived(3, Forward(tag, 1, SET))])
    assert frames(acknowledge(leader, 2), Answer) == [Answer(tag, Done())]


def test_what_is_forwarded_twice_is_appended_once() -> None:
    leader, forward = new_leader(), Forward(Tag(99, 1), 1, SET)
    leader.handle(2, [Arrived(3, forward), Arrived(3, forward)])
    leader.handle(2, [Arrived(3, forward)])
    assert leader.state.log.last_index == 2


def test_who_does_not_lead_that_term_any_more_refuses_and_it_waits_for_another_leader() -> None:
    leader, tag = new_leader(), Tag(99, 1)
    leader.handle(2, [Arrived(2, RaftFrame(heartbeat(term=2)))])
    refused = leader.handle(2, [Arrived(3, Forward(tag, 1, SET))])
    assert frames(refused, Answer) == [Answer(tag, None)]
    follower = new_follower()
    (forward,) = frames(follower.handle(0.2, [Asked(7, SET)]), Forward)
    assert isinstance(forward, Forward)
    refusal = Arrived(2, Answer(forward.tag, None))
    assert frames(follower.handle(0.3, [refusal]), Forward) == []
    again = follower.handle(0.4, [Arrived(2, RaftFrame(heartbeat(term=2)))])
    assert len(frames(again, Forward)) == 1


def test_who_was_in_that_term_before_it_started_says_nothing() -> None:
    restarted = new_server(PersistentState(current_term=1, voted_for=1))
    batch = restarted.handle(0.1, [Arrived(3, Forward(Tag(99, 1), 1, SET))])
    assert (batch.sends, batch.steps) == ((), ())


def code(reply: Reply) -> str:
    assert isinstance(reply, Failed)
    return reply.code


def test_without_a_leader_nothing_is_done() -> None:
    server = new_server()
    server.handle(0.1, [Asked(7, SET)])
    ((ticket, reply),) = server.handle(10.1, []).answers
    assert (ticket, code(reply)) == (7, NOT_DONE)


@pytest.mark.parametrize("make", [new_leader, new_follower])
def test_what_is_on_its_way_for_too_long_is_unknown(make: Callable[[], Server]) -> None:
    server = make()
    server.handle(0.2, [Asked(7, SET)])
    ((ticket, reply),) = server.handle(12, []).answers
    assert (ticket, code(reply)) == (7, UNKNOWN)
    assert server.open_requests == 0


def test_what_another_leader_has_replaced_waits_for_the_next() -> None:
    leader = new_leader()
    leader.handle(2, [Asked(7, SET)])
    other = heartbeat(Entry(2, "[]"), Entry(2, "[]"), term=2, commit=2)
    batch = leader.handle(3, [Arrived(2, RaftFrame(other))])
    assert batch.answers == ()
    (forward,) = frames(batch, Forward)
    assert isinstance(forward, Forward)
    assert (forward.term, forward.command) == (2, SET)


# --- consecutive AppendEntries -----------------------------------------------------------------


def test_in_one_batch_a_follower_is_sent_consecutive_entries_in_one_message() -> None:
    leader = new_leader()
    acknowledge(leader, 1)
    large = as_text((b"SET", b"k", b"v" * 40_000))
    batch = leader.handle(2, [Asked(number, large) for number in range(3)])
    (message,) = appends(batch)
    assert [each.command for each in message.entries] == [as_entry([large])] * 3
    assert (message.prev_log_index, message.leader_commit) == (1, 1)


def test_new_entries_wait_for_those_before_to_be_acknowledged() -> None:
    leader = new_leader()
    for number in (1, 2):
        assert appends(leader.handle(2, [Asked(number, SET)])) == []
    (rest,) = appends(acknowledge(leader, 1))
    assert (rest.prev_log_index, len(rest.entries)) == (1, 2)


def test_new_entries_wait_for_a_heartbeat_at_the_longest_and_are_sent_once() -> None:
    leader = new_leader()
    leader.handle(2, [Asked(1, SET)])
    (message,) = appends(leader.handle(3, []))
    assert (message.prev_log_index, len(message.entries)) == (1, 1)
    (idle,) = appends(leader.handle(4, []))
    assert (idle.prev_log_index, idle.entries) == (2, ())


# --- what changed ----------------------------------------------------------------------------

logs = some.lists(some.integers(1, 3), max_size=6).map(sorted)


@given(logs, logs, some.integers(0, 3), some.none() | some.integers(1, 3))
def test_a_change_is_all_that_has_changed(
    one: list[int], other: list[int], term: int, vote: int | None
) -> None:
    # Logs match where index and term do: a command for each such pair.
    before, after = (
        Log(tuple(Entry(t, f"{index}.{t}.{terms[:index]}") for index, t in enumerate(terms)))
        for terms in (one, other)
    )
    old, new = PersistentState(1, None, before), PersistentState(term, vote, after)
    change = change_between(old, new)
    if old == new:
        assert change is None
    else:
        assert change is not None
        assert changed(old, change) == new


def test_nothing_is_said_to_change_of_what_is_the_same() -> None:
    log = Log((Entry(1, "a"), Entry(1, "b")))
    grown = PersistentState(1, None, log.append(Entry(2, "c")))
    change = change_between(PersistentState(1, None, log), grown)
    assert change is not None
    assert (change.start, change.entries) == (3, (Entry(2, "c"),))


def test_an_entry_that_is_not_what_was_appended_is_of_unknown_outcome_and_ends_no_server() -> None:
    """The wire lets no such command in; if one comes in all the same, a server goes on."""
    server = new_leader()
    acknowledge(server, 1)
    server.handle(2, [Arrived(2, Forward(Tag(1, 1), 1, "[],[]"))])
    (told,) = [frame for _, frame in acknowledge(server, 2).sends if isinstance(frame, Answer)]
    assert isinstance(told.reply, Failed)
    assert told.reply.code == UNKNOWN


def test_of_too_many_lives_of_other_servers_the_last_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("raft_ref.cluster.requests.MAX_LIVES", 2)
    server = new_leader()
    for life in range(4):
        server.handle(2, [Arrived(2, Forward(Tag(life, 1), 1, SET))])
    assert server.open_requests == 2
    server.handle(2, [Arrived(2, Forward(Tag(1, 2), 1, SET))])
    assert server.open_requests == 3
