"""What clients asked for and were told, simulated ones and real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from raft_ref.cluster.commands import Words
from raft_ref.cluster.replies import NOT_DONE, UNKNOWN, Failed, Reply
from raft_ref.cluster.timers import Seconds

Certainty: TypeAlias = Literal["ok", "failed", "unknown"]
"""ok: the reply says what happened. failed: nothing did, ever. unknown: it may have, or may yet."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asked for, and was told."""

    client: int
    words: Words
    start: Seconds
    end: Seconds
    reply: Reply

    @property
    def name(self) -> str:
        """What is done, such as ``SET``."""
        return self.words[0].decode()

    @property
    def key(self) -> str:
        """To what."""
        return self.words[1].decode()

    @property
    def certainty(self) -> Certainty:
        """What the client knows of it."""
        return certainty(self.reply)


def certainty(reply: Reply) -> Certainty:
    """What a client knows that is told this."""
    match reply:
        case Failed(code=code) if code == NOT_DONE:
            return "failed"
        case Failed(code=code) if code == UNKNOWN:
            return "unknown"
        case _:
            return "ok"
