"""What was learnt of a foreign server: in each state, what each event does.

A table can live in a file (SQLite), to which every step goes as it is learnt; so nothing is lost
when a run is interrupted, and the next one learns on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, get_args

import msgspec

from model_check.conformance.observed import (
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    Sent,
    applied_entries,
    foreign_message,
    observe,
    redirection,
)
from model_check.conformance.protocol import (
    AnyEventReply,
    EventReply,
    InitOk,
    ProtocolError,
    Report,
    decode_strictly,
)
from model_check.conformance.schedule import decode_local_event, encode_local_event
from model_check.system import Outcome
from raft_ref import Apply, NodeId, NotLeader

TABLE_VERSION = "2"

LocalEvent: TypeAlias = tuple[NodeId, ObservedState, ForeignEvent]
"""Something that happens to a server in some state."""


class TableError(ValueError):
    """A file is not a table, or not one of this adapter: what to do instead."""


@dataclass(frozen=True, slots=True)
class LearntStep:
    """What an event does to a server in some state."""

    state: ObservedState
    messages: tuple[ForeignMessage, ...] = ()
    applied: tuple[Apply, ...] = ()
    redirect: NodeId | None = None
    """The leader that was named to a client."""
    failure: str | None = None
    """How the server failed, if it did. Then it did nothing else."""


def learnt_from(outcome: Outcome[ObservedState, ForeignOutput, ForeignMessage]) -> LearntStep:
    """The step of which ``outcome`` is the outcome."""
    outputs = outcome.outputs
    named = (output.leader for output in outputs if isinstance(output, NotLeader))
    return LearntStep(
        outcome.state,
        tuple(output.message for output in outputs if isinstance(output, Sent)),
        tuple(output for output in outputs if isinstance(output, Apply)),
        next(named, None),
        outcome.failure,
    )


def kind_of_failure(failure: str) -> str:
    """What failures of one kind have in common: the first line."""
    return failure.partition("\n")[0]


class Table:
    """The steps of all servers, by state and event, and how each state is reached.

    Raises:
        TableError: if ``path`` is a file that is no table, or a table of something else than
            ``identity`` says.
    """

    def __init__(self, init: InitOk, identity: Mapping[str, str], path: Path | None = None) -> None:
        self.init = init
        self.servers = len(init.states)
        self.unobservable = frozenset(init.unobservable)
        self._reports = frozenset(init.reports)
        unreported = frozenset[str](get_args(Report)) - self._reports
        self.hidden: frozenset[str] = self.unobservable | unreported | {"last_applied"}
        """What cannot be observed of a server, or of what it does."""
        self.initial = tuple(
            observe(each.state, each.fingerprint, self.unobservable) for each in init.states
        )
        self._steps: dict[LocalEvent, LearntStep] = {}
        self._origins: dict[tuple[NodeId, ObservedState], LocalEvent | None] = dict.fromkeys(
            enumerate(self.initial, start=1)
        )
        self._states: dict[tuple[NodeId, str], ObservedState] = {
            (node, state.fingerprint): state for node, state in self._origins
        }
        self._messages: dict[ForeignMessage, ForeignMessage] = {}
        self._row_of: dict[tuple[NodeId, ObservedState], int] = dict.fromkeys(self._origins, 0)
        self._file: sqlite3.Connection | None = None
        if path is not None:
            self._open(path, {"version": TABLE_VERSION, **identity})

    def __len__(self) -> int:
        return len(self._steps)

    def __contains__(self, key: LocalEvent) -> bool:
        return key in self._steps

    def __getitem__(self, key: LocalEvent) -> LearntStep:
        return self._steps[key]

    @property
    def states(self) -> int:
        """How many local states there are."""
        return len(self._origins)

    @property
    def messages(self) -> Iterable[ForeignMessage]:
        """Every message ever sent."""
        return self._messages

    def history(self, node: NodeId, state: ObservedState) -> list[tuple[ForeignEvent, LearntStep]]:
        """What happens to ``node`` from the beginning until it is in ``state``."""
        steps = []
        origin = self._origins[node, state]
        while origin is not None:
            _, before, event = origin
            steps.append((event, self._steps[origin]))
            origin = self._origins[node, before]
        return steps[::-1]

    def read(self, node: NodeId, reply: EventReply) -> LearntStep:
        """What ``reply`` says of ``node``.

        Raises:
            ProtocolError: if it contradicts the protocol, or what was said of the same fingerprint.
        """
        state = observe(reply.state, reply.fingerprint, self.unobservable)
        known = self._states.get((node, reply.fingerprint))
        if known is not None:
            if known != state:
                raise ProtocolError(
                    f"two states of server {node} have the same fingerprint: {_shown(known)}, "
                    f"and {_shown(state)}"
                )
            state = known
        messages = (foreign_message(part, node) for part in reply.messages)
        return LearntStep(
            state,
            tuple(self._messages.setdefault(m, m) for m in messages),
            applied_entries(reply, self._reports),
            redirection(reply, self._reports),
        )

    def add(self, key: LocalEvent, learnt: EventReply | str) -> None:
        """Keep what an event does, or how it makes the server fail."""
        row = None
        if self._file is not None:
            node, before, event = key
            is_failure = isinstance(learnt, str)
            written = (
                node,
                self._row_of[node, before],
                encode_local_event(node, event),
                None if is_failure else msgspec.json.encode(learnt),
                learnt if is_failure else None,
            )
            row = self._file.execute(_INSERT, written).lastrowid
        self._enter(key, learnt, row or 0)

    def save(self) -> None:
        """Make sure that the file has all that was added."""
        if self._file is not None:
            self._file.commit()

    def close(self) -> None:
        """Save, and close the file."""
        if self._file is not None:
            self._file.commit()
            self._file.close()
            self._file = None

    def _enter(self, key: LocalEvent, learnt: EventReply | str, row: int) -> None:
        node, before, _ = key
        if isinstance(learnt, str):
            self._steps[key] = LearntStep(before, failure=learnt)
            return
        step = self._steps[key] = self.read(node, learnt)
        if (node, step.state) not in self._origins:
            self._origins[node, step.state] = key
            self._states[node, step.state.fingerprint] = step.state
            self._row_of[node, step.state] = row

    # --- the file ----------------------------------------------------------------------------

    def _open(self, path: Path, identity: Mapping[str, str]) -> None:
        try:
            self._file = sqlite3.connect(path)
            self._file.executescript(_SCHEMA)
            found = dict(self._file.execute("SELECT name, value FROM identity"))
            if not found:
                self._file.executemany("INSERT INTO identity VALUES (?, ?)", identity.items())
                self._file.commit()
                return
            rows = self._file.execute("SELECT * FROM steps ORDER BY id").fetchall()
        except sqlite3.Error as error:
            raise TableError(f"{path} is not a table of steps: {error}") from None
        for name in identity:
            if found.get(name) != identity[name]:
                raise TableError(
                    f"{path} was learnt with another {name}: {found.get(name)!r}, not "
                    f"{identity[name]!r}; give another file, or delete it"
                )
        try:
            self._load(rows)
        except (ProtocolError, KeyError) as error:
            raise TableError(f"{path} is damaged, delete it: {error}") from None

    def _load(self, rows: Sequence[tuple[int, int, int, str, bytes | None, str | None]]) -> None:
        states = {(node, 0): state for node, state in enumerate(self.initial, start=1)}
        for row, node, origin, event, reply, failure in rows:
            key = node, states[node, origin], decode_local_event(event, self.servers)
            self._enter(key, failure or decode_strictly(reply or b"", _EVENT_REPLIES), row)
            states[node, row] = self._steps[key].state


_EVENT_REPLIES: msgspec.json.Decoder[AnyEventReply] = msgspec.json.Decoder(AnyEventReply)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (
    id INTEGER PRIMARY KEY,
    node INTEGER NOT NULL,
    origin INTEGER NOT NULL,  -- the step that first led to the state before; 0 for the beginning
    event TEXT NOT NULL,
    reply BLOB,
    failure TEXT
);
"""
_INSERT = "INSERT INTO steps (node, origin, event, reply, failure) VALUES (?, ?, ?, ?, ?)"


def _shown(state: ObservedState) -> str:
    role = type(state.role).__name__.lower()
    entries = " ".join(f"{entry.term}:{entry.command}" for entry in state.log.entries)
    return (
        f"{role} of term {state.current_term}, voted for {state.voted_for}, log [{entries}], "
        f"commit {state.commit_index}"
    )
