"""Histories in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from model_check.linearizability import format as line_format
from model_check.linearizability.format import HistoryError, KeyValueOperation


def read_history(paths: Sequence[Path]) -> list[KeyValueOperation]:
    """The history in a file, or in several, which is then that of clients that wrote one each.

    Raises:
        HistoryError: if it is none.
        OSError: if it cannot be read.
    """
    return [operation for path in paths for operation in _read(path, is_one=len(paths) == 1)]


def _read(path: Path, *, is_one: bool) -> Iterator[KeyValueOperation]:
    file = "" if is_one else f"{path}, "
    with click.open_file(str(path), "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield line_format.read(line)
            except HistoryError as error:
                raise HistoryError(f"{file}line {number}: {error}") from None
