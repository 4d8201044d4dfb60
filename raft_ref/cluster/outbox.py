"""The queue of frames to one other server: Raft messages have priority over requests of clients.

Requests on their way to the leader can be many megabytes, and a heartbeat or a vote must not wait
behind them: a server that hears nothing of its leader starts an election.

The queue is bounded, since the other server may be down or slow. When it is full:

- an AppendEntries replaces the one before it if it carries all of it, as a repeated heartbeat does;
- then the oldest Raft message is dropped. Raft tolerates lost messages, and repeats them;
- of requests and their answers, the oldest is dropped. Its client is told after the request timeout
  that the outcome is unknown; the oldest is the most likely to have been told so already.

Frames are encoded when they are taken, so those that are replaced or dropped cost nothing, and the
entries in the queue are those of the log, not copies.
"""

from __future__ import annotations

from collections import deque
from typing import assert_never

from raft_ref.cluster.frames import Answer, Forward, Frame, RaftFrame
from raft_ref.cluster.replies import Count, Done, Failed, Reply, Value
from raft_ref.messages import AppendEntries

MAX_QUEUED = 64 * 2**20
"""The capacity of each of the two queues, in characters of commands and bytes of values."""

FRAME_SIZE = 100
"""Added for each frame."""


class Outbox:
    """Frames that were not sent yet."""

    def __init__(self) -> None:
        self._messages = _Queue()
        self._requests = _Queue()
        """Requests and answers, in their order."""

    def __bool__(self) -> bool:
        return bool(self._messages or self._requests)

    def put(self, frame: Frame) -> int:
        """Queue a frame; how many were dropped."""
        if not isinstance(frame, RaftFrame):
            return self._requests.put(frame)
        latest = self._messages.latest
        if latest is not None and _carries(frame, latest):
            self._messages.drop_latest()
        return self._messages.put(frame)

    def take(self) -> Frame | None:
        """Remove and return the next frame; None if there is none."""
        queue = self._messages or self._requests
        return queue.take() if queue else None


class _Queue:
    """Frames in their order, the oldest of which are dropped if they are too large together."""

    def __init__(self) -> None:
        self._frames: deque[tuple[Frame, int]] = deque()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def latest(self) -> Frame | None:
        """The frame that was put last, if it is still here."""
        return self._frames[-1][0] if self._frames else None

    def put(self, frame: Frame) -> int:
        """Add a frame; how many were dropped. The latest is kept, however large it is."""
        size, dropped = _size(frame), 0
        while self._frames and self._size + size > MAX_QUEUED:
            self.take()
            dropped += 1
        self._frames.append((frame, size))
        self._size += size
        return dropped

    def take(self) -> Frame:
        """Remove and return the oldest."""
        frame, size = self._frames.popleft()
        self._size -= size
        return frame

    def drop_latest(self) -> None:
        """Remove the latest."""
        _, size = self._frames.pop()
        self._size -= size


def _carries(later: RaftFrame, earlier: Frame) -> bool:
    """Whether the earlier message is an AppendEntries, and the later one carries all of it.

    The log of a leader only grows during its term, so from the same index on, the longer of two
    messages begins with the shorter.
    """
    match later, earlier:
        case RaftFrame(AppendEntries() as more), RaftFrame(AppendEntries() as less):
            return (
                more.term == less.term
                and more.prev_log_index == less.prev_log_index
                and len(more.entries) >= len(less.entries)
                and more.leader_commit >= less.leader_commit
            )
        case _:
            return False


def _size(frame: Frame) -> int:
    match frame:
        case RaftFrame(AppendEntries(entries=entries)):
            return FRAME_SIZE * (1 + len(entries)) + sum(len(entry.command) for entry in entries)
        case RaftFrame():
            return FRAME_SIZE
        case Forward(_, _, command):
            return FRAME_SIZE + len(command)
        case Answer(_, reply):
            return FRAME_SIZE + _size_of_reply(reply)
        case _:
            assert_never(frame)


def _size_of_reply(reply: Reply | None) -> int:
    match reply:
        case Value(bytes() as data):
            return len(data)
        case Failed(_, reason):
            return len(reason)
        case Value() | Done() | Count() | None:
            return 0
