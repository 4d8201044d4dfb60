r"""Commands of the key-value store, as words and as the text that Raft replicates.

A command is a list of words, as in the Redis protocol: ``SET key value``. Its text is a JSON array.
A word is a string there, or ``{"base64": ...}`` if its bytes are not UTF-8, so that traces
can be read and every byte survives:

>>> as_text((b"SET", b"k", b"v"))
'["SET","k","v"]'
>>> as_text((b"GET", bytes([255])))
'["GET",{"base64":"/w=="}]'
>>> as_words('["GET",{"base64":"/w=="}]')
(b'GET', b'\xff')

An entry of the log holds several commands, in the order in which they are applied: those that were
waiting when it was appended. Raft then has one entry to replicate, not one for each.

>>> as_entry(['["GET","k"]', '["DEL","k"]'])
'[["GET","k"],["DEL","k"]]'
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, TypeVar

import msgspec

from raft_ref.types import Command

T = TypeVar("T")

Words: TypeAlias = tuple[bytes, ...]

MAX_TEXT = 64 * 1024
"""The longest text of a command, in bytes. Several together are not much longer, either."""


class _Binary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A word that is not text."""

    base64: str


_TEXT = msgspec.json.Decoder(tuple[str | _Binary, ...])
_ENTRY = msgspec.json.Decoder(tuple[tuple[str | _Binary, ...], ...])


class NoCommand(ValueError):
    """A text is not that of a command, or of several."""


def as_text(words: Words) -> str:
    """A command as Raft replicates it."""
    return msgspec.json.encode([_told(word) for word in words]).decode()


def as_words(text: str) -> Words:
    """The command whose text this is. Raises `NoCommand` if it is none."""
    try:
        return tuple(_word(told) for told in _TEXT.decode(text))
    except (msgspec.DecodeError, ValueError) as error:
        raise NoCommand(f"not a command: {error}") from None


def as_entry(texts: Iterable[str]) -> Command:
    """An entry with the commands that have these texts."""
    return f"[{','.join(texts)}]"


def as_commands(entry: Command) -> tuple[Words, ...]:
    """The commands in an entry. Raises `NoCommand` if there is anything else in it."""
    try:
        return tuple(tuple(map(_word, command)) for command in _ENTRY.decode(entry))
    except (msgspec.DecodeError, ValueError) as error:
        raise NoCommand(f"not commands: {error}") from None


def grouped(requests: Iterable[T], text_of: Callable[[T], str]) -> Iterator[list[T]]:
    """Requests in groups, each of which fits into one entry."""
    group: list[T] = []
    size = 0
    for request in requests:
        more = len(text_of(request).encode())
        if group and size + more > MAX_TEXT:
            yield group
            group, size = [], 0
        group.append(request)
        size += more
    if group:
        yield group


def _told(word: bytes) -> str | _Binary:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return _Binary(b64encode(word).decode())


def _word(told: str | _Binary) -> bytes:
    return told.encode() if isinstance(told, str) else b64decode(told.base64, validate=True)
