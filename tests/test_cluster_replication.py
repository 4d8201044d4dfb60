"""How a cluster replicates: limits that fit together, messages that become one or wait."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    Config,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    NodeState,
    PersistentState,
    Receive,
    RequestVoteReply,
    Role,
    Send,
    Window,
)
from raft_ref.cluster.coalescing import Coalescing, Step
from raft_ref.cluster.commands import as_text
from raft_ref.cluster.frames import RaftFrame
from raft_ref.cluster.outbox import MAX_QUEUED, Outbox
from raft_ref.cluster.replication import MAX_ENTRIES, MAX_SIZE, WINDOW, replicating
from raft_ref.cluster.server import Arrived, Asked, Server
from raft_ref.cluster.timers import Timing
from raft_ref.cluster.wire import (
    LENGTH_SIZE,
    MAX_ENTRY,
    MAX_FRAME,
    MAX_FRAME_ENTRIES,
    MAX_NUMBER,
    decode_frame,
    encode_frame,
)
from raft_ref.extensions.pipelining import of_size

CONFIG = replicating(1, frozenset({1, 2, 3}))
LARGEST_CHARACTER = "\U0010ffff"


def append(
    prev_log_index: int, *entries: Entry, term: int = 2, commit: int = 0, peer: int = 2
) -> AppendEntries:
    return AppendEntries(
        source=1,
        destination=peer,
        term=term,
        prev_log_index=prev_log_index,
        prev_log_term=2,
        entries=entries,
        leader_commit=commit,
    )


def entries(first: int, count: int, size: int = 5) -> tuple[Entry, ...]:
    return tuple(Entry(2, f"{number:0>{size}}") for number in range(first, first + count))


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "commands",
    [
        [LARGEST_CHARACTER * (MAX_SIZE // MAX_ENTRIES)] * MAX_ENTRIES,
        [LARGEST_CHARACTER * (MAX_ENTRY // 4)] * (MAX_SIZE // (MAX_ENTRY // 4)),
        ["x" * MAX_ENTRY] * (MAX_SIZE // MAX_ENTRY),
    ],
    ids=["as many as travel", "the longest", "the longest of ASCII"],
)
def test_the_largest_message_is_a_frame_that_is_read(commands: list[str]) -> None:
    sent = tuple(Entry(MAX_NUMBER, command) for command in commands)
    assert len(sent) <= MAX_ENTRIES <= MAX_FRAME_ENTRIES
    assert of_size((*sent, Entry(1, "x")), MAX_SIZE) == sent, "it is not larger than what is sent"
    message = replace(
        append(MAX_NUMBER, *sent, term=MAX_NUMBER, commit=MAX_NUMBER), prev_log_term=MAX_NUMBER
    )
    content = encode_frame(RaftFrame(message))[LENGTH_SIZE:]
    assert len(content) <= MAX_FRAME
    reader = replace(CONFIG, id=2)
    assert decode_frame(content, reader, 1, MAX_NUMBER) == RaftFrame(message)


def test_an_entry_that_is_sent_although_it_is_too_long_is_not_longer_than_a_message() -> None:
    assert MAX_ENTRY <= MAX_SIZE


def test_the_window_fits_into_the_queue_several_times() -> None:
    assert WINDOW.max_size is not None
    size = WINDOW.max_size // WINDOW.max_entries
    outbox, dropped = Outbox(), 0
    for times in range(4):
        first = times * WINDOW.max_entries + 1
        for index in range(first, first + WINDOW.max_entries):
            dropped += outbox.put(RaftFrame(append(index, *entries(index, 1, size))))
    assert dropped == 0
    assert 4 * WINDOW.max_size < MAX_QUEUED


# --- messages that become one ------------------------------------------------------------------


def step(*messages: AppendEntries | RequestVoteReply) -> Step:
    return Step(HeartbeatTimeout(), NodeState(), NodeState(), tuple(map(Send, messages)))


def joined(*messages: AppendEntries | RequestVoteReply, config: Config = CONFIG) -> list[object]:
    """The messages that leave, of steps that send one each."""
    steps = Coalescing(config).coalesced([step(message) for message in messages])
    assert len(steps) == len(messages)
    return [output.message for each in steps for output in each.outputs if isinstance(output, Send)]


def test_consecutive_messages_become_one_in_the_place_of_the_last() -> None:
    vote = RequestVoteReply(source=1, destination=2, term=2, vote_granted=True)
    one, two, three = append(3, *entries(4, 2)), append(5, commit=1), append(5, *entries(6, 1))
    whole = append(3, *entries(4, 3), commit=2)
    assert joined(one, vote, two, replace(three, leader_commit=2)) == [vote, whole]
    (at_once,) = Coalescing(CONFIG).coalesced(
        [step(one, vote, two, replace(three, leader_commit=2))]
    )
    assert at_once.outputs == (Send(vote), Send(whole))


def test_messages_to_different_peers_stay_apart() -> None:
    messages = [append(number, *entries(number + 1, 1), peer=2 + number) for number in range(2)]
    both = [append(0, *entries(1, 3), peer=peer) for peer in (2, 3)]
    more = [append(peer - 1, *entries(peer, 4 - peer), peer=peer) for peer in (2, 3)]
    assert joined(*messages) == messages
    assert (
        joined(
            append(0, *entries(1, 1), peer=2),
            append(0, *entries(1, 2), peer=3),
            *more,
        )
        == both
    )


@pytest.mark.parametrize(
    "later",
    [
        append(4, *entries(5, 2)),
        append(6, *entries(7, 1)),
        append(3, *entries(4, 5)),
        append(5, *entries(6, 1), term=3),
    ],
    ids=["overlaps", "leaves a gap", "says all of it again", "of another term"],
)
def test_other_messages_stay_as_they_are(later: AppendEntries) -> None:
    earlier = append(3, *entries(4, 2))
    assert joined(earlier, later) == [earlier, later]


def test_no_message_becomes_larger_than_one_may_be() -> None:
    config = replace(CONFIG, max_entries_per_append=3, max_size_per_append=20)
    few = [append(index, *entries(index + 1, 1)) for index in range(5)]
    assert joined(*few, config=config) == [append(0, *entries(1, 3)), append(3, *entries(4, 2))]
    large = [append(index, *entries(index + 1, 1, size=10)) for index in range(3)]
    assert joined(*large, config=config) == [
        append(0, *entries(1, 2, size=10)),
        append(2, *entries(3, 1, size=10)),
    ]


@given(some.lists(some.tuples(some.integers(0, 6), some.integers(0, 4)), max_size=8))
def test_no_entry_is_left_out_and_none_is_sent_that_was_not(places: list[tuple[int, int]]) -> None:
    messages = [append(prev, *entries(prev + 1, count)) for prev, count in places]
    config = replace(CONFIG, max_entries_per_append=5)
    left = joined(*messages, config=config)

    def sent(found: list[AppendEntries]) -> set[tuple[int, Entry]]:
        return {
            (each.prev_log_index + number, entry)
            for each in found
            for number, entry in enumerate(each.entries, start=1)
        }

    kept = [each for each in left if isinstance(each, AppendEntries)]
    assert sent(kept) == sent(messages)
    assert bool(kept) == bool(messages)


def test_a_message_of_an_earlier_term_leaves_with_its_own_step() -> None:
    earlier, later = append(3, *entries(4, 1)), append(4, *entries(5, 1), term=3)
    first, second = Coalescing(CONFIG).coalesced([step(earlier), step(later)])
    assert (first.outputs, second.outputs) == ((Send(earlier),), (Send(later),))


# --- messages that wait ------------------------------------------------------------------------


class Sender:
    """A leader of term 2, of which another server has acknowledged some entries."""

    def __init__(self) -> None:
        self.coalescing = Coalescing(CONFIG)
        self.role: Role = self.acknowledged(0)

    def acknowledged(self, index: int) -> Leader:
        self.role = Leader(IndexMap.uniform((2, 3), 1), IndexMap(((2, index), (3, 0))))
        return self.role

    def does(self, event: Event, *messages: AppendEntries, term: int = 2) -> list[object]:
        """The messages that leave in a batch of one step."""
        state = NodeState(PersistentState(term), self.role)
        batch = [Step(event, state, state, tuple(map(Send, messages)))]
        (after,) = self.coalescing.coalesced(batch)
        return [output.message for output in after.outputs if isinstance(output, Send)]


ASKED, HEARTBEAT = ClientRequest("c"), HeartbeatTimeout()
ANSWERED = Receive(AppendEntriesReply(source=2, destination=1, term=2, success=True, match_index=1))


@pytest.fixture
def sender() -> Sender:
    """It has sent the first entry, and two more wait."""
    sender = Sender()
    first = append(0, *entries(1, 1))
    assert sender.does(ASKED, first) == [first]
    for index in (1, 2):
        assert sender.does(ASKED, append(index, *entries(index + 1, 1))) == []
    return sender


def test_new_entries_leave_once_the_earlier_ones_are_acknowledged(sender: Sender) -> None:
    sender.acknowledged(1)
    assert sender.does(ANSWERED) == [append(1, *entries(2, 2))]
    assert sender.does(ANSWERED) == [], "they are sent once"
    assert sender.does(ASKED, append(3, *entries(4, 1))) == [], "the two are not acknowledged"


def test_new_entries_leave_with_the_next_heartbeat(sender: Sender) -> None:
    assert sender.does(HEARTBEAT, append(3, commit=1)) == [append(1, *entries(2, 2), commit=1)]


def test_a_heartbeat_does_not_wait_with_new_entries_that_follow_it_in_the_batch(
    sender: Sender,
) -> None:
    state = NodeState(PersistentState(2), sender.role)
    told: list[tuple[Event, AppendEntries]] = [
        (HEARTBEAT, append(3)),
        (ASKED, append(3, *entries(4, 1))),
    ]
    steps = [Step(event, state, state, (Send(message),)) for event, message in told]
    _, last = sender.coalescing.coalesced(steps)
    assert last.outputs == (Send(append(1, *entries(2, 3))),)


def test_new_entries_leave_before_entries_that_are_sent_again(sender: Sender) -> None:
    again = append(0, *entries(1, 1))
    assert sender.does(ANSWERED, again) == [append(1, *entries(2, 2)), again]


def test_new_entries_do_not_wait_for_another_server(sender: Sender) -> None:
    for_other = append(0, *entries(1, 3), peer=3)
    assert sender.does(ASKED, for_other) == [for_other]


def test_what_waits_is_forgotten_with_the_office(sender: Sender) -> None:
    sender.role = Follower(2)
    assert sender.does(ANSWERED, term=3) == []
    sender.acknowledged(0)
    first = append(3, *entries(4, 1), term=4)
    assert sender.does(ASKED, first, term=4) == [first]


def test_what_waits_is_forgotten_if_the_next_term_is_led_at_once(sender: Sender) -> None:
    sender.acknowledged(0)
    first = append(3, *entries(4, 1), term=4)
    assert sender.does(ASKED, first, term=4) == [first]


# --- a server that is down -----------------------------------------------------------------------


def test_the_queue_for_a_server_that_is_down_holds_a_window_and_a_heartbeat() -> None:
    config = replace(CONFIG, pipelining=Window(max_entries=10))
    timing = Timing(election_timeout=1, heartbeat_interval=0.25, request_timeout=10)
    server = Server(config, PersistentState(), timing, Random(1), now=0)  # noqa: S311
    vote = RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)
    server.handle(2, [])
    batches = [server.handle(2, [Arrived(2, RaftFrame(vote))])]
    for number in range(100):
        index = server.state.log.last_index
        reply = AppendEntriesReply(source=2, destination=1, term=1, success=True, match_index=index)
        asked = Asked(number, as_text((b"SET", b"k", b"v")))
        batches.append(server.handle(2 + number / 10, [Arrived(2, RaftFrame(reply)), asked]))
    outbox, queued = Outbox(), []
    for batch in batches:
        for destination, frame in batch.sends:
            if destination == 3:
                assert outbox.put(frame) == 0
    while (taken := outbox.take()) is not None:
        assert isinstance(taken, RaftFrame)
        assert isinstance(taken.message, AppendEntries)
        queued.append(taken.message)
    assert server.state.commit_index >= 99
    assert sum(len(message.entries) for message in queued) == 10
    assert [len(message.entries) for message in queued].count(0) == 1
