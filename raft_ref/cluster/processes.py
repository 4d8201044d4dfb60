"""A cluster on this machine: each server a process of its own, on loopback."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from raft_ref.cluster.client import Client, ClientError
from raft_ref.cluster.secret import make_secret
from raft_ref.cluster.service import ServiceError
from raft_ref.cluster.settings import (
    SECRET,
    Address,
    Options,
    Settings,
    SettingsError,
    read_settings,
)
from raft_ref.cluster.timers import Seconds
from raft_ref.types import NodeId

T = TypeVar("T")

Links: TypeAlias = Mapping[tuple[NodeId, NodeId], Address]
"""By who connects, and to whom: where."""

HOST = "127.0.0.1"
SETTINGS = "settings.toml"
LOG = "log.ndjson"


class Member:
    """One server of a local cluster."""

    def __init__(self, path: Path, options: Options = MappingProxyType({})) -> None:
        self.path = path
        self.settings: Settings = read_settings(path, options)
        self._options = [f"--{name}={value}" for name, value in options.items()]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def number(self) -> NodeId:
        """Which server it is."""
        return self.settings.config.id

    @property
    def pid(self) -> int | None:
        """Its process; None if there is none."""
        return self._process.pid if self.is_running and self._process else None

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.is_running:
            return
        with (self.path.parent / LOG).open("ab") as log:
            # A session of its own: Ctrl-C is for whoever has started it, who then stops it.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "raft_ref.cluster", str(self.path), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGKILL, SIGSTOP or SIGCONT."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, whatever it is doing (``kill -9``)."""
        self.signal(signal.SIGKILL)
        self.wait()

    def ask_to_stop(self) -> None:
        """Ask it to end, also if it stands still. Once only: a second time would end it at once."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.ask_to_stop()
        self.wait_or_kill()

    def wait_or_kill(self) -> None:
        """Wait until it has ended; if that takes too long, end it."""
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.kill()

    def wait(self) -> int | None:
        """With what code it has ended; None if it was never started."""
        return None if self._process is None else self._process.wait(10)

    def connect(self, timeout: Seconds = 10.0) -> Client:
        """A client of this server. Raises `ClientError`."""
        return Client(self.settings.client, timeout)

    def info(self) -> dict[str, str] | None:
        """What it says of itself; None if it does not answer."""
        try:
            with self.connect(1.0) as client:
                return client.info()
        except ClientError:
            return None

    def last_words(self) -> str:
        """The problem or the event in the last line of its log."""
        log = self.path.parent / LOG
        lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
        if not lines:
            return "it said nothing"
        try:
            line = json.loads(lines[-1])
            return str(line.get("problem", line["event"]))
        except (ValueError, TypeError, KeyError):
            return lines[-1]


class LocalCluster:
    """Some servers on this machine, in a directory each, which keep a trace if that is asked for.

    ``links`` says where one server reaches another, if that is not where the other listens;
    ``options`` are settings that all servers are given on their command line.

    Raises:
        SettingsError: if the directory holds another cluster, or cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        servers: int,
        links: Links | None = None,
        *,
        trace: bool = True,
        options: Options = MappingProxyType({}),
    ) -> None:
        self.directory = directory
        paths = [directory / f"server-{number}" / SETTINGS for number in range(1, servers + 1)]
        existing = sorted(directory.glob(f"server-*/{SETTINGS}"))
        if not existing:
            _write_settings(paths, links or {}, trace)
        elif set(existing) != set(paths):
            raise SettingsError(f"{directory} holds a cluster of {len(existing)}, not {servers}")
        else:
            _require_secret(directory, paths)
        members = [Member(path, options) for path in paths]
        self.members = {member.number: member for member in members}

    @property
    def traces(self) -> list[Path]:
        """The traces of all."""
        return [member.settings.trace_path for member in self.members.values()]

    def start(self) -> None:
        """Start all."""
        for member in self.members.values():
            member.start()

    def stop(self) -> None:
        """Stop all, however they are."""
        for member in self.members.values():
            member.ask_to_stop()
        for member in self.members.values():
            member.wait_or_kill()

    def leader(self) -> Member | None:
        """Who leads, in the latest term in which someone says so."""
        infos = {number: member.info() for number, member in self.members.items()}
        terms = {
            number: int(info["term"])
            for number, info in infos.items()
            if info is not None and info["role"] == "leader"
        }
        return self.members[max(terms, key=lambda each: terms[each])] if terms else None

    def wait_for_leader(self, within: Seconds = 30.0) -> Member:
        """Who leads, as soon as someone does.

        Raises:
            TimeoutError: if nobody does in time.
            ServiceError: if none of the servers runs any more.
        """
        return wait_for(self._leader_if_any_runs, "a leader", within)

    def _leader_if_any_runs(self) -> Member | None:
        self.require_any()
        return self.leader()

    def require_any(self) -> None:
        """See that not all servers have ended.

        Raises:
            ServiceError: if they have, with the last words of one.
        """
        members = list(self.members.values())
        if not any(member.is_running for member in members):
            raise ServiceError(f"no server runs: {members[0].last_words()}")


def wait_for(look: Callable[[], T | None], what: str, within: Seconds = 30.0) -> T:
    """What is looked for, as soon as it is there. Raises `TimeoutError`."""
    end = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within:g} s")
        time.sleep(0.05)
    return found


def _require_secret(directory: Path, paths: list[Path]) -> None:
    """Add a secret to the settings of a cluster that was made without one."""
    for path in paths:
        text = path.read_text("utf-8")
        if not {SECRET, "tls"} & tomllib.loads(text).keys():
            make_secret(directory / SECRET)
            path.write_text(f'{SECRET} = "../{SECRET}"\n{text}', "utf-8")


def _write_settings(paths: list[Path], links: Links, trace: bool) -> None:
    ports = free_ports(2 * len(paths))
    addresses = [Address(HOST, port) for port in ports]
    servers = dict(enumerate(addresses[: len(paths)], start=1))
    clients = addresses[len(paths) :]
    name, directory = secrets.token_hex(16), paths[0].parent.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        make_secret(directory / SECRET)
        for number, (path, client) in enumerate(zip(paths, clients, strict=True), start=1):
            reached = {to: links.get((number, to), address) for to, address in servers.items()}
            listed = "\n".join(f'{to} = "{address}"' for to, address in reached.items())
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                f'id = {number}\ncluster = "{name}"\nsecret = "../{SECRET}"\n'
                f'directory = "."\nclient = "{client}"\n'
                f"trace = {str(trace).lower()}\n\n[servers]\n{listed}\n",
                "utf-8",
            )
    except OSError as error:
        where = error.filename or directory
        raise SettingsError(f"cannot write {where}: {error.strerror}") from None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; held all at once, so that they differ."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
