"""Pipelining: entries are sent once, within a window, and again only if they are lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_check.strategies import events, events_at, messages_to
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Config,
    Entry,
    Index,
    Leader,
    Log,
    NodeState,
    Receive,
    Window,
    step,
)
from raft_ref.codec import decode_config, encode
from raft_ref.extensions.pipelining import of_size, within_window
from tests.cluster import Cluster, acknowledgement, established
from tests.situations import broken_clauses, configured, leader_of, sent

WIDE = Window(100)


def span(request: AppendEntries) -> tuple[Index, int]:
    """Where the entries of a request begin, and how many they are."""
    return request.prev_log_index + 1, len(request.entries)


def spans(cluster: Cluster, to: int = 2) -> list[tuple[Index, int]]:
    return [span(each) for each in cluster.take(AppendEntries, to=to)]


def pipelined(*, max_entries: int = 100, per_append: int = 64) -> Cluster:
    """Server 1 leads three servers in term 1."""
    return established(
        [], [], [], max_entries_per_append=per_append, pipelining=Window(max_entries)
    )


# --- what is sent ----------------------------------------------------------------------------


def test_an_entry_is_sent_once_though_the_one_before_it_is_not_acknowledged() -> None:
    cluster = pipelined()
    for command in "abc":
        cluster.request(1, command)
    assert spans(cluster) == [(1, 1), (2, 1), (3, 1)]
    cluster.heartbeat(1)
    assert spans(cluster) == [(4, 0)]


def test_without_pipelining_each_request_repeats_what_is_not_acknowledged() -> None:
    cluster = established([], [], [])
    for command in "abc":
        cluster.request(1, command)
    assert spans(cluster) == [(1, 1), (1, 2), (1, 3)]


def test_requests_in_order_are_acknowledged_and_committed_in_order() -> None:
    cluster = pipelined()
    for command in "abc":
        cluster.request(1, command)
    cluster.settle()
    cluster.heartbeat(1)
    cluster.settle()
    assert [cluster.commands_applied(server) for server in (1, 2, 3)] == [["a", "b", "c"]] * 3


def test_a_full_window_lets_nothing_out_but_heartbeats() -> None:
    cluster = pipelined(max_entries=2)
    for command in "abc":
        cluster.request(1, command)
    assert spans(cluster) == [(1, 1), (2, 1)]
    cluster.heartbeat(1)
    assert spans(cluster) == [(3, 0)]


def test_an_acknowledgement_makes_room_for_as_much_as_it_confirms() -> None:
    cluster = pipelined(max_entries=4, per_append=2)
    for number in range(10):
        cluster.request(1, str(number))
    cluster.lose()
    cluster.receive(acknowledgement(2, term=1, match_index=1))
    assert spans(cluster) == [(5, 1)]
    cluster.receive(acknowledgement(2, term=1, match_index=4))
    assert spans(cluster) == [(6, 2), (8, 1)]
    cluster.receive(acknowledgement(2, term=1, match_index=4))
    assert spans(cluster) == []


def test_each_follower_has_a_window_of_its_own() -> None:
    cluster = pipelined(max_entries=1)
    cluster.request(1, "a")
    cluster.lose()
    cluster.receive(acknowledgement(2, term=1, match_index=1))
    cluster.request(1, "b")
    assert spans(cluster, to=2) == [(2, 1)]
    assert spans(cluster, to=3) == []


def test_a_new_leader_sends_no_entries_before_it_knows_where_logs_agree() -> None:
    """What precedes ``nextIndex`` is not acknowledged, and fills the window."""
    cluster = established([1] * 9, [1] * 9, [1], pipelining=Window(3), conflict_hints=True)
    cluster.request(1, "new")
    assert spans(cluster, to=3) == []
    cluster.heartbeat(1)
    assert spans(cluster, to=3) == [(10, 0)]


# --- what is lost ----------------------------------------------------------------------------


def test_a_lost_request_is_noticed_by_the_next_heartbeat_and_repeated() -> None:
    cluster = pipelined()
    cluster.request(1, "a")
    cluster.lose()
    cluster.heartbeat(1)
    cluster.deliver(AppendEntries, to=2)
    (rejection,) = cluster.take(AppendEntriesReply, source=2)
    assert not rejection.success
    cluster.receive(rejection)
    assert spans(cluster) == [(1, 1)]


def test_one_retry_though_several_requests_are_rejected() -> None:
    """They all hint at the same index. Once it is tried, the other rejections are old."""
    cluster = established([], [], [], pipelining=WIDE, conflict_hints=True)
    for command in "abcd":
        cluster.request(1, command)
    lost, *others = cluster.take(AppendEntries, to=2)
    cluster.lose()
    cluster.receive(*others)
    rejections = cluster.take(AppendEntriesReply, source=2)
    assert [each.success for each in rejections] == [False] * 3
    cluster.receive(*rejections)
    assert spans(cluster) == [(1, 4)]
    assert lost.prev_log_index == 0


def test_requests_that_overtake_each_other_are_repeated_until_the_log_is_complete() -> None:
    cluster = established([], [], [], pipelining=WIDE, conflict_hints=True)
    for command in "abcd":
        cluster.request(1, command)
    cluster.receive(*reversed(cluster.take(AppendEntries, to=2)))
    cluster.settle()
    assert cluster[2].log == cluster[1].log


@pytest.mark.parametrize("window", [1, 3, 100])
def test_a_follower_that_was_down_has_everything_in_the_end(window: int) -> None:
    cluster = established(
        [1] * 20,
        [1] * 20,
        [1] * 3,
        max_entries_per_append=2,
        pipelining=Window(window),
        conflict_hints=True,
    )
    for number in range(10):
        cluster.request(1, str(number))
    cluster.heartbeat(1)
    cluster.settle()
    assert cluster[3].log == cluster[1].log
    assert cluster[1].commit_index == 30


# --- limits by size --------------------------------------------------------------------------


def entries(*sizes: int) -> tuple[Entry, ...]:
    return tuple(Entry(1, "x" * size) for size in sizes)


@pytest.mark.parametrize(
    ("sizes", "most", "count"),
    [((), 5, 0), ((5,), 5, 1), ((6,), 5, 1), ((2, 3, 1), 5, 2), ((9, 1), 5, 1), ((0, 9), 5, 1)],
)
def test_entries_up_to_a_size_but_at_least_one(
    sizes: tuple[int, ...], most: int, count: int
) -> None:
    assert len(of_size(entries(*sizes), most)) == count


@pytest.mark.parametrize(
    ("match_index", "prev_log_index", "count"),
    [(0, 0, 2), (1, 1, 2), (0, 1, 1), (0, 2, 0), (1, 2, 1), (0, 4, 0), (4, 4, 1)],
)
def test_a_window_in_characters(match_index: Index, prev_log_index: Index, count: int) -> None:
    log = Log(entries(3, 3, 3, 3, 3))
    config = Config(id=1, servers=frozenset({1, 2}), pipelining=Window(100, 6))
    following = log.between(prev_log_index, log.last_index)
    allowed = within_window(config, log, match_index, prev_log_index, following)
    assert allowed == following[:count]


def test_a_request_carries_no_more_characters_than_allowed() -> None:
    config = Config(id=1, servers=frozenset({1, 2}), max_size_per_append=5)
    cluster = established([1], [1])
    cluster.configs[1] = config
    for command in ("abc", "de", "f", "long enough"):
        cluster.request(1, command)
    cluster.lose()
    cluster.receive(acknowledgement(2, term=2, match_index=1))
    assert spans(cluster) == [(2, 2)]
    cluster.receive(acknowledgement(2, term=2, match_index=4))
    assert spans(cluster) == [(5, 1)]


@pytest.mark.parametrize("limits", [(0, None), (-1, 5), (1, 0)])
def test_a_window_has_room_for_something(limits: tuple[int, int | None]) -> None:
    with pytest.raises(ValueError, match="of a window must be at least 1"):
        Window(*limits)


# --- any state, any event --------------------------------------------------------------------


@st.composite
def extended(draw: st.DrawFn, config: Config) -> Config:
    """``config`` with some of the extensions on."""
    windows = st.builds(Window, st.integers(1, 4), st.none() | st.integers(1, 4))
    return replace(
        config,
        conflict_hints=draw(st.booleans()),
        pipelining=draw(st.none() | windows),
        max_size_per_append=draw(st.none() | st.integers(1, 4)),
    )


@given(st.data())
def test_states_stay_consistent_with_extensions(data: st.DataObject) -> None:
    config, state = data.draw(configured())
    requests = messages_to(config, state, among=[AppendEntries])
    event = data.draw(events_at(config, state) | st.builds(Receive, requests))
    config = data.draw(extended(config))
    assert broken_clauses(config, step(config, state, event).state) == set()


@given(st.data())
def test_extensions_change_nothing_but_next_index_and_what_requests_and_rejections_say(
    data: st.DataObject,
) -> None:
    config, state = data.draw(configured())
    event = data.draw(events(config) | events_at(config, state))
    plain, other = (step(each, state, event) for each in (config, data.draw(extended(config))))
    assert essence(plain.state) == essence(other.state)


def essence(state: NodeState) -> NodeState:
    """A state but for ``nextIndex``."""
    role = state.role
    if not isinstance(role, Leader):
        return state
    return replace(state, role=replace(role, next_index=role.match_index))


@given(st.data())
def test_no_more_is_on_its_way_than_the_window_allows(data: st.DataObject) -> None:
    config, state = data.draw(configured())
    window = data.draw(st.integers(1, 4))
    config = replace(config, pipelining=Window(window))
    after = step(config, state, data.draw(events(config) | events_at(config, state)))
    for message in sent(after):
        if isinstance(message, AppendEntries) and message.entries:
            last = message.prev_log_index + len(message.entries)
            assert last - leader_of(after.state).match_index[message.destination] <= window


@given(st.data())
def test_a_config_with_extensions_comes_back_from_json(data: st.DataObject) -> None:
    config, _ = data.draw(configured())
    for each in (config, data.draw(extended(config))):
        written = encode(each)
        assert decode_config(written) == each
        assert isinstance(written, dict)
        assert ("pipelining" in written) == (each.pipelining is not None)
