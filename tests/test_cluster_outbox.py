"""The order in which frames leave, and which are dropped when there are too many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from raft_ref.cluster.frames import Answer, Forward, Frame, RaftFrame, Tag
from raft_ref.cluster.outbox import MAX_QUEUED, Outbox
from raft_ref.cluster.replies import Failed, Value
from raft_ref.messages import AppendEntries, RequestVoteReply
from raft_ref.types import Entry

VOTE = RaftFrame(RequestVoteReply(source=1, destination=2, term=1, vote_granted=True))
HEARTBEAT = AppendEntries(
    source=1,
    destination=2,
    term=3,
    prev_log_index=5,
    prev_log_term=2,
    entries=(),
    leader_commit=4,
)
ENTRIES = tuple(Entry(3, str(number)) for number in range(5))


def request(number: int, length: int = 10) -> Frame:
    return Forward(Tag(1, number), 1, "x" * length)


def taken(outbox: Outbox) -> list[Frame]:
    frames = []
    while (frame := outbox.take()) is not None:
        frames.append(frame)
    assert not outbox
    return frames


def filled(frames: Iterable[Frame]) -> tuple[list[Frame], int]:
    """The frames that leave, and how many were dropped."""
    outbox = Outbox()
    dropped = sum(map(outbox.put, frames))
    return taken(outbox), dropped


def test_a_message_does_not_wait_behind_requests() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.put(request(number))
    assert outbox.take() == request(0)
    outbox.put(VOTE)
    answer = Answer(Tag(1, 1), None)
    outbox.put(answer)
    assert taken(outbox) == [VOTE, request(1), request(2), answer]


@pytest.mark.parametrize(
    "frames",
    [
        [request(number, MAX_QUEUED // 4) for number in range(10)],
        [Answer(Tag(1, number), Value(bytes(MAX_QUEUED // 4))) for number in range(10)],
        [Answer(Tag(1, number), Failed("ERR", "x" * (MAX_QUEUED // 4))) for number in range(10)],
        [
            RaftFrame(
                replace(
                    HEARTBEAT, prev_log_index=number, entries=(Entry(3, "x" * (MAX_QUEUED // 4)),)
                )
            )
            for number in range(1, 11)
        ],
    ],
)
def test_of_too_much_the_oldest_is_dropped(frames: list[Frame]) -> None:
    assert filled(frames) == (frames[-3:], 7)


def test_many_frames_that_carry_nothing_are_too_much_as_well() -> None:
    left, dropped = filled([VOTE] * 1_000_000)
    assert dropped > 0
    assert len(left) + dropped == 1_000_000


def test_requests_never_displace_messages_nor_the_other_way_round() -> None:
    large = [request(number, MAX_QUEUED // 2) for number in range(5)]
    message = RaftFrame(replace(HEARTBEAT, entries=(Entry(3, "x" * (MAX_QUEUED - 1000)),)))
    assert filled([*large, message, VOTE, *large]) == ([message, VOTE, large[-1]], 9)


def test_a_frame_larger_than_all_that_is_kept_is_sent_alone() -> None:
    assert filled([request(1), request(2, 2 * MAX_QUEUED)]) == ([request(2, 2 * MAX_QUEUED)], 1)


# --- AppendEntries that carry an earlier one -----------------------------------------------------


def test_a_message_that_carries_all_of_the_one_before_replaces_it() -> None:
    repeated = [
        *(replace(HEARTBEAT, entries=ENTRIES[:count]) for count in (0, 2, 2, 5)),
        replace(HEARTBEAT, entries=ENTRIES, leader_commit=7),
    ]
    assert filled(map(RaftFrame, repeated)) == ([RaftFrame(repeated[-1])], 0)


@pytest.mark.parametrize(
    "later",
    [
        replace(HEARTBEAT, entries=ENTRIES[:1]),
        replace(HEARTBEAT, entries=ENTRIES, term=4),
        replace(HEARTBEAT, entries=ENTRIES, prev_log_index=7),
        replace(HEARTBEAT, entries=ENTRIES, leader_commit=3),
    ],
)
def test_a_message_that_carries_less_or_other_entries_does_not(later: AppendEntries) -> None:
    both = [RaftFrame(replace(HEARTBEAT, entries=ENTRIES[:2])), RaftFrame(later)]
    assert filled(both) == (both, 0)


def test_only_the_message_before_is_replaced() -> None:
    between: list[Frame] = [RaftFrame(HEARTBEAT), VOTE, RaftFrame(HEARTBEAT)]
    assert filled(between) == (between, 0)
