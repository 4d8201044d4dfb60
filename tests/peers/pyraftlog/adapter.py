#!/usr/bin/env python3
"""An adapter for pyraftlog: its `Node`, whose threads are never started.

There is a thread for each neighbour. What they would do, and when, is what the events do: all of
them in turn at a timeout, and the one that had waited for it at an answer.
"""

from __future__ import annotations

import json
import logging
import pickle
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from pyraftlog import message as wire
from pyraftlog.node import NODE_MODE_ACTIVE, Node
from pyraftlog.state import STATE_ROLE_CANDIDATE, STATE_ROLE_FOLLOWER, STATE_ROLE_LEADER
from pyraftlog.storage import Storage
from serve import Json, Server, Unsupported, serve

logging.disable()  # it logs what the exploration finds out

ROLES = {
    STATE_ROLE_FOLLOWER: "follower",
    STATE_ROLE_CANDIDATE: "candidate",
    STATE_ROLE_LEADER: "leader",
}


class Memory(Storage):  # type: ignore[misc]  # the library has no types
    """Its `PickleStorage`, without the file."""

    def __init__(self) -> None:
        self._content: bytes | None = None

    def retrieve(self, state: Any) -> Any:
        if self._content is not None:
            state.populate(pickle.loads(self._content))  # noqa: S301 - our own
        return state

    def persist(self, state: Any) -> None:
        self._content = pickle.dumps(state, 2)

    def fields(self) -> Json:
        """What was persisted, for equal states the same: their pickles need not be."""
        if self._content is None:
            return {}
        state = pickle.loads(self._content)  # noqa: S301 - our own
        return {name: _plain(value) for name, value in state.__getstate__().items()}


class Outbox:
    """A transport that is connected to everyone, and gets no answer at once."""

    def __init__(self, neighbours: list[str]) -> None:
        self.sent: list[Any] = []
        self._neighbours = neighbours

    def publish(self, _node: Any, message: Any) -> None:
        self.sent.append(message)

    def connected(self) -> list[str]:
        return self._neighbours


class CrashableNode(Node):  # type: ignore[misc]  # the library has no types
    """Its `Node`, which does not get to write to its disk when it crashes."""

    def __del__(self) -> None: ...


class PyraftlogServer(Server):
    """A server of the library."""

    def __init__(self, node: int, nodes: list[int], options: dict[str, str]) -> None:
        for name in options:
            raise Unsupported(f"no option {name}; there are none")
        self._name, self._nodes = str(node), [str(each) for each in nodes]
        self._disk = Memory()
        self._start()

    def _start(self) -> None:
        self._node = CrashableNode(NODE_MODE_ACTIVE, self._name, self._nodes, self._disk)
        self._node.neighbours.sort()
        self._outbox = Outbox(self._node.neighbours)

    def election_timeout(self) -> list[Json]:
        node = self._node
        if node.state.role == STATE_ROLE_FOLLOWER:
            # Only the thread of the leader that fell silent acts on it.
            node.on_timeout_follower(self._outbox, node.leader[0] or node.neighbours[0])
        waiting = list(node.neighbours)
        while waiting and node.state.role == STATE_ROLE_CANDIDATE:
            term, neighbour = node.state.current_term, waiting.pop(0)
            node.on_timeout_candidate(self._outbox, neighbour)
            if node.state.current_term != term:  # it has reset all timeouts for the new election
                waiting = [each for each in node.neighbours if each != neighbour]
        return self._settle()

    def heartbeat_timeout(self) -> list[Json]:
        if self._node.is_leader():
            self._send_to_all()
        return self._settle()

    def propose(self, command: str) -> list[Json]:
        if self._node.append_entry(command):  # it wakes all threads
            self._send_to_all()
        return self._settle()

    def deliver(self, source: int, payload: str) -> list[Json]:
        message = wire.Message(**json.loads(payload))
        was_leader = self._node.is_leader()
        reply = self._node.on_message(message)
        if reply is not None:
            self._outbox.sent.append(reply)
        if self._node.is_leader() and not was_leader:
            self._send_to_all()  # it has reset all timeouts on its election
        elif message.procedure == wire.APPEND_RESPONSE:
            self._send_missing(message.sender)
        return self._settle()

    def crash(self) -> None:
        """What is durable is on the disk."""

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
        unread = UNREAD | {name for name, role in OF_ROLE.items() if role != self._node.state.role}
        fields = {**vars(self._node), **vars(self._node.state)}
        read = [(name, _plain(fields[name])) for name in sorted(fields.keys() - unread)]
        return repr([*read, self._disk.fields()])

    def _send_to_all(self) -> None:
        """What the threads of a leader do when their timeouts are over."""
        for neighbour in self._node.neighbours:
            if not self._send_missing(neighbour):
                self._node.on_timeout_leader(self._outbox, neighbour)

    def _send_missing(self, neighbour: str) -> bool:
        """What the thread of a leader does at any time, where there is something to send."""
        is_behind: bool = self._node.state.missing_entries(neighbour)
        if is_behind:
            self._node.on_behind_entries(self._outbox, neighbour)
        return is_behind

    def _settle(self) -> list[Json]:
        """Collect what was sent, then apply what is committed, as the thread for that would."""
        sent, self._outbox.sent = self._outbox.sent, []
        messages = [_encode(message) for message in sent]
        state = self._node.state
        while state.commit_index > state.last_applied:
            self._node.apply_entry(state)
        return messages


OF_ROLE = {
    "votes": STATE_ROLE_CANDIDATE,
    "next_index": STATE_ROLE_LEADER,
    "synchronised": STATE_ROLE_LEADER,
}
"""What nobody reads but a server in this role, which sets it anew when it gets into the role. It
does not do so with ``match_index``."""

# fmt: off
UNREAD = {
    # How it was set up, which does not change, and what is looked at by itself.
    "_name", "election_timeout", "heartbeat_timeout", "logger", "mode", "neighbourhood",
    "neighbours", "request_address", "state", "storage", "transport", "vote_timeout",
    # Threads, and what is for them alone.
    "active", "apply_event", "apply_thread", "lock", "neighbour_threads", "processing_message",
    "shutdown_flag", "timeout_event", "transport_thread",
    # Times, which only say when a thread acts, and statistics.
    "back_offs", "last_heard", "start_time", "statistics", "time_in_state", "time_outs",
}
# fmt: on
"""What makes no difference to what the server will do."""


def _plain(value: Any) -> Any:
    """``value`` as what is printed the same whenever it means the same."""
    if isinstance(value, dict):
        return sorted(value.items())
    if hasattr(value, "entries"):  # a log
        return [value.offset, value.cur_idx, *map(tuple, value.entries)]
    return value


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
    match message.procedure:
        case wire.VOTE_REQUEST:
            names = ("last_log_index", "last_log_term")
            return "RequestVote", {name: data[name] for name in names}
        case wire.VOTE_RESPONSE:
            return "RequestVoteReply", {"vote_granted": data["response"]}
        case wire.APPEND_ENTRIES:
            entries = [{"term": entry[0], "command": entry[2]} for entry in data["entries"]]
            return "AppendEntries", {
                "prev_log_index": data["prev_log_index"],
                "prev_log_term": data["prev_log_term"],
                "entries": entries,
                "leader_commit": data["leader_commit"],
            }
        case _:
            match_index = data["last_appended"] if data["response"] else 0
            return "AppendEntriesReply", {"success": data["response"], "match_index": match_index}


if __name__ == "__main__":
    serve("pyraftlog 3.0.0", PyraftlogServer)
