"""The storage of the cluster: what was saved is there again, or it is said that it is not."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from raft_ref import Entry, PersistentState
from raft_ref.cluster.sqlite import SqliteStorage
from raft_ref.cluster.storage import Change, Identity, StorageError, changed

OWN = Identity(1, "one", (1, 2, 3))

CHANGES = [
    Change(1, 1, 1, (Entry(1, "a"), Entry(1, "b"))),
    Change(2, None, 3),
    Change(2, 3, 3, (Entry(2, "c" * 9000),)),
    Change(3, 3, 2, (Entry(3, "é\n"),)),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "raft.db"


def save(path: Path, *changes: Change) -> PersistentState:
    """Save these without closing the file, as a server does that is killed."""
    storage = SqliteStorage(path, OWN)
    state = storage.persistent
    for change in changes:
        storage.save_now(change, b"note")
        state = changed(state, change)
    storage.close()
    return state


def reopened(path: Path) -> PersistentState:
    storage = SqliteStorage(path, OWN)
    storage.close()
    return storage.persistent


def killed(path: Path, *changes: Change) -> PersistentState:
    """Save these, and leave the file as it is in that moment, write-ahead log and all."""
    storage = SqliteStorage(path, OWN)
    state = storage.persistent
    for change in changes:
        storage.save_now(change, b"note")
        state = changed(state, change)
    shutil.copytree(path.parent, path.parent.with_name("killed"))
    storage.close()
    shutil.rmtree(path.parent)
    path.parent.with_name("killed").rename(path.parent)
    return state


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "raft.db"


def test_what_was_saved_is_there_again(path: Path) -> None:
    assert reopened(path) == PersistentState()
    for number in range(len(CHANGES)):
        kept = save(path, CHANGES[number])
        assert reopened(path) == kept


def test_the_note_of_the_last_change_is_kept(path: Path) -> None:
    storage = SqliteStorage(path, OWN)
    asyncio.run(storage.save(CHANGES[0], b"one"))
    asyncio.run(storage.save(CHANGES[1], b"other"))
    storage.close()
    assert SqliteStorage(path, OWN).note == b"other"


entries = some.lists(some.builds(Entry, some.integers(1, 2**53 - 1), some.text())).map(tuple)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(entries, some.none() | some.integers(0, 9))
def test_any_entry_survives(tmp_path: Path, new: tuple[Entry, ...], vote: int | None) -> None:
    path = tmp_path / "any.db"
    path.unlink(missing_ok=True)
    assert save(path, Change(7, vote, 1, new)) == reopened(path)


def test_what_a_killed_server_saved_is_there_again(home: Path) -> None:
    kept = killed(home, *CHANGES)
    assert home.with_name("raft.db-wal").stat().st_size > 0
    assert reopened(home) == kept


def test_a_write_that_was_cut_off_anywhere_is_there_as_a_whole_or_not_at_all(home: Path) -> None:
    killed(home, *CHANGES[:3])
    log = home.with_name("raft.db-wal")
    whole, database = log.read_bytes(), home.read_bytes()
    states = [PersistentState()]
    for change in CHANGES[:3]:
        states.append(changed(states[-1], change))
    found = []
    for length in (*range(0, len(whole), 1024), len(whole)):
        home.write_bytes(database)
        log.write_bytes(whole[:length])
        found.append(states.index(reopened(home)))
    assert found == sorted(found)
    assert set(found) == {0, 1, 2, 3}


# --- damage ----------------------------------------------------------------------------------


def change_file(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def test_a_bit_that_flips_is_noticed_or_changes_nothing(path: Path, tmp_path: Path) -> None:
    kept = save(path, *CHANGES, Change(4, 1, 3, tuple(Entry(4, f"{n}" * 50) for n in range(99))))
    original, noticed = path.read_bytes(), 0
    places = range(0, len(original), 97)
    for place in places:
        copy = tmp_path / "copy.db"
        copy.write_bytes(original)
        flip(copy, place)
        try:
            assert reopened(copy) == kept
        except StorageError:
            noticed += 1
    assert noticed > len(places) // 3  # the rest are in pages that hold nothing any more


@pytest.mark.parametrize("length", [0, 1, 100, 4096, 8192])
def test_a_file_that_was_cut_off_is_noticed(path: Path, length: int) -> None:
    save(path, *CHANGES)
    os.truncate(path, length)
    with pytest.raises(StorageError, match="is damaged"):
        reopened(path)


def test_a_damaged_write_ahead_log_is_noticed_where_sqlite_forgets_what_was_promised(
    home: Path,
) -> None:
    killed(home, *CHANGES)
    flip(home.with_name("raft.db-wal"), 32 + 24 + 100)
    with pytest.raises(StorageError, match=r"frame 1 of raft\.db-wal is damaged"):
        SqliteStorage(home, OWN)
    with sqlite3.connect(home) as database:
        assert database.execute("SELECT current_term FROM state").fetchall() == [(0,)]


def test_a_damaged_header_of_the_write_ahead_log_is_noticed(home: Path) -> None:
    killed(home, *CHANGES)
    flip(home.with_name("raft.db-wal"), 20)
    with pytest.raises(StorageError, match=r"the header of raft\.db-wal is damaged"):
        reopened(home)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entry WHERE position = 2",
        "DELETE FROM entry WHERE position = 1",
        "UPDATE entry SET command = 'x' WHERE position = 1",
        "UPDATE entry SET term = 9 WHERE position = 2",
        "UPDATE state SET current_term = 2",
        "UPDATE state SET voted_for = NULL",
        "UPDATE state SET last_index = 1",
        "DELETE FROM state",
        "INSERT INTO entry VALUES (3, 1, 'x', 1)",
        "DROP TABLE entry",
    ],
)
def test_what_was_tampered_with_is_noticed(path: Path, statement: str) -> None:
    save(path, *CHANGES)
    change_file(path, statement)
    with pytest.raises(StorageError, match="is damaged"):
        reopened(path)


def test_a_database_that_was_removed_from_its_log_is_noticed(home: Path) -> None:
    killed(home, *CHANGES)
    home.unlink()
    with pytest.raises(StorageError, match=r"it is missing, but raft\.db-wal is not"):
        reopened(home)


# --- whose it is, and whether there is room --------------------------------------------------


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (Identity(2, "one", (1, 2, 3)), "of server 1, and the settings are of server 2"),
        (Identity(1, "two", (1, 2, 3)), "of cluster 'one', and the settings are of cluster 'two'"),
        (Identity(1, "one", (1, 2)), r"servers \[1, 2, 3\], and .* one of servers \[1, 2\]"),
    ],
)
def test_a_file_of_another_server_or_cluster_is_refused(
    path: Path, other: Identity, problem: str
) -> None:
    kept = save(path, *CHANGES)
    with pytest.raises(StorageError, match=f"{problem}: correct the settings") as caught:
        SqliteStorage(path, other)
    assert len(str(caught.value).splitlines()) == 1
    assert reopened(path) == kept


def as_of_format_1(path: Path) -> None:
    """As files were before they said of which cluster they are."""
    change_file(
        path,
        "ALTER TABLE identity DROP COLUMN cluster",
        "ALTER TABLE identity DROP COLUMN members",
        "UPDATE identity SET format = 1",
    )


def test_a_file_that_does_not_say_of_which_cluster_it_is_says_so_from_then_on(path: Path) -> None:
    kept = save(path, *CHANGES)
    as_of_format_1(path)
    storage = SqliteStorage(path, OWN)
    assert storage.was_adopted
    assert storage.persistent == kept
    storage.close()
    with pytest.raises(StorageError, match="of cluster 'one'"):
        SqliteStorage(path, replace(OWN, cluster="two"))
    again = SqliteStorage(path, OWN)
    assert not again.was_adopted
    again.close()


def test_a_file_of_a_newer_format_is_refused(path: Path) -> None:
    save(path)
    change_file(path, "UPDATE identity SET format = 99")
    with pytest.raises(StorageError, match="written by a newer raft-ref, in format 99"):
        reopened(path)


def test_a_file_in_use_is_refused(path: Path) -> None:
    storage = SqliteStorage(path, OWN)
    program = (
        "from raft_ref.cluster.sqlite import *; import sys; "
        "SqliteStorage(Path(sys.argv[1]), Identity(1, 'one', (1, 2, 3)))"
    )
    other = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert "is in use by another process" in other.stderr
    storage.close()


def test_a_full_disk_is_an_error_and_what_was_saved_stays(path: Path) -> None:
    storage = SqliteStorage(path, OWN)
    storage.save_now(CHANGES[0], b"")
    storage._database.execute("PRAGMA max_page_count = 10")
    with pytest.raises(StorageError, match="database or disk is full"):
        storage.save_now(Change(2, None, 3, (Entry(2, "x" * 200_000),)), b"")
    storage.close()
    assert reopened(path) == changed(PersistentState(), CHANGES[0])


@pytest.mark.parametrize("name", ["nowhere/raft.db", "."])
def test_a_path_that_cannot_be_used_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError) as caught:
        SqliteStorage(tmp_path / name, OWN)
    assert len(str(caught.value).splitlines()) == 1
