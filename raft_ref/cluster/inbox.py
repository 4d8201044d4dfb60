"""What has come to a server and was not taken up yet: messages of Raft before all else.

Clients can ask for more than a server can do. Their requests wait for each other then; a heartbeat
must not wait behind them, or a server that is merely busy would hold an election.
"""

from __future__ import annotations

from collections import deque

from raft_ref.cluster.frames import Forward, RaftFrame
from raft_ref.cluster.server import Arrived, Asked, Input

MAX_WAITING = 10_000
"""Of messages of Raft, and of all else, so many wait; more that have arrived are dropped."""

MAX_BATCH = 500
"""What is taken up at once, so that one batch does not take longer than a timeout."""

MAX_BATCH_SIZE = 2**20
"""How long the commands of clients are in one batch, in characters, for the same reason."""


class Inbox:
    """What waits to be taken up."""

    def __init__(self) -> None:
        self._messages: deque[Input] = deque()
        self._requests: deque[Input] = deque()
        """What clients of this server or others ask for, and are answered, in the order of
        coming."""

    def __bool__(self) -> bool:
        return bool(self._messages or self._requests)

    def arrive(self, arrived: Arrived) -> bool:
        """A frame has come from another server; whether it is kept."""
        is_message = isinstance(arrived.frame, RaftFrame)
        queue = self._messages if is_message else self._requests
        if len(queue) >= MAX_WAITING:
            return False
        queue.append(arrived)
        return True

    def ask(self, asked: Asked) -> None:
        """A client of this server has asked for something. How many may, is for others to say."""
        self._requests.append(asked)

    def take(self) -> list[Input]:
        """What is taken up now, which no longer waits."""
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
