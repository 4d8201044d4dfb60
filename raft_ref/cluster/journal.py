"""The trace of one server in a file, such that what it tells and what is durable go together.

A server that dies may leave the file behind its storage, or with half a line at the end. So the
lines of the steps that led to a change are kept with it, in the same transaction, and with where
they belong in the file: on a restart, what is missing of them is written again. Steps that changed
nothing durable are lost if their lines are; nothing had left the server then.

The file is not synced. It survives the death of the process at any moment, but not a power failure:
if more is missing than can be written again, or the server has run without a trace meanwhile, a new
file is begun, and the old one kept beside it. It can be judged, but not with those of the others,
which tell of messages whose sending it does not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from raft_ref.cluster.coalescing import Step
from raft_ref.cluster.storage import StorageError
from raft_ref.cluster.tracing import beginning, header, lines_of
from raft_ref.types import Config, NodeState, PersistentState

_OFFSET_SIZE = 8


class TraceFile:
    """Writes the trace of one server.

    Raises:
        StorageError: if the file cannot be used.
    """

    def __init__(
        self, path: Path, config: Config, persistent: PersistentState, note: bytes
    ) -> None:
        self._server = config.id
        self._path = path
        self._noted: tuple[Sequence[Step], bytes] = ((), b"")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = _cut_last_line(self._file)
        except OSError as error:
            raise self._failed(error) from None
        if self._size and not self._is_mended(persistent, note):
            self._set_aside()
        is_restart = self._size > 0
        if self._size == 0:
            self._append(header(config))
        self._append(beginning(config.id, NodeState(persistent), is_restart=is_restart))

    def note(self, steps: Sequence[Step]) -> bytes:
        """The lines of these steps, and where they belong."""
        self._noted = steps, lines_of(self._server, steps)
        return self._size.to_bytes(_OFFSET_SIZE, "big") + self._noted[1]

    def write(self, steps: Sequence[Step]) -> None:
        """Add the lines of these steps."""
        noted, lines = self._noted
        self._append(lines if noted is steps else lines_of(self._server, steps))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, lines: bytes) -> None:
        self._size += len(lines)
        try:
            while lines:
                lines = lines[os.write(self._file, lines) :]
        except OSError as error:
            raise self._failed(error) from None

    def _is_mended(self, persistent: PersistentState, note: bytes) -> bool:
        """Whether the file now has all lines that were kept with the last change."""
        if not note:  # the last change, if there was any, was made without a trace
            return persistent == PersistentState()
        offset, lines = int.from_bytes(note[:_OFFSET_SIZE], "big"), note[_OFFSET_SIZE:]
        if self._size < offset:
            return False
        if self._size < offset + len(lines):
            os.ftruncate(self._file, offset)
            self._size = offset
            self._append(lines)
        return True

    def _set_aside(self) -> None:
        os.close(self._file)
        self._path.replace(self._path.with_name(self._path.name + ".incomplete"))
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = 0

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write the trace {self._path}: {error.strerror}")


def _cut_last_line(file: int) -> int:
    """Cut off what follows the last end of a line; how much is left."""
    size = os.fstat(file).st_size
    start = size
    while start > 0:
        start = max(0, start - 65536)
        end = os.pread(file, 65536, start).rfind(b"\n")
        if end >= 0:
            start += end + 1
            break
    if start < size:
        os.ftruncate(file, start)
    return start
