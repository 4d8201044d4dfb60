"""The two timers of a server (§5.2): one runs while it is a leader, the other while it is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

Seconds = float
"""On a clock that only goes forward; where it began means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a server waits.

    Raises:
        ValueError: if an election could begin before a heartbeat is due, or never.
    """

    election_timeout: Seconds = 0.5
    """The shortest; each is drawn between this and twice this, so that few fall together (§5.2)."""
    heartbeat_interval: Seconds = 0.1
    request_timeout: Seconds = 5.0
    """How long a client waits before it is told that the outcome is unknown."""

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat_interval < self.election_timeout:
            raise ValueError(
                f"the heartbeat interval ({self.heartbeat_interval} s) must be shorter than the "
                f"election timeout ({self.election_timeout} s), and both longer than 0"
            )
        if not 0 < self.request_timeout < inf or self.election_timeout == inf:
            raise ValueError("all timeouts must be longer than 0, and end")


@dataclass(slots=True)
class Timers:
    """When a server's next timeout is due."""

    timing: Timing
    chance: Random
    deadline: Seconds = field(init=False, default=0.0)

    def restart_election(self, now: Seconds) -> None:
        """Begin a new randomised election timeout."""
        shortest = self.timing.election_timeout
        self.deadline = now + self.chance.uniform(shortest, 2 * shortest)

    def restart_heartbeat(self, now: Seconds) -> None:
        """Begin a new heartbeat interval."""
        self.deadline = now + self.timing.heartbeat_interval
