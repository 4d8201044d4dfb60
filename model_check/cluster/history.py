"""What clients of a cluster were told, as it is judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from model_check.linearizability.format import KeyValueOperation, written
from model_check.linearizability.history import Completed, Pending
from model_check.linearizability.models import (
    CompareAndSet,
    Delete,
    Get,
    KeyValueAction,
    KeyValueResult,
    Set,
)
from raft_ref.cluster.commands import Words
from raft_ref.cluster.history import Operation
from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value

COUNTING = "INCR"
"""What is done in sessions, and judged by `miscounts`."""

HISTORY = "history.ndjson"
"""What is kept of a run, for ``raft-ref linearizable``."""


def as_history(operations: Iterable[Operation]) -> list[KeyValueOperation]:
    """What was asked of the key-value store, as a history of it; counting is no part of that.

    Raises:
        ValueError: if a client was told what no store tells: an error that is none of ours.
    """
    return [
        _as_operation(each)
        for each in operations
        if each.name != COUNTING and each.certainty != "failed"
    ]


def write_history(operations: Iterable[Operation], directory: Path) -> None:
    """Write `HISTORY` into a directory.

    Raises:
        OSError: if that cannot be done.
    """
    with (directory / HISTORY).open("wb") as file:
        file.writelines(written(as_history(operations)))


def miscounts(operations: Iterable[Operation]) -> Iterator[str]:
    """Counting calls in a session that were not applied exactly once each.

    Of each client, in the order in which it was answered; the n-th must be answered with n.
    """
    counted: dict[int, int] = {}
    for operation in operations:
        if operation.name == COUNTING:
            expected = counted[operation.client] = counted.get(operation.client, 0) + 1
            if operation.reply != Count(expected):
                yield f"call {expected} of client {operation.client} got {operation.reply}"


def _as_operation(operation: Operation) -> KeyValueOperation:
    client, action = str(operation.client), _action(operation.words)
    if operation.certainty == "unknown":
        return Pending(client, action, operation.start)
    result = _result(operation.reply)
    return Completed(client, action, operation.start, operation.end, result)


def _action(words: Words) -> KeyValueAction:
    match [word.decode() for word in words]:
        case ["GET", key]:
            return Get(key)
        case ["SET", key, value]:
            return Set(key, value)
        case ["DEL", key]:
            return Delete(key)
        case ["CAS", key, expected, value]:
            return CompareAndSet(key, expected, value)
        case _:
            raise ValueError(f"no operation on one key: {words}")


def _result(reply: Reply) -> KeyValueResult:
    match reply:
        case Done():
            return "OK"
        case Value(data):
            return None if data is None else data.decode()
        case Count(number):
            return number
        case Failed():
            raise ValueError(f"no answer of a store: {reply}")
