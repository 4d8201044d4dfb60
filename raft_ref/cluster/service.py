"""One server as a process: it runs until it is told to stop, and says in one line why it cannot."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from raft_ref.cluster.logs import write_logs
from raft_ref.cluster.node import Node
from raft_ref.cluster.settings import Settings, SettingsError
from raft_ref.cluster.storage import StorageError


class ServiceError(Exception):
    """The server cannot run, or go on."""


def serve(settings: Settings) -> None:
    """Run a server until SIGTERM or SIGINT; its logs go to standard error.

    Raises:
        ServiceError: if it cannot run, or go on.
    """
    write_logs(settings.config.id, sys.stderr)
    try:
        _make(settings.directory)
        asyncio.run(_serve(settings))
    except (StorageError, SettingsError) as error:
        raise ServiceError(str(error)) from None
    except OSError as error:
        raise ServiceError(f"cannot serve: {error.strerror or error}") from None


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"cannot use the directory {directory}: {error.strerror}") from None


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Node(settings).run(stop)
