"""One adapter process: requests in, replies out, and what went wrong."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from model_check.conformance.protocol import (
    AnyReply,
    AnyRequest,
    ProtocolError,
    Reply,
    decode_reply,
    encode_request,
    looks_like_reply,
)
from model_check.system import NotTheNode

STEP_TIMEOUT = 10.0
"""Seconds in which an adapter must answer, unless told otherwise."""
LONGEST_LINE = 64 * 2**20
"""Bytes. A longer reply is none."""
LONGEST_SHOWN = 2000
"""Characters of a line that are shown when something went wrong."""
STDERR_LINES = 20
"""Lines of standard error that are shown when something went wrong."""

STDOUT_IS_THE_PROTOCOL = (
    "standard output is the protocol, a reply a line and nothing else: whatever else is printed, "
    "such as debug output, belongs on standard error"
)

_CHUNK = 1 << 16


@dataclass(eq=False)
class AdapterFailed(NotTheNode):
    """The adapter is at fault, or cannot be had; this says nothing of its Raft."""

    reason: str
    request: str = ""
    """The request that shows it, as it was written."""
    reply: str = ""
    """The line that answered it; empty if none did."""
    stderr: tuple[str, ...] = ()
    """The last lines of standard error."""

    def __post_init__(self) -> None:
        # Pickling makes an exception again from these.
        self.args = (self.reason, self.request, self.reply, self.stderr)

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class Unanswered(Exception):
    """The process ended, or ran out of time, before it answered the request at ``position``."""

    position: int
    request: str
    """That request, as it was written."""
    how: str
    stderr: tuple[str, ...]

    def __post_init__(self) -> None:
        self.args = (self.position, self.request, self.how, self.stderr)

    def __str__(self) -> str:
        return self.how


class AdapterProcess:
    """A running adapter. Requests are written ahead of the replies, which come in their order.

    Raises:
        AdapterFailed: if the command cannot be started.
    """

    def __init__(self, command: Sequence[str], step_timeout: float = STEP_TIMEOUT) -> None:
        self._timeout = step_timeout
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what the user asked for
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise AdapterFailed(_cannot_start(command, error)) from None
        self._stdin, self._stdout, self._stderr = (
            _non_blocking(pipe)
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        self._requests: Sequence[AnyRequest] = ()
        self._exchanged: list[tuple[bytes, bytes]] = []
        """The requests of the last exchange with their replies, as they were written."""
        self._unwritten = b""
        self._unread = bytearray()
        self._stderr_tail: deque[bytes] = deque([b""], maxlen=STDERR_LINES)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._stdout, self._stderr):
            self._selector.register(pipe, selectors.EVENT_READ)

    def exchange(self, requests: Sequence[AnyRequest]) -> list[AnyReply]:
        """The replies to ``requests``, of which each may take the time of a step.

        Raises:
            AdapterFailed: if a line is no reply to the request it should answer.
            Unanswered: if the process ends or the time runs out before. It is of no use after that.
        """
        written = [encode_request(request) for request in requests]
        self._requests, self._exchanged = requests, []
        self._write(b"".join(written))
        replies: list[AnyReply] = []
        for request, text in zip(requests, written, strict=True):
            line = self._read_line(len(replies), text)
            self._exchanged.append((text, line))
            try:
                replies.append(decode_reply(line, request))
            except ProtocolError as error:
                hint = "" if looks_like_reply(line) else f"; {STDOUT_IS_THE_PROTOCOL}"
                raise self._failed(f"{error}{hint}", text, line) from None
        return replies

    def failed(self, reason: str, reply: Reply) -> AdapterFailed:
        """An `AdapterFailed` for ``reason``; ``reply`` is of the last exchange."""
        msg_ids = [request.msg_id for request in self._requests]
        return self._failed(reason, *self._exchanged[msg_ids.index(reply.in_reply_to)])

    def kill(self) -> None:
        """End the process, whatever it is doing, and everything it has started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process, and be done with it."""
        self.kill()
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _write(self, text: bytes) -> None:
        """Begin to write; what the pipe does not take now is written while waiting for replies."""
        if not self._unwritten:
            self._selector.register(self._stdin, selectors.EVENT_WRITE)
        self._unwritten += text
        self._write_some()

    def _write_some(self) -> None:
        try:
            self._unwritten = self._unwritten[os.write(self._stdin, self._unwritten) :]
        except BlockingIOError:
            return
        except OSError:  # it reads no more; whether it still answers will show
            self._unwritten = b""
        if not self._unwritten:
            self._selector.unregister(self._stdin)

    def _read_line(self, position: int, request: bytes) -> bytes:
        """The next line of standard output."""
        deadline = time.monotonic() + self._timeout
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if searched > LONGEST_LINE:
                raise self._failed("a line is too long", request, bytes(self._unread[:200]))
            ready = self._selector.select(deadline - time.monotonic())
            if not ready and time.monotonic() >= deadline:
                self.close()
                raise self._unanswered(position, request, f"no answer in {self._timeout:g} s")
            for key, _ in ready:
                if not self._serve_pipe(key.fd):
                    raise self._unanswered(position, request, self._how_it_ended())
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line

    def _serve_pipe(self, pipe: int) -> bool:
        """Read from or write to ``pipe``; False if standard output is at its end."""
        if pipe == self._stdin:
            self._write_some()
            return True
        chunk = os.read(pipe, _CHUNK)
        if pipe == self._stdout:
            self._unread += chunk
            return bool(chunk)
        if not chunk:
            self._selector.unregister(pipe)
        first, *others = chunk.split(b"\n")
        self._stderr_tail[-1] = (self._stderr_tail[-1] + first)[-1000:]
        self._stderr_tail.extend(line[-1000:] for line in others)
        return True

    def _how_it_ended(self) -> str:
        """How the process ended, once its standard output has."""
        try:
            code = self._process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            self.close()
            return "the process closed its standard output"
        self._drain_stderr()
        if code < 0:
            return f"the process was killed by {signal.Signals(-code).name}"
        return f"the process ended with exit code {code}"

    def _drain_stderr(self) -> None:
        while any(key.fd == self._stderr for key, _ in self._selector.select(0)):
            self._serve_pipe(self._stderr)

    def _last_lines(self) -> tuple[str, ...]:
        return tuple(line.decode(errors="replace") for line in self._stderr_tail if line)

    def _unanswered(self, position: int, request: bytes, how: str) -> Unanswered:
        return Unanswered(position, _shown(request), how, self._last_lines())

    def _failed(self, reason: str, request: bytes, reply: bytes) -> AdapterFailed:
        return AdapterFailed(reason, _shown(request), _shown(reply), self._last_lines())


def _cannot_start(command: Sequence[str], error: OSError) -> str:
    said = f"cannot start {command[0]}: {error.strerror}"
    words = command[0].split()
    is_missing = isinstance(error, FileNotFoundError) and not os.path.exists(command[0])
    if len(command) == 1 < len(words) and is_missing:
        said += (
            f"; the quotes make one name of the command and its arguments: write -- {command[0]}, "
            f"without quotes around all of it"
        )
    return said


def _shown(line: bytes) -> str:
    """``line`` for readers; if it is very long, its beginning."""
    text = line.decode(errors="replace").strip()
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[:LONGEST_SHOWN]}... ({len(text) - LONGEST_SHOWN:,} more characters)"


def _non_blocking(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    os.set_blocking(pipe.fileno(), False)
    return pipe.fileno()
