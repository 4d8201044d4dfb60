"""An incremental parser for commands in the Redis protocol, with limits.

A command is an array of bulk strings; nothing else is accepted, so nothing is nested. A length is
checked when its header arrives. Nothing is allocated for announced data: the parser holds only
bytes that have arrived, and one command may not exceed the limits.

Inline commands (a line without lengths), which Redis accepts, are refused: with them, a web page
could make a browser send commands to a server on loopback.

Error texts are those of Redis where Redis has one.
"""

from __future__ import annotations

from raft_ref.cluster.limits import Bytes, ClientLimits

MAX_WORDS = 1024 * 1024
"""The longest array, as in Redis."""

_LONGEST_HEADER = 32
"""A type and a number."""


class ProtocolError(ValueError):
    """The input is not a command or exceeds a limit; the rest of the stream cannot be parsed."""


class CommandParser:
    """The parser state of one connection."""

    def __init__(self, limits: ClientLimits) -> None:
        self._max_bulk: Bytes = limits.proto_max_bulk_len
        self._max_query: Bytes = limits.client_query_buffer_limit
        self._unread = bytearray()
        self._at = 0
        """Offset of the first byte that was not parsed yet."""
        self._words: list[bytes] = []
        """Words of the command that is being read."""
        self._held: Bytes = 0
        """Their length in bytes, headers included."""
        self._missing = 0
        """Words of the command still to come; 0 between commands."""
        self._length: int | None = None
        """The length of the next word, once its header has been read."""

    @property
    def held(self) -> Bytes:
        """Bytes held: unparsed input, and the words of an unfinished command."""
        return len(self._unread) - self._at + self._held

    def feed(self, content: bytes) -> None:
        """Add input."""
        del self._unread[: self._at]
        self._at = 0
        self._unread += content

    def next_command(self) -> tuple[bytes, ...] | None:
        """The next command; None if it is incomplete.

        Raises:
            ProtocolError: if the input is not a command, or exceeds a limit.
        """
        while self._missing == 0:  # an empty array is not a command
            length = self._header(b"*", "mbulk count string", "invalid multibulk length", MAX_WORDS)
            if length is None:
                return None
            self._missing = max(length, 0)
            self._held = 0
        while self._missing:
            word = self._next_word()
            if word is None:
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
            if self._held + self._length > self._max_query:
                raise ProtocolError(f"a command of more than {self._max_query} bytes")
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


def _number(digits: bytearray) -> int | None:
    """A number as Redis writes it: no sign but ``-``, no leading zeros, no spaces."""
    magnitude = digits.removeprefix(b"-")
    is_canonical = magnitude.isdigit() and (magnitude[0] != ord("0") or digits == b"0")
    return int(digits) if is_canonical else None
