"""A cluster on this machine, and a table of how it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table

from model_check.commands.tables import fitted
from raft_ref.cluster.processes import LocalCluster, Member
from raft_ref.cluster.timers import Seconds
from raft_ref.types import NodeId

Infos = Mapping[NodeId, Mapping[str, str] | None]

EVERY: Seconds = 0.5
"""How often the servers are asked how they are."""

COLUMNS = {
    "role": "role",
    "term": "term",
    "leader": "leader",
    "log": "last_index",
    "commit": "commit_index",
    "keys": "keys",
    "asked": "open_requests",
}
"""What is shown, by its heading: what a server calls it."""


@contextmanager
def running(cluster: LocalCluster) -> Iterator[None]:
    """All servers run, and all are stopped in the end, whatever happens."""
    try:
        cluster.start()
        yield
    finally:
        cluster.stop()


def watch(cluster: LocalCluster, max_seconds: float | None) -> None:
    """Run a cluster until Ctrl-C, or for so many seconds, and show how it is.

    Raises:
        ServiceError: if none of its servers runs any more.
    """
    end = None if max_seconds is None else time.monotonic() + max_seconds
    with running(cluster):
        for member in cluster.members.values():
            click.echo(f"{_name(member)} serves clients at {member.settings.client}")
        port = cluster.members[1].settings.client.port
        click.echo(f"try: redis-cli -p {port} set color blue; Ctrl-C ends it")
        try:
            _show(cluster, end)
        except KeyboardInterrupt:
            click.echo("\nstopping")
    click.echo("all servers have stopped")


def _show(cluster: LocalCluster, end: float | None) -> None:
    terminal = Console(highlight=False)
    if not terminal.is_terminal:
        _tell(cluster, _looks(cluster, end))
        return
    with Live(console=terminal, auto_refresh=False) as live:
        for infos in _looks(cluster, end):
            live.update(fitted(table_of(cluster, infos), terminal.width), refresh=True)


def _looks(cluster: LocalCluster, end: float | None) -> Iterator[Infos]:
    """How the servers are, again and again."""
    while end is None or time.monotonic() < end:
        cluster.require_any()
        yield {member.number: member.info() for member in cluster.members.values()}
        time.sleep(EVERY)


def table_of(cluster: LocalCluster, infos: Infos) -> Table:
    """How the servers are, a row each."""
    # Without edges, since it is to fit into 80 columns.
    table = Table("server", "pid", "port", *COLUMNS, box=SIMPLE, show_edge=False, pad_edge=False)
    for member in cluster.members.values():
        info = infos[member.number]
        about = (
            ("-",) * len(COLUMNS)
            if info is None
            else tuple(map(info.__getitem__, COLUMNS.values()))
        )
        pid = "ended" if member.pid is None else str(member.pid)
        is_leader = info is not None and info["role"] == "leader"
        style = "bold green" if is_leader else "red" if info is None else ""
        table.add_row(_name(member), pid, str(member.settings.client.port), *about, style=style)
    return table


def _tell(cluster: LocalCluster, looks: Iterable[Infos]) -> None:
    """Where there is no terminal: a line whenever somebody has come to lead, or has ended."""
    told: set[str] = set()
    running = list(cluster.members.values())
    for infos in looks:
        for member in [each for each in running if not each.is_running]:
            running.remove(member)
            click.echo(f"{_name(member)} has ended: {member.last_words()}")
        for number, info in infos.items():
            if info is not None and info["role"] == "leader" and info["term"] not in told:
                told.add(info["term"])
                click.echo(f"S{number} leads in term {info['term']}")


def _name(member: Member) -> str:
    return f"S{member.number}"
