"""Does to a cluster what was planned, and in the end mends all of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

from raft_ref.cluster.processes import LocalCluster, Member
from raft_ref.cluster.simulation.weather import CALM, FAIR, STORM
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.torture.clients import Clock
from raft_ref.cluster.torture.network import Network, Way
from raft_ref.cluster.torture.plan import (
    Fault,
    Kill,
    OneWayPartition,
    Partition,
    Pause,
    Planned,
    Reset,
    Storm,
    Victim,
)
from raft_ref.types import NodeId


class Nemesis:
    """What befalls a cluster."""

    def __init__(self, cluster: LocalCluster, network: Network, clock: Clock) -> None:
        self._cluster = cluster
        self._network = network
        self._conditions = network.conditions
        self._tally = network.conditions.tally
        self._clock = clock
        self._storms = 0
        """Under way."""
        self.killed: set[NodeId] = set()
        """And not started again."""
        self.leader: NodeId | None = None
        """As far as is known; whoever knows says it."""

    async def carry_out(self, planned: Sequence[Planned]) -> None:
        """Do all of a plan, each thing at its time; returns when the last is over."""
        async with asyncio.TaskGroup() as group:
            for each in planned:
                await asyncio.sleep(max(0.0, each.at - self._clock.now))
                group.create_task(self._befall(each.fault))

    async def mend(self) -> None:
        """Whatever went wrong is as it should be."""
        self._conditions.cuts.clear()
        self._conditions.weather = CALM
        for member in self._cluster.members.values():
            member.signal(signal.SIGCONT)
            if not member.is_running:
                await self._start(member)

    async def _befall(self, fault: Fault) -> None:
        match fault:
            case Kill(victim, seconds):
                await self._kill(self._member(victim), seconds)
            case Pause(victim, seconds):
                await self._pause(self._member(victim), seconds)
            case Partition(servers, seconds):
                self._tally.partitions += 1
                await self._cut(self._between(servers), seconds)
            case OneWayPartition(victim, is_deaf, seconds):
                self._tally.one_way_partitions += 1
                await self._cut(self._one_way(self._member(victim).number, is_deaf), seconds)
            case Reset(victim):
                self._network.reset(self._member(victim).number)
            case Storm(seconds):
                await self._storm(seconds)

    def _member(self, victim: Victim) -> Member:
        if victim.prefers_leader and self.leader is not None:
            return self._cluster.members[self.leader]
        return self._cluster.members[victim.server]

    async def _kill(self, member: Member, seconds: Seconds) -> None:
        if member.number in self.killed:
            return
        self.killed.add(member.number)
        self._tally.kills += 1
        await asyncio.to_thread(member.kill)
        await asyncio.sleep(seconds)
        await self._start(member)

    async def _start(self, member: Member) -> None:
        await asyncio.to_thread(member.start)
        self._tally.restarts += 1
        self.killed.discard(member.number)

    async def _pause(self, member: Member, seconds: Seconds) -> None:
        if member.number in self.killed:
            return
        self._tally.pauses += 1
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        member.signal(signal.SIGCONT)

    async def _cut(self, ways: frozenset[Way], seconds: Seconds) -> None:
        self._conditions.cuts.append(ways)
        await asyncio.sleep(seconds)
        self._conditions.cuts.remove(ways)

    def _between(self, some: frozenset[NodeId]) -> frozenset[Way]:
        servers = self._cluster.members
        return frozenset((a, b) for a in servers for b in servers if (a in some) != (b in some))

    def _one_way(self, one: NodeId, is_deaf: bool) -> frozenset[Way]:
        others = self._cluster.members.keys() - {one}
        return frozenset((other, one) if is_deaf else (one, other) for other in others)

    async def _storm(self, seconds: Seconds) -> None:
        self._tally.storms += 1
        self._storms += 1
        self._conditions.weather = STORM
        await asyncio.sleep(seconds)
        self._storms -= 1
        if self._storms == 0:
            self._conditions.weather = FAIR
