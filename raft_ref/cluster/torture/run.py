"""A run from its beginning to its end: a cluster, its clients, what befalls them, and peace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeAlias

from raft_ref.cluster.history import Operation
from raft_ref.cluster.processes import LocalCluster, Member
from raft_ref.cluster.settings import Address
from raft_ref.cluster.sqlite import SqliteStorage
from raft_ref.cluster.timers import Seconds
from raft_ref.cluster.torture.clients import (
    Client,
    Clock,
    Connection,
    SessionClient,
    keys_at,
    read_all,
)
from raft_ref.cluster.torture.nemesis import Nemesis
from raft_ref.cluster.torture.network import Conditions, Network
from raft_ref.cluster.torture.plan import Planned, plan
from raft_ref.cluster.torture.tally import Tally
from raft_ref.types import Index, Log, NodeId

Infos: TypeAlias = Mapping[NodeId, Mapping[str, str] | None]
"""What each server says of itself; None if it does not answer."""

SETTLES_WITHIN: Seconds = 60.0
"""Once everything is mended, clients must get their answers and servers agree."""

LOOKS_EVERY: Seconds = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large a run is."""

    servers: int = 3
    clients: int = 8
    session_clients: int = 2
    seconds: Seconds = 60.0
    """In which things go wrong; then all is mended."""
    seed: int = 0
    fault_interval: Seconds = 1.5
    """Between one thing that goes wrong and the next, on average."""

    def plan(self) -> list[Planned]:
        """What goes wrong."""
        return plan(self.seed, range(1, self.servers + 1), self.seconds, self.fault_interval)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is known of a run once it is over; the traces are in the servers' directories."""

    operations: Sequence[Operation]
    """In the order in which they were answered, or given up."""
    tally: Tally
    terms: Sequence[int]
    """In which someone was seen to lead."""
    given_up: Mapping[NodeId, str]
    """The last words of servers that ended by themselves, which none should."""
    unsettled: str | None
    """What had not come about in time after everything was mended; None if all had."""
    committed: Index
    """How far all servers agreed in the end."""
    logs: Mapping[NodeId, Log]
    """As they were stored in the end."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a run is, while it goes on."""

    seconds: Seconds
    infos: Infos
    operations: int
    tally: Tally


OnLook: TypeAlias = Callable[[LocalCluster, Look], None]


async def torture(directory: Path, scale: Scale, on_look: OnLook) -> Outcome:
    """Run a cluster in an empty directory, and let things go wrong.

    Raises:
        SettingsError: if the directory cannot be used.
        TimeoutError: if there is no leader to begin with.
    """
    servers = range(1, scale.servers + 1)
    conditions = Conditions(_chance(scale, "network"), Tally())
    network = Network(servers, conditions)
    links = await network.start()
    cluster = LocalCluster(directory, scale.servers, links)
    members = cluster.members
    network.lead_to({each: members[each].settings.servers[each] for each in servers})
    try:
        await asyncio.to_thread(cluster.start)
        await asyncio.to_thread(cluster.wait_for_leader)
        run = Run(scale, cluster, network, on_look)
        await run.play()
    finally:
        await asyncio.to_thread(cluster.stop)
        await network.stop()
    return run.outcome()


def _chance(scale: Scale, of: str) -> Random:
    return Random(f"{of} {scale.seed}")  # noqa: S311 - no secret


