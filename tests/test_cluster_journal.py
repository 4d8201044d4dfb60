"""The trace that a server writes: what it tells and what is durable go together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import spec
from model_check.cluster.questions import conforms
from model_check.cluster.simulated import as_trace
from raft_ref import Config, PersistentState
from raft_ref.cluster.coalescing import Step
from raft_ref.cluster.journal import TraceFile
from raft_ref.cluster.simulation import simulate
from raft_ref.cluster.storage import StorageError, change_between

NOTHING = PersistentState()
CONFIG = Config(id=1, servers=frozenset({1, 2, 3}))
SCHEMA = json.loads((Path(spec.__file__).parent / "schemas" / "trace.schema.json").read_text())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.ndjson"


@pytest.fixture(scope="module")
def steps() -> tuple[Step, ...]:
    """What a server does until it restarts."""
    recorded = simulate(5).recorded[0].steps
    first_life: list[Step] = []
    for each in recorded:
        if isinstance(each, PersistentState):
            break
        first_life.append(each)
    assert len(first_life) > 50
    return tuple(first_life)


def begun(path: Path, persistent: PersistentState = NOTHING, note: bytes = b"") -> TraceFile:
    return TraceFile(path, CONFIG, persistent, note)


def test_every_line_obeys_the_schema(path: Path, steps: tuple[Step, ...]) -> None:
    trace = begun(path)
    trace.write(steps)
    note = trace.note(())
    trace.close()
    begun(path, steps[-1].after.persistent, note).close()
    validator = jsonschema.Draft202012Validator(SCHEMA)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        validator.validate(line)
    events = {line.get("event") for line in lines}
    assert events >= {"start", "restart", "receive", "send", "propose", "apply"}


def deaths(whole: bytes, before: int) -> Iterator[int]:
    """Where a file may end that was being written when the server died."""
    return iter(range(before, len(whole) + 1, 7))


def test_wherever_it_was_cut_off_the_steps_that_are_durable_are_in_the_trace(
    path: Path, steps: tuple[Step, ...]
) -> None:
    place = next(
        n for n, each in enumerate(steps) if each.before.persistent != each.after.persistent
    )
    trace = begun(path)
    trace.write(steps[:place])
    before = path.stat().st_size
    batch = steps[place : place + 1]
    assert change_between(batch[0].before.persistent, batch[0].after.persistent)
    note = trace.note(batch)
    trace.write(batch)
    trace.close()
    whole = path.read_bytes()
    for length in deaths(whole, before):
        path.write_bytes(whole[:length])
        begun(path, batch[0].after.persistent, note).close()
        assert path.read_bytes().startswith(whole)
        assert conforms(lambda: as_trace({1: path.read_bytes()})).answer == "holds"


def test_without_the_note_the_same_trace_is_accused(path: Path, steps: tuple[Step, ...]) -> None:
    begun(path).close()
    note = begun(path).note(())
    begun(path, steps[-1].after.persistent, note).close()
    assert conforms(lambda: as_trace({1: path.read_bytes()})).answer == "violated"


def test_half_a_line_is_cut_off(path: Path) -> None:
    begun(path).close()
    with path.open("ab") as file:
        file.write(b'{"event": "propo' + b"x" * 70_000)
    begun(path).close()
    assert [json.loads(line).get("event") for line in path.read_text().splitlines()] == [
        None,
        "start",
        "restart",
    ]


def test_a_trace_that_has_lost_too_much_is_set_aside(path: Path, steps: tuple[Step, ...]) -> None:
    trace = begun(path)
    trace.write(steps)
    note = trace.note(steps)
    trace.close()
    os.truncate(path, 300)
    begun(path, steps[-1].after.persistent, note).close()
    assert path.with_name("trace.ndjson.incomplete").exists()
    assert [json.loads(line).get("event") for line in path.read_text().splitlines()] == [
        None,
        "start",
    ]


def test_after_a_run_without_a_trace_another_is_begun(path: Path, steps: tuple[Step, ...]) -> None:
    begun(path).close()
    begun(path, steps[-1].after.persistent, note=b"").close()
    assert path.with_name("trace.ndjson.incomplete").exists()
    assert conforms(lambda: as_trace({1: path.read_bytes()})).answer == "holds"


def test_a_path_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write the trace"):
        begun(tmp_path / "nowhere" / "trace.ndjson")
