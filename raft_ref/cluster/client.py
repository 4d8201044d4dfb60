"""A small blocking client, for the commands that watch a cluster and for tests."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self, TypeAlias

import hiredis

from raft_ref.cluster.settings import Address
from raft_ref.cluster.timers import Seconds

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

    def call(self, *words: bytes | str | int) -> Heard:
        """What a command is answered with. Raises `ClientError`."""
        try:
            # Its stub says that only one word is taken.
            self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type] # see above
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
