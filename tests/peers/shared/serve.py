"""The protocol's side of an adapter in Python: lines in, lines out (``spec/adapter_protocol.md``).

The implementation's side is a `Server`. This file needs nothing but the standard library, since it
runs where the implementation is installed, and not the checker.
"""

from __future__ import annotations

import json
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TextIO

Json = dict[str, Any]


class Server(ABC):
    """One server of the implementation. Its constructor is a `reset`."""

    @abstractmethod
    def election_timeout(self) -> list[Json]:
        """Let the election timer fire; return the messages sent."""

    @abstractmethod
    def heartbeat_timeout(self) -> list[Json]:
        """Let the heartbeat timer fire; return the messages sent."""

    @abstractmethod
    def propose(self, command: str) -> list[Json]:
        """Hand over a client's command; return the messages sent."""

    @abstractmethod
    def deliver(self, source: int, payload: str) -> list[Json]:
        """Hand over a message; return the messages sent."""

    @abstractmethod
    def crash(self) -> None:
        """Lose what is not durable."""

    @abstractmethod
    def restart(self) -> list[Json]:
        """Come back with what is durable; return the messages sent."""

    @abstractmethod
    def state(self) -> Json:
        """What of the state can be observed."""

    @abstractmethod
    def fingerprint(self) -> str:
        """All that can influence what the server will ever do."""

    def take_applied(self) -> list[Json]:
        """The entries handed to the state machine since the last call; see ``reports``."""
        raise NotImplementedError

    def redirect(self) -> int | None:
        """The leader that was named to the client whose command came last; see ``reports``."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what the server holds outside of memory, before it is reset."""


class Unsupported(Exception):
    """An option or event that the adapter does not know."""


def serve(
    name: str,
    start: Callable[[int, list[int], dict[str, str]], Server],
    unobservable: tuple[str, ...] = (),
    unsupported: tuple[str, ...] = (),
    reports: tuple[str, ...] = (),
    lines: Iterable[str] = sys.stdin,
    replies: TextIO = sys.stdout,
) -> None:
    """Answer every line of ``lines``; ``start`` makes a fresh server.

    Whatever the implementation prints goes to standard error, not among the replies.
    """
    if replies is sys.stdout:
        sys.stdout = sys.stderr
    cluster = Cluster(start, reports)
    for line in lines:
        request = json.loads(line)
        msg_id, kind = request.pop("msg_id"), request.pop("type")
        try:
            if kind == "init":
                told = {"unobservable": list(unobservable), "unsupported": list(unsupported)}
                told |= {"reports": list(reports)} if reports else {}
                answer = {"name": name, **told, "states": cluster.init(**request)}
            else:
                answer = cluster.event(kind, **request)
            reply = {"type": f"{kind}_ok", "in_reply_to": msg_id, **answer}
        except Unsupported as error:
            reply = failure(msg_id, 10, str(error))
        except Exception as error:  # the implementation's, on this event
            traceback.print_exc(file=sys.stderr)
            reply = failure(msg_id, 13, f"{type(error).__name__}: {error}")
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


class Cluster:
    """All servers, and what becomes of them."""

    def __init__(
        self,
        start: Callable[[int, list[int], dict[str, str]], Server],
        reports: tuple[str, ...] = (),
    ) -> None:
        self._start = start
        self._reports = reports
        self._servers: dict[int, Server] = {}

    def init(self, protocol_version: int, nodes: list[int], options: dict[str, str]) -> list[Json]:
        """Start all servers, and say how they start."""
        if protocol_version != 1:
            raise Unsupported(f"version {protocol_version} of the protocol")
        self._nodes, self._options = nodes, options
        for node in nodes:
            self._servers[node] = self._start(node, nodes, options)
        return [{"node": node, **view(self._servers[node])} for node in nodes]

    def event(self, kind: str, node: int, **fields: Any) -> Json:
        """Let something happen to ``node``, and say what it did and is like now."""
        server = self._servers[node]
        messages: list[Json] = []
        match kind:
            case "crash":
                server.crash()
                return {}
            case "reset":
                server.close()
                server = self._servers[node] = self._start(node, self._nodes, self._options)
            case "propose":
                messages = server.propose(fields["command"])
            case "deliver":
                messages = server.deliver(fields["from"], fields["payload"])
            case "election_timeout" | "heartbeat_timeout" | "restart":
                messages = getattr(server, kind)()
            case _:
                raise Unsupported(f"no request {kind!r}")
        told: Json = {}
        if "applied" in self._reports:
            told["applied"] = server.take_applied()
        if "redirect" in self._reports and kind == "propose":
            told["redirect"] = server.redirect()
        return {"messages": messages, **told, **view(server)}


def view(server: Server) -> Json:
    """What a reply says of a server."""
    return {"state": server.state(), "fingerprint": server.fingerprint()}


def failure(msg_id: int, code: int, text: str) -> Json:
    """An error reply."""
    return {"type": "error", "in_reply_to": msg_id, "code": code, "text": text}
