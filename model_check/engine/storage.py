"""Where states are kept: each as a row of numbers, a parent, and a slot of a hash index."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import psutil

from model_check.engine.compiled import (
    Int32s,
    UInt32s,
    UInt64s,
)
from model_check.engine.layout import GROUP, Buffers
from model_check.engine.storing import (
    insert,
    rebuild,
)

LARGEST_LOAD = 0.8
"""The index grows once it is so full."""
GROWTH = 1.75
SMALLEST_INDEX = 1 << 16


class Partition:
    """The states that one worker owns.

    Rows and parents are reserved once, as much as memory may ever hold; the operating system
    provides what is written to, and nothing is ever copied. The index is rebuilt when it is full.
    """

    def __init__(self, width: int, capacity: int) -> None:
        self.rows: Int32s = np.empty((capacity, width), np.int32)
        self.parents: UInt32s = np.empty(capacity, np.uint32)
        self.stored = 0
        self.states = 0
        """For how many states the stored ones stand."""
        self._index: UInt64s = np.zeros(SMALLEST_INDEX, np.uint64)

    @property
    def capacity(self) -> int:
        """How many states it can hold."""
        return len(self.rows)

    @property
    def bytes_used(self) -> int:
        """Bytes of memory that its states take: rows, parents, index."""
        per_row = self.rows.itemsize * self.rows.shape[1] + self.parents.itemsize
        used: int = self.stored * per_row + self._index.nbytes
        return used

    def insert(self, found: Buffers, owner: int, limit: int, renamings: int) -> bool:
        """Store the rows in ``found`` that are for ``owner`` and not known yet.

        Stops once ``limit`` rows are stored and another one is found; says whether it came through.
        """
        position, end = 0, int(found.counts[owner])
        while position < end:
            room = min(limit, int(LARGEST_LOAD * len(self._index)))
            position, self.stored, states, _ = insert(
                self.rows,
                self.parents,
                self._index,
                self.stored,
                room,
                found,
                owner,
                position,
                renamings,
            )
            self.states += states
            if position < end:
                if self.stored == limit:
                    return False
                self._grow()
        return True

    @property
    def bytes_to_grow(self) -> int:
        """How much more memory the index takes once it has grown."""
        return int((GROWTH - 1) * self._index.nbytes)

    def _grow(self) -> None:
        slots = int(GROWTH * len(self._index))
        self._index = np.zeros(0, np.uint64)  # so that the two are never there at once
        self._index = np.zeros(slots, np.uint64)
        rebuild(self.rows, self.stored, self._index, np.empty(GROUP, np.uint64))


def memory_used() -> int:
    """Bytes of memory this process holds."""
    used: int = psutil.Process().memory_info().rss
    return used


def memory_available() -> int:
    """Bytes of memory this process could hold: what the machine, or its container, has free."""
    free = int(psutil.virtual_memory().available)
    limits = [_number_in(path) for path in _LIMITS if path.exists()]
    return min([free, *(limit for limit in limits if limit is not None)]) + memory_used()


_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says how much memory a container may use."""


def _number_in(path: Path) -> int | None:
    text = path.read_text("ascii").strip()
    return int(text) if text.isdigit() else None


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
