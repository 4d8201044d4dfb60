"""What clients say and hear: the Redis protocol, versions 2 and 3, without its connections.

Stock clients such as redis-cli and redis-py say some things of themselves when they connect; these
are answered here, as far as that is needed. What the store does is replicated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from raft_ref.cluster.commands import MAX_TEXT, Words, as_text
from raft_ref.cluster.limits import Bytes, ClientLimits
from raft_ref.cluster.machine import refusal
from raft_ref.cluster.parser import CommandParser, ProtocolError
from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value
from raft_ref.types import Command

_LIMITS = ClientLimits()


@dataclass(frozen=True, slots=True)
class Say:
    """To be answered so, without asking anyone."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Replicate:
    """To be answered with what the command does."""

    command: Command


@dataclass(frozen=True, slots=True)
class Inform:
    """To be answered with what there is to know of this server."""


@dataclass(frozen=True, slots=True)
class End:
    """To be answered so, before the connection is closed."""

    content: bytes


Todo: TypeAlias = Say | Replicate | Inform | End


@dataclass(slots=True)
class Conversation:
    """One connection of a client."""

    version: int = 2
    """Of the protocol."""
    limits: ClientLimits = _LIMITS
    _parser: CommandParser = field(init=False)
    _is_in_transaction: bool = False

    def __post_init__(self) -> None:
        self._parser = CommandParser(self.limits)

    @property
    def held(self) -> Bytes:
        """How much is kept of what has come and is no whole command yet."""
        return self._parser.held

    def feed(self, content: bytes) -> Iterator[Todo]:
        """What is to be done about what the client has said; nothing after an `End`.

        Commands are read as the iterator advances; it must be exhausted before more is fed.
        """
        self._parser.feed(content)
        while True:
            try:
                words = self._parser.next_command()
            except ProtocolError as error:
                yield End(_error("ERR", f"Protocol error: {error}"))
                return
            if words is None:
                return
            todo = self._todo(words)
            yield todo
            if isinstance(todo, End):
                return

    def encode(self, reply: Reply) -> bytes:
        """A reply as it is written to this client."""
        match reply:
            case Done():
                return b"+OK\r\n"
            case Count(number):
                return b":%d\r\n" % number
            case Value(data):
                return self._nothing if data is None else _bulk(data)
            case Failed(code, reason):
                return _error(code, reason)

    @property
    def _nothing(self) -> bytes:
        return b"_\r\n" if self.version == 3 else b"$-1\r\n"

    def _todo(self, words: Words) -> Todo:
        name = words[0].upper()
        if self._is_in_transaction and name not in _IN_TRANSACTION:
            return Say(b"+QUEUED\r\n")
        own = _OWN.get(name)
        return _replicated(words) if own is None else own(self, words)

    # --- what a client says of itself ------------------------------------------------------------

    def _ping(self, words: Words) -> Todo:
        return Say(_bulk(words[1]) if len(words) > 1 else b"+PONG\r\n")

    def _echo(self, words: Words) -> Todo:
        return Say(_bulk(words[1])) if len(words) == 2 else _wrong_number(words)

    def _quit(self, _words: Words) -> Todo:
        return End(b"+OK\r\n")

    # There are no transactions; to refuse MULTI alone would have the rest done one by one.

    def _multi(self, _words: Words) -> Todo:
        if self._is_in_transaction:
            return Say(_error("ERR", "MULTI calls can not be nested"))
        self._is_in_transaction = True
        return Say(b"+OK\r\n")

    def _exec(self, _words: Words) -> Todo:
        if not self._is_in_transaction:
            return Say(_error("ERR", "EXEC without MULTI"))
        self._is_in_transaction = False
        return Say(_error("EXECABORT", "there are no transactions here; nothing of it was done"))

    def _discard(self, _words: Words) -> Todo:
        if not self._is_in_transaction:
            return Say(_error("ERR", "DISCARD without MULTI"))
        self._is_in_transaction = False
        return Say(b"+OK\r\n")

    def _info(self, _words: Words) -> Todo:
        return Inform()

    def _command(self, _words: Words) -> Todo:
        return Say(b"*0\r\n")

    def _client(self, words: Words) -> Todo:
        """``CLIENT SETNAME`` and ``SETINFO`` are taken note of by saying so."""
        name = words[1].upper() if len(words) > 1 else b""
        if name in (b"SETNAME", b"SETINFO"):
            return Say(b"+OK\r\n")
        if name == b"GETNAME":
            return Say(self.encode(Value(None)))
        return Say(_error("ERR", "unknown subcommand of 'client'"))

    def _select(self, words: Words) -> Todo:
        if words[1:] == (b"0",):
            return Say(b"+OK\r\n")
        return Say(_error("ERR", "DB index is out of range"))

    def _hello(self, words: Words) -> Todo:
        if len(words) > 1 and words[1] not in (b"2", b"3"):
            return Say(_error("NOPROTO", "unsupported protocol version"))
        if len(words) > 2:
            return Say(_error("ERR", "HELLO takes a version and no options here"))
        self.version = int(words[1]) if len(words) > 1 else self.version
        return Say(self._greeting())

    def _greeting(self) -> bytes:
        about = {b"server": _bulk(b"raft-ref"), b"proto": b":%d\r\n" % self.version}
        pairs = b"".join(_bulk(name) + value for name, value in about.items())
        opening = b"%%%d\r\n" % len(about) if self.version == 3 else b"*%d\r\n" % (2 * len(about))
        return opening + pairs


_OWN: Mapping[bytes, Callable[[Conversation, Words], Todo]] = {
    b"PING": Conversation._ping,
    b"ECHO": Conversation._echo,
    b"QUIT": Conversation._quit,
    b"MULTI": Conversation._multi,
    b"EXEC": Conversation._exec,
    b"DISCARD": Conversation._discard,
    b"INFO": Conversation._info,
    b"COMMAND": Conversation._command,
    b"CLIENT": Conversation._client,
    b"SELECT": Conversation._select,
    b"HELLO": Conversation._hello,
}

_IN_TRANSACTION = frozenset({b"MULTI", b"EXEC", b"DISCARD", b"QUIT"})
"""What is not put off until its end."""


def information(facts: Mapping[str, object]) -> bytes:
    """What ``INFO`` is answered with."""
    lines = ["# raft-ref", *(f"{name}:{value}" for name, value in facts.items()), ""]
    return _bulk("\r\n".join(lines).encode())


def _replicated(words: Words) -> Todo:
    refused = refusal(words)
    if refused is not None:
        return Say(_error(refused.code, refused.reason))
    text = as_text(words)
    if len(text.encode()) > MAX_TEXT:
        return Say(_error("ERR", f"a command is at most {MAX_TEXT} bytes long, written as JSON"))
    return Replicate(text)


def _wrong_number(words: Words) -> Todo:
    name = words[0].decode(errors="replace").lower()
    return Say(_error("ERR", f"wrong number of arguments for '{name}' command"))


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


def _error(code: str, reason: str) -> bytes:
    return f"-{' '.join(f'{code} {reason}'.split())}\r\n".encode()
