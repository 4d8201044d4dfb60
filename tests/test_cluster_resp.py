"""What clients say and hear, without connections."""

from __future__ import annotations

import hiredis
import pytest

from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value
from raft_ref.cluster.resp import (
    MAX_UNREAD,
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


@pytest.mark.parametrize(
    "rubbish",
    [
        *(b"GET k\r\n", b":1\r\n", b"*1\r\n:1\r\n", b"*1\r\n*0\r\n", b"-E\r\n"),
        *(b"#f\r\n", b"%1\r\n*0\r\n+x\r\n", b"*999999999999\r\n"),
    ],
)
def test_what_is_no_command_ends_the_conversation(rubbish: bytes) -> None:
    (todo,) = Conversation().feed(rubbish + pack(b"PING"))
    assert isinstance(todo, End)
    assert todo.content.startswith(b"-ERR Protocol error")


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


def test_a_command_that_never_ends_ends_the_conversation() -> None:
    conversation = Conversation()
    todos = [*conversation.feed(b"*1\r\n$99999999\r\n"), *conversation.feed(b"x" * MAX_UNREAD)]
    assert [type(todo) for todo in todos] == [End]


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


def test_information_is_lines() -> None:
    assert (
        parsed(information({"id": 1, "role": "leader"})) == b"# raft-ref\r\nid:1\r\nrole:leader\r\n"
    )
