"""The key-value store that the cluster replicates, and its sessions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref.cluster.commands import (
    MAX_TEXT,
    NoCommand,
    Words,
    as_commands,
    as_entry,
    as_text,
    as_words,
    grouped,
)
from raft_ref.cluster.machine import Machine, refusal
from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value


def apply(machine: Machine, *words: bytes) -> Reply:
    (reply,) = machine.apply(as_entry((as_text(words),)))
    return reply


@given(some.lists(some.binary()).map(tuple))
def test_every_byte_of_a_command_survives_its_text(words: Words) -> None:
    assert as_words(as_text(words)) == words


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '["GET"', '[{"base64":"?"}]', '[{"base32":""}]', '["\ud800"]']
)
def test_what_is_no_command_is_refused_and_does_nothing(text: str) -> None:
    with pytest.raises(NoCommand):
        as_words(text)
    machine = Machine()
    for entry in (text, f"[{text or 1}]"):
        with pytest.raises(NoCommand):
            as_commands(entry)
        assert machine.apply(entry) == ()
    assert machine == Machine()


def test_the_commands_of_the_store() -> None:
    machine = Machine()
    assert apply(machine, b"GET", b"k") == Value(None)
    assert apply(machine, b"set", b"k", b"v") == Done()
    assert apply(machine, b"GET", b"k") == Value(b"v")
    assert apply(machine, b"CAS", b"k", b"other", b"w") == Count(0)
    assert apply(machine, b"CAS", b"k", b"v", b"w") == Count(1)
    assert apply(machine, b"CAS", b"absent", b"", b"w") == Count(0)
    assert apply(machine, b"DEL", b"k", b"absent") == Count(1)
    assert apply(machine, b"INCR", b"n") == Count(1)
    assert apply(machine, b"INCR", b"n") == Count(2)
    assert apply(machine, b"INCRBY", b"n", b"-5") == Count(-3)
    assert machine.store == {b"n": b"-3"}


@pytest.mark.parametrize("value", [b"x", b"", b"-", b"1.5", b"9223372036854775807", b"1" * 30])
def test_only_numbers_are_incremented(value: bytes) -> None:
    machine = Machine(store={b"n": value})
    assert isinstance(apply(machine, b"INCR", b"n"), Failed)
    assert machine.store == {b"n": value}


NUMBERED = "session and sequence must be integers, the sequence from 0 on"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "empty command"),
        ((b"FLUSHALL",), "unknown command 'FLUSHALL'"),
        ((b"GET",), "wrong number of arguments for 'get' command"),
        ((b"SET", b"k", b"v", b"EX", b"1"), "wrong number of arguments for 'set' command"),
        ((b"RAFT.SESSION", b"x"), "wrong number of arguments for 'raft.session' command"),
        ((b"RAFT.CALL", b"1", b"1"), "wrong number of arguments for 'raft.call' command"),
        ((b"RAFT.CALL", b"x", b"1", b"GET", b"k"), NUMBERED),
        ((b"RAFT.CALL", b"1", b"-1", b"GET", b"k"), NUMBERED),
        ((b"RAFT.CALL", b"1", b"1", b"RAFT.CALL"), "no command for a session: 'RAFT.CALL'"),
        ((b"RAFT.CALL", b"1", b"1", b"GET"), "wrong number of arguments for 'get' command"),
    ],
)
def test_what_can_only_fail_is_refused(words: Words, reason: str) -> None:
    assert refusal(words) == Failed("ERR", reason)
    assert apply(Machine(), *words) == Failed("ERR", reason)


# --- sessions --------------------------------------------------------------------------------


def call(machine: Machine, session: int, sequence: int) -> Reply:
    return apply(machine, b"RAFT.CALL", b"%d" % session, b"%d" % sequence, b"INCR", b"n")


def test_a_call_is_applied_once_however_often_it_comes() -> None:
    machine = Machine()
    apply(machine, b"GET", b"k")
    assert apply(machine, b"RAFT.SESSION") == Count(2)
    assert [call(machine, 2, 1) for _ in range(3)] == [Count(1)] * 3
    assert [call(machine, 2, 2) for _ in range(2)] == [Count(2)] * 2
    assert machine.store == {b"n": b"2"}


def test_the_first_call_may_be_numbered_0() -> None:
    machine = Machine()
    apply(machine, b"RAFT.SESSION")
    assert [call(machine, 1, 0) for _ in range(2)] == [Count(1)] * 2


def test_a_call_that_another_followed_is_not_answered_as_if_it_were_new() -> None:
    machine = Machine()
    apply(machine, b"RAFT.SESSION")
    call(machine, 1, 7)
    late = call(machine, 1, 6)
    assert isinstance(late, Failed)
    assert late.code == "OLDCALL"
    assert machine.store == {b"n": b"1"}


def test_the_session_used_the_longest_ago_is_forgotten_and_its_calls_refused() -> None:
    machine = Machine(max_sessions=2)
    one, other = (apply(machine, b"RAFT.SESSION") for _ in range(2))
    assert (one, other) == (Count(1), Count(2))
    call(machine, 1, 1)
    assert apply(machine, b"RAFT.SESSION") == Count(4)
    forgotten = call(machine, 2, 1)
    assert isinstance(forgotten, Failed)
    assert forgotten.code == "NOSESSION"
    assert call(machine, 1, 1) == Count(1)
    assert call(machine, 4, 1) == Count(2)


def test_sessions_that_are_opened_by_one_entry_differ() -> None:
    machine = Machine()
    assert machine.apply(as_entry(['["RAFT.SESSION"]'] * 2)) == (Count(1), Count(2))


# --- groups ----------------------------------------------------------------------------------


@given(some.lists(some.integers(0, MAX_TEXT)))
def test_what_is_grouped_keeps_its_order_and_fits(sizes: list[int]) -> None:
    groups = list(grouped(sizes, lambda size: "x" * size))
    assert [size for group in groups for size in group] == sizes
    assert all(group and sum(group) <= MAX_TEXT for group in groups)
    assert all(sum(group) + later[0] > MAX_TEXT for group, later in pairwise(groups))
