"""What is taken up first, and how much at once."""

from __future__ import annotations

from raft_ref.cluster.frames import Answer, Forward, RaftFrame, Tag
from raft_ref.cluster.inbox import MAX_BATCH, MAX_BATCH_SIZE, MAX_WAITING, Inbox
from raft_ref.cluster.server import Arrived, Asked
from raft_ref.messages import RequestVoteReply

VOTE = Arrived(2, RaftFrame(RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)))


def asked(number: int, length: int = 10) -> Asked:
    return Asked(number, "x" * length)


def test_a_message_does_not_wait_behind_requests() -> None:
    inbox = Inbox()
    for number in range(2 * MAX_BATCH):
        inbox.ask(asked(number))
    inbox.arrive(VOTE)
    assert inbox.take() == [VOTE, *map(asked, range(MAX_BATCH - 1))]
    assert inbox.take() == list(map(asked, range(MAX_BATCH - 1, 2 * MAX_BATCH - 1)))
    assert inbox.take() == [asked(2 * MAX_BATCH - 1)]
    assert not inbox
    assert inbox.take() == []


def test_requests_are_taken_up_in_the_order_of_coming_whoever_asks() -> None:
    inbox = Inbox()
    frames = [Arrived(2, Forward(Tag(1, 1), 1, "[]")), Arrived(3, Answer(Tag(1, 1), None))]
    inbox.arrive(frames[0])
    inbox.ask(asked(1))
    inbox.arrive(frames[1])
    assert inbox.take() == [frames[0], asked(1), frames[1]]


def test_long_commands_are_not_all_taken_up_at_once() -> None:
    inbox = Inbox()
    long = [asked(number, MAX_BATCH_SIZE // 2) for number in range(5)]
    for each in long:
        inbox.ask(each)
    assert [inbox.take() for _ in range(3)] == [long[:2], long[2:4], long[4:]]
    longest = asked(9, 2 * MAX_BATCH_SIZE)
    inbox.ask(longest)
    assert inbox.take() == [longest]


def test_of_too_many_frames_the_last_are_dropped_and_messages_have_room_of_their_own() -> None:
    inbox = Inbox()
    answer = Arrived(2, Answer(Tag(1, 1), None))
    assert [inbox.arrive(answer) for _ in range(MAX_WAITING + 1)] == [True] * MAX_WAITING + [False]
    assert inbox.arrive(VOTE)
