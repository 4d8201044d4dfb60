"""Logs of a live server: one line of JSON for each event.

That includes what the standard library, Python itself and other libraries report: uncaught
exceptions, tasks never awaited, warnings, and text printed to standard error. Programs that read
the logs can rely on every line being JSON.
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_ROOT = "raft_ref.cluster"

BURST = 20
"""Warnings of one kind written at once; further ones are limited to one a second, since anybody who
can connect can cause them."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Lines(logging.Formatter):
    """A record as an object: when, how grave, of whom, what, and more about it."""

    def __init__(self, server: int | None) -> None:
        super().__init__()
        self._server = server

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "server": self._server,
            "event": record.getMessage(),
        }
        if not record.name.startswith(_ROOT):
            line["logger"] = record.name
        line |= getattr(record, "about", {})
        if record.exc_info is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Log:
    """Says what happens in one part of a server."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{part}")
        self._limits: dict[str, _Limit] = {}

    def info(self, event: str, **about: object) -> None:
        """Something worth knowing."""
        self._logger.info(event, extra={"about": about})

    def warning(self, event: str, **about: object) -> None:
        """Something that should not be; the rate for each event is limited."""
        limit = self._limits.setdefault(event, _Limit())
        if limit.admits(time.monotonic()):
            if limit.left_out:
                about["left_out"] = limit.left_out
                limit.left_out = 0
            self._logger.warning(event, extra={"about": about})

    def error(self, event: str, error: BaseException | None = None, **about: object) -> None:
        """Something that must not be, with the traceback of the error."""
        self._logger.error(event, extra={"about": about}, exc_info=error)


class _Limit:
    """A token bucket: `BURST` at once, then one a second."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = float("-inf")
        self.left_out = 0
        """How many were suppressed since the last one written."""

    def admits(self, now: float) -> bool:
        """Whether one more is written now."""
        self._left = min(self._left + now - self._at, BURST)
        self._at = now
        if self._left < 1:
            self.left_out += 1
            return False
        self._left -= 1
        return True


_log = Log("process")


@contextmanager
def logs_as_lines(server: int, to: TextIO) -> Iterator[None]:
    """While in the context, write everything that this process reports as lines of JSON."""
    handler = logging.StreamHandler(to)
    handler.setFormatter(_Lines(server))
    root, own = logging.getLogger(), logging.getLogger(_ROOT)
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, sys.stderr
    before = root.handlers, root.level, own.level, logging.raiseExceptions
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    own.setLevel(logging.INFO)
    logging.raiseExceptions = False  # a full disk under the logs is no reason for other output
    logging.captureWarnings(True)
    sys.excepthook = lambda _kind, error, _trace: _log.error("uncaught exception", error)
    threading.excepthook = lambda about: _log.error("uncaught exception", about.exc_value)
    sys.unraisablehook = _unraisable
    sys.stderr = _Printed()
    try:
        yield
    finally:
        logging.captureWarnings(False)
        sys.excepthook, threading.excepthook, sys.unraisablehook, sys.stderr = hooks
        root.handlers, level, own_level, logging.raiseExceptions = before
        root.setLevel(level)
        own.setLevel(own_level)


def log_unhandled(_loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """The exception handler of an event loop: one line for each unhandled error."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTORS:
        _log.warning("cannot accept connections", problem=error.strerror)
    else:
        message = str(context.get("message", "unhandled"))
        _log.error(message, error if isinstance(error, BaseException) else None)


def complain(problem: str, to: TextIO) -> None:
    """Report why a server cannot run: as a line of JSON, or as text on a terminal."""
    if to.isatty():
        print(f"raft_ref.cluster: {problem}", file=to)
        return
    record = logging.makeLogRecord(
        {"msg": "cannot run", "levelname": "CRITICAL", "name": _ROOT, "about": {"problem": problem}}
    )
    print(_Lines(None).format(record), file=to)


def _unraisable(about: UnraisableHookArgs) -> None:
    _log.error(about.err_msg or "exception ignored", about.exc_value)


class _Printed(io.TextIOBase):
    """A replacement for standard error that turns printed lines into log lines."""

    def __init__(self) -> None:
        super().__init__()
        self._unfinished = ""

    def write(self, text: str) -> int:
        """Log all complete lines."""
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            if line.strip():
                _log.warning("printed", text=line)
        return len(text)
