"""Traces of those who log only some of what happens: each in a way of its own, at random."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

SHARES = (0.0, 0.0, 0.3, 1.0)
"""How often something is left out by someone who leaves it out at all, or does not."""


@dataclass
class Logger:
    """Someone who leaves out this and that."""

    chance: random.Random
    servers: frozenset[int]
    """The servers whose lines it has."""
    shares: dict[str, float] = field(default_factory=dict)

    def leaves_out(self, what: str) -> bool:
        """Whether to leave it out this time."""
        share = self.shares.setdefault(what, self.chance.choice(SHARES))
        return self.chance.random() < share

    def header(self, header: Json) -> Json:
        """The first line."""
        self.leaves_out("send")
        is_whole = set(header["servers"]) == self.servers and not self.shares["send"]
        return header if is_whole else header | {"unobserved": ["sends"]}

    def lines(self, lines: Iterable[Json]) -> Iterator[Json]:
        """All others."""
        for line in lines:
            kind = line["event"]
            if line["server"] in self.servers and not (kind == "send" and self.leaves_out("send")):
                if kind != "start":
                    self._thin_out(line)
                yield line

    def _thin_out(self, line: Json) -> None:
        if "state" in line:
            self._thin_out_state(line["state"])
            if self.leaves_out("state"):
                del line["state"]
        if line["event"] == "apply" and self.leaves_out("apply"):
            line.pop("entry", None)
        message = line.get("message", {"kind": None})
        if message["kind"] == "AppendEntries" and self.leaves_out(line["event"] + " entries"):
            message["fields"]["entry_count"] = len(message["fields"].pop("entries"))

    def _thin_out_state(self, state: Json) -> None:
        log = state["log"]
        for name in tuple(state):
            if self.leaves_out(name):
                del state[name]
        if "log" not in state and self.leaves_out("silence on the end of the log"):
            state["last_log_index"] = log["from"] - 1 + len(log["entries"])


def sparse(lines: Iterable[bytes], seed: int) -> list[bytes]:
    """The trace in ``lines``, as some logger or other would have told it."""
    chance = random.Random(seed)  # noqa: S311
    header, *others = map(json.loads, lines)
    everyone = frozenset(header["servers"])
    unknown = {chance.choice(header["servers"])} if chance.random() < 0.25 else set[int]()
    logger = Logger(chance, everyone - unknown)
    told = [logger.header(header), *logger.lines(others)]
    return [json.dumps(line).encode() + b"\n" for line in told]
