"""The tutorial: a cluster elects a leader, loses it, elects another, and loses nothing else."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path

import click

from model_check.commands.cluster_run import running
from model_check.traces.files import read_trace
from model_check.traces.judge import judge_trace
from model_check.traces.verdict import TraceVerdict
from raft_ref.cluster.client import Heard
from raft_ref.cluster.processes import LocalCluster, Member, wait_for
from raft_ref.cluster.settings import SettingsError
from spec.profiles import PAPER

SERVERS = 3
WRITES = 20
"""So many are written while one server is down."""


def play(directory: Path) -> bool:
    """Play it, and say whether the traces conform.

    Raises:
        ClientError, TimeoutError: if the cluster does not do what it should.
    """
    try:
        cluster = LocalCluster(directory, SERVERS)
    except OSError as error:
        raise SettingsError(f"cannot use {directory}: {error.strerror}") from None
    with running(cluster):
        Play(cluster).play()
    return _judge(cluster)


def _judge(cluster: LocalCluster) -> bool:
    verdict: TraceVerdict = judge_trace(read_trace(cluster.traces, "raft-ref"), PAPER)
    steps = f"{verdict.matched:,} of {len(verdict.trace.happenings):,} steps"
    if verdict.verdict == "conforms":
        click.echo(f"\nthe traces conform: Raft allows {steps} that the servers took")
        return True
    click.echo(f"\nthe traces do not conform: raft-ref trace says why; {steps} are allowed")
    return False


@dataclass
class Play:
    """The tutorial, on a cluster that has just been started."""

    cluster: LocalCluster
    _start: float = field(default_factory=time.monotonic)

    def play(self) -> None:
        """All of it."""
        first = self._elect()
        self._write(first)
        second = self._kill(first)
        self._write_on(second)
        self._restart(first, second)

    def _elect(self) -> Member:
        self._title("An election")
        self._say(
            f"{SERVERS} servers have been started, each a process of its own. All are followers, "
            "and wait to hear from a leader. There is none."
        )
        leader = self.cluster.wait_for_leader()
        self._say(
            f"{_name(leader)} was the first to lose patience. It stood for election in term "
            f"{_about(leader, 'term')}, and a majority has voted for it: it leads (§5.2)."
        )
        return leader

    def _write(self, leader: Member) -> None:
        self._title("A write")
        one, other = self._others(leader)
        start = time.monotonic()
        self._call(one, "SET", "color", "blue")
        self._say(
            f"A client asked {_name(one)}, which does not lead, to SET color blue. It passed that "
            f"on to {_name(leader)}, which appended it to its log, and sent it to the others. Once "
            "two of three had it on their disks it was committed, and the client was told OK, "
            f"{(time.monotonic() - start) * 1000:.0f} ms after it had asked (§5.3)."
        )
        found = self._call(other, "GET", "color")
        self._say(f"GET color, asked of {_name(other)}: {_shown(found)}.")

    def _kill(self, leader: Member) -> Member:
        self._title("The leader dies")
        pid = leader.pid
        leader.kill()
        self._say(
            f"{_name(leader)} (process {pid}) was killed: kill -9, so it could not even say "
            "good-bye. The others no longer hear from it."
        )
        start = time.monotonic()
        second = self.cluster.wait_for_leader()
        self._say(
            f"{time.monotonic() - start:.1f} s later, {_name(second)} leads, in term "
            f"{_about(second, 'term')}. Only a server that has everything that is committed can be "
            "elected (§5.4.1); so nothing that a client was promised is lost:"
        )
        self._say(f"GET color: {_shown(self._call(second, 'GET', 'color'))}.")
        return second

    def _write_on(self, leader: Member) -> None:
        self._title("Two of three are a majority")
        for number in range(WRITES):
            self._call(leader, "SET", f"key-{number}", str(number))
        self._say(
            f"{WRITES} more writes were answered with OK, with one server down. With two down, "
            "nothing could be committed, and nobody would be told OK."
        )

    def _restart(self, back: Member, leader: Member) -> None:
        self._title("It comes back")
        back.start()
        wait_for(back.info, f"{_name(back)} to answer")
        self._say(
            f"{_name(back)} was started again. Its term, its vote and its log were on its disk, "
            "the rest is gone; it is a follower now, and much has happened without it."
        )
        last = _about(leader, "commit_index")
        wait_for(lambda: _about(back, "commit_index") == last, f"{_name(back)} to catch up")
        self._say(
            f"{_name(leader)} has sent it what it lacks. Both have applied {last} entries: what "
            "clients have asked for, and a first one of each leader's own (§5.4.2)."
        )
        found = self._call(back, "GET", "color")
        self._say(f"GET color, asked of {_name(back)}: {_shown(found)}.")

    def _others(self, leader: Member) -> tuple[Member, Member]:
        one, other = (each for each in self.cluster.members.values() if each is not leader)
        return one, other

    def _call(self, member: Member, *words: str) -> Heard:
        with member.connect() as client:
            return client.call(*words)

    def _title(self, title: str) -> None:
        click.echo(f"\n{title}")

    def _say(self, text: str) -> None:
        seconds = f"{time.monotonic() - self._start:6.1f} s  "
        indent = " " * len(seconds)
        click.echo(textwrap.fill(text, 100, initial_indent=seconds, subsequent_indent=indent))


def _name(member: Member) -> str:
    return f"S{member.number}"


def _about(member: Member, fact: str) -> str:
    return (member.info() or {}).get(fact, "?")


def _shown(heard: Heard) -> str:
    return heard.decode() if isinstance(heard, bytes) else str(heard)
