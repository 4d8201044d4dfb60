"""How much went wrong in a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """What was done to processes, connections and messages."""

    kills: int = 0
    restarts: int = 0
    pauses: int = 0
    partitions: int = 0
    """Symmetric ones."""
    one_way_partitions: int = 0
    storms: int = 0
    resets: int = 0
    """Of connections."""
    messages: int = 0
    """All between servers."""
    lost: int = 0
    """Of those, by partitions, by chance, or since nobody was there."""
    repeated: int = 0
    reordered: int = 0
    """Overtaken by a later one."""
    delayed: int = 0
    """Held up for at least `network.LATE`."""
