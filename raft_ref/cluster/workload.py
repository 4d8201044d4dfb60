"""What a client asks for that puts a cluster to the test, simulated or real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from raft_ref.cluster.commands import Words
from raft_ref.cluster.replies import Reply, Value


@dataclass(slots=True)
class Workload:
    """Reads and writes keys that others use, too. Each value that is written is written once."""

    client: int
    chance: Random
    _count: int = 0
    _last_read: dict[bytes, bytes] = field(default_factory=dict)
    """By key."""

    def next(self, keys: Sequence[bytes]) -> Words:
        """What to ask for next, about one of these keys."""
        self._count += 1
        key, value = self.chance.choice(keys), b"%d.%d" % (self.client, self._count)
        dice = self.chance.random()
        if dice < 0.5:
            return b"GET", key
        if dice < 0.85:
            return b"SET", key, value
        if dice < 0.95:
            return b"CAS", key, self._last_read.get(key, b"nothing"), value
        return b"DEL", key

    def told(self, words: Words, reply: Reply) -> None:
        """What that was answered."""
        if isinstance(reply, Value) and reply.data is not None:
            self._last_read[words[1]] = reply.data
