#!/usr/bin/env python3
"""An adapter for PySyncObj: its `SyncObj` on a transport of our own, ticked by hand.

Time stands still. A timer fires when its deadline is set into the past; a tick follows every event,
since PySyncObj commits, applies, and takes clients' commands only then.
"""

from __future__ import annotations

import ast
import os
import pickle
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pysyncobj.syncobj
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.node import Node
from pysyncobj.transport import Transport
from pysyncobj.version import VERSION
from serve import Json, Server, Unsupported, serve

NOW = 1000.0
pysyncobj.syncobj.monotonicTime = lambda: NOW

MEMORY = Path("/dev/shm")  # noqa: S108 - files in memory, where there is such a place
DISKS = tempfile.mkdtemp(prefix="pysyncobj-", dir=MEMORY if MEMORY.is_dir() else None)

ROLES = ("follower", "candidate", "leader")


class Outbox(Transport):  # type: ignore[misc]  # the library has no types
    """A transport that is connected to everyone, and only collects what is sent."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.sent: list[tuple[int, Json]] = []

    def send(self, node: Any, message: Json) -> bool:
        self.sent.append((node.id, message))
        return True

    def connect(self, node: Any) -> None:
        self._onNodeConnected(node)

    def receive(self, node: Any, message: Json) -> None:
        self._onMessageReceived(node, message)


class Replicated(SyncObj):  # type: ignore[misc]  # the library has no types
    """What is replicated: nothing is done with it."""

    @replicated  # type: ignore[untyped-decorator]  # the library has no types
    def put(self, command: str) -> None:
        """Take a command."""


class PySyncObjServer(Server):
    """A server of the library."""

    def __init__(self, node: int, nodes: list[int], options: dict[str, str]) -> None:
        for name in options:
            raise Unsupported(f"no option {name}; there are none")
        self._node, self._others = node, [Node(other) for other in nodes if other != node]
        self._disk = f"{DISKS}/{node}"
        shutil.rmtree(self._disk, ignore_errors=True)
        os.mkdir(self._disk)
        self._start()

    def _start(self) -> None:
        conf = SyncObjConf(
            autoTick=False,
            journalFile=f"{self._disk}/journal",
            pollerType="select",
            dynamicMembershipChange=False,
        )
        self._outbox = Outbox()
        self._raft = Replicated(Node(self._node), self._others, conf, transport=self._outbox)
        for other in self._others:
            self._outbox.connect(other)
        self._raft.doTick()

    def _get(self, name: str) -> Any:
        return getattr(self._raft, f"_SyncObj__{name}")

    def _set(self, name: str, value: Any) -> None:
        setattr(self._raft, f"_SyncObj__{name}", value)

    def election_timeout(self) -> list[Json]:
        self._set("raftElectionDeadline", NOW - 1)
        return self._tick()

    def heartbeat_timeout(self) -> list[Json]:
        self._set("newAppendEntriesTime", NOW - 1)
        return self._tick()

    def propose(self, command: str) -> list[Json]:
        if self._get("raftState") == ROLES.index("leader"):
            self._raft.put(command)
        return self._tick()

    def deliver(self, source: int, payload: str) -> list[Json]:
        (node,) = (other for other in self._others if other.id == source)
        self._outbox.receive(node, ast.literal_eval(payload))
        return self._tick()

    def crash(self) -> None:
        self._get("raftLog")._destroy()

    def restart(self) -> list[Json]:
        self._start()
        return self._collect()

    def close(self) -> None:
        self._get("raftLog")._destroy()

    def state(self) -> Json:
        return {
            "current_term": self._get("raftCurrentTerm"),
            "voted_for": self._get("votedForNodeId"),
            "role": ROLES[self._get("raftState")],
            "log": _entries(self._get("raftLog")[:]),
            "commit_index": self._get("raftCommitIndex"),
        }

    def fingerprint(self) -> str:
        """All that the rules look at. Deadlines and response times are left out: they only say when
        a timer fires, and when a leader gives up for want of answers, which it never does here."""
        leader = self._get("raftLeader")
        names = ("votesCount", "raftLastApplied", "leaderCommitIndex", "noopIDx")
        progress = [
            sorted((node.id, index) for node, index in self._get(name).items())
            for name in ("raftNextIndex", "raftMatchIndex")
        ]
        # All of what a restart reads; the log itself is on disk as it is in memory.
        meta = getattr(self._get("raftLog"), "_FileJournal__meta", {})
        stored = {name: meta[name] for name in sorted(meta) if name != "raftCommitIndex"}
        own = [self._get(name) for name in names]
        return repr([self.state(), own, leader and leader.id, progress, stored])

    def _tick(self) -> list[Json]:
        self._raft.doTick()
        return self._collect()

    def _collect(self) -> list[Json]:
        sent, self._outbox.sent = self._outbox.sent, []
        return [_encode(self._node, to, message) for to, message in sent]


def _entries(entries: list[Any]) -> list[Json]:
    return [{"term": entry[2], "command": _command(entry[0])} for entry in entries]


def _command(data: bytes) -> str:
    """A client's command, or nothing for an entry of the library's own."""
    if data[:1] != b"\x00":
        return ""
    call = pickle.loads(data[1:])  # noqa: S301 - our own
    return str(call[1][0])


def _encode(node: int, to: int, message: Json) -> Json:
    kind, fields = _describe(message)
    return {"from": node, "to": to, "kind": kind, "fields": fields, "payload": repr(message)}


def _describe(message: Json) -> tuple[str, Json]:
    """By the paper's names what is the same there. Answers to entries carry no term, and a vote is
    refused by silence."""
    match message["type"]:
        case "request_vote":
            names = ("term", "last_log_index", "last_log_term")
            return "RequestVote", {name: message[name] for name in names}
        case "response_vote":
            return "RequestVoteReply", {"term": message["term"], "vote_granted": True}
        case "append_entries" if "entries" in message:
            return "AppendEntries", {
                "term": message["term"],
                "prev_log_index": message["prevLogIdx"],
                "prev_log_term": message["prevLogTerm"],
                "entries": _entries(message["entries"]),
                "leader_commit": message["commit_index"],
            }
        case kind:
            fields = {name: repr(message[name]) for name in message if name != "type"}
            return str(kind), fields


if __name__ == "__main__":
    try:
        serve(f"PySyncObj {VERSION}", PySyncObjServer)
    finally:
        shutil.rmtree(DISKS, ignore_errors=True)
