"""An adapter of the reference core with faults in what it applies, and in whom it names to clients.

``--option reports=applied,redirect`` says what it reports, ``--option fault=NAME`` what is wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from adapter import ReferenceServer
from serve import serve

from raft_ref import Event, Follower, Leader

Json = dict[str, Any]


class FaultyServer(ReferenceServer):
    """A server that applies, or redirects, otherwise than the core does."""

    def __init__(self, node: int, nodes: list[int], options: dict[str, str]) -> None:
        self._fault = options.get("fault", "")
        super().__init__(node, nodes, {})
        self._late: list[Json] = []
        self._former: int | None = None
        """The leader it followed last, in whatever term."""

    def take_applied(self) -> list[Json]:
        applied: list[Json] = super().take_applied()
        if self._fault == "skips":
            return [each for each in applied if each["index"] != 1]
        if self._fault == "twice":
            return [each for each in applied for _ in range(2)]
        if self._fault == "late":  # which is none: they come with the next event
            self._late, applied = applied, self._late
        return applied

    def _step(self, event: Event) -> list[Json]:
        messages: list[Json] = super()._step(event)
        if isinstance(self._state.role, Follower):
            self._former = self._state.role.leader or self._former
        return messages

    def restart(self) -> list[Json]:
        self._late = []
        messages: list[Json] = super().restart()
        return messages

    def redirect(self) -> int | None:
        named: int | None = super().redirect()
        if isinstance(self._state.role, Leader):
            return named
        if self._fault == "names-vote":
            named = self._state.voted_for
        if self._fault == "names-former":
            named = self._former
        return named

    def fingerprint(self) -> str:
        return f"{super().fingerprint()} {self._late} {self._former}"


def with_first(first: Json) -> Iterator[str]:
    """All requests, of which the first was read already."""
    yield json.dumps(first)
    yield from sys.stdin


if __name__ == "__main__":
    init = json.loads(sys.stdin.readline())
    reports = init["options"].get("reports", "applied,redirect")
    chosen = tuple(name for name in reports.split(",") if name)
    serve("faulty", FaultyServer, reports=chosen, lines=with_first(init))
