"""How one server of a live cluster is set up: a TOML file.

.. code-block:: toml

    id = 1
    directory = "data"                  # beside this file, unless it begins with /
    client = "127.0.0.1:7001"           # where clients are served
    cluster = "example"                 # all servers' the same; others are turned away
    trace = true                        # write trace.ndjson, for raft-ref trace
    metrics = "127.0.0.1:9001"          # Prometheus; none if left out

    [servers]                           # where servers serve each other, this one included
    1 = "127.0.0.1:7101"
    2 = "127.0.0.1:7102"
    3 = "127.0.0.1:7103"

    [timing]                            # in seconds, see timers.Timing
    election_timeout = 0.5
    heartbeat_interval = 0.1
    request_timeout = 5.0

    [tls]                               # of each other: the name in the certificate is server-ID
    certificate = "server.pem"
    key = "server.key"
    authority = "authority.pem"

Addresses other than loopback are refused, unless ``insecure = true`` says that whoever reaches them
may do as they like: for those of servers, certificates do as well; clients are never asked who they
are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from raft_ref.cluster.timers import Timing
from raft_ref.types import Config, NodeId

MAX_ENTRIES = 128
"""In one AppendEntries. As many of the longest commands, escaped, fit into one frame."""


class SettingsError(Exception):
    """A file of settings cannot be used: which, where in it, and why."""


class Address(NamedTuple):
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM by which servers know each other."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server is set up."""

    config: Config
    cluster: str
    directory: Path
    client: Address
    servers: Mapping[NodeId, Address]
    timing: Timing
    trace: bool
    metrics: Address | None
    certificates: Certificates | None

    @property
    def database_path(self) -> Path:
        """Where the persistent state is kept."""
        return self.directory / "raft.db"

    @property
    def trace_path(self) -> Path:
        """Where the trace is written."""
        return self.directory / "trace.ndjson"


class _Tls(Struct, frozen=True, forbid_unknown_fields=True):
    certificate: str
    key: str
    authority: str


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the file."""

    id: NodeId
    directory: str
    client: str
    servers: dict[str, str]
    cluster: str = "raft-ref"
    insecure: bool = False
    trace: bool = False
    metrics: str | None = None
    timing: dict[str, float] = {}
    tls: _Tls | None = None


def read_settings(path: Path) -> Settings:
    """The settings in a file. Raises `SettingsError`."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
        return _settings(found, path.parent)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _settings(found: _File, beside: Path) -> Settings:
    servers = {_server(name): _address(text) for name, text in found.servers.items()}
    if len(servers) < len(found.servers):
        raise ValueError("a server is named twice among the servers")
    if len(set(servers.values())) < len(servers):
        raise ValueError("two servers have the same address")
    config = Config(id=found.id, servers=frozenset(servers), max_entries_per_append=MAX_ENTRIES)
    client = _address(found.client)
    metrics = None if found.metrics is None else _address(found.metrics)
    if not found.insecure:
        _require_loopback("client", client)
        if found.tls is None:
            _require_loopback(f"servers.{found.id}", servers[found.id])
        if metrics is not None:
            _require_loopback("metrics", metrics)
    return Settings(
        config=config,
        cluster=found.cluster,
        directory=beside / found.directory,
        client=client,
        servers=servers,
        timing=_timing(found.timing),
        trace=found.trace,
        metrics=metrics,
        certificates=None if found.tls is None else _certificates(found.tls, beside),
    )


def _certificates(tls: _Tls, beside: Path) -> Certificates:
    return Certificates(beside / tls.certificate, beside / tls.key, beside / tls.authority)


def _timing(found: Mapping[str, float]) -> Timing:
    known = [each.name for each in fields(Timing)]
    for name in found:
        if name not in known:
            raise ValueError(f"[timing] has {', '.join(known)}, and no {name}")
    return Timing(**found)


def _server(name: str) -> NodeId:
    if not name.isdecimal():
        raise ValueError(f"a server is a number, not {name!r}")
    return int(name)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"an address is host:port, with a port from 1 to 65535, not {text!r}")
    if host != "localhost":
        ip_address(host)
    return Address(host, int(port))


def _require_loopback(name: str, address: Address) -> None:
    if not address.is_loopback:
        raise ValueError(
            f"{name} = {str(address)!r} can be reached from elsewhere, and whoever reaches it may "
            "do as they like; give certificates (for servers), or say insecure = true"
        )
