"""The compiled loops that store rows: see `model_check.engine.storage`."""

from __future__ import annotations

import numpy as np

from model_check.engine.compiled import Int32s, UInt32s, UInt64s, Word, compiled, inlined, wide
from model_check.engine.kernels import hash_row, is_same
from model_check.engine.layout import GROUP, Buffers


@inlined
def slot_of(hashed: Word, slots: Word) -> Word:
    """Where in an index of so many slots a search begins; in the order of the hashes."""
    return ((hashed >> np.uint64(32)) * slots) >> np.uint64(32)


@inlined
def tag_of(hashed: Word) -> Word:
    """The part of a hash that an index keeps, in the upper half of a slot."""
    return hashed << np.uint64(32)


@compiled
def insert(
    rows: Int32s,
    parents: UInt32s,
    index: UInt64s,
    stored: int,
    limit: int,
    buffers: Buffers,
    owner: int,
    start: int,
    renamings: int,
) -> tuple[int, int, int, int]:
    """Store the rows that ``buffers`` hold for ``owner``, from ``start`` on, unless they are known.

    Stops when ``limit`` rows are stored and another is found. Returns how far it came, how many
    rows are stored, for how many states the new ones stand, and a number that means nothing.
    """
    slots = np.uint64(index.shape[0])
    tags = np.uint64(0xFFFFFFFF00000000)
    low = np.uint64(0xFFFFFFFF)
    touched = buffers.touched
    width = rows.shape[1]
    states, warmth = 0, 0
    end = buffers.counts[owner]
    for first in range(start, end, GROUP):
        last = min(first + GROUP, end)
        # These two loops only touch what the third will need, all at once. What they read must
        # be of some use, or the compiler leaves them out: hence the number that means nothing.
        for at in range(first, last):
            touched[at - first] = index[slot_of(buffers.hashes[owner, at], slots)]
        for at in range(first, last):
            value = touched[at - first]
            if value != 0 and (value & tags) == tag_of(buffers.hashes[owner, at]):
                warmth += rows[(value & low) - np.uint64(1), 0]
        for at in range(first, last):
            hashed = buffers.hashes[owner, at]
            slot = slot_of(hashed, slots)
            tag = tag_of(hashed)
            while True:
                value = index[slot]
                if value == 0:
                    if stored == limit:
                        return at, stored, states, warmth
                    index[slot] = tag | np.uint64(stored + 1)
                    for position in range(width):
                        rows[stored, position] = buffers.rows[owner, at, position]
                    parents[stored] = np.uint32(buffers.parents[owner, at])
                    stored += 1
                    states += renamings // buffers.stabilizers[owner, at]
                    break
                if (value & tags) == tag and is_same(
                    rows[(value & low) - np.uint64(1)], buffers.rows[owner, at]
                ):
                    break
                slot += np.uint64(1)
                if slot == slots:
                    slot = np.uint64(0)
    return end, stored, states, warmth


@compiled
def rebuild(rows: Int32s, stored: int, index: UInt64s, hashes: UInt64s) -> int:
    """Enter all stored rows into an empty index. Returns a number that means nothing.

    ``hashes`` is scratch, of `GROUP` words.
    """
    slots = np.uint64(index.shape[0])
    warmth = np.uint64(0)
    for first in range(0, stored, GROUP):
        last = min(first + GROUP, stored)
        for at in range(first, last):
            hashes[at - first] = hash_row(rows[at])
            warmth += index[slot_of(hashes[at - first], slots)]
        for at in range(first, last):
            slot = slot_of(hashes[at - first], slots)
            while index[slot] != 0:
                slot += np.uint64(1)
                if slot == slots:
                    slot = np.uint64(0)
            index[slot] = tag_of(hashes[at - first]) | np.uint64(at + 1)
    return wide(warmth)
