#!/usr/bin/env python3
"""The reference core itself behind an adapter: explored through it, it must come out the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from serve import Json, Server, Unsupported, serve

from raft_ref import (
    Apply,
    ClientRequest,
    Config,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    NodeState,
    NotLeader,
    Receive,
    Restart,
    Send,
    step,
)
from raft_ref.codec import decode_message, dumps, encode, parse


class ReferenceServer(Server):
    """A server of the core."""

    def __init__(self, node: int, nodes: list[int], options: dict[str, str]) -> None:
        for name in options.keys() - {"max_entries"}:
            raise Unsupported(f"no option {name}; there is max_entries")
        self._config = Config(
            id=node,
            servers=frozenset(nodes),
            max_entries_per_append=int(options.get("max_entries", "1")),
        )
        self._state = NodeState()
        self._applied: list[Json] = []
        self._redirect: int | None = None

    def election_timeout(self) -> list[Json]:
        return self._step(ElectionTimeout())

    def heartbeat_timeout(self) -> list[Json]:
        return self._step(HeartbeatTimeout())

    def propose(self, command: str) -> list[Json]:
        return self._step(ClientRequest(command))

    def deliver(self, source: int, payload: str) -> list[Json]:
        return self._step(Receive(decode_message(parse(payload))))

    def crash(self) -> None:
        pass

    def restart(self) -> list[Json]:
        return self._step(Restart())

    def state(self) -> Json:
        state = self._state
        return {
            "current_term": state.current_term,
            "voted_for": state.voted_for,
            "role": type(state.role).__name__.lower(),
            "log": [encode(entry) for entry in state.log.entries],
            "commit_index": state.commit_index,
        }

    def fingerprint(self) -> str:
        return dumps(self._state)

    def take_applied(self) -> list[Json]:
        applied, self._applied = self._applied, []
        return applied

    def redirect(self) -> int | None:
        return self._redirect

    def _step(self, event: Event) -> list[Json]:
        transition = step(self._config, self._state, event)
        self._state = transition.state
        self._redirect = None
        messages = []
        for output in transition.outputs:
            if isinstance(output, Apply):
                entry = {"term": output.entry.term, "command": output.entry.command}
                self._applied.append({"index": output.index, **entry})
            if isinstance(output, NotLeader):
                self._redirect = output.leader
            if isinstance(output, Send):
                data: Any = encode(output.message)
                text = dumps(output.message)
                kind, source, to = data.pop("type"), data.pop("source"), data.pop("destination")
                messages.append(
                    {"from": source, "to": to, "kind": kind, "fields": data, "payload": text}
                )
        return messages


if __name__ == "__main__":
    serve("raft-ref's reference core", ReferenceServer, reports=("applied", "redirect"))
