"""What goes wrong in a run, and when: drawn from a seed before anything begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from raft_ref.cluster.timers import Seconds
from raft_ref.types import NodeId


@dataclass(frozen=True, slots=True)
class Victim:
    """Whom it befalls."""

    server: NodeId
    prefers_leader: bool
    """Rather the leader, if it is known who leads: it has more to lose."""


@dataclass(frozen=True, slots=True)
class Kill:
    """``kill -9``; it is started again after so many seconds."""

    victim: Victim
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Pause:
    """SIGSTOP; it goes on, and notices nothing of it, after so many seconds."""

    victim: Victim
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Partition:
    """These servers and the others do not hear of each other for so many seconds."""

    servers: frozenset[NodeId]
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class OneWayPartition:
    """A server does not hear the others, or is not heard by them, for so many seconds."""

    victim: Victim
    is_deaf: bool
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Reset:
    """All connections between a server and the others are reset."""

    victim: Victim


@dataclass(frozen=True, slots=True)
class Storm:
    """Everywhere, messages are lost, repeated and held up for so many seconds."""

    seconds: Seconds


Fault: TypeAlias = Kill | Pause | Partition | OneWayPartition | Reset | Storm


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault, and when it comes: seconds after the beginning."""

    at: Seconds
    fault: Fault


def plan(seed: int, servers: Sequence[NodeId], ends: Seconds, interval: Seconds) -> list[Planned]:
    """The faults that belong to a seed, up to an end, one every ``interval`` on average."""
    return list(_drawn(Random(f"plan {seed}"), servers, ends, interval))  # noqa: S311 - no secret


def _drawn(
    chance: Random, servers: Sequence[NodeId], ends: Seconds, interval: Seconds
) -> Iterator[Planned]:
    kinds, weights = zip(*_KINDS if len(servers) > 1 else _KINDS_ALONE, strict=True)
    at = chance.expovariate(1 / interval)
    while at < ends:
        (draw,) = chance.choices(kinds, weights)
        yield Planned(at, draw(chance, servers))
        at += chance.expovariate(1 / interval)


def _victim(chance: Random, servers: Sequence[NodeId]) -> Victim:
    return Victim(chance.choice(servers), chance.random() < 0.5)


def _kill(chance: Random, servers: Sequence[NodeId]) -> Fault:
    return Kill(_victim(chance, servers), chance.uniform(0.1, 2))


def _pause(chance: Random, servers: Sequence[NodeId]) -> Fault:
    return Pause(_victim(chance, servers), chance.uniform(0.1, 3))


def _partition(chance: Random, servers: Sequence[NodeId]) -> Fault:
    some = chance.sample(servers, chance.randint(1, len(servers) - 1))
    return Partition(frozenset(some), chance.uniform(0.5, 4))


def _one_way(chance: Random, servers: Sequence[NodeId]) -> Fault:
    is_deaf = chance.random() < 0.5
    return OneWayPartition(_victim(chance, servers), is_deaf, chance.uniform(0.5, 4))


def _reset(chance: Random, servers: Sequence[NodeId]) -> Fault:
    return Reset(_victim(chance, servers))


def _storm(chance: Random, _servers: Sequence[NodeId]) -> Fault:
    return Storm(chance.uniform(0.2, 2))


_Draw: TypeAlias = Callable[[Random, Sequence[NodeId]], Fault]

_KINDS_ALONE: tuple[tuple[_Draw, int], ...] = ((_kill, 30), (_pause, 15))
"""How to draw each kind, and how often it comes, where there is but one server."""

_KINDS: tuple[tuple[_Draw, int], ...] = (
    *_KINDS_ALONE,
    (_partition, 20),
    (_one_way, 15),
    (_reset, 10),
    (_storm, 10),
)
