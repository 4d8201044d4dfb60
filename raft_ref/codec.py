"""JSON for every public value of the core, exactly reversible.

`encode` gives what `json.dumps` accepts; the ``decode_*`` functions take what `json.loads` gives,
check all of it, and raise `CodecError` saying where it is wrong and what was expected. For text,
`dumps` and `parse` stand before and after.

A value becomes an object with its fields. The members of a sum type (roles, messages, events,
outputs) also carry their name as ``"type"``. Tuples are arrays, sets are ascending arrays, and an
`IndexMap` is an object keyed by server. A field that belongs to an extension is absent where it has
its default:

>>> from raft_ref import Receive, RequestVoteReply
>>> dumps(Receive(RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)))
... # doctest: +NORMALIZE_WHITESPACE
'{"type": "Receive", "message": {"type": "RequestVoteReply", "source": 2, "destination": 1,
  "term": 1, "vote_granted": true}}'
"""

from __future__ import annotations

import json
import re
import types
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import NoReturn, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from raft_ref.events import Event, Output, Transition
from raft_ref.messages import ConflictHint, Message
from raft_ref.types import (
    EXTENSION,
    Config,
    Entry,
    IndexMap,
    Log,
    NodeState,
    PersistentState,
    Role,
    Window,
)

JSON: TypeAlias = "bool | int | str | list[JSON] | dict[str, JSON] | None"

Encodable: TypeAlias = (
    Config
    | Entry
    | Log
    | IndexMap
    | PersistentState
    | NodeState
    | Role
    | Message
    | Event
    | Output
    | Transition
    | Window
    | ConflictHint
)

_T = TypeVar("_T")

_TAGGED: Mapping[str, type] = {
    member.__name__: member
    for sum_type in (Role, Message, Event, Output)
    for member in get_args(sum_type)
}
"""The members of the sum types, by the name they carry as ``"type"``."""

_SERVER_NUMBER = re.compile("0|[1-9][0-9]{0,99}")
"""As `encode` writes it. The length is bounded since Python refuses to read very long numbers."""

_FIELD_TYPES: Mapping[type, Mapping[str, object]] = {
    value_type: {field.name: get_type_hints(value_type)[field.name] for field in fields(value_type)}
    for value_type in get_args(Encodable)
}
"""The annotated fields of every public type."""

_DEFAULTS: Mapping[type, Mapping[str, object]] = {
    value_type: {
        field.name: field.default for field in fields(value_type) if field.metadata == EXTENSION
    }
    for value_type in get_args(Encodable)
}
"""The fields of extensions, which are absent where they have their default."""


class CodecError(ValueError):
    """Some JSON is not what it should be: where, what was expected, what was found."""


def encode(value: Encodable) -> JSON:
    """``value`` as JSON data.

    Raises:
        CodecError: if a command is not Unicode text: a lone surrogate cannot be encoded.
    """
    return _encode(value)


def dumps(value: Encodable) -> str:
    """``value`` as JSON text on one line. Raises `CodecError` as `encode` does."""
    return json.dumps(_encode(value))


def parse(text: str) -> JSON:
    """JSON text as data.

    Raises:
        CodecError: if the text is not JSON, uses a number that is not an integer, or names a field
            twice.
    """
    try:
        return cast(
            JSON,
            json.loads(
                text,
                object_pairs_hook=_without_duplicates,
                parse_float=_refuse_number,
                parse_constant=_refuse_number,
            ),
        )
    except json.JSONDecodeError as error:
        raise CodecError(
            f"not JSON, at line {error.lineno} column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise CodecError("not usable JSON: nested too deeply") from None
    except CodecError:
        raise
    except ValueError as error:
        raise CodecError(f"not usable JSON: {error}") from None


def decode_config(data: JSON) -> Config:
    """A `Config`. Raises `CodecError`."""
    return cast(Config, _decode(Config, data, "$"))


def decode_entry(data: JSON) -> Entry:
    """An `Entry`. Raises `CodecError`."""
    return cast(Entry, _decode(Entry, data, "$"))


def decode_log(data: JSON) -> Log:
    """A `Log`. Raises `CodecError`."""
    return cast(Log, _decode(Log, data, "$"))


def decode_index_map(data: JSON) -> IndexMap:
    """An `IndexMap`. Raises `CodecError`."""
    return cast(IndexMap, _decode(IndexMap, data, "$"))


def decode_role(data: JSON) -> Role:
    """A `Role`. Raises `CodecError`."""
    return cast(Role, _decode(Role, data, "$"))


def decode_persistent_state(data: JSON) -> PersistentState:
    """A `PersistentState`. Raises `CodecError`."""
    return cast(PersistentState, _decode(PersistentState, data, "$"))


def decode_state(data: JSON) -> NodeState:
    """A `NodeState`. Raises `CodecError`."""
    return cast(NodeState, _decode(NodeState, data, "$"))


def decode_message(data: JSON) -> Message:
    """A `Message`. Raises `CodecError`."""
    return cast(Message, _decode(Message, data, "$"))


def decode_event(data: JSON) -> Event:
    """An `Event`. Raises `CodecError`."""
    return cast(Event, _decode(Event, data, "$"))


def decode_output(data: JSON) -> Output:
    """An `Output`. Raises `CodecError`."""
    return cast(Output, _decode(Output, data, "$"))


def decode_transition(data: JSON) -> Transition:
    """A `Transition`. Raises `CodecError`."""
    return cast(Transition, _decode(Transition, data, "$"))


def _encode(value: object) -> JSON:
    if isinstance(value, str):
        return _text(value, "the value")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, frozenset):
        return [_encode(item) for item in sorted(value)]
    if isinstance(value, IndexMap):
        return {str(server): index for server, index in value.pairs}
    value_type = type(value)
    if value_type not in _FIELD_TYPES:
        raise TypeError(f"{value_type.__name__} is no public value of the core: {value!r}")
    tag: dict[str, JSON] = {"type": value_type.__name__} if value_type in _TAGGED.values() else {}
    found = {field: getattr(value, field) for field in _FIELD_TYPES[value_type]}
    default = _DEFAULTS[value_type]
    return tag | {
        field: _encode(item)
        for field, item in found.items()
        if field not in default or item != default[field]
    }


