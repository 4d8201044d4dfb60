"""``raft-ref linearizable``, and the format of what it judges."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from model_check.cli import run
from model_check.linearizability.format import HistoryError, read, schema, written
from tests.histories import KeyValueHistory, any_histories
from tests.test_linearizability import ANOMALIES, SUBTLETIES, hopeless

Json: TypeAlias = dict[str, Any]


def text_of(name: str) -> str:
    return files("spec").joinpath(f"schemas/{name}.schema.json").read_text("utf-8")


LINES = Draft202012Validator(json.loads(text_of("history")))
REPORTS = Draft202012Validator(json.loads(text_of("linearizable_report")))


# --- the format ----------------------------------------------------------------------------------


def test_the_published_schema_is_that_of_the_types() -> None:
    assert text_of("history") == json.dumps(schema(), indent=2) + "\n"


@given(any_histories())
def test_what_is_written_is_read_as_it_was_and_is_what_the_schema_says(
    history: KeyValueHistory,
) -> None:
    lines = list(written(history))
    assert [read(line) for line in lines] == list(history)
    for line in lines:
        LINES.validate(json.loads(line))


def test_every_line_of_the_page_is_one() -> None:
    page = files("spec").joinpath("history_format.md").read_text("utf-8")
    lines = [line for line in page.splitlines() if line.startswith("{")]
    assert {json.loads(line)["operation"] for line in lines} == {"get", "set", "del", "cas"}
    for line in lines:
        read(line.encode())
        LINES.validate(json.loads(line))


READ: Json = {"operation": "get", "client": "a", "key": "x", "invoked": 1}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ([], "Expected `object`"),
        ({}, "missing required field `operation`"),
        ({**READ, "operation": "incr"}, "Invalid value 'incr'"),
        ({**READ, "kee": "x"}, "unknown field `kee`"),
        ({**READ, "client": 1}, "Expected `str`, got `int` - at `$.client`"),
        ({**READ, "result": "1"}, "a result, but no time of response"),
        ({**READ, "responded": 2}, "a time of response, but no result"),
        ({**READ, "responded": 0, "result": None}, "use one clock that never goes back"),
        ({**READ, "operation": "del", "responded": 2, "result": True}, "Expected `int"),
    ],
)
def test_what_is_no_operation_is_said_where(
    line: Json, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "h.ndjson"
    path.write_text(f"{json.dumps(READ)}\n\n{json.dumps(line)}\n")
    report = tmp_path / "r.json"
    assert run(["linearizable", str(path), "--json", str(report)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("malformed: line 3: ")
    assert complaint in said
    assert said.endswith("see spec/history_format.md\n")
    found = json.loads(report.read_text())
    REPORTS.validate(found)
    assert found["verdict"] == "malformed"


@given(st.binary(max_size=60))
def test_garbage_is_no_operation(garbage: bytes) -> None:
    with pytest.raises(HistoryError):
        read(garbage)


# --- the command ---------------------------------------------------------------------------------


def judged(
    history: KeyValueHistory,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    *options: str,
) -> tuple[int, Json]:
    path = directory / "history.ndjson"
    path.write_bytes(b"".join(written(history)))
    code = run(["linearizable", str(path), "--json", "-", *options])
    report: Json = json.loads(capsys.readouterr().out)
    REPORTS.validate(report)
    return code, report


def test_linearizable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = SUBTLETIES["write of unknown outcome takes effect much later"]
    code, report = judged(history, tmp_path, capsys)
    assert (code, report["verdict"]) == (0, "linearizable")
    assert report["unknown"] == 1
    assert len(report["orders"]["x"]) == report["operations"] == len(history)
    for line in report["orders"]["x"]:
        LINES.validate(line)


def test_not_linearizable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = judged(ANOMALIES["stale read"], tmp_path, capsys)
    assert (code, report["verdict"]) == (1, "not-linearizable")
    (refused,) = report["impasse"]["refused"]
    assert (refused["operation"]["result"], refused["expected"]) == ("1", "2")


@pytest.mark.parametrize("option", [("--max-states", "100"), ("--max-seconds", "0.05")])
def test_undecided(
    option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = judged(hopeless(), tmp_path, capsys, *option)
    assert (code, report["verdict"]) == (4, "undecided")
    assert report["exhausted"] == {"x": option[0].removeprefix("--max-")}


@pytest.mark.parametrize(
    ("history", "code", "start"),
    [
        (SUBTLETIES["nothing"], 0, "linearizable: "),
        (ANOMALIES["stale read"], 1, "not linearizable: key 'x': "),
        (hopeless(), 4, "undecided: keys 'x': give it more "),
    ],
)
def test_people_are_told(
    history: KeyValueHistory,
    code: int,
    start: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "history.ndjson"
    path.write_bytes(b"".join(written(history)))
    assert run(["linearizable", str(path), "--max-states", "100"]) == code
    said = capsys.readouterr()
    assert said.out.startswith(start)
    assert not said.err


def test_clients_that_wrote_a_file_each_make_one_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = list(written(ANOMALIES["stale read"]))
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"".join(lines[:2]))
    second.write_bytes(lines[2])
    assert run(["linearizable", str(first)]) == 0
    assert run(["linearizable", str(first), str(second)]) == 1
    second.write_bytes(b"?")
    assert run(["linearizable", str(first), str(second)]) == 2
    assert f"{second}, line 1: " in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["linearizable", "nowhere.ndjson"]) == 2
    assert "does not exist" in capsys.readouterr().err
