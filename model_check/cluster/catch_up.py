"""How long a server that was down takes to catch up with the others.

Server 3 led a term in which it appended entries that nobody else has, and went down. The others
have written 10,000 tiny entries and 500 of 60 kB since, in which their leader has changed. When
server 3 is started again, their present leader has just been elected, and knows nothing of it.

The entries are put into the databases of the servers as such a history would leave them; all else
is done by the servers themselves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from raft_ref.cluster.commands import as_entry, as_text
from raft_ref.cluster.processes import LocalCluster, Member, wait_for
from raft_ref.cluster.sqlite import SqliteStorage
from raft_ref.cluster.storage import Change
from raft_ref.cluster.timers import Seconds
from raft_ref.types import Entry, Index, NodeId, Term

LAGS: NodeId = 3
"""The server that was down."""

LARGE = 60_000
"""Bytes of a large entry's value."""

WITHIN: Seconds = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The entries that a server lacks, and those that it must remove."""

    tiny: int = 10_000
    large: int = 500
    conflicting: int = 200
    """Entries that it alone has, and that the others have other ones for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """How a server caught up."""

    backlog: Backlog
    entries: Index
    """All entries of the log."""
    seconds: Seconds
    """From the start of its process until it had applied them all."""
    term_before: Term
    term_after: Term
    rejections: int
    """AppendEntries that servers rejected meanwhile."""

    @property
    def elections(self) -> int:
        """How many terms began on the way."""
        return self.term_after - self.term_before


def catch_up(
    directory: Path, backlog: Backlog = Backlog(), election_timeout: Seconds = 0.5
) -> CatchUp:
    """Let a server catch up, in a new directory.

    Raises:
        ClientError: if a server does not do what it is asked for.
        TimeoutError: if it does not catch up, or nobody is elected.
    """
    cluster = LocalCluster(directory, 3, trace=False)
    _prepare(cluster, backlog, election_timeout)
    lagging = cluster.members[LAGS]
    try:
        for member in cluster.members.values():
            if member is not lagging:
                member.start()
        leader = _changed_leader(cluster)
        before, digest = _numbers(leader), (leader.info() or {})["digest"]
        start = time.perf_counter()
        lagging.start()
        wait_for(lambda: (lagging.info() or {}).get("digest") == digest, "to catch up", WITHIN)
        seconds = time.perf_counter() - start
        after = _numbers(leader)
    finally:
        cluster.stop()
    return CatchUp(
        backlog=backlog,
        entries=before["last_index"],
        seconds=seconds,
        term_before=before["term"],
        term_after=after["term"],
        rejections=after["rejections"] - before["rejections"],
    )


def _prepare(cluster: LocalCluster, backlog: Backlog, election_timeout: Seconds) -> None:
    """Store what the servers have when they start."""
    timing = f"\n[timing]\nelection_timeout = {election_timeout}\n"
    common = tuple(_set(1, f"common-{number}", "x") for number in range(10))
    tiny = [_set(3, f"tiny-{number}", "x") for number in range(backlog.tiny)]
    large = [_set(4, f"large-{number}", "x" * LARGE) for number in range(backlog.large)]
    conflicting = [_set(2, f"lost-{number}", "x") for number in range(backlog.conflicting)]
    for member in cluster.members.values():
        member.path.write_text(member.path.read_text("utf-8") + timing, "utf-8")
        is_lagging = member.number == LAGS
        term, more = (2, conflicting) if is_lagging else (4, [*tiny, *large])
        storage = SqliteStorage(member.settings.database_path, member.settings.identity)
        storage.save_now(Change(term, None, 1, (*common, *more)), b"")
        storage.close()


def _set(term: Term, key: str, value: str) -> Entry:
    return Entry(term, as_entry((as_text((b"SET", key.encode(), value.encode())),)))


def _changed_leader(cluster: LocalCluster) -> Member:
    """The leader, once it has changed since something was written."""
    first = cluster.wait_for_leader()
    _write(first)
    first.kill()
    first.start()
    leader = cluster.wait_for_leader()
    _write(leader)
    return leader


def _write(member: Member) -> None:
    with member.connect() as client:
        client.call("SET", "written", "x")


def _numbers(member: Member) -> dict[str, int]:
    with member.connect() as client:
        info = client.info()
    return {name: int(float(info.get(name, 0))) for name in ("term", "last_index", "rejections")}
