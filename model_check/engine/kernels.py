"""The compiled inner loops: numbers in, numbers out, no word of what they stand for.

A *row* is a global state: the component of each node, then the memory. `expand` writes the
successors of some rows into buffers, one buffer for each *owner*: rows are shared out among the
workers by their hash, and only the owner of a row stores it (`storing.insert`). So workers never
wait for each other, and what is found does not depend on how many there are.

What a kernel needs to know of the system stands in `KernelTables`, as far as it was asked for.
Where an entry is missing, the kernel notes what it lacks, takes back what it has written for that
row, and goes on with the next.
"""

from __future__ import annotations

import numpy as np

from model_check.engine.compiled import (
    UNKNOWN,
    ZERO,
    Int32s,
    Int64s,
    Word,
    compiled,
    find,
    inlined,
    mix,
    pair_key,
    wide,
)
from model_check.engine.layout import (
    BEYOND,
    EAGER,
    LIMITED,
    MISSING_CUT,
    MISSING_FORGOTTEN,
    MISSING_IMAGES,
    MISSING_INTERNAL,
    MISSING_LEFT,
    MISSING_MEMORY,
    MISSING_MEMORY_IMAGES,
    MISSING_PAIR,
    MISSING_RECEIVED,
    NO_VIOLATION,
    RESTART,
    Buffers,
    KernelTables,
)

# --- rows ------------------------------------------------------------------------------------


@inlined
def hash_row(row: Int32s) -> Word:
    """Where a row is looked for. Equal hashes mean nothing: rows are always compared."""
    total = np.uint64(0)
    for position in range(row.shape[0]):
        part = np.uint64(row[position]) * np.uint64(0x9E3779B97F4A7C15)
        total += mix(part + np.uint64(position + 1))
    return total ^ (total >> np.uint64(29))


@inlined
def is_same(row: Int32s, other: Int32s) -> bool:
    """Whether two rows are equal."""
    for position in range(row.shape[0]):
        if row[position] != other[position]:
            return False
    return True


# --- names -----------------------------------------------------------------------------------


@inlined
def canonical(tables: KernelTables, row: Int32s, best: Int32s) -> tuple[int, int, int]:
    """Write the least of all renamings of ``row`` to ``best``, the row that stands for them all.

    Returns how many renamings give it, which is how many leave it as it is; or 0 and what is
    missing. The least row begins with the least image of some node as node 1, so only the renamings
    that give that need to be compared (`KernelTables.leads`).
    """
    nodes = row.shape[0] - 1
    least = 0x7FFFFFFF
    for node in range(nodes):
        component = row[node]
        if tables.leads[component, 0] == UNKNOWN:
            return 0, MISSING_IMAGES, wide(component)
        least = min(least, wide(tables.leads[component, 0]))
    if tables.memory_images[row[nodes], 0] == UNKNOWN:
        return 0, MISSING_MEMORY_IMAGES, wide(row[nodes])
    count = 0
    for node in range(nodes):
        component = row[node]
        if tables.leads[component, 0] != least:
            continue
        first = tables.leads[component, 1]
        for at in range(first, first + tables.leads[component, 2]):
            renaming = tables.lead_renamings[at]
            order = -1 if count == 0 else 0
            position = 0
            while position <= nodes:
                if position < nodes:
                    origin = tables.origins[renaming, position]
                    value = tables.images[row[origin], renaming]
                else:
                    value = tables.memory_images[row[nodes], renaming]
                if order == 0:
                    if value > best[position]:
                        order = 1
                        break
                    if value < best[position]:
                        order = -1
                if order < 0:
                    best[position] = value
                position += 1
            if order < 0:
                count = 1
            elif order == 0:
                count += 1
    return count, 0, 0


# --- expanding -------------------------------------------------------------------------------


@inlined
def find_received(received: Int64s, component: int, inbox: int) -> int:
    """The slot of a component and an inbox, or an empty one."""
    key = pair_key(component, inbox)
    mask = np.uint64(received.shape[0] - 1)
    slot = mix(key) & mask
    while received[slot, 0] != UNKNOWN and received[slot, 0] != wide(key):
        slot = (slot + np.uint64(1)) & mask
    return wide(slot)


