"""Runs of the core at random, that prefer what was done least."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

from model_check.interned import InternedSystem
from model_check.network import Replayable
from model_check.raft import Bounds, RaftAction, RaftNode, raft_system
from model_check.system import Action, Occur, State
from raft_ref import Event, Message, NodeState, Output

WalkSystem: TypeAlias = InternedSystem[NodeState, Event, Output, Message]

LENGTH = 60
"""Actions of a walk."""
BATCH = 50
"""Walks that know of each other what was taken."""
CHOICES = 4
"""Of so many actions, drawn at random, the one is taken whose local step was taken least."""
MAX_TERM, MAX_LOG, VALUES, MAX_ENTRIES = 6, 5, 2, 2


def random_walks(servers: int, seed: int, batch: int) -> list[list[RaftAction]]:
    """The `BATCH` walks of this number; the same ones for the same ``seed``.

    Servers crash and restart at any moment, and whatever was sent arrives, any number of times.
    """
    return list(islice(_walks(servers, random.Random(f"{seed}, {batch}")), BATCH))  # noqa: S311


def _walks(servers: int, chance: random.Random) -> Iterator[list[RaftAction]]:
    bounds = Bounds(
        servers=servers,
        max_term=MAX_TERM,
        max_log=MAX_LOG,
        values=VALUES,
        max_entries=MAX_ENTRIES,
        restarts=True,
    )
    system = InternedSystem(raft_system(RaftNode(bounds), Replayable(), ()))
    taken: Counter[tuple[int, int, int] | None] = Counter()
    while True:
        state, walk = system.initial(), []
        for _ in range(LENGTH):
            possible = _possible(system, state)
            drawn = chance.sample(possible, min(CHOICES, len(possible)))
            action, step = min(
                ((each, system.step_of(state, each)) for each in drawn),
                key=lambda item: taken[item[1]],
            )
            taken[step] += 1
            led = system.take(state, action)
            assert led is not None, "what is possible can be taken"
            state = led[0]
            walk.append(system.original(action))
        yield walk


def _possible(system: WalkSystem, state: State[int, int, int]) -> list[Action[int, int]]:
    occurrences: list[Action[int, int]] = [
        Occur(node, event)
        for node, local in enumerate(state.nodes, start=1)
        for event in system.node.events(node, local)
    ]
    return occurrences + [
        deliver for own in state.in_flight for deliver, _ in system.network.deliveries(own)
    ]
