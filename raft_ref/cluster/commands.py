r"""Commands of the key-value store, as words and as the text that Raft replicates.

A command is a list of words, as in the Redis protocol: ``SET key value``. In the log it is a JSON
array. A word is a string there, or ``{"base64": ...}`` if its bytes are not UTF-8, so that traces
can be read and every byte survives:

>>> as_text((b"SET", b"k", b"v"))
'["SET","k","v"]'
>>> as_text((b"GET", bytes([255])))
'["GET",{"base64":"/w=="}]'
>>> as_words('["GET",{"base64":"/w=="}]')
(b'GET', b'\xff')
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TypeAlias

import msgspec

Words: TypeAlias = tuple[bytes, ...]

MAX_TEXT = 64 * 1024
"""The longest command, in characters of its text; what travels between servers is bounded by it."""


class _Binary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A word that is not text."""

    base64: str


_TEXT = msgspec.json.Decoder(tuple[str | _Binary, ...])


class NoCommand(ValueError):
    """A text is not that of a command."""


def as_text(words: Words) -> str:
    """A command as Raft replicates it."""
    return msgspec.json.encode([_told(word) for word in words]).decode()


def as_words(text: str) -> Words:
    """The command whose text this is.

    Raises:
        NoCommand: if it is none.
    """
    try:
        return tuple(_word(told) for told in _TEXT.decode(text))
    except (msgspec.DecodeError, ValueError) as error:
        raise NoCommand(f"not a command: {error}") from None


def _told(word: bytes) -> str | _Binary:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return _Binary(b64encode(word).decode())


def _word(told: str | _Binary) -> bytes:
    return told.encode() if isinstance(told, str) else b64decode(told.base64, validate=True)