def _decode(expected: object, data: object, path: str) -> object:
    """``data`` as the type ``expected``: walks the annotations of the public types."""
    origin, arguments = get_origin(expected), get_args(expected)
    if expected in (int, bool, str):
        return _decode_scalar(cast(type, expected), data, path)
    if origin is types.UnionType:
        if types.NoneType in arguments:
            (other,) = (argument for argument in arguments if argument is not types.NoneType)
            return None if data is None else _decode(other, data, path)
        return _decode_member(arguments, data, path)
    if origin is tuple:
        items = _expect(list, "an array", data, path)
        return tuple(_decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(items))
    if origin is frozenset:
        return _decode_set(arguments[0], data, path)
    if expected is IndexMap:
        return _decode_index_map(data, path)
    assert isinstance(expected, type)
    return _decode_fields(expected, _expect(dict, "an object", data, path), path)


def _decode_scalar(expected: type, data: object, path: str) -> object:
    # bool is a subclass of int, but true is not a term.
    if type(data) is not expected:
        name = {int: "an integer", bool: "true or false", str: "a string"}[expected]
        _fail(path, f"expected {name}, found {_shown(data)}")
    return _text(data, path) if isinstance(data, str) else data


def _text(text: str, path: str) -> str:
    # Half a character: no file or network could carry it, and two of them would become one.
    if any("\ud800" <= character <= "\udfff" for character in text):
        _fail(path, f"expected Unicode text, found {_shown(text)}")
    return text


def _decode_set(item_type: object, data: object, path: str) -> frozenset[object]:
    items = _expect(list, "an array", data, path)
    decoded = [_decode(item_type, item, f"{path}[{i}]") for i, item in enumerate(items)]
    if decoded != sorted(set(cast("list[int]", decoded))):
        _fail(path, f"expected ascending members, each once, found {_shown(data)}")
    return frozenset(decoded)


def _decode_index_map(data: object, path: str) -> IndexMap:
    pairs = _expect(dict, "an object keyed by server", data, path)
    decoded = []
    for server, index in pairs.items():
        if not _SERVER_NUMBER.fullmatch(server):
            _fail(path, f"expected server numbers as keys, found {_shown(server)}")
        decoded.append((int(server), _decode(int, index, f"{path}.{server}")))
    return IndexMap(tuple(sorted(cast("list[tuple[int, int]]", decoded))))


def _decode_member(members: tuple[type, ...], data: object, path: str) -> object:
    """One member of a sum type, chosen by its ``"type"``."""
    found = _expect(dict, "an object", data, path)
    names = [member.__name__ for member in members]
    name = found.get("type")
    if not isinstance(name, str) or name not in names:
        expected = ", ".join(names)
        shown = _shown(name) if "type" in found else "none"
        _fail(f"{path}.type", f"expected one of {expected}; found {shown}")
    untagged = {field: value for field, value in found.items() if field != "type"}
    return _decode_fields(_TAGGED[name], untagged, path)


def _decode_fields(expected: type, data: dict[str, object], path: str) -> object:
    field_types = _FIELD_TYPES[expected]
    optional = _DEFAULTS[expected]
    for missing in (field for field in field_types if field not in data and field not in optional):
        _fail(path, f"{expected.__name__} lacks the field {missing!r}")
    for unknown in (field for field in data if field not in field_types):
        _fail(path, f"{expected.__name__} has no field {unknown!r}")
    decoded = {
        field: _decode(field_type, data[field], f"{path}.{field}")
        for field, field_type in field_types.items()
        if field in data
    }
    try:
        return expected(**decoded)
    except ValueError as error:
        _fail(path, str(error))


def _expect(expected: type[_T], name: str, data: object, path: str) -> _T:
    if not isinstance(data, expected):
        _fail(path, f"expected {name}, found {_shown(data)}")
    return data


def _shown(data: object) -> str:
    try:
        text = json.dumps(data)
    except (RecursionError, ValueError):  # nested too deeply, or a number too long
        return "something too large to show"
    return text if len(text) <= 40 else text[:37] + "..."


def _fail(path: str, problem: str) -> NoReturn:
    raise CodecError(f"at {path}: {problem}")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    data = dict(pairs)
    if len(data) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise CodecError(f"not usable JSON: an object names the field {twice!r} twice")
    return data


def _refuse_number(text: str) -> NoReturn:
    raise CodecError(f"not usable JSON: expected an integer, found {text}")
