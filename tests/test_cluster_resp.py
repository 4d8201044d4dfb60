"""What clients say and hear, without connections."""

from __future__ import annotations

import tracemalloc
from random import Random

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref.cluster.limits import ClientLimits
from raft_ref.cluster.parser import MAX_WORDS, CommandParser
from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value
from raft_ref.cluster.resp import (
    Conversation,
    End,
    Inform,
    Replicate,
    Say,
    Todo,
    information,
)


def said(*words: bytes, version: int = 2) -> Todo:
    (todo,) = Conversation(version).feed(pack(*words))
    return todo


def pack(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def parsed(content: bytes) -> object:
    reader = hiredis.Reader()
    reader.feed(content)
    return reader.gets()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((b"PING",), "PONG"),
        ((b"ping", b"x"), b"x"),
        ((b"ECHO", b"x"), b"x"),
        ((b"COMMAND", b"DOCS"), []),
        ((b"CLIENT", b"SETINFO", b"LIB-NAME", b"x"), "OK"),
        ((b"CLIENT", b"GETNAME"), None),
        ((b"SELECT", b"0"), "OK"),
        ((b"HELLO",), [b"server", b"raft-ref", b"proto", 2]),
        ((b"HELLO", b"3"), {b"server": b"raft-ref", b"proto": 3}),
    ],
)
def test_what_clients_say_of_themselves_is_answered_here(
    words: tuple[bytes, ...], answer: object
) -> None:
    todo = said(*words)
    assert isinstance(todo, Say)
    heard = parsed(todo.content)
    assert (
        heard.decode() if isinstance(answer, str) and isinstance(heard, bytes) else heard
    ) == answer


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((b"FLUSHALL",), "ERR unknown command 'FLUSHALL'"),
        ((b"GET",), "ERR wrong number of arguments for 'get' command"),
        ((b"ECHO",), "ERR wrong number of arguments for 'echo' command"),
        ((b"SELECT", b"1"), "ERR DB index is out of range"),
        ((b"CLIENT", b"LIST"), "ERR unknown subcommand of 'client'"),
        ((b"HELLO", b"4"), "NOPROTO unsupported protocol version"),
        ((b"HELLO", b"3", b"AUTH", b"a", b"b"), "ERR HELLO takes a version and no options here"),
        ((b"SET", b"k", b"x" * 70_000), "ERR a command is at most 65536 bytes long"),
        ((b"a\r\n+OK",), "ERR unknown command"),
    ],
)
def test_what_is_refused_is_refused_here(words: tuple[bytes, ...], error: str) -> None:
    todo = said(*words)
    assert isinstance(todo, Say)
    heard = parsed(todo.content)
    assert isinstance(heard, hiredis.ReplyError)
    assert str(heard).startswith(error)
    assert todo.content.count(b"\r\n") == 1


def test_what_the_store_does_is_replicated() -> None:
    assert said(b"SET", b"k", b"v") == Replicate('["SET","k","v"]')
    assert said(b"INFO") == Inform()
    assert isinstance(said(b"QUIT"), End)


def test_what_comes_in_pieces_or_together_is_read_all_the_same() -> None:
    one, other = pack(b"GET", b"k"), pack(b"PING")
    conversation = Conversation()
    todos = [todo for byte in one + other for todo in conversation.feed(bytes([byte]))]
    assert todos == list(Conversation().feed(one + other))
    assert len(todos) == 2


RUBBISH = {
    b"GET k\r\n": "expected '*', got 'G'",
    b":1\r\n": "expected '*', got ':'",
    b"\x00": "expected '*', got '\\x00'",
    b">300000000\r\n": "expected '*', got '>'",
    b"%1\r\n*0\r\n+x\r\n": "expected '*', got '%'",
    b"*1\r\n:1\r\n": "expected '$', got ':'",
    b"*1\r\n*0\r\n": "expected '$', got '*'",
    b"*1\r\n" * 100_000: "expected '$', got '*'",
    b"*1000000000\r\n": "invalid multibulk length",
    b"*999999999999999999999\r\n": "invalid multibulk length",
    b"*%d\r\n" % (MAX_WORDS + 1): "invalid multibulk length",
    b"*+1\r\n": "invalid multibulk length",
    b"*01\r\n": "invalid multibulk length",
    b"*1_0\r\n": "invalid multibulk length",
    b"*\r\n": "invalid multibulk length",
    b"*1\n$4\r\nPING\r\n": "invalid multibulk length",
    b"*" + b"1" * 40: "too big mbulk count string",
    b"*1\r\n$1000000000\r\n": "invalid bulk length",
    b"*1\r\n$-1\r\n": "invalid bulk length",
    b"*1\r\n$x\r\n": "invalid bulk length",
    b"*1\r\n$" + b"1" * 40: "too big bulk count string",
    b"*1\r\n$4\r\nPINGPONG": "a bulk string is longer than announced",
}


