#!/usr/bin/env python3
"""An adapter for pyraftlog: its `Node`, whose threads are never started.

What its threads would do as time passes is done by the events: an election timeout is that of every
neighbour's thread in turn, and so is a heartbeat timeout.
"""

from __future__ import annotations

import base64
import json
import logging
import pickle
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyraftlog import message as wire
from pyraftlog.log import Entry
from pyraftlog.node import NODE_MODE_ACTIVE, Node
from pyraftlog.state import STATE_ROLE_CANDIDATE, STATE_ROLE_FOLLOWER, STATE_ROLE_LEADER
from pyraftlog.storage import Storage
from serve import Json, Server, Unsupported, serve

ROLES = {
    STATE_ROLE_FOLLOWER: "follower",
    STATE_ROLE_CANDIDATE: "candidate",
    STATE_ROLE_LEADER: "leader",
}

SILENT = logging.Logger("pyraftlog", logging.CRITICAL + 1)


class Memory(Storage):  # type: ignore[misc]  # the library has no types
    """Its `PickleStorage`, without the file."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def retrieve(self, state: Any) -> Any:
        if self.content is not None:
            state.populate(pickle.loads(self.content))  # noqa: S301 - our own
        return state

    def persist(self, state: Any) -> None:
        self.content = pickle.dumps(state, 2)


class Outbox:
    """A transport that is connected to everyone, and gets no answer at once."""

    def __init__(self, neighbours: list[str]) -> None:
        self.sent: list[Any] = []
        self._neighbours = neighbours

    def publish(self, _node: Any, message: Any) -> None:
        self.sent.append(message)

    def connected(self) -> list[str]:
        return self._neighbours


class PyraftlogServer(Server):
    """A server of the library."""

    def __init__(self, node: int, nodes: list[int], options: dict[str, str]) -> None:
        for name in options:
            raise Unsupported(f"no option {name}; there are none")
        self._name, self._nodes = str(node), [str(each) for each in nodes]
        self._disk = Memory()
        self._start()

    def _start(self) -> None:
        # Unlike theirs, so that `Node.__del__` does not write to the disk after a crash.
        self._node = _Node(NODE_MODE_ACTIVE, self._name, self._nodes, self._disk, logger=SILENT)
        self._outbox = Outbox(self._node.neighbours)
        self._node.neighbours.sort()

    def election_timeout(self) -> list[Json]:
        node = self._node
        if node.state.role == STATE_ROLE_FOLLOWER:
            # Only the thread of the leader that fell silent acts on it.
            node.on_timeout_follower(self._outbox, node.leader[0] or node.neighbours[0])
        for neighbour in node.neighbours:
            if node.state.role == STATE_ROLE_CANDIDATE:
                node.on_timeout_candidate(self._outbox, neighbour)
        return self._settle()

    def heartbeat_timeout(self) -> list[Json]:
        for neighbour in self._node.neighbours:
            if self._node.state.missing_entries(neighbour):
                self._node.on_behind_entries(self._outbox, neighbour)
            else:
                self._node.on_timeout_leader(self._outbox, neighbour)
        return self._settle()

    def propose(self, command: str) -> list[Json]:
        if self._node.append_entry(command):
            return self.heartbeat_timeout()
        return self._settle()

    def deliver(self, source: int, payload: str) -> list[Json]:
        fields = json.loads(payload)
        if "entries" in fields["data"]:
            fields["data"]["entries"] = [Entry(*entry) for entry in fields["data"]["entries"]]
        was_leader = self._node.is_leader()
        reply = self._node.on_message(wire.Message(**fields))
        if reply is not None:
            self._outbox.sent.append(reply)
        if self._node.is_leader() and not was_leader:
            return self.heartbeat_timeout()  # it resets all timeouts on election
        return self._settle()

    def crash(self) -> None:
        pass

    def restart(self) -> list[Json]:
        self._start()
        return self._settle()

    def state(self) -> Json:
        state = self._node.state
        vote = state.voted_for.get(state.current_term)
        return {
            "current_term": state.current_term,
            "voted_for": None if vote is None else int(vote),
            "role": ROLES[state.role],
            "log": [{"term": entry.term, "command": entry.value} for entry in state.log.entries],
            "commit_index": state.commit_index,
        }

    def fingerprint(self) -> str:
        """Everything but times, which only say when a thread acts, and statistics."""
        node, state = self._node, self._node.state
        parts = [
            *(getattr(node, name) for name in ("leader", "synchronised", "leadership_required")),
            *(vars(state)[name] for name in sorted(vars(state)) if name not in UNIMPORTANT),
            vars(state.log)["entries"],
            (state.log.cur_idx, state.log.offset),
        ]
        disk = "" if self._disk.content is None else base64.b64encode(self._disk.content).decode()
        return " ".join([*map(repr, map(_sorted, parts)), disk])

    def _settle(self) -> list[Json]:
        """Apply what is committed, as the thread for that would, and collect what was sent."""
        state = self._node.state
        while state.commit_index > state.last_applied:
            self._node.apply_entry(state)
        sent, self._outbox.sent = self._outbox.sent, []
        return [_encode(message) for message in sent]


class _Node(Node):  # type: ignore[misc]  # the library has no types
    def __del__(self) -> None:
        pass


UNIMPORTANT = ("log", "statistics", "time_in_state")


def _sorted(part: Any) -> Any:
    return sorted(part.items()) if isinstance(part, dict) else part


def _encode(message: Any) -> Json:
    names = ("procedure", "sender", "recipient", "term", "mode", "data")
    payload = json.dumps({name: getattr(message, name) for name in names}, sort_keys=True)
    kind, fields = _describe(message)
    return {
        "from": int(message.sender),
        "to": int(message.recipient),
        "kind": kind,
        "fields": {"term": message.term, **fields},
        "payload": payload,
    }


def _describe(message: Any) -> tuple[str, Json]:
    data = message.data
    if message.procedure == wire.VOTE_REQUEST:
        names = ("last_log_index", "last_log_term")
        return "RequestVote", {name: data[name] for name in names}
    if message.procedure == wire.VOTE_RESPONSE:
        return "RequestVoteReply", {"vote_granted": data["response"]}
    if message.procedure == wire.APPEND_ENTRIES:
        names = ("prev_log_index", "prev_log_term", "leader_commit")
        entries = [{"term": entry[0], "command": entry[2]} for entry in data["entries"]]
        return "AppendEntries", {**{name: data[name] for name in names}, "entries": entries}
    match = data["last_appended"] if data["response"] else 0
    return "AppendEntriesReply", {"success": data["response"], "match_index": match}


if __name__ == "__main__":
    serve("pyraftlog 3.0.0", PyraftlogServer)
