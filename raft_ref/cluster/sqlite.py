"""The persistent state of one server in a file of SQLite.

A change is a transaction: the term, the vote, and the entries that are new; the log is never
written again. ``synchronous=FULL`` has it on the disk before `SqliteStorage.save` returns. The
journal is a write-ahead log, since a transaction then waits for the disk once, where a rollback
journal makes it wait up to four times.

What SQLite does not notice, checksums do: each entry has one, of itself and of all before it, and
the row with term and vote has one of the last; `wal` looks at the write-ahead log. A server whose
file is damaged does not start, since what it promised may be lost. Two things cannot be noticed:
damage to the very last transaction, which looks like one that was cut off, and a file that was
replaced by an older copy of itself, or removed together with all around it.

The file is locked while a server uses it. It records the server, the cluster, and the cluster's
members, and a server does not start with a file of another one. Files of format 1 do not record the
cluster: they are upgraded with the one in the settings (`SqliteStorage.was_adopted`).
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from raft_ref.cluster import wal
from raft_ref.cluster.storage import Change, Identity, StorageError
from raft_ref.types import Entry, Log, NodeId, PersistentState

_SCHEMA = """
CREATE TABLE identity (
    server INTEGER NOT NULL,
    format INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    members TEXT NOT NULL
);
CREATE TABLE state (
    current_term INTEGER NOT NULL,
    voted_for INTEGER,
    last_index INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    note BLOB NOT NULL
);
CREATE TABLE entry (
    position INTEGER PRIMARY KEY,
    term INTEGER NOT NULL,
    command TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
"""
_FORMAT = 2
_ADOPT = """
ALTER TABLE identity ADD COLUMN cluster TEXT NOT NULL DEFAULT '';
ALTER TABLE identity ADD COLUMN members TEXT NOT NULL DEFAULT '';
"""
"""From format 1."""


class SqliteStorage:
    """Keeps the persistent state of one server, and has read what was kept.

    Raises:
        StorageError: if the file is damaged, in use, another server's or another cluster's, or
            cannot be used.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self._path = path
        self.was_adopted = False
        """Whether the file was of format 1, and has been upgraded."""
        with self._complaining("use"):
            if not path.exists():
                self._create(identity)
            elif path.stat().st_size == 0:
                raise self._damaged("it is empty")
            if problem := wal.damage(_beside(path, "-wal")):
                raise self._damaged(problem)
            self._database = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=0
            )
            try:
                self._prepare(identity)
                self.persistent = PersistentState(*self._read_vote(), self._read_log())
                self.note = self._read_note()
            except BaseException:
                self._database.close()
                raise

    async def save(self, change: Change, note: bytes) -> None:
        """Make a change durable, as `storage.Storage` says, while the event loop goes on."""
        await asyncio.to_thread(self.save_now, change, note)

    def save_now(self, change: Change, note: bytes) -> None:
        """Make a change durable before returning; see `save`."""
        with self._complaining("write"):
            execute = self._database.execute
            execute("BEGIN IMMEDIATE")
            execute("DELETE FROM entry WHERE position >= ?", (change.start,))
            checksum = self._checksum_at(change.start - 1)
            rows = list(_rows(change.start, change.entries, checksum))
            self._database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", rows)
            state = (change.current_term, change.voted_for, change.start + len(rows) - 1)
            checksum = _state_checksum(*state, rows[-1][3] if rows else checksum)
            execute("DELETE FROM state")
            execute("INSERT INTO state VALUES (?, ?, ?, ?, ?)", (*state, checksum, note))
            execute("COMMIT")

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    # --- opening ---------------------------------------------------------------------------------

    def _create(self, identity: Identity) -> None:
        """Make the file under another name first: what has this name is whole."""
        if _beside(self._path, "-wal").exists():
            raise self._damaged(f"it is missing, but {self._path.name}-wal is not")
        new = _beside(self._path, ".new")
        new.unlink(missing_ok=True)
        database = sqlite3.connect(new, isolation_level=None)
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        database.execute("INSERT INTO identity VALUES (?, ?, ?, ?)", _identity_row(identity))
        state = (0, None, 0)
        database.execute(
            "INSERT INTO state VALUES (?, ?, ?, ?, ?)", (*state, _state_checksum(*state, 0), b"")
        )
        database.close()
        new.replace(self._path)
        _sync_directory(self._path.parent)

    def _prepare(self, identity: Identity) -> None:
        execute = self._database.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA fullfsync = ON")  # where fsync alone does not reach the disk
        execute("BEGIN IMMEDIATE")  # takes the lock
        execute("COMMIT")
        (verdict,) = execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise self._damaged(" ".join(str(verdict).split()))
        self._require_identity(identity)

    def _require_identity(self, identity: Identity) -> None:
        execute = self._database.execute
        row = execute("SELECT server, format FROM identity").fetchone()
        if row is None:
            raise self._damaged("it does not say whose it is")
        owner, version = row
        if version > _FORMAT:
            raise StorageError(
                f"{self._path} was written by a newer raft-ref, in format {version}; this one "
                f"knows formats up to {_FORMAT}"
            )
        if owner != identity.server:
            raise self._of_another(f"server {owner}", f"server {identity.server}", "id, directory")
        if version == 1:
            self._adopt(identity)
        cluster, members = execute("SELECT cluster, members FROM identity").fetchone()
        if cluster != identity.cluster:
            raise self._of_another(
                f"cluster {cluster!r}", f"cluster {identity.cluster!r}", "cluster, directory"
            )
        if members != _members(identity):
            raise self._of_another(
                f"a cluster of servers {members}", f"one of servers {_members(identity)}", "servers"
            )

    def _adopt(self, identity: Identity) -> None:
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        for statement in _ADOPT.strip().splitlines():
            execute(statement)
        execute("DELETE FROM identity")
        execute("INSERT INTO identity VALUES (?, ?, ?, ?)", _identity_row(identity))
        execute("COMMIT")
        self.was_adopted = True

    def _read_vote(self) -> tuple[int, NodeId | None]:
        rows = self._database.execute(
            "SELECT current_term, voted_for, last_index, checksum FROM state"
        ).fetchall()
        if len(rows) != 1:
            raise self._damaged("term and vote are not there once")
        current_term, voted_for, last_index, checksum = rows[0]
        last = self._checksum_at(last_index)
        if checksum != _state_checksum(current_term, voted_for, last_index, last):
            raise self._damaged("term and vote are not what was written")
        return current_term, voted_for

    def _read_log(self) -> Log:
        (last_index,) = self._database.execute("SELECT last_index FROM state").fetchone()
        found = self._database.execute(
            "SELECT position, term, command, checksum FROM entry ORDER BY position"
        ).fetchall()
        entries = tuple(Entry(term, command) for _, term, command, _ in found)
        if found != list(_rows(1, entries, 0)) or len(found) != last_index:
            raise self._damaged("the log is not what was written")
        return Log(entries)

    def _read_note(self) -> bytes:
        (note,) = self._database.execute("SELECT note FROM state").fetchone()
        return bytes(note)

    def _checksum_at(self, index: int) -> int:
        if index == 0:
            return 0
        row = self._database.execute(
            "SELECT checksum FROM entry WHERE position = ?", (index,)
        ).fetchone()
        if row is None:
            raise self._damaged(f"the entry at index {index} is missing")
        return int(row[0])

    # --- errors ----------------------------------------------------------------------------------

    def _damaged(self, problem: str) -> StorageError:
        return StorageError(
            f"{self._path} is damaged: {problem}; the server must not go on with it"
        )

    def _of_another(self, owner: str, this: str, wrong: str) -> StorageError:
        return StorageError(
            f"{self._path} is of {owner}, and the settings are of {this}: correct the settings "
            f"({wrong}); only a server that has never run may begin with an empty directory"
        )

    @contextmanager
    def _complaining(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StorageError(f"{self._path} is in use by another process") from None
            if "no such" in str(error):  # a table or a column
                raise self._damaged(str(error)) from None
            raise StorageError(f"cannot {what} {self._path}: {error}") from None
        except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
            raise self._damaged(str(error)) from None
        except (OSError, OverflowError) as error:
            raise StorageError(f"cannot {what} {self._path}: {error}") from None


def _identity_row(identity: Identity) -> tuple[int, int, str, str]:
    return identity.server, _FORMAT, identity.cluster, _members(identity)


def _members(identity: Identity) -> str:
    return json.dumps(identity.members)


def _rows(
    start: int, entries: Iterable[Entry], checksum: int
) -> Iterator[tuple[int, int, str, int]]:
    """Entries as they stand in the file; ``checksum`` is that of the entry before."""
    for index, entry in enumerate(entries, start):
        checksum = crc32(f"{index} {entry.term} {entry.command}".encode(), checksum)
        yield index, entry.term, entry.command, checksum


def _state_checksum(current_term: int, voted_for: int | None, last_index: int, last: int) -> int:
    return crc32(f"{current_term} {voted_for} {last_index}".encode(), last)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
