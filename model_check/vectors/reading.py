"""A suite as it was written, read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from model_check.conformance.protocol import ProtocolError
from model_check.raft import Bounds, RaftAction
from model_check.system import Deliver, Occur
from model_check.vectors.format import (
    README,
    SCHEMA,
    STEP_FILE,
    TRACE_FILE,
    StepFile,
    TraceCase,
    TraceFile,
    VectorFile,
    data_of,
    parse_file,
)
from raft_ref import Event, NodeId, Receive
from raft_ref.codec import CodecError, decode_event

_F = TypeVar("_F", StepFile, TraceFile)


class NoSuite(ValueError):
    """A directory holds no suite that could be checked: which file, and what is wrong with it."""


@dataclass(frozen=True)
class Written:
    """A suite as it was read."""

    files: Mapping[str, VectorFile]
    texts: Mapping[str, bytes]
    """What stands in each file, the schema and the page for readers among them."""

    @property
    def bounds(self) -> Bounds:
        """Those of the first file."""
        return next(iter(self.files.values())).bounds.as_bounds()


def read_suite(directory: Path) -> Written:
    """The suite in ``directory``.

    Raises:
        NoSuite: if there is none.
    """
    texts = {name: _read(directory / name) for name in (STEP_FILE, TRACE_FILE, SCHEMA, README)}
    files: dict[str, VectorFile] = {
        STEP_FILE: _parse(STEP_FILE, texts[STEP_FILE], StepFile),
        TRACE_FILE: _parse(TRACE_FILE, texts[TRACE_FILE], TraceFile),
    }
    for name, file in files.items():
        try:
            file.bounds.as_bounds()
        except ValueError as error:
            raise NoSuite(f"{name}: $.bounds: {error}") from None
    return Written(files, texts)


def read_traces(directory: Path) -> Iterator[tuple[str, int, tuple[RaftAction, ...]]]:
    """The trace cases in ``directory``: id, servers, and what happens to them.

    Raises:
        NoSuite: if there are none.
    """
    for case in _parse(TRACE_FILE, _read(directory / TRACE_FILE), TraceFile).cases:
        try:
            yield case.id, len(case.configs), _run_of(case)
        except CodecError as error:
            raise NoSuite(f"{TRACE_FILE}: {case.id}: {error}") from None


def _run_of(case: TraceCase) -> tuple[RaftAction, ...]:
    return tuple(_action_of(each.node, decode_event(data_of(each.event))) for each in case.actions)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoSuite(f"cannot read {path}: {error.strerror}") from None


def _parse(name: str, text: bytes, kind: type[_F]) -> _F:
    try:
        file = parse_file(text)
    except ProtocolError as error:
        raise NoSuite(f"{name}: {error}") from None
    if not isinstance(file, kind):
        raise NoSuite(f"{name}: $.kind: not that of this file")
    return file


def _action_of(node: NodeId, event: Event) -> RaftAction:
    """The action that does that."""
    return Deliver(event.message) if isinstance(event, Receive) else Occur(node, event)