@inlined
def gather(
    tables: KernelTables, buffers: Buffers, row: Int32s, noted: int
) -> tuple[int, int, int, int]:
    """Collect all that can happen in ``row`` as ``buffers.ways``: lists, each with who is in it.

    Returns how many there are (`UNKNOWN` if one is missing), how many entries they have, how many
    transitions they stand for, and how many notes there are now.
    """
    nodes = row.shape[0] - 1
    ways, missing = buffers.ways, buffers.missing
    count, entries, transitions, before = 0, 0, 0, noted
    reached = buffers.reached[0]
    for node in range(nodes):
        component = row[node]
        for sender in range(-1, nodes):
            # What a node sent to itself is in `internal`. So there are at most n lists for each of
            # n nodes, which is the room that `buffers.ways` and `buffers.missing` have.
            if sender == node:
                continue
            if sender < 0:
                first = tables.internal[component, 0]
                size, bits = tables.internal[component, 1], tables.internal[component, 2]
                kind, key = MISSING_INTERNAL, 0
            else:
                inbox = wide(tables.inbox[row[sender], node])
                if inbox == 0:
                    continue
                slot = find_received(tables.received, component, inbox)
                first, size = tables.received[slot, 1], tables.received[slot, 2]
                bits = tables.received[slot, 3]
                kind, key = MISSING_RECEIVED, inbox
            if first == UNKNOWN:
                missing[noted, 0], missing[noted, 1], missing[noted, 2] = kind, component, key
                noted += 1
                continue
            ways[count, 0], ways[count, 1] = first, first + (size >> 32)
            ways[count, 2], ways[count, 3] = node, sender
            count += 1
            entries += size >> 32
            transitions += size & 0xFFFFFFFF
            reached |= bits
    if noted > before:
        return UNKNOWN, 0, 0, noted
    buffers.reached[1] = reached
    return count, entries, transitions, noted


@inlined
def forget(tables: KernelTables, row: Int32s, node: int, after: Int32s) -> tuple[int, int, int]:
    """Take out of ``after``, to which a step of ``node`` leads from ``row``, the messages in flight
    that can never again do anything to their receivers.

    With or without them, the same can happen: the two states are bisimilar, and properties see
    nothing of what is in flight. ``row`` has no such messages, so that only those to ``node`` and
    those from it are looked at; where ``other`` is ``node``, they are the same.

    Returns zeros, or what is missing.
    """
    own = after[node]
    moved = tables.local[own] != tables.local[row[node]]
    sent = tables.box[own] != tables.box[row[node]]
    for other in range(row.shape[0] - 1):
        if moved and tables.inbox[after[other], node] != 0:
            local = wide(tables.local[own])
            left = find(tables.forgotten_keys, tables.forgotten_values, after[other], local)
            if left == UNKNOWN:
                return MISSING_FORGOTTEN, wide(after[other]), local
            after[other] = left
        if sent and tables.inbox[after[node], other] != 0:
            local = wide(tables.local[after[other]])
            left = find(tables.forgotten_keys, tables.forgotten_values, after[node], local)
            if left == UNKNOWN:
                return MISSING_FORGOTTEN, wide(after[node]), local
            after[node] = left
    return 0, 0, 0


