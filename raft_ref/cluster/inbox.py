"""The queue of inputs of a server: Raft messages have priority over requests of clients.

Clients can send more requests than a server can handle, and requests then wait. A heartbeat must
not wait behind them: the server would start an election although the leader is alive.
"""

from __future__ import annotations

from collections import deque
from typing import assert_never

from raft_ref.cluster.frames import Forward, RaftFrame
from raft_ref.cluster.server import Arrived, Asked, Input

MAX_WAITING = 10_000
"""The capacity of each of the two queues for frames of other servers; further frames are
dropped."""

MAX_BATCH = 500
"""Inputs handled at once, so that a batch takes less time than an election timeout."""

MAX_BATCH_SIZE = 2**20
"""Characters of all commands in one batch, for the same reason."""


class Inbox:
    """Inputs that were not handled yet."""

    def __init__(self) -> None:
        self._messages: deque[Input] = deque()
        self._requests: deque[Input] = deque()
        """Requests and answers, in the order of arrival."""

    def __bool__(self) -> bool:
        return bool(self._messages or self._requests)

    def arrive(self, arrived: Arrived) -> bool:
        """Queue a frame of another server; False if the queue is full."""
        is_message = isinstance(arrived.frame, RaftFrame)
        queue = self._messages if is_message else self._requests
        if len(queue) >= MAX_WAITING:
            return False
        queue.append(arrived)
        return True

    def ask(self, asked: Asked) -> None:
        """Queue a request of a client of this server. The caller limits their number."""
        self._requests.append(asked)

    def take(self) -> list[Input]:
        """Remove and return the inputs of the next batch."""
        taken: list[Input] = []
        while self._messages and len(taken) < MAX_BATCH:
            taken.append(self._messages.popleft())
        size = 0
        while self._requests and len(taken) < MAX_BATCH:
            size += _size(self._requests[0])
            if size > MAX_BATCH_SIZE and taken:
                break
            taken.append(self._requests.popleft())
        return taken


def _size(happened: Input) -> int:
    match happened:
        case Asked(_, command) | Arrived(_, Forward(_, _, command)):
            return len(command)
        case Arrived():
            return 0
        case _:
            assert_never(happened)
