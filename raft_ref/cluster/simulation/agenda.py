"""Simulated time: what happens when, and in what order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from raft_ref.cluster.timers import Seconds

Action = Callable[[], None]


@dataclass(slots=True)
class Agenda:
    """All that is going to happen."""

    now: Seconds = 0.0
    _coming: list[tuple[Seconds, int, Action]] = field(default_factory=list)
    _count: int = 0

    def after(self, delay: Seconds, action: Action) -> None:
        """Do this after a while; of two at the same time, first what was said first."""
        self._count += 1
        heappush(self._coming, (self.now + delay, self._count, action))

    def run_until(self, end: Seconds) -> None:
        """Let time pass."""
        while self._coming and self._coming[0][0] <= end:
            self.now, _, action = heappop(self._coming)
            action()
        self.now = end