@inlined
def successor(
    tables: KernelTables,
    keeps_delivered: bool,
    forgets: bool,
    row: Int32s,
    entry: int,
    node: int,
    sender: int,
    after: Int32s,
) -> tuple[int, int, int, int]:
    """Write to ``after`` where an entry leads from ``row``; ``sender`` is another node than
    ``node``, or negative where nothing is delivered, but perhaps to the sender itself.

    Returns the rank of what is broken there, or `BEYOND`; or `UNKNOWN` and a note of what is
    missing.
    """
    nodes = row.shape[0] - 1
    for position in range(nodes + 1):
        after[position] = row[position]
    target = wide(tables.entries[entry, 0])
    fact, rank = tables.entries[entry, 1], wide(tables.entries[entry, 2])
    place = tables.entries[entry, 3]
    if sender >= 0 and not keeps_delivered:
        offset = tables.left[row[sender], node]
        if offset == UNKNOWN:
            return UNKNOWN, MISSING_LEFT, wide(row[sender]), node
        after[sender] = tables.left_targets[offset + (place & (LIMITED - 1))]
    if place & RESTART:
        for other in range(nodes):
            if other != node:
                left = tables.cut[after[other], node]
                if left == UNKNOWN:
                    return UNKNOWN, MISSING_CUT, wide(after[other]), node
                after[other] = left
    after[node] = target
    if fact != 0:
        memory = find(tables.memory_keys, tables.memory_values, row[nodes], fact)
        if memory == UNKNOWN:
            return UNKNOWN, MISSING_MEMORY, wide(row[nodes]), wide(fact)
        after[nodes] = memory
        if tables.memory_rank[memory] == BEYOND:
            return BEYOND, 0, 0, 0
        rank = min(rank, wide(tables.memory_rank[memory]))
    view = wide(tables.views[target])
    if view != tables.views[row[node]]:
        for other in range(nodes):
            if other != node:
                seen = wide(tables.views[row[other]])
                broken = find(tables.pair_keys, tables.pair_values, view, seen)
                if broken == UNKNOWN:
                    return UNKNOWN, MISSING_PAIR, view, seen
                rank = min(rank, wide(broken))
    if forgets:
        kind, high, low = forget(tables, row, node, after)
        if kind != 0:
            return UNKNOWN, kind, high, low
    return rank, 0, 0, 0


@inlined
def emit(
    tables: KernelTables,
    buffers: Buffers,
    after: Int32s,
    parent: int,
    renamings: int,
    least: Int32s,
) -> tuple[int, int]:
    """Write ``after``, or the row that stands for it, to the buffer of its owner.

    Returns zeros, or what is missing to find out which row stands for it.
    """
    stabilizer = 1
    if renamings > 1:
        stabilizer, kind, key = canonical(tables, after, least)
        if stabilizer == 0:
            return kind, key
        for position in range(after.shape[0]):
            after[position] = least[position]
    hashed = hash_row(after)
    owner = wide(hashed % np.uint64(buffers.counts.shape[0]))
    place = buffers.counts[owner]
    for position in range(after.shape[0]):
        buffers.rows[owner, place, position] = after[position]
    buffers.parents[owner, place] = np.uint32(parent)
    buffers.hashes[owner, place] = hashed
    buffers.stabilizers[owner, place] = stabilizer
    buffers.counts[owner] = place + 1
    return 0, 0


@inlined
def follow_eager(
    tables: KernelTables, buffers: Buffers, row: Int32s, count: int, forgets: bool, after: Int32s
) -> tuple[int, int, int, int]:
    """Write to ``after`` where some step leads that only sends.

    Returns whether there is one that sends something not to be forgotten at once; or `UNKNOWN` and
    a note of what is missing.
    """
    for at in range(count):
        for entry in range(buffers.ways[at, 0], buffers.ways[at, 1]):
            if tables.entries[entry, 3] & EAGER:
                node = wide(buffers.ways[at, 2])
                for position in range(row.shape[0]):
                    after[position] = row[position]
                after[node] = tables.entries[entry, 0]
                if forgets:
                    kind, high, low = forget(tables, row, node, after)
                    if kind != 0:
                        return UNKNOWN, kind, high, low
                    if is_same(row, after):
                        continue
                return wide(1), ZERO, ZERO, ZERO
    return ZERO, ZERO, ZERO, ZERO


