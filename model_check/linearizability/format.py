"""Histories in files, of a key-value store; see ``spec/history_format.md``.

The types are the schema: every line is checked against them, and
``spec/schemas/history.schema.json`` is made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from model_check.linearizability.history import Completed, Operation, Pending
from model_check.linearizability.models import (
    CompareAndSet,
    Delete,
    Get,
    KeyValueAction,
    KeyValueResult,
    Set,
)

KeyValueOperation: TypeAlias = Operation[KeyValueAction, KeyValueResult]


class HistoryError(ValueError):
    """A line is not what the format says: what is wrong with it, and what to do."""


# --- lines ---------------------------------------------------------------------------------------


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="operation"):
    """An operation that a client invoked."""

    client: Annotated[str, Meta(min_length=1)]
    key: str
    invoked: int | float
    responded: int | float | None = None
    """Left out, or null, if its outcome is unknown."""


class GetLine(Line, frozen=True, kw_only=True, tag="get"):
    """Asks for the value of a key."""

    result: str | UnsetType | None = UNSET
    """The value; null for none."""


class SetLine(Line, frozen=True, kw_only=True, tag="set"):
    """Gives a key a value."""

    value: str
    result: Literal["OK"] | UnsetType = UNSET


class DeleteLine(Line, frozen=True, kw_only=True, tag="del"):
    """Takes its value from a key."""

    result: Literal[0, 1] | UnsetType = UNSET
    """1 if it had one."""


class CompareAndSetLine(Line, frozen=True, kw_only=True, tag="cas"):
    """Gives a key a value if it has the one that is expected."""

    expected: str | None
    """Null: if it has none."""
    value: str
    result: Literal[0, 1] | UnsetType = UNSET
    """1 if it had it."""


AnyLine: TypeAlias = GetLine | SetLine | DeleteLine | CompareAndSetLine

_DECODER = msgspec.json.Decoder(AnyLine)
_ENCODER = msgspec.json.Encoder()

# --- both ways -----------------------------------------------------------------------------------


def read(line: bytes) -> KeyValueOperation:
    """The operation in a line.

    Raises:
        HistoryError: if it is none.
    """
    try:
        return _operation(_DECODER.decode(line))
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise HistoryError(f"{error}; see spec/history_format.md") from None


def written(history: Iterable[KeyValueOperation]) -> Iterator[bytes]:
    """The lines of a file with ``history``."""
    return (_ENCODER.encode(as_line(operation)) + b"\n" for operation in history)


def _operation(line: AnyLine) -> KeyValueOperation:
    action, result = _action(line), line.result
    if line.responded is None:
        if not isinstance(result, UnsetType):
            raise HistoryError("a result, but no time of response; leave out both or neither")
        return Pending(line.client, action, line.invoked)
    if isinstance(result, UnsetType):
        raise HistoryError("a time of response, but no result; leave out both or neither")
    return Completed(line.client, action, line.invoked, line.responded, result)


def _action(line: AnyLine) -> KeyValueAction:
    match line:
        case GetLine():
            return Get(line.key)
        case SetLine():
            return Set(line.key, line.value)
        case DeleteLine():
            return Delete(line.key)
        case CompareAndSetLine():
            return CompareAndSet(line.key, line.expected, line.value)


def as_line(operation: KeyValueOperation) -> dict[str, object]:
    """The line of an operation, as JSON data."""
    fields: dict[str, object] = {"client": operation.client, "invoked": operation.invoked}
    if isinstance(operation, Completed):
        fields |= {"responded": operation.responded, "result": operation.result}
    match operation.action:
        case Get(key):
            return {"operation": "get", "key": key, **fields}
        case Set(key, value):
            return {"operation": "set", "key": key, "value": value, **fields}
        case Delete(key):
            return {"operation": "del", "key": key, **fields}
        case CompareAndSet(key, expected, value):
            asked = {"operation": "cas", "key": key, "expected": expected, "value": value}
            return {**asked, **fields}


def schema() -> dict[str, object]:
    """The JSON schema of a line."""
    (line,), definitions = msgspec.json.schema_components((AnyLine,), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a history in the format of raft-ref: an operation on a key-value store",
        "description": "Explained in spec/history_format.md.",
        **line,
        "$defs": dict(sorted(definitions.items())),
    }
