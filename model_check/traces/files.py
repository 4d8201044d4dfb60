"""Traces in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import click

from model_check.traces import etcd, own
from model_check.traces.happening import Place, Trace, TraceError

TraceFormat: TypeAlias = Literal["raft-ref", "etcd"]


def read_trace(paths: Sequence[Path], trace_format: TraceFormat) -> Trace:
    """The trace in a file, or in several, which is then that of servers that wrote one each.

    Raises:
        TraceError: if it is none.
        OSError: if it cannot be read.
    """
    lines = _placed(paths)
    if trace_format == "etcd":
        return etcd.read(lines)
    try:
        return own.read(lines)
    except TraceError as error:
        if any(b'"nid"' in line for _, line in _placed(paths[:1])):
            raise TraceError(f"{error} (or is it --format etcd?)") from None
        raise


def _placed(paths: Sequence[Path]) -> Iterator[tuple[Place, bytes]]:
    for path in paths:
        file = str(path) if len(paths) > 1 else ""
        with click.open_file(str(path), "rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield Place(number, file), line