@inlined
def follow(
    tables: KernelTables,
    buffers: Buffers,
    row: Int32s,
    count: int,
    parent: int,
    keeps_delivered: bool,
    forgets: bool,
    renamings: int,
    eager: bool,
) -> tuple[int, int, int, int]:
    """Emit every successor of ``row`` that breaks nothing, by the first ``count`` lists gathered.

    Returns the lowest rank of what the others break, for how many states ``row`` stands, whether it
    was a step that only sends, and stands for all others, and how many steps were not enabled since
    they would have been one too many; or `UNKNOWN` and a note of what is missing.
    """
    ways, after, least = buffers.ways, buffers.scratch[0], buffers.scratch[1]
    stabilizer = 1
    if renamings > 1:
        stabilizer, kind, key = canonical(tables, row, least)
        if stabilizer == 0:
            return UNKNOWN, kind, key, 0
    worst, too_many = wide(NO_VIOLATION), ZERO
    if eager:
        is_eager, kind, high, low = follow_eager(tables, buffers, row, count, forgets, after)
        if is_eager == UNKNOWN:
            return UNKNOWN, kind, high, low
        if is_eager:
            kind, key = emit(tables, buffers, after, parent, renamings, least)
            if kind != 0:
                return UNKNOWN, kind, key, ZERO
            return worst, renamings // stabilizer, wide(1), ZERO
    for at in range(count):
        node, sender = wide(ways[at, 2]), wide(ways[at, 3])
        for entry in range(ways[at, 0], ways[at, 1]):
            rank, kind, high, low = successor(
                tables, keeps_delivered, forgets, row, entry, node, sender, after
            )
            if rank == UNKNOWN:
                return UNKNOWN, kind, high, low
            if rank == BEYOND:
                too_many += 1
                continue
            if tables.entries[entry, 3] & LIMITED:
                buffers.reached[1] |= tables.entry_reached[entry]
            if rank < NO_VIOLATION:
                worst = min(worst, wide(rank))
            elif not is_same(row, after):
                kind, key = emit(tables, buffers, after, parent, renamings, least)
                if kind != 0:
                    return UNKNOWN, kind, key, 0
    return worst, renamings // stabilizer, ZERO, too_many


@compiled
def expand(
    tables: KernelTables,
    buffers: Buffers,
    rows: Int32s,
    batch: Int64s,
    worker: int,
    keeps_delivered: bool,
    forgets: bool,
    renamings: int,
    eager: bool,
) -> tuple[int, int, int, int]:
    """Write the successors of ``rows[batch]`` to ``buffers``, as far as there is room.

    Returns how many rows of the batch were looked at, how many of them are deferred, how many notes
    say what is missing, and how many transitions the others have.
    """
    owners = buffers.counts.shape[0]
    room, notes = buffers.parents.shape[1], buffers.missing.shape[0]
    before = buffers.before
    deferred, noted, transitions = ZERO, ZERO, ZERO
    for taken in range(batch.shape[0]):
        row = rows[batch[taken]]
        if noted + buffers.ways.shape[0] > notes:
            return taken, deferred, noted, transitions
        count, entries, enabled, noted = gather(tables, buffers, row, noted)
        if count == UNKNOWN:
            buffers.deferred[deferred] = batch[taken]
            deferred += 1
            continue
        fullest = 0
        for owner in range(owners):
            before[owner] = buffers.counts[owner]
            fullest = max(fullest, wide(before[owner]))
        if fullest + entries > room:
            return taken, deferred, noted, transitions
        parent = batch[taken] * owners + worker
        worst, weight, high, low = follow(
            tables, buffers, row, count, parent, keeps_delivered, forgets, renamings, eager
        )
        if worst == UNKNOWN:
            for owner in range(owners):
                buffers.counts[owner] = before[owner]
            missing = buffers.missing
            missing[noted, 0], missing[noted, 1], missing[noted, 2] = weight, high, low
            buffers.deferred[deferred] = batch[taken]
            deferred, noted = deferred + 1, noted + 1
            continue
        transitions += (1 if high else enabled - low) * weight
        buffers.reached[0] = buffers.reached[1]
        if worst < buffers.worst[0]:
            buffers.worst[0], buffers.worst[1] = worst, parent
    return batch.shape[0], deferred, noted, transitions
