#!/usr/bin/env python3
"""An adapter for PySyncObj: its `SyncObj` on a transport and files of our own, ticked by hand.

Time stands still. A timer fires when its deadline is set into the past. One tick follows every
event, since PySyncObj commits, applies, and takes clients' commands only then; no other timer fires
in it, since no other deadline is in the past.
"""

from __future__ import annotations

import ast
import logging
import pickle
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import pysyncobj.journal
import pysyncobj.syncobj
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.journal import Journal
from pysyncobj.node import Node
from pysyncobj.transport import Transport
from pysyncobj.version import VERSION
from serve import Json, Server, Unsupported, serve

logging.disable()  # it logs what the exploration finds out

NOW = 1000.0
pysyncobj.syncobj.monotonicTime = lambda: NOW

ROLES = ("follower", "candidate", "leader")

BATCH = "appendEntriesBatchSizeBytes"
"""An option, of the library's own name: how many bytes of entries a message is filled up to."""


class MemoryFile:
    """Its `ResizableFile`, without the file. What is written is there after a crash, as it is after
    one of the process, but not of the operating system."""

    contents: dict[str, bytearray] = {}  # noqa: RUF012 - as files are, shared by all

    def __init__(self, name: str, defaultContent: bytes) -> None:  # noqa: N803 - the library's
        self._content = self.contents.setdefault(name, bytearray(defaultContent))

    def write(self, offset: int, values: bytes) -> None:
        self._content[offset : offset + len(values)] = values

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._content[offset : offset + size])


class MemoryMeta:
    """Its `MetaStorer`, without the file."""

    contents: dict[str, Json] = {}  # noqa: RUF012 - as files are, shared by all

    def __init__(self, name: str) -> None:
        self._name = name

    def getMeta(self) -> Json:  # noqa: N802 - the library's
        return dict(self.contents.get(self._name, {}))

    def storeMeta(self, meta: Json) -> None:  # noqa: N802 - the library's
        self.contents[self._name] = dict(meta)


pysyncobj.journal.ResizableFile = MemoryFile
pysyncobj.journal.MetaStorer = MemoryMeta


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
        self._sizes = _sizes(options)
        self._node, self._others = node, [Node(other) for other in nodes if other != node]
        self._journal = f"journal of {node}"
        self._meta = f"{self._journal}.meta"
        MemoryFile.contents.pop(self._journal, None)
        MemoryMeta.contents.pop(self._meta, None)
        self._start()

    def _start(self) -> None:
        conf = SyncObjConf(
            autoTick=False, journalFile=self._journal, pollerType="select", **self._sizes
        )
        self._outbox = Outbox()
        self._raft = Replicated(Node(self._node), self._others, conf, transport=self._outbox)
        for other in self._others:
            self._outbox.connect(other)
        self._raft.doTick()

    def _get(self, name: str) -> Any:
        return getattr(self._raft, PRIVATE + name)

    def _set(self, name: str, value: Any) -> None:
        setattr(self._raft, PRIVATE + name, value)

    def _role(self) -> str:
        return ROLES[self._get("raftState")]

    def election_timeout(self) -> list[Json]:
        if self._role() != "leader":
            self._set("raftElectionDeadline", NOW - 1)
        return self._tick()

    def heartbeat_timeout(self) -> list[Json]:
        if self._role() == "leader":
            self._set("newAppendEntriesTime", NOW - 1)
        return self._tick()

    def propose(self, command: str) -> list[Json]:
        if self._role() == "leader":
            self._raft.put(command)
        return self._tick()

    def deliver(self, source: int, payload: str) -> list[Json]:
        (node,) = (other for other in self._others if other.id == source)
        self._outbox.receive(node, ast.literal_eval(payload))
        return self._tick()

    def crash(self) -> None:
        """What is durable is in the files."""

    def restart(self) -> list[Json]:
        self._start()
        return self._collect()

    def state(self) -> Json:
        return {
            "current_term": self._get("raftCurrentTerm"),
            "voted_for": self._get("votedForNodeId"),
            "role": self._role(),
            "log": _entries(self._get("raftLog")[:]),
            "commit_index": self._get("raftCommitIndex"),
        }

    def fingerprint(self) -> str:
        unread = UNREAD | {name for name, role in OF_ROLE.items() if role != self._role()}
        fields = {name.removeprefix(PRIVATE): value for name, value in vars(self._raft).items()}
        read = [(name, _plain(fields[name])) for name in sorted(fields.keys() - unread)]
        # The journal is on disk as it is in memory. What is stored beside it is not: the commit
        # index gets there with the next new term or vote.
        return repr([*read, _plain(MemoryMeta.contents.get(self._meta))])

    def _tick(self) -> list[Json]:
        self._raft.doTick()
        return self._collect()

    def _collect(self) -> list[Json]:
        sent, self._outbox.sent = self._outbox.sent, []
        term = self._get("raftCurrentTerm")
        return [_encode(self._node, to, message, term) for to, message in sent]


