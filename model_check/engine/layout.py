"""The arrays that compiled loops share, and the marks and kinds in them.

Three layers of tables, each made of the one before: what the system was asked (`BaseTables`), what
components do (`DerivedTables`), and what the search reads (`KernelTables`). What the search writes
are `Buffers`. They are named tuples of arrays, which is what compiled code takes.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from model_check.engine.compiled import Int32s, Int64s, UInt32s, UInt64s

NO_VIOLATION = cast(int, np.int64(1 << 20))
"""The rank of what breaks nothing: beyond that of every property."""
BEYOND = cast(int, np.int64(-2))
"""The rank of a memory in which something has happened too often: no step leads there."""
RESTART = cast(int, np.int64(1 << 30))
"""Marks, in an entry's last column, a step that breaks the node's connections."""
EAGER = cast(int, np.int64(1 << 29))
"""Marks there a step that takes nothing away: the node sends something, or comes to a state that
`Node.simulates` its own, most often itself, and nothing is remembered of it.

Where a message once sent stays in flight, whatever could happen before such a step can happen after
it, and leads to the same but for some more messages in flight, and nodes that simulate those. So
after it nothing can be missed that could be reached without it: the state after it *simulates* the
one before (P. A. Abdulla, K. Cerans, B. Jonsson and Y.-K. Tsay, "General Decidability Theorems for
Infinite-State Systems", 1996: transitions are monotonic in what is in flight). Properties see
nothing of what is in flight. With eager sends, a state with such a step has that one step alone;
since each of them adds something, this ends. Verdicts are the same; a run to a violation may be
longer.
"""
LIMITED = cast(int, np.int64(1 << 28))
"""Marks there a step that may happen so and so often only. It stands for one transition, and what
it reaches stands in `KernelTables.entry_reached`."""

_KINDS = [cast(int, np.int64(kind)) for kind in range(9)]
MISSING_INTERNAL, MISSING_RECEIVED, MISSING_MEMORY, MISSING_PAIR = _KINDS[:4]
MISSING_LEFT, MISSING_CUT, MISSING_IMAGES, MISSING_MEMORY_IMAGES = _KINDS[4:8]
MISSING_FORGOTTEN = _KINDS[8]
"""What a table lacks: the first column of a note, the key in the other two."""
GROUP = 256
"""Rows that are looked up together, so that their waits for memory overlap."""


class KernelTables(NamedTuple):
    """All that the search knows of the system. See `model_check.engine.derived`."""

    local: Int32s
    """By component: its local state."""
    box: Int32s
    """By component: what it has in flight."""
    inbox: Int32s
    """By component and receiver: what may be delivered; 0 for nothing."""
    internal: Int64s
    """By component, what may happen to it by itself, deliveries of its own messages to itself
    included: a list, which is its first entry, then its length and the transitions it stands for in
    one number, then a bit for each milestone that these reach.

    Steps with the same effect share an entry, so there may be more transitions than entries."""
    views: Int32s
    """By component: what pair properties see of it."""
    left: Int32s
    """By component and receiver: where in `left_targets` it says what a delivery leaves of it."""
    left_targets: Int32s
    cut: Int32s
    """By component and node: what it becomes when that node restarts."""
    entries: Int32s
    """By entry: the component it leads to, its fact, its rank, its position among deliveries."""
    entry_reached: Int64s
    """By entry that is `LIMITED`: a bit for each milestone that it reaches."""
    received: Int64s
    """What deliveries from other nodes do: component and inbox, then a list as above; an
    open-addressing table. Never from the node itself: entries say what becomes of the receiver's
    component and, by their position, of the sender's, which must be two."""
    forgotten_keys: UInt64s
    """Component, and the local state of another node: the component without what can never again
    do anything to that node."""
    forgotten_values: Int32s
    memory_keys: UInt64s
    """Memory and fact: the memory then."""
    memory_values: Int32s
    memory_rank: Int32s
    pair_keys: UInt64s
    """Two views: the rank of what they break together."""
    pair_values: Int32s
    images: Int32s
    """By component and renaming: the component under other names."""
    leads: Int32s
    """By component: its least image as node 1, and which renamings give it, as a range of..."""
    lead_renamings: Int32s
    memory_images: Int32s
    origins: Int64s
    """By renaming and node: whose name that node's is."""


class Buffers(NamedTuple):
    """What one worker found, by owner; and what it lacked."""

    rows: Int32s
    parents: UInt32s
    hashes: UInt64s
    stabilizers: Int32s
    """How many renamings leave the row as it is."""
    counts: Int64s
    """By owner: how many rows there are."""
    missing: Int64s
    deferred: Int64s
    """Rows to expand again, once what is missing has been filled in."""
    reached: Int64s
    """A bit for each milestone that was reached; then the same for a row that is not done."""
    worst: Int64s
    """The lowest rank of a violation, and the row whose step led there."""
    ways: Int64s
    """Scratch: lists, each by its first entry and its end, the node and the sender. One row for
    each node and sender, and for each node by itself: as many as there are pairs of nodes."""
    scratch: Int32s
    """Scratch: two rows."""
    before: Int64s
    """Scratch: counts by owner."""
    touched: UInt64s
    """Scratch: `GROUP` words."""


# --- what is derived ------------------------------------------------------------------------

NEED_EFFECT, NEED_OWN, NEED_SENT, NEED_RESTARTED, NEED_BOX = _KINDS[:5]
NEED_LOCAL_IMAGES, NEED_BOX_IMAGES, NEED_FORGOTTEN = _KINDS[5:8]
"""What the base lacks: the first column of a note, the key in the other two."""

COMPONENTS, ENTRIES, LEFT, LEADS, RECEIVED, FORGOTTEN = 0, 1, 2, 3, 4, 5
"""What `Derived.counts` counts."""


class BaseTables(NamedTuple):
    """What local states, messages and boxes do to each other. Ranges are a start and a length."""

    local_node: Int32s
    """By local state: whose it is, from 0."""
    local_view: Int32s
    own: Int32s
    """By local state: the range of `own_effects` that the environment can cause."""
    own_effects: Int32s
    effects: Int64s
    """By effect: the local state after it, what was sent, the fact, the rank, whether it breaks
    connections, a bit for each milestone reached, whether it may happen so and so often only,
    whether it is eager."""
    choices: Int32s
    """By choice of a node: the range of `choice_effects` that it chooses from."""
    choice_effects: Int32s
    effect_keys: UInt64s
    """Local state and message: the choice that its delivery gives."""
    effect_values: Int32s
    inboxes: Int32s
    """By inbox: the range of `inbox_messages`."""
    inbox_messages: Int32s
    box_inboxes: Int32s
    """By box and receiver: the inbox."""
    box_left: Int32s
    """By box and receiver: where in `left_boxes` it says what each delivery leaves."""
    left_boxes: Int32s
    box_losses: Int32s
    """By box: the range of `loss_boxes`, what each loss leaves."""
    loss_boxes: Int32s
    sent_keys: UInt64s
    """Box and what is sent: the box then."""
    sent_values: Int32s
    restarted_keys: UInt64s
    """Box, and `way_of` its node and the one that restarts: the box then."""
    restarted_values: Int32s
    forgotten_keys: UInt64s
    """Box, and the local state of a receiver: the box without what is outdated there."""
    forgotten_values: Int32s
    local_images: Int32s
    """By local state and renaming."""
    box_images: Int32s
    origins: Int64s


class DerivedTables(NamedTuple):
    """What components do; see `KernelTables` for what is not explained here."""

    counts: Int64s
    local: Int32s
    box: Int32s
    component_keys: UInt64s
    """Local state and box: the component."""
    component_values: Int32s
    inbox: Int32s
    internal: Int64s
    views: Int32s
    left: Int32s
    left_targets: Int32s
    cut: Int32s
    entries: Int32s
    entry_reached: Int64s
    received: Int64s
    images: Int32s
    leads: Int32s
    lead_renamings: Int32s
    forgotten_keys: UInt64s
    forgotten_values: Int32s
