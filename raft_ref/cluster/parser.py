"""Reads commands of the Redis protocol as they come, within limits.

A command is an array of bulk strings; nothing else is read, so nothing is ever nested. A length is
checked when it is announced, before anything that it announces is waited for or kept: no more
memory is taken than has come in, and no more may come in for one command than the limits say.

Commands on one line without lengths ("inline"), which Redis takes, too, are refused: they let a
page in a browser have commands executed by a server that only this machine can reach.

The texts of the errors are those of Redis, where it has one.
"""

from __future__ import annotations

from raft_ref.cluster.limits import Bytes, ClientLimits

MAX_WORDS = 1024 * 1024
"""The longest array, as in Redis."""

_LONGEST_HEADER = 32
"""A type and a number."""


class ProtocolError(ValueError):
    """What has come is no command; what comes after it cannot be understood either."""


class CommandParser:
    """What has come on one connection."""

    def __init__(self, limits: ClientLimits) -> None:
        self._max_bulk: Bytes = limits.proto_max_bulk_len
        self._max_query: Bytes = limits.client_query_buffer_limit
        self._unread = bytearray()
        self._at = 0
        """Where in it the next thing begins."""
        self._words: list[bytes] = []
        """Of the command that is being read."""
        self._held: Bytes = 0
        """How long these were, with their headers."""
        self._missing = 0
        """So many words of the command are still to come; 0 if none has begun."""
        self._length: int | None = None
        """Of the next word, once it is known."""

    @property
    def held(self) -> Bytes:
        """How much is kept of what has come."""
        return len(self._unread) - self._at + self._held

    def feed(self, content: bytes) -> None:
        """Something has come."""
        del self._unread[: self._at]
        self._at = 0
        self._unread += content

    def next_command(self) -> tuple[bytes, ...] | None:
        """The next command; None if it is not whole yet.

        Raises:
            ProtocolError: if it is none, or exceeds a limit.
        """
        while self._missing == 0:  # an array may be empty: then it is no command
            length = self._header(b"*", "mbulk count string", "invalid multibulk length", MAX_WORDS)
            if length is None:
                return None
            self._missing = max(length, 0)
            self._held = 0
        while self._missing:
            word = self._next_word()
            if word is None:
                self._require_query(self.held)
                return None
            self._words.append(word)
            self._missing -= 1
        command, self._words = tuple(self._words), []
        self._held = 0
        return command

    def _next_word(self) -> bytes | None:
        if self._length is None:
            invalid = "invalid bulk length"
            self._length = self._header(b"$", "bulk count string", invalid, self._max_bulk)
            if self._length is None:
                return None
            if self._length < 0:
                raise ProtocolError(invalid)
            self._require_query(self._held + self._length)
        start, end = self._at, self._at + self._length
        if len(self._unread) < end + 2:
            return None
        if self._unread[end : end + 2] != b"\r\n":
            raise ProtocolError("a bulk string is longer than announced")
        self._at = end + 2
        self._held += self._length + 2
        self._length = None
        return bytes(self._unread[start:end])

    def _header(self, kind: bytes, name: str, invalid: str, most: int) -> int | None:
        """The number that follows ``kind`` up to the end of the line, if that has come."""
        start = self._at
        if len(self._unread) == start:
            return None
        if self._unread[start] != kind[0]:
            found = chr(self._unread[start])
            shown = found if found.isprintable() else f"\\x{ord(found):02x}"
            raise ProtocolError(f"expected '{kind.decode()}', got '{shown}'")
        end = self._unread.find(b"\r\n", start, start + _LONGEST_HEADER)
        if end < 0:
            if len(self._unread) - start >= _LONGEST_HEADER:
                raise ProtocolError(f"too big {name}")
            return None
        number = _number(self._unread[start + 1 : end])
        if number is None or number > most:
            raise ProtocolError(invalid)
        self._held += end + 2 - start
        self._at = end + 2
        return number

    def _require_query(self, length: Bytes) -> None:
        if length > self._max_query:
            raise ProtocolError(f"a command of more than {self._max_query} bytes")


def _number(digits: bytearray) -> int | None:
    """A number as Redis writes it: no sign but ``-``, no leading zeros, no spaces."""
    magnitude = digits.removeprefix(b"-")
    is_canonical = magnitude.isdigit() and (magnitude[0] != ord("0") or digits == b"0")
    return int(digits) if is_canonical else None
