"""A simulated run, from its seed to its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from raft_ref.cluster.driver import Driver
from raft_ref.cluster.frames import Frame
from raft_ref.cluster.history import Operation
from raft_ref.cluster.replication import replicating
from raft_ref.cluster.server import Server
from raft_ref.cluster.simulation.agenda import Agenda
from raft_ref.cluster.simulation.clients import Client, SessionClient
from raft_ref.cluster.simulation.disk import Disk
from raft_ref.cluster.simulation.faults import Faults
from raft_ref.cluster.simulation.history import Metrics, Outcome, Recorded
from raft_ref.cluster.simulation.host import Host, NewDriver, NewServer
from raft_ref.cluster.simulation.weather import FAIR, Network, Weather
from raft_ref.cluster.timers import Seconds, Timing
from raft_ref.types import Config, NodeId, Window

TIMING = Timing(election_timeout=0.15, heartbeat_interval=0.05, request_timeout=1.0)

SETTLES: Seconds = 2.5
"""After that long without anything going wrong, all servers agree."""

MAX_ENTRIES, MAX_SIZE = 3, 150
WINDOW = Window(max_entries=8, max_size=300)
"""Far lower than those of `replication`, so that short runs reach them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large a run is."""

    servers: int = 3
    clients: int = 3
    session_clients: int = 1
    keys: int = 2
    seconds: Seconds = 3.0
    """Of simulated time, in which clients ask and things go wrong; then all is left in peace."""
    fault_interval: Seconds = 0.5
    """Between one thing that goes wrong and the next, on average."""
    weather: Weather = FAIR


def simulate(
    seed: int,
    scale: Scale = Scale(),
    new_server: NewServer = Server,
    new_driver: NewDriver = Driver,
) -> Outcome:
    """The run that belongs to a seed.

    ``new_server`` and ``new_driver`` are for what is known to be wrong: does it show?
    """
    run = Run(scale, Random(seed), new_server, new_driver)  # noqa: S311 - not for secrets
    run.play()
    return run.outcome()


@dataclass(slots=True)
class Run:
    """A cluster, its clients, and what befalls them."""

    scale: Scale
    chance: Random
    new_server: NewServer
    new_driver: NewDriver
    agenda: Agenda = field(default_factory=Agenda)
    history: list[Operation] = field(default_factory=list)
    hosts: Mapping[NodeId, Host] = field(init=False)
    network: Network = field(init=False)
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.network = Network(self.agenda, self.chance, self._deliver, self.scale.weather)
        servers = frozenset(range(1, self.scale.servers + 1))
        self.hosts = {server: self._host(_config(server, servers)) for server in sorted(servers)}
        self.faults = Faults(
            self.agenda,
            self.chance,
            self.hosts,
            self.network,
            self.scale.weather,
            self.scale.fault_interval,
            self.scale.seconds,
        )

    def play(self) -> None:
        """All of it."""
        for host in self.hosts.values():
            host.start()
        for client in self._clients():
            client.begin()
        self.faults.begin()
        self.agenda.run_until(self.scale.seconds)
        self.faults.end()
        self.agenda.run_until(self.scale.seconds + SETTLES)

    def outcome(self) -> Outcome:
        """What it has come to."""
        servers = {number: host.server for number, host in self.hosts.items() if host.server}
        return Outcome(
            tuple(self.history),
            tuple(Recorded(host.config, tuple(host.disk.trace)) for host in self.hosts.values()),
            {number: server.state for number, server in servers.items()},
            {number: server.machine.store for number, server in servers.items()},
            {number: host.given_up for number, host in self.hosts.items() if host.given_up},
            self._metrics(),
        )

    def _metrics(self) -> Metrics:
        hosts = self.hosts.values()
        return Metrics(
            steps=sum(host.steps for host in hosts),
            frames=self.network.sent,
            lost=self.network.lost,
            repeated=self.network.repeated,
            writes=sum(host.disk.writes for host in hosts),
            crashes=sum(host.crashes for host in hosts),
            partitions=self.faults.partitions,
            pauses=self.faults.pauses,
        )

    def _host(self, config: Config) -> Host:
        return Host(
            config,
            TIMING,
            self.agenda,
            self.chance,
            self.network.send,
            self.new_server,
            self.new_driver,
            Disk(self.chance),
        )

    def _deliver(self, source: NodeId, destination: NodeId, frame: Frame) -> None:
        self.hosts[destination].receive(source, frame)

    def _clients(self) -> list[Client | SessionClient]:
        hosts, keys = list(self.hosts.values()), [b"k%d" % n for n in range(self.scale.keys)]
        everyone: list[Client | SessionClient] = [
            Client(number, self.agenda, self.chance, hosts, self.history, keys, self.scale.seconds)
            for number in range(1, self.scale.clients + 1)
        ]
        everyone += [
            SessionClient(number, self.agenda, self.chance, hosts, self.history, self.scale.seconds)
            for number in range(1001, 1001 + self.scale.session_clients)
        ]
        return everyone


def _config(server: NodeId, servers: frozenset[NodeId]) -> Config:
    return replace(
        replicating(server, servers),
        max_entries_per_append=MAX_ENTRIES,
        max_size_per_append=MAX_SIZE,
        pipelining=WINDOW,
    )