@dataclass(slots=True)
class Run:
    """A cluster that has a leader, its clients, and what befalls them."""

    scale: Scale
    cluster: LocalCluster
    network: Network
    on_look: OnLook
    clock: Clock = field(default_factory=Clock)
    operations: list[Operation] = field(default_factory=list)
    terms: set[int] = field(default_factory=set)
    given_up: dict[NodeId, str] = field(default_factory=dict)
    unsettled: str | None = None
    nemesis: Nemesis = field(init=False)
    _infos: Infos = field(default_factory=dict)
    _is_over: bool = False

    def __post_init__(self) -> None:
        self.nemesis = Nemesis(self.cluster, self.network, self.clock)

    async def play(self) -> None:
        """All of it."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            async with asyncio.TaskGroup() as group:
                clients = [group.create_task(each.run()) for each in self._clients()]
                await self.nemesis.carry_out(self.scale.plan())
                await asyncio.sleep(max(0.0, self.scale.seconds - self.clock.now))
                self._is_over = True
                await self.nemesis.mend()
                await self._settle(clients)
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    def outcome(self) -> Outcome:
        """What it has come to, once the servers have stopped."""
        return Outcome(
            operations=self.operations,
            tally=self.network.conditions.tally,
            terms=sorted(self.terms),
            given_up=self.given_up,
            unsettled=self.unsettled,
            committed=min(_number(info, "commit_index") for info in self._infos.values()),
            logs={number: _stored(member) for number, member in self.cluster.members.items()},
        )

    # --- peace -----------------------------------------------------------------------------------

    async def _settle(self, clients: Sequence[asyncio.Task[None]]) -> None:
        """Clients get their answers, all keys are read, and servers agree; or it takes too long."""
        waits_for = "the answers to clients"
        try:
            async with asyncio.timeout(SETTLES_WITHIN):
                await asyncio.gather(*clients)
                waits_for = "reading all keys"
                self.operations += await self._read_all()
                waits_for = "servers that agree"
                while not _agree(self._infos):
                    await self._look()
                    await asyncio.sleep(LOOKS_EVERY)
        except TimeoutError:
            self.unsettled = f"{waits_for}: not within {SETTLES_WITHIN:g} s after all was mended"

    async def _read_all(self) -> list[Operation]:
        ages = range(int(self.clock.now) + 1)
        keys = list(dict.fromkeys(key for age in ages for key in keys_at(age)))
        connection = Connection(self._addresses(), _chance(self.scale, "last reads"))
        return await read_all(keys, 0, connection, self.clock)

    # --- looking on ------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(LOOKS_EVERY)

    async def _look(self) -> None:
        members = self.cluster.members
        for number, member in members.items():
            if not member.is_running and number not in self.nemesis.killed:
                self.given_up[number] = member.last_words()
        infos = await asyncio.gather(*(asyncio.to_thread(each.info) for each in members.values()))
        self._infos = dict(zip(members, infos, strict=True))
        leading = {
            _number(info, "term"): number
            for number, info in self._infos.items()
            if info is not None and info["role"] == "leader"
        }
        self.terms |= leading.keys()
        self.nemesis.leader = leading[max(leading)] if leading else None
        tally = self.network.conditions.tally
        self.on_look(self.cluster, Look(self.clock.now, self._infos, len(self.operations), tally))

    # --- clients ---------------------------------------------------------------------------------

    def _clients(self) -> list[Client | SessionClient]:
        scale = self.scale
        numbers = range(1, scale.clients + scale.session_clients + 1)
        return [
            self._client(number, Client if number <= scale.clients else SessionClient)
            for number in numbers
        ]

    def _client(
        self, number: int, kind: type[Client] | type[SessionClient]
    ) -> Client | SessionClient:
        chance = _chance(self.scale, f"client {number}")
        connection = Connection(self._addresses(), chance)
        return kind(number, chance, connection, self.clock, self.operations, lambda: self._is_over)

    def _addresses(self) -> list[Address]:
        return [member.settings.client for member in self.cluster.members.values()]


def _agree(infos: Infos) -> bool:
    """Whether all servers have committed all that they have, and hold the same."""
    names = ("commit_index", "last_index", "digest")
    said = {
        None if info is None else tuple(map(info.__getitem__, names)) for info in infos.values()
    }
    if len(said) != 1 or None in said:
        return False
    (only,) = said
    return only is not None and only[0] == only[1]


def _number(info: Mapping[str, str] | None, name: str) -> int:
    return 0 if info is None else int(info[name])


def _stored(member: Member) -> Log:
    storage = SqliteStorage(member.settings.database_path, member.settings.identity)
    try:
        return storage.persistent.log
    finally:
        storage.close()
