"""Logs of a live server: one line of JSON for each event."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

_ROOT = "raft_ref.cluster"


class _Lines(logging.Formatter):
    """A record as an object: when, how grave, of whom, what, and more about it."""

    def __init__(self, server: int) -> None:
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
        line |= getattr(record, "about", {})
        if record.exc_info is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Log:
    """Says what happens in one part of a server."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{part}")

    def info(self, event: str, **about: object) -> None:
        """Something worth knowing."""
        self._logger.info(event, extra={"about": about})

    def warning(self, event: str, **about: object) -> None:
        """Something that should not be."""
        self._logger.warning(event, extra={"about": about})


def write_logs(server: int, to: TextIO) -> None:
    """From now on, write all of this server's logs there."""
    handler = logging.StreamHandler(to)
    handler.setFormatter(_Lines(server))
    logger = logging.getLogger(_ROOT)
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
