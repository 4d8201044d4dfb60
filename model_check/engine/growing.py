"""Derived tables of no components, and the same tables with more room."""

from __future__ import annotations

import numpy as np

from model_check.engine.compiled import EMPTY_KEY, UNKNOWN, Int32s, Int64s, compiled, put_all
from model_check.engine.kernels import find_received
from model_check.engine.layout import (
    COMPONENTS,
    ENTRIES,
    FORGOTTEN,
    LEADS,
    LEFT,
    RECEIVED,
    DerivedTables,
)

SMALLEST = 1 << 12


def empty_tables(nodes: int, renamings: int) -> DerivedTables:
    """Tables of no components."""

    def unknown(*shape: int) -> Int32s:
        return np.full((SMALLEST, *shape), UNKNOWN, np.int32)

    return DerivedTables(
        counts=np.zeros(6, np.int64),
        local=unknown(),
        box=unknown(),
        component_keys=np.full(2 * SMALLEST, EMPTY_KEY, np.uint64),
        component_values=np.empty(2 * SMALLEST, np.int32),
        inbox=unknown(nodes),
        internal=np.full((SMALLEST, 3), UNKNOWN, np.int64),
        views=unknown(),
        left=unknown(nodes),
        left_targets=unknown(),
        cut=unknown(nodes),
        entries=unknown(4),
        entry_reached=np.zeros(SMALLEST, np.int64),
        received=np.full((2 * SMALLEST, 4), UNKNOWN, np.int64),
        images=unknown(renamings),
        leads=unknown(3),
        lead_renamings=unknown(),
        forgotten_keys=np.full(2 * SMALLEST, EMPTY_KEY, np.uint64),
        forgotten_values=np.empty(2 * SMALLEST, np.int32),
    )


_COUNTED = {
    "local": COMPONENTS,
    "box": COMPONENTS,
    "inbox": COMPONENTS,
    "internal": COMPONENTS,
    "views": COMPONENTS,
    "left": COMPONENTS,
    "cut": COMPONENTS,
    "images": COMPONENTS,
    "leads": COMPONENTS,
    "left_targets": LEFT,
    "entries": ENTRIES,
    "entry_reached": ENTRIES,
    "lead_renamings": LEADS,
}
"""By table: what counts its rows."""


def with_room(tables: DerivedTables, room: int) -> DerivedTables:
    """The same tables, each with room for ``room`` more rows."""
    grown = {}
    for name, counted in _COUNTED.items():
        old, used = getattr(tables, name), int(tables.counts[counted])
        if used + room > len(old):
            new = np.full((2 * (used + room), *old.shape[1:]), UNKNOWN, old.dtype)
            new[:used] = old[:used]
            grown[name] = new
    for name, counted in (("component", COMPONENTS), ("forgotten", FORGOTTEN)):
        needed = 2 * (int(tables.counts[counted]) + room)
        old_keys, old_values = getattr(tables, f"{name}_keys"), getattr(tables, f"{name}_values")
        if needed > len(old_keys):
            known = old_keys != EMPTY_KEY
            keys, values = np.full(_size(needed), EMPTY_KEY), np.empty(_size(needed), np.int32)
            put_all(keys, values, old_keys[known], old_values[known])
            grown |= {f"{name}_keys": keys, f"{name}_values": values}
    needed = 2 * (int(tables.counts[RECEIVED]) + room)
    if needed > len(tables.received):
        received = np.full((_size(needed), 4), UNKNOWN, np.int64)
        move_received(tables.received, received)
        grown["received"] = received
    return tables._replace(**grown)


def _size(needed: int) -> int:
    """The size of a table of so many slots, with some to spare: a power of two."""
    return 1 << (2 * needed - 1).bit_length()


@compiled
def move_received(old: Int64s, new: Int64s) -> None:
    """Enter what one table holds into another."""
    for slot in range(old.shape[0]):
        if old[slot, 0] != UNKNOWN:
            key = old[slot, 0]
            free = find_received(new, key >> 32, key & 0xFFFFFFFF)
            for column in range(4):
                new[free, column] = old[slot, column]
