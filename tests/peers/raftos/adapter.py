#!/usr/bin/env python3
"""An adapter for raftos: its `State` over a server, timers and files of our own.

Time stands still. A timer fires when its callback is called. An event is over when no task of the
event loop is left: all that is to be sent has been.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import raftos.state
import raftos.storage
from raftos.conf import configure
from raftos.serializers import JSONSerializer
from serve import Json, Server, Unsupported, serve

LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)

# Where the library looks for it, and Python had it until version 3.8.
asyncio.futures.InvalidStateError = asyncio.InvalidStateError  # type: ignore[attr-defined]

# Its own serializer does not work with msgpack from version 1 on. No directory is made for the
# files: the root is there.
configure({"log_path": "/", "serializer": JSONSerializer})


class Timer:
    """A timer that never fires by itself."""

    def __init__(self, _interval: object, callback: Callable[[], None]) -> None:
        self.callback = callback

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def reset(self) -> None: ...


class MemoryFile(io.BytesIO):
    """What its storage opens. The contents are there after a crash, as they are after one of the
    process, but not of the operating system."""

    contents: dict[str, bytes] = {}  # noqa: RUF012 - as files are, shared by all

    def __init__(self, name: str, mode: str) -> None:
        if mode == "rb" and name not in self.contents:
            raise FileNotFoundError(name)
        super().__init__(b"" if mode == "wb" else self.contents.get(name, b""))
        self.seek(0, io.SEEK_END if mode[0] == "a" else io.SEEK_SET)
        self._name = name

    def close(self) -> None:
        if not self.closed:
            self.contents[self._name] = self.getvalue()
        super().close()


raftos.state.Timer = Timer
raftos.storage.open = MemoryFile


class Wire:
    """What raftos calls its server: who is in the cluster, and how to send."""

    def __init__(self, node: int, nodes: list[int]) -> None:
        self.host, self.port, self.loop = "server", node, LOOP
        self.cluster = [("server", other) for other in nodes if other != node]
        self.sent: list[tuple[Json, int]] = []

    @property
    def cluster_count(self) -> int:
        return len(self.cluster)

    async def send(self, data: Json, destination: str | tuple[str, int]) -> None:
        to = destination.split(":")[1] if isinstance(destination, str) else destination[1]
        self.sent.append((dict(data), int(to)))

    def broadcast(self, data: Json) -> None:
        for destination in self.cluster:
            asyncio.ensure_future(self.send(data, destination), loop=LOOP)


class RaftosServer(Server):
    """A server of the library."""

    def __init__(self, node: int, nodes: list[int], options: dict[str, str]) -> None:
        self._goes_on = _goes_on(**options)
        self._node, self._nodes = node, nodes
        for name in [name for name in MemoryFile.contents if name.startswith(f"/server_{node}.")]:
            del MemoryFile.contents[name]
        self._start()

    def _start(self) -> None:
        self._wire = Wire(self._node, self._nodes)
        # A class of its own: the library keeps who is leader in its class, one for each process.
        self._raft = type("State", (raftos.state.State,), {})(self._wire)
        self._raft.start()

    def election_timeout(self) -> list[Json]:
        # A candidate's timer makes it a follower again; only a follower's begins an election.
        return self._fire("election_timer")

    def heartbeat_timeout(self) -> list[Json]:
        return self._fire("heartbeat_timer")

    def propose(self, command: str) -> list[Json]:
        if isinstance(self._raft.state, raftos.state.Leader):
            # Up to where it waits for the command to be applied.
            self._raft.state.execute_command({"x": command}).send(None)
        return self._settle()

    def deliver(self, source: int, payload: str) -> list[Json]:
        try:
            self._raft.request_handler({**json.loads(payload), "sender": ("server", source)})
        except Exception:
            if not self._goes_on:
                raise
        return self._settle()

    def crash(self) -> None:
        """What is durable is in the files."""

    def restart(self) -> list[Json]:
        self._start()
        return self._settle()

    def close(self) -> None:
        self._finish(forgive=True)  # after an error, something may be left to do

    def state(self) -> Json:
        raft = self._raft
        vote = raft.storage.voted_for
        return {
            "current_term": raft.storage.term,
            "voted_for": None if vote is None else int(vote.split(":")[1]),
            "role": type(raft.state).__name__.lower(),
            "log": _entries(raft.log.cache),
            "commit_index": raft.log.commit_index,
        }

    def fingerprint(self) -> str:
        """The files are left out: they hold what the caches do, and the state machine, which only
        applications read."""
        role = type(self._raft.state).__name__
        parts = (self._raft.state, self._raft.log, self._raft.storage)
        return repr([role, *(_read(part, role) for part in parts)])

    def _fire(self, timer: str) -> list[Json]:
        """Let a timer fire, if a server in this role has it."""
        if hasattr(self._raft.state, timer):
            getattr(self._raft.state, timer).callback()
        return self._settle()

    def _settle(self) -> list[Json]:
        """Finish what was begun, and collect what was sent."""
        self._finish(forgive=self._goes_on)
        sent, self._wire.sent = self._wire.sent, []
        return [_encode(self._node, _without_number(data), to) for data, to in sent]

    def _finish(self, *, forgive: bool) -> None:
        """Let all tasks run to their ends; those that they begin, too."""
        while tasks := asyncio.all_tasks(LOOP):
            LOOP.run_until_complete(asyncio.gather(*tasks, return_exceptions=forgive))


def _goes_on(exceptions: str = "raised", **others: str) -> bool:
    """Whether a server goes on where its code raises an exception. It does under asyncio, which
    logs it."""
    if others or exceptions not in ("raised", "logged"):
        raise Unsupported("there is but one option, exceptions: raised or logged")
    return exceptions == "logged"


# fmt: off
UNREAD = {
    # How it was set up, which does not change, and what is looked at by itself.
    "filename", "id", "log", "loop", "serializer", "state", "state_machine", "storage",
    # Timers, what decides when a leader steps down for want of answers, which it never does here
    # (see `_without_number`), and what tells a client that its command was applied.
    "apply_future", "election_timer", "heartbeat_timer", "request_id", "response_map",
    "step_down_timer",
}
# fmt: on
"""What makes no difference to what the server will do."""

OF_LEADERS = {"match_index", "next_index"}
"""What nobody reads but a leader, which sets it anew when it becomes one."""


def _read(part: object, role: str) -> Json:
    """The fields of ``part`` that the rules look at."""
    unread = UNREAD if role == "Leader" else UNREAD | OF_LEADERS
    fields = {name: value for name, value in sorted(vars(part).items()) if name not in unread}
    return {name: _sorted(value) for name, value in fields.items()}


def _sorted(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, dict) else value


def _entries(entries: list[Json]) -> list[Json]:
    return [{"term": entry["term"], "command": entry["command"]["x"]} for entry in entries]


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
            return "AppendEntries", {
                "prev_log_index": data["prev_log_index"],
                "prev_log_term": data["prev_log_term"],
                "entries": _entries(data["entries"]),
                "leader_commit": data["commit_index"],
            }
        case _:
            fields = {"success": data["success"], "match_index": data.get("last_log_index", 0)}
            return "AppendEntriesReply", fields


if __name__ == "__main__":
    serve("raftos 0.2.6", RaftosServer)
