"""Where each local step is first possible, of all states that an exploration has stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Generic, NamedTuple

import numpy as np

from model_check.engine.explorer import Search
from model_check.system import M, Q
from spec.forms import E, H, NodeNumber, O, S


class Use(NamedTuple, Generic[S, M]):
    """A node in some state, and a message that may reach it there: in which stored state first."""

    place: int
    node: NodeNumber
    state: S
    message: M | None
    """None for what may happen to the node by itself."""


def first_uses(search: Search[S, E, O, M, Q, H]) -> Iterator[Use[S, M]]:
    """All of them, for a search by one worker that has run; in no order.

    With symmetry, a stored state stands for its renamings, and so does what may happen in it.
    """
    (partition,) = search.partitions
    tables = search.tables
    rows = partition.rows[: partition.stored, :-1]
    known = tables.kernel_tables()
    locals_ = known.local[rows]
    for node in range(1, rows.shape[1] + 1):
        numbers, places = np.unique(locals_[:, node - 1], return_index=True)
        for number, place in zip(numbers.tolist(), places.tolist(), strict=True):
            yield Use(place, node, tables.local_state(number), None)
    for node, sender in product(range(1, rows.shape[1] + 1), repeat=2):
        inboxes = known.inbox[rows[:, sender - 1], node - 1].astype(np.int64)
        pairs = locals_[:, node - 1].astype(np.int64) << 32 | inboxes
        numbers, places = np.unique(pairs, return_index=True)
        for number, place in zip(numbers.tolist(), places.tolist(), strict=True):
            state = tables.local_state(number >> 32)
            for message in tables.deliverable(number & 0xFFFFFFFF):
                yield Use(place, node, state, message)
