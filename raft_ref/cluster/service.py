"""One server as a process: it runs until it is told to stop, and says in one line why it cannot."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from raft_ref.cluster.logs import Log, log_unhandled, logs_as_lines
from raft_ref.cluster.node import Node
from raft_ref.cluster.settings import Settings, SettingsError
from raft_ref.cluster.storage import StorageError

RESERVED = 400
"""File descriptors reserved for other servers, files, and connections that are being refused."""

_log = Log("service")


class ServiceError(Exception):
    """The server cannot run, or go on."""


def serve(settings: Settings) -> None:
    """Run a server until SIGTERM or SIGINT; its logs go to standard error.

    Raises:
        ServiceError: if it cannot run, or go on.
    """
    with logs_as_lines(settings.config.id, sys.stderr):
        try:
            _make(settings.directory)
            asyncio.run(_serve(settings))
        except (StorageError, SettingsError) as error:
            raise ServiceError(str(error)) from None
        except ServiceError:
            raise
        except OSError as error:
            raise ServiceError(f"cannot serve: {error.strerror or error}") from None
        except Exception as error:  # a bug: log it as JSON, too
            _log.error("given up", error)
            raise ServiceError(f"given up, by an error of its own: {error!r}") from None


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"cannot use the directory {directory}: {error.strerror}") from None


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_unhandled)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await asyncio.to_thread(lambda: None)  # imports modules, which needs a descriptor
    maxclients = _descriptors_for(settings.limits.maxclients)
    limits = replace(settings.limits, maxclients=maxclients)
    await Node(replace(settings, limits=limits)).run(stop)


def _descriptors_for(maxclients: int) -> int:
    """The number of clients that file descriptors suffice for; raises the soft limit if needed.

    Raises:
        ServiceError: if they suffice for none.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= maxclients + RESERVED:
        return maxclients
    wanted = maxclients + RESERVED
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = min(maxclients, soft - RESERVED)
    if possible < 1:
        raise ServiceError(
            f"only {soft} file descriptors are allowed, and {RESERVED + 1} are needed: "
            f"ulimit -n {wanted} would do"
        )
    if possible < maxclients:
        problem = f"only {soft} file descriptors are allowed; ulimit -n {wanted} would do"
        _log.warning("fewer clients", maxclients=possible, problem=problem)
    return possible
