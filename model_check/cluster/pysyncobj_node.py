"""One server of a PySyncObj cluster with its journal on, which is measured when it leads.

A program, which takes an `Order` as JSON. Whoever leads prints a `load.Load` as JSON for each
number of clients. These are functions in the leader's own process: they cross no connection.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from threading import Event

import msgspec
from pysyncobj import SyncObj, SyncObjConf  # type: ignore[import-untyped] # it has no types
from pysyncobj.batteries import ReplDict  # type: ignore[import-untyped] # it has no types
from pysyncobj.journal import FileJournal  # type: ignore[import-untyped] # it has no types

from raft_ref.cluster.load import VALUE, Load
from raft_ref.cluster.timers import Seconds


class Order(msgspec.Struct, frozen=True):
    """What to do."""

    server: int
    """Which of the addresses is its own."""
    addresses: tuple[str, ...]
    journal: str
    clients: tuple[int, ...]
    """How many, one measurement after the other."""
    seconds: Seconds
    period: Seconds | None = None
    """How often a leader sends what is new; PySyncObj's own choice, if None."""
    batches: bool = True
    """Whether a leader waits for its period to send what is new, as it does unless told not to."""
    flushes: bool = False
    """Whether each entry is flushed to the disk before anything is said of it, which PySyncObj
    does not do by itself."""


def main(order: Order) -> None:
    """Run until it is killed."""
    if order.flushes:
        _flush_every_entry()
    logging.disable()
    store = ReplDict()
    own = order.addresses[order.server]
    others = [address for address in order.addresses if address != own]
    cluster = SyncObj(own, others, conf=_configuration(order), consumers=[store])
    while not (cluster.isReady() and cluster._isLeader()):
        time.sleep(0.1)
    time.sleep(0.5)  # so that the others know
    for clients in order.clients:
        load = _measure(store, clients, order.seconds)
        sys.stdout.buffer.write(msgspec.json.encode(load) + b"\n")
        sys.stdout.flush()
    Event().wait()


def _configuration(order: Order) -> SyncObjConf:
    periods = {}
    if order.period is not None:
        periods = {"appendEntriesPeriod": order.period, "autoTickPeriod": order.period / 2}
    return SyncObjConf(journalFile=order.journal, appendEntriesUseBatch=order.batches, **periods)


def _measure(store: ReplDict, clients: int, seconds: Seconds) -> Load:
    load = Load(clients, seconds)
    end, finished = time.perf_counter() + seconds, [Event() for _ in range(clients)]

    def ask(number: int) -> None:
        start = time.perf_counter()
        if start >= end:
            finished[number].set()
            return
        store.set(f"key-{number}", VALUE, callback=_answered(number, start, load, ask))

    for number in range(clients):
        ask(number)
    for each in finished:
        each.wait()
    return load


def _answered(
    number: int, start: Seconds, load: Load, ask: Callable[[int], None]
) -> Callable[[object, object], None]:
    def answered(_result: object, error: object) -> None:
        if error != 0:
            raise SystemExit(f"it was not done: {error}")
        load.latencies.append(time.perf_counter() - start)
        ask(number)

    return answered


def _flush_every_entry() -> None:
    add = FileJournal.add

    def add_and_flush(journal: FileJournal, *entry: object) -> None:
        add(journal, *entry)
        journal.flush()

    FileJournal.add = add_and_flush


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Order))
