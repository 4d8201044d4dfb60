"""What goes wrong in a simulated run: crashes, pauses, partitions, storms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from raft_ref.cluster.simulation.agenda import Agenda
from raft_ref.cluster.simulation.host import Host
from raft_ref.cluster.simulation.weather import CALM, STORM, Network, Weather
from raft_ref.cluster.timers import Seconds
from raft_ref.types import NodeId

CRASH_CHANCE = 0.002
"""That a server dies just when it sends something: between what was sent and what was not."""


@dataclass(slots=True)
class Faults:
    """Lets something go wrong every now and then, until the time has come to end."""

    agenda: Agenda
    chance: Random
    hosts: Mapping[NodeId, Host]
    network: Network
    fair: Weather
    interval: Seconds
    """Between one thing that goes wrong and the next, on average."""
    ends: Seconds
    partitions: int = 0
    pauses: int = 0

    def begin(self) -> None:
        """From now on things go wrong."""
        for host in self.hosts.values():
            host.crash_chance = CRASH_CHANCE
        self._wait()
        self._revive()

    def end(self) -> None:
        """Nothing goes wrong any more, and what did is mended."""
        self.network.cut.clear()
        self.fair = self.network.weather = CALM
        for host in self.hosts.values():
            host.crash_chance = 0.0
            host.resume()
            host.start()

    def _wait(self) -> None:
        self.agenda.after(self.chance.expovariate(1 / self.interval), self._next)

    def _next(self) -> None:
        if self.agenda.now >= self.ends:
            return
        happens = (self._crash, self._pause, self._partition, self._cut_one_way, self._storm)
        self.chance.choice(happens)()
        self._wait()

    def _revive(self) -> None:
        """Whoever has died is started again, sooner or later."""
        if self.agenda.now < self.ends:
            for host in self.hosts.values():
                if self.chance.random() < 0.3:
                    host.start()
            self.agenda.after(0.2, self._revive)

    def _someone(self) -> Host:
        """Anyone, but rather a leader: it has more to lose."""
        leads = [each for each in self.hosts.values() if each.server and each.server.is_leader]
        among = leads if leads and self.chance.random() < 0.5 else list(self.hosts.values())
        return self.chance.choice(among)

    def _crash(self) -> None:
        self._someone().crash()

    def _pause(self) -> None:
        self.pauses += 1
        host = self._someone()
        host.pause()
        self.agenda.after(self.chance.uniform(0.1, 3), host.resume)

    def _partition(self) -> None:
        """Some of the servers and the others do not hear of each other."""
        servers = sorted(self.hosts)
        if len(servers) == 1:
            return
        self.partitions += 1
        some = set(self.chance.sample(servers, self.chance.randint(1, len(servers) - 1)))
        self._cut({(a, b) for a in servers for b in servers if (a in some) != (b in some)})

    def _cut_one_way(self) -> None:
        """Someone is heard and does not hear, or hears and is not heard."""
        self.partitions += 1
        one, is_deaf = self._someone().config.id, self.chance.random() < 0.5
        others = set(self.hosts) - {one}
        self._cut({(other, one) if is_deaf else (one, other) for other in others})

    def _cut(self, links: set[tuple[NodeId, NodeId]]) -> None:
        self.network.cut |= links
        self.agenda.after(
            self.chance.uniform(0.2, 3), lambda: self.network.cut.difference_update(links)
        )

    def _storm(self) -> None:
        self.network.weather = STORM
        self.agenda.after(self.chance.uniform(0.1, 1), self._calm)

    def _calm(self) -> None:
        self.network.weather = self.fair
