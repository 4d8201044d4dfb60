"""Clients that ask for one thing after the other, to see how much a cluster can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import hiredis

from raft_ref.cluster.client import ClientError, Stream
from raft_ref.cluster.settings import Address
from raft_ref.cluster.timers import Seconds

VALUE = "x" * 100


@dataclass(slots=True)
class Load:
    """What clients have measured."""

    clients: int
    seconds: Seconds
    latencies: list[Seconds] = field(default_factory=list)
    """Of what was done, each from the question to the answer."""


async def write_for(address: Address, clients: int, seconds: Seconds) -> Load:
    """Have so many clients of a server write for so long, each its own key.

    Raises:
        ClientError: if one is answered with an error, or not at all.
    """
    load = Load(clients, seconds)
    end = perf_counter() + seconds
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(_write(address, f"key-{number}", end, load.latencies.append))
    except* OSError as problems:
        raise ClientError(f"NOBODY at {address}: {problems.exceptions[0]}") from None
    except* ClientError as problems:
        raise ClientError(str(problems.exceptions[0])) from None
    return load


async def _write(
    address: Address, key: str, end: Seconds, note: Callable[[Seconds], object]
) -> None:
    stream = await Stream.open(address)
    try:
        while (start := perf_counter()) < end:
            heard = await stream.ask("SET", key, VALUE)
            if isinstance(heard, hiredis.ReplyError):
                raise ClientError(str(heard))
            note(perf_counter() - start)
    finally:
        stream.close()
