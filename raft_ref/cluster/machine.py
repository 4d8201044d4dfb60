"""The state machine: a key-value store, and the sessions of its clients.

Every server applies the same commands in the same order, so all of them come to hold the same:
nothing here asks for the time, for chance, or for anything but the commands themselves.

========================================  =========================================================
``GET key``                               what stands there
``SET key value``                         put it there
``DEL key ...``                           remove; how many there were
``INCR key``, ``INCRBY key number``       add to the number there (0 if there is nothing)
``CAS key old new``                       put ``new`` there if ``old`` stands there; 1, or else 0
``RAFT.SESSION``                          open a session; its number
``RAFT.CALL session sequence command``    the command, exactly once
``RAFT.NOOP``                             nothing; a new leader commits what is older with it
========================================  =========================================================

**Sessions** (dissertation §6.3). A command that a client sends again, since it has not heard what
became of it, may be applied twice. In a session it is not: calls are numbered, and the call with
the number of the last one is answered with what that was answered. A session belongs to one client,
which has one call under way at a time and gives each a greater number than the one before, from 0
on. Its own number is how many commands were applied when it was opened, so that none is ever used
again.

At most `MAX_SESSIONS` are kept. One more, and that which was used the longest ago is forgotten; the
order of the log says which, so all servers forget the same. A call in a session that is not there
is refused, not applied: it may be the repetition of one that was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from raft_ref.cluster.commands import NoCommand, Words, as_commands
from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value
from raft_ref.types import Command

MAX_SESSIONS = 10_000
"""The same for all servers, always: it decides what a command does."""

NOOP = (b"RAFT.NOOP",)
SESSION = b"RAFT.SESSION"
CALL = b"RAFT.CALL"

_LARGEST = 2**63 - 1
"""The greatest number that one can count to: they have 64 bits."""

Store = dict[bytes, bytes]


class _Operation(NamedTuple):
    """A command of the store alone."""

    least: int
    """The fewest words, the name included."""
    most: int
    apply: Callable[[Store, Words], Reply]


def _get(store: Store, words: Words) -> Reply:
    return Value(store.get(words[1]))


def _set(store: Store, words: Words) -> Reply:
    store[words[1]] = words[2]
    return Done()


def _delete(store: Store, words: Words) -> Reply:
    return Count(sum(store.pop(key, None) is not None for key in words[1:]))


def _increment(store: Store, words: Words) -> Reply:
    number = _number(store.get(words[1], b"0"))
    added = _number(words[2]) if len(words) > 2 else 1
    if number is None or added is None or not _is_number(number + added):
        return Failed("ERR", "value is not an integer or out of range")
    store[words[1]] = str(number + added).encode()
    return Count(number + added)


def _compare_and_set(store: Store, words: Words) -> Reply:
    _, key, old, new = words
    if store.get(key) != old:
        return Count(0)
    store[key] = new
    return Count(1)


def _nothing(_store: Store, _words: Words) -> Reply:
    return Done()


OPERATIONS: Mapping[bytes, _Operation] = {
    b"GET": _Operation(2, 2, _get),
    b"SET": _Operation(3, 3, _set),
    b"DEL": _Operation(2, 1000, _delete),
    b"INCR": _Operation(2, 2, _increment),
    b"INCRBY": _Operation(3, 3, _increment),
    b"CAS": _Operation(4, 4, _compare_and_set),
    NOOP[0]: _Operation(1, 1, _nothing),
}


def refusal(words: Words) -> Failed | None:
    """Why a command need not be replicated: it would do nothing but fail. None if it would not."""
    if not words:
        return Failed("ERR", "empty command")
    name, count = words[0].upper(), len(words)
    if name == SESSION:
        return None if count == 1 else _arity(name)
    if name == CALL:
        return _call_refusal(words)
    operation = OPERATIONS.get(name)
    if operation is None:
        return Failed("ERR", f"unknown command {_shown(words[0])}")
    return None if operation.least <= count <= operation.most else _arity(name)


def _call_refusal(words: Words) -> Failed | None:
    if len(words) < 4:
        return _arity(CALL)
    sequence = _number(words[2])
    if _number(words[1]) is None or sequence is None or sequence < 0:
        return Failed("ERR", "session and sequence must be integers, the sequence from 0 on")
    if words[3].upper() not in OPERATIONS:
        return Failed("ERR", f"no command for a session: {_shown(words[3])}")
    return refusal(words[3:])


@dataclass(slots=True)
class _Session:
    """What was last called in a session, and answered."""

    sequence: int = -1
    reply: Reply = field(default_factory=Done)


@dataclass(slots=True)
class Machine:
    """The store and its sessions, as the commands applied so far have left them."""

    max_sessions: int = MAX_SESSIONS
    store: Store = field(default_factory=dict)
    _sessions: OrderedDict[int, _Session] = field(default_factory=OrderedDict)
    """Those used the longest ago first."""
    digest: int = 0
    """Of all that was applied and answered: servers that did the same agree on it."""
    _applied: int = 0
    """How many commands were."""

    def apply(self, entry: Command) -> tuple[Reply, ...]:
        """Apply the commands of the next committed entry, and say what their clients are told.

        Never fails: what is in the log will be applied by every server, whatever it is.
        """
        try:
            commands = as_commands(entry)
        except NoCommand:
            return ()
        replies = tuple(map(self._apply, commands))
        self.digest = crc32(repr(replies).encode(), crc32(entry.encode(), self.digest))
        return replies

    def _apply(self, words: Words) -> Reply:
        self._applied += 1
        refused = refusal(words)
        if refused is not None:
            return refused
        match words[0].upper():
            case b"RAFT.SESSION":
                return self._open()
            case b"RAFT.CALL":
                return self._call(int(words[1]), int(words[2]), words[3:])
            case _:
                return self._do(words)

    def _do(self, words: Words) -> Reply:
        return OPERATIONS[words[0].upper()].apply(self.store, words)

    def _open(self) -> Reply:
        number = self._applied
        self._sessions[number] = _Session()
        if len(self._sessions) > self.max_sessions:
            self._sessions.popitem(last=False)
        return Count(number)

    def _call(self, number: int, sequence: int, words: Words) -> Reply:
        session = self._sessions.get(number)
        if session is None:
            return Failed("NOSESSION", f"session {number} was never opened, or is forgotten")
        self._sessions.move_to_end(number)
        if sequence < session.sequence:
            return Failed("OLDCALL", f"call {session.sequence} came after call {sequence}")
        if sequence > session.sequence:
            session.sequence, session.reply = sequence, self._do(words)
        return session.reply


def _number(word: bytes) -> int | None:
    """The integer of 64 bits that a word writes in decimal, if it does."""
    if not word.removeprefix(b"-").isdigit() or len(word) > 20:
        return None
    number = int(word)
    return number if _is_number(number) else None


def _is_number(number: int) -> bool:
    return -_LARGEST - 1 <= number <= _LARGEST


def _arity(name: bytes) -> Failed:
    return Failed("ERR", f"wrong number of arguments for '{name.decode().lower()}' command")


def _shown(word: bytes) -> str:
    return repr(word[:40].decode(errors="replace"))
