"""How one server of a live cluster is set up: a TOML file.

.. code-block:: toml

    id = 1
    directory = "data"                  # beside this file, unless it begins with /
    client = "127.0.0.1:7001"           # where clients are served
    cluster = "5f3c8a0e"                # all servers' the same, and no other cluster's
    secret = "secret"                   # a file: how servers prove that they are of the cluster
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

    [clients]                           # see limits, with the names of Redis
    maxclients = 10000
    client-output-buffer-limit = "normal 64mb 16mb 60"

    [tls]                               # of each other: the name in the certificate is server-ID
    certificate = "server.pem"
    key = "server.key"
    authority = "authority.pem"

Servers need a secret, certificates, or both. A secret authenticates servers when a connection is
opened (see `handshake`), but neither encrypts the connection nor protects it from modification;
certificates do all three. Addresses other than loopback are therefore refused, unless servers have
certificates, or ``insecure = true`` declares the network trusted. Clients are not authenticated.

The cluster's name and the numbers of its servers are stored with a server's state: a server does
not start with the directory of another cluster. ``raft-ref cluster run`` chooses a random name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Struct

from raft_ref.cluster.limits import NAMES, ClientLimits, client_limits
from raft_ref.cluster.replication import replicating
from raft_ref.cluster.storage import Identity
from raft_ref.cluster.timers import Timing
from raft_ref.types import Config, NodeId

MAX_CLUSTER = 200
"""The longest name of a cluster, in characters."""

SECRET = "secret"  # noqa: S105 - a name
OPTIONS: Mapping[str, str] = {SECRET: "A file with the secret that all servers share.", **NAMES}
"""Settings that the command line can override, with their help texts."""

Options: TypeAlias = Mapping[str, str]


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
    secret: Path | None
    """A file; required unless there are certificates, or only one server."""
    limits: ClientLimits

    @property
    def identity(self) -> Identity:
        """The identity that is stored with the state."""
        return Identity(self.config.id, self.cluster, tuple(sorted(self.servers)))

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
    cluster: Annotated[str, Meta(min_length=1, max_length=MAX_CLUSTER)]
    secret: str | None = None
    insecure: bool = False
    trace: bool = False
    metrics: str | None = None
    timing: dict[str, float] = {}
    clients: dict[str, int | str] = {}
    tls: _Tls | None = None


def read_settings(path: Path, options: Options = MappingProxyType({})) -> Settings:
    """The settings in a file, overridden by options (see `OPTIONS`).

    Raises:
        SettingsError: if they cannot be used.
    """
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
        return _settings(_with_options(found, options), path.parent)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _with_options(found: _File, options: Options) -> _File:
    limits = {name: value for name, value in options.items() if name != SECRET}
    secret = options.get(SECRET)
    return msgspec.structs.replace(
        found,
        clients={**found.clients, **limits},
        secret=found.secret if secret is None else str(Path(secret).absolute()),
    )


def _settings(found: _File, beside: Path) -> Settings:
    servers = {_server(name): _address(text) for name, text in found.servers.items()}
    if len(servers) < len(found.servers):
        raise ValueError("a server is named twice among the servers")
    if len(set(servers.values())) < len(servers):
        raise ValueError("two servers have the same address")
    config = replicating(found.id, frozenset(servers))
    client = _address(found.client)
    metrics = None if found.metrics is None else _address(found.metrics)
    if len(servers) > 1 and found.secret is None and found.tls is None:
        raise ValueError(
            "servers cannot know each other: give them all the same secret (secret = FILE; "
            "head -c 32 /dev/urandom | base64 makes one), or certificates ([tls])"
        )
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
        secret=None if found.secret is None else beside / found.secret,
        limits=client_limits(found.clients),
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