@pytest.mark.parametrize("rubbish", RUBBISH, ids=range(len(RUBBISH)))
def test_what_is_no_command_ends_the_conversation(rubbish: bytes) -> None:
    expected = f"-ERR Protocol error: {RUBBISH[rubbish]}\r\n".encode()
    assert list(Conversation().feed(rubbish + pack(b"PING"))) == [End(expected)]


@pytest.mark.parametrize(
    "announced", [b"*1000000000\r\n", b">300000000\r\n", b"*1\r\n$999999999\r\n"]
)
def test_no_memory_is_taken_for_what_is_only_announced(announced: bytes) -> None:
    tracemalloc.start()
    list(Conversation().feed(announced))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_a_command_may_be_as_long_as_the_limits_say_and_no_longer() -> None:
    limits = ClientLimits(proto_max_bulk_len=1000, client_query_buffer_limit=2000)
    most, more = pack(b"GET", b"x" * 1000), pack(b"GET", b"x" * 1001)
    assert isinstance(next(Conversation(limits=limits).feed(most)), Replicate)
    (todo,) = Conversation(limits=limits).feed(more)
    assert todo == End(b"-ERR Protocol error: invalid bulk length\r\n")
    for endless in (pack(*[b"x" * 1000] * 3), b"*1000000\r\n" + b"$0\r\n\r\n" * 400):
        (todo,) = Conversation(limits=limits).feed(endless)
        assert todo == End(b"-ERR Protocol error: a command of more than 2000 bytes\r\n")


def test_an_empty_array_is_no_command() -> None:
    assert list(Conversation().feed(b"*0\r\n*-1\r\n" + pack(b"GET", b"k"))) == [
        Replicate('["GET","k"]')
    ]


@given(some.lists(some.lists(some.binary(max_size=20), min_size=1, max_size=4)), some.randoms())
def test_commands_are_read_whatever_the_pieces_in_which_they_come(
    commands: list[list[bytes]], chance: Random
) -> None:
    content = b"".join(pack(*words) for words in commands)
    parser, found = CommandParser(ClientLimits()), []
    while content:
        cut = chance.randint(1, len(content))
        parser.feed(content[:cut])
        content = content[cut:]
        while (command := parser.next_command()) is not None:
            found.append(list(command))
    assert found == commands
    assert parser.held == 0


@given(some.binary(max_size=200), some.integers(0, 60))
def test_whatever_comes_is_read_or_refused_and_nothing_worse(rubbish: bytes, at: int) -> None:
    mutated = (PIPELINE[:at] + rubbish + PIPELINE[at:], PIPELINE[:at] + rubbish)
    for content in (rubbish, *mutated):
        conversation = Conversation()
        assert len(list(conversation.feed(content))) <= len(content)
        assert conversation.held <= len(content)


PIPELINE = pack(b"SET", b"key", b"value") + pack(b"PING") + pack(b"GET", b"key")


def test_of_a_transaction_nothing_is_done_and_the_client_is_told() -> None:
    conversation = Conversation()
    commands = [(b"multi",), (b"MULTI",), (b"SET", b"k", b"v"), (b"EXEC",), (b"GET", b"k")]
    todos = list(conversation.feed(b"".join(pack(*each) for each in commands)))
    contents = [each.content for each in todos if isinstance(each, Say)]
    assert contents[0] == b"+OK\r\n"
    assert contents[1].startswith(b"-ERR MULTI")
    assert contents[2] == b"+QUEUED\r\n"
    assert contents[3].startswith(b"-EXECABORT")
    assert todos[4:] == [Replicate('["GET","k"]')]


def test_a_transaction_is_given_up_or_was_never_begun() -> None:
    commands = [(b"MULTI",), (b"DISCARD",), (b"EXEC",), (b"DISCARD",)]
    todos = list(Conversation().feed(b"".join(pack(*each) for each in commands)))
    assert [each.content[:4] for each in todos if isinstance(each, Say)] == [
        *(b"+OK\r", b"+OK\r", b"-ERR", b"-ERR")
    ]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("reply", "heard"),
    [(Done(), "OK"), (Count(-5), -5), (Value(b"\r\n"), b"\r\n"), (Value(None), None)],
)
def test_replies_are_read_as_they_were_meant(reply: Reply, heard: object, version: int) -> None:
    found = parsed(Conversation(version).encode(reply))
    assert (
        found.decode() if isinstance(heard, str) and isinstance(found, bytes) else found
    ) == heard


def test_an_error_is_one_line_whatever_it_says() -> None:
    assert Conversation().encode(Failed("ERR", "a\r\nb")) == b"-ERR a b\r\n"
    assert Conversation().encode(Failed("ERR\r\n+OK", "a")) == b"-ERR +OK a\r\n"


def test_information_is_lines() -> None:
    assert (
        parsed(information({"id": 1, "role": "leader"})) == b"# raft-ref\r\nid:1\r\nrole:leader\r\n"
    )
