"""Small clients: a blocking one, for commands and tests, and one of which many ask at once."""

from __future__ import annotations

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeAlias

import hiredis

from raft_ref.cluster.settings import Address
from raft_ref.cluster.timers import Seconds

Word: TypeAlias = bytes | str | int
Heard: TypeAlias = bytes | int | str | None


class ClientError(Exception):
    """A server answered with an error, which begins with its code; or did not answer."""


class Client:
    """A connection to one server.

    Raises:
        ClientError: if there is none.
    """

    def __init__(self, address: Address, timeout: Seconds = 10.0) -> None:
        self._reader = hiredis.Reader()
        try:
            self._socket = socket.create_connection(address, timeout)
        except OSError as error:
            raise ClientError(f"NOBODY at {address}: {error}") from None

    def call(self, *words: Word) -> Heard:
        """What a command is answered with. Raises `ClientError`."""
        try:
            self._socket.sendall(_packed(words))
            while (heard := self._reader.gets()) is False:
                content = self._socket.recv(65536)
                if not content:
                    raise ClientError("UNKNOWN the connection was closed")
                self._reader.feed(content)
        except OSError as error:
            raise ClientError(f"UNKNOWN {error}") from None
        if isinstance(heard, hiredis.ReplyError):
            raise ClientError(str(heard))
        assert heard is None or isinstance(heard, bytes | int | str)
        return heard

    def info(self) -> dict[str, str]:
        """What the server says of itself. Raises `ClientError`."""
        heard = self.call("INFO")
        text = heard.decode() if isinstance(heard, bytes) else str(heard)
        pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
        return {name: value for name, _, value in pairs}

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


class Stream:
    """A connection to one server, by which one thing is asked after the other."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = hiredis.Reader()

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect. Raises `OSError`."""
        return cls(*await asyncio.open_connection(*address))

    async def ask(self, *words: Word) -> Heard | hiredis.ReplyError:
        """What a command is answered with. Raises `OSError` if there is no answer."""
        self._writer.write(_packed(words))
        while (heard := self._replies.gets()) is False:
            content = await self._reader.read(65536)
            if not content:
                raise ConnectionError("the connection was closed")
            self._replies.feed(content)
        assert heard is None or isinstance(heard, bytes | int | str | hiredis.ReplyError)
        return heard

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


def _packed(words: Sequence[Word]) -> bytes:
    # Its stub says that only one word is taken.
    content: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type] # see above
    return content
