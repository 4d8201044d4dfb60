#!/usr/bin/env python3
"""An adapter for raftos: its `State` over a server that only collects what is sent.

Its timers are the event loop's, and never fire by themselves, since their intervals are longer than
any run; their callbacks are called by the events.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import raftos.state
from raftos.conf import configure
from raftos.serializers import JSONSerializer
from serve import Json, Server, Unsupported, serve

NEVER = 1e8
"""Seconds."""

LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)
MEMORY = Path("/dev/shm")  # noqa: S108 - files in memory, where there is such a place
DISKS = tempfile.mkdtemp(prefix="raftos-", dir=MEMORY if MEMORY.is_dir() else None)


def configure_for(node: int) -> None:
    """Where the library's globals say that ``node`` keeps its files. Its own serializer, which it
    has for messages, does not work with msgpack from version 1 on."""
    configure(
        {
            "log_path": f"{DISKS}/{node}",
            "serializer": JSONSerializer,
            "heartbeat_interval": NEVER,
        }
    )


class Wire:
    """What raftos calls its server: who is in the cluster, and how to send."""

    def __init__(self, node: int, nodes: list[int]) -> None:
        self.host, self.port, self.loop = "server", node, LOOP
        self.cluster = [("server", other) for other in nodes if other != node]
        self.sent: list[tuple[Json, int]] = []

    @property
    def cluster_count(self) -> int:
        return len(self.cluster)

    async def send(self, data: Json, destination: Any) -> None:
        to = destination.split(":")[1] if isinstance(destination, str) else destination[1]
        self.sent.append((dict(data), int(to)))

    def broadcast(self, data: Json) -> None:
        for destination in self.cluster:
            asyncio.ensure_future(self.send(data, destination), loop=LOOP)


class RaftosServer(Server):
    """A server of the library."""

    def __init__(self, node: int, nodes: list[int], options: dict[str, str]) -> None:
        for name in options:
            raise Unsupported(f"no option {name}; there are none")
        self._node, self._nodes = node, nodes
        shutil.rmtree(f"{DISKS}/{node}", ignore_errors=True)
        self._start()

    def _start(self) -> None:
        configure_for(self._node)
        self._wire = Wire(self._node, self._nodes)
        # A class of its own: the library keeps who is leader in its class, one for each process.
        self._raft = type("State", (raftos.state.State,), {})(self._wire)
        self._raft.start()
        self._settle()

    def election_timeout(self) -> list[Json]:
        # A candidate's timer makes it a follower again; only a follower's begins an election.
        self._raft.state.election_timer.callback()
        return self._settle()

    def heartbeat_timeout(self) -> list[Json]:
        self._raft.state.heartbeat_timer.callback()
        return self._settle()

    def propose(self, command: str) -> list[Json]:
        if isinstance(self._raft.state, raftos.state.Leader):
            asyncio.ensure_future(self._raft.state.execute_command({"x": command}), loop=LOOP)
        return self._settle()

    def deliver(self, source: int, payload: str) -> list[Json]:
        configure_for(self._node)
        self._raft.request_handler({**json.loads(payload), "sender": ("server", source)})
        return self._settle()

    def crash(self) -> None:
        self._raft.stop()

    def restart(self) -> list[Json]:
        self._start()
        return []

    def close(self) -> None:
        self._raft.stop()

    def state(self) -> Json:
        raft = self._raft
        vote = raft.storage.voted_for
        return {
            "current_term": raft.storage.term,
            "voted_for": None if vote is None else int(vote.split(":")[1]),
            "role": type(raft.state).__name__.lower(),
            "log": [
                {"term": entry["term"], "command": entry["command"]["x"]}
                for entry in raft.log.cache
            ],
            "commit_index": raft.log.commit_index,
        }

    def fingerprint(self) -> str:
        """Everything but timers. ``request_id`` and what is awaited for it only decide when a
        leader steps down for want of answers, which it never does here; see `_without_number`."""
        raft, log = self._raft, self._raft.log
        leader = raft.get_leader()
        return repr(
            [
                self.state(),
                getattr(raft.state, "vote_count", 0),
                leader,
                log.last_applied,
                sorted((log.next_index or {}).items()),
                sorted((log.match_index or {}).items()),
            ]
        )

    def _settle(self) -> list[Json]:
        """Let all tasks run to their ends, and collect what was sent."""
        while any(not task.done() and _is_sending(task) for task in asyncio.all_tasks(LOOP)):
            LOOP.run_until_complete(asyncio.sleep(0))
        sent, self._wire.sent = self._wire.sent, []
        return [_encode(self._node, _without_number(data), to) for data, to in sent]


def _is_sending(task: asyncio.Task[Any]) -> bool:
    """All but the wait of `execute_command` for its command to be applied."""
    coroutine = task.get_coro()
    if getattr(coroutine, "__name__", "") != "execute_command":
        return True
    return getattr(coroutine, "cr_await", None) is None


def _without_number(data: Json) -> Json:
    """A message without the number of the heartbeat it belongs to, which would tell apart what is
    the same to every rule of Raft."""
    return {**data, "request_id": 0} if "request_id" in data else data


def _encode(node: int, data: Json, to: int) -> Json:
    kind, fields = _describe(data)
    return {
        "from": node,
        "to": to,
        "kind": kind,
        "fields": {"term": data["term"], **fields},
        "payload": json.dumps(data, sort_keys=True),
    }


def _describe(data: Json) -> tuple[str, Json]:
    match data["type"]:
        case "request_vote":
            names = ("last_log_index", "last_log_term")
            return "RequestVote", {name: data[name] for name in names}
        case "request_vote_response":
            return "RequestVoteReply", {"vote_granted": data.get("vote_granted", False)}
        case "append_entries":
            names = ("prev_log_index", "prev_log_term")
            entries = [
                {"term": entry["term"], "command": entry["command"]["x"]}
                for entry in data["entries"]
            ]
            fields = {name: data[name] for name in names}
            return "AppendEntries", {
                **fields,
                "entries": entries,
                "leader_commit": data["commit_index"],
            }
        case _:
            fields = {"success": data["success"], "match_index": data.get("last_log_index", 0)}
            return "AppendEntriesReply", fields


if __name__ == "__main__":
    try:
        serve("raftos 0.2.6", RaftosServer)
    finally:
        shutil.rmtree(DISKS, ignore_errors=True)