PRIVATE = "_SyncObj__"

OF_ROLE = {"votesCount": "candidate", "raftNextIndex": "leader", "raftMatchIndex": "leader"}
"""What nobody reads but a server of this role, which sets it anew when it gets into the role."""

# fmt: off
UNREAD = {
    # How it was set up, which does not change.
    "conf", "consumers", "connectedNodes", "currentVersionFuncNames", "encryptor", "nodeClass",
    "otherNodes", "properies", "readonlyNodes", "selfCodeVersion", "selfNode",
    "_idToConsumer", "_idToMethod", "_methodToID",
    # What ticks it, and carries commands, messages and snapshots; a tick leaves nothing there.
    "commandsQueue", "initialised", "mainThread", "onTickCallbacks", "onTickCallbacksLock",
    "serializer", "thread", "transport", "_poller",
    # Times. They only say when a timer fires, which the events do, and when a leader that hears
    # nobody steps down, which it never does here.
    "lastInitTryTime", "lastReadonlyCheck", "lastResponseTime", "lastSerializedTime",
    "newAppendEntriesTime", "raftElectionDeadline", "startTime",
    # What only an application is told, and what only a change of membership asks for.
    "leaderCommitIndex", "noopIDx", "onReadyCalled",
}
# fmt: on
"""What makes no difference to what the server will do."""


def _sizes(options: dict[str, str]) -> dict[str, int]:
    for name in options:
        if name != BATCH:
            raise Unsupported(f"no option {name}; there is {BATCH}")
    return {name: int(size) for name, size in options.items()}


def _plain(value: Any) -> Any:
    """``value`` as what is printed the same whenever it means the same."""
    if isinstance(value, Node):
        return value.id
    if isinstance(value, Journal):
        return value[:]
    if isinstance(value, dict):
        return sorted((_plain(key), item) for key, item in value.items())
    return value


def _entries(entries: list[Any]) -> list[Json]:
    return [{"term": entry[2], "command": _command(entry[0])} for entry in entries]


def _command(data: bytes) -> str:
    """A client's command, or nothing for an entry of the library's own."""
    if data[:1] != b"\x00":
        return ""
    call = pickle.loads(data[1:])  # noqa: S301 - our own
    return str(call[1][0])


def _encode(node: int, to: int, message: Json, term: int) -> Json:
    kind, fields = _describe(message, term)
    return {"from": node, "to": to, "kind": kind, "fields": fields, "payload": repr(message)}


def _describe(message: Json, term: int) -> tuple[str, Json]:
    """By the paper's names what is the same there. A vote is refused by silence. Answers to entries
    carry no term: they are given the one in which they were sent."""
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
        case "next_node_idx":
            is_success = message["success"]
            match_index = message["next_node_idx"] - 1 if is_success else 0
            return "AppendEntriesReply", {
                "term": term, "success": is_success, "match_index": match_index,
            }  # fmt: skip
        case kind:
            fields = {name: repr(message[name]) for name in message if name != "type"}
            return str(kind), fields


if __name__ == "__main__":
    serve(f"PySyncObj {VERSION}", PySyncObjServer)
