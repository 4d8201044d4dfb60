"""``raft-ref trace``, as its user runs it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from model_check.cli import run
from model_check.commands import trace as command
from tests.deadlines import out_of_time_when
from tests.etcd_traces import random_etcd_trace
from tests.recorded import random_trace
from tests.trace_lines import Json, changed

REPORT = Draft202012Validator(
    json.loads(files("spec").joinpath("schemas/trace_report.schema.json").read_text("utf-8"))
)
TRACES = Path(__file__).parent / "traces"


def report_on(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run(["trace", "--json", "-", *arguments])
    report = json.loads(capsys.readouterr().out)
    REPORT.validate(report)
    return code, report


def test_what_conforms(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(TRACES / "toy.ndjson")
    assert run(["trace", path]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "conforms: Raft allows every step, and nothing is violated",
        "  servers      S1, S2, S3",
        "  allowed      186 of 186 steps, up to line 305",
        "  profile      paper",
    ]
    code, report = report_on(capsys, path)
    assert (code, report["verdict"], report["steps_allowed"]) == (0, "conforms", 186)
    assert report["last_allowed"] == {"line": 305, "file": None}


def test_what_is_not_shown_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever logs little should not take the verdict for more than it is."""

    def without_log(_: int, line: Json) -> Json:
        if line["event"] != "start":
            line.get("state", {}).pop("log", None)
        return line

    path = tmp_path / "trace.ndjson"
    path.write_bytes(b"".join(changed(random_trace(3, 100, 1), without_log)))
    assert run(["trace", str(path)]) == 0
    assert "  not shown    log in 97% of the steps" in capsys.readouterr().out.splitlines()
    _, report = report_on(capsys, str(path))
    assert report["steps_showing"]["log"] == 3
    assert report["steps_showing"]["role"] == report["steps"] == 103


def test_what_violates(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(TRACES / "raftos.ndjson")
    assert run(["trace", path]) == 1
    out = capsys.readouterr().out
    assert "violates: RESTART-VOTE at line 15" in out
    assert "expected for S2, observed none" in out
    assert "Raft would allow, compared to before:" in out
    code, report = report_on(capsys, path)
    offence = report["offence"]
    assert (code, offence["rule"], offence["place"]["line"]) == (1, "RESTART-VOTE", 15)
    assert offence["allowed"] == ["follower", "no change"]


def test_what_is_inconclusive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beyond = {"event": "beyond", "server": 2, "feature": "membership change"}
    path = tmp_path / "trace.ndjson"
    path.write_bytes(b"".join([*random_trace(3, 9, 1), json.dumps(beyond).encode()]))
    code, report = report_on(capsys, str(path))
    assert (code, report["verdict"]) == (4, "inconclusive")
    assert report["doubt"]["reason"].endswith("membership change")
    assert run(["trace", str(path)]) == 4
    assert "inconclusive: at line" in capsys.readouterr().out


def test_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of servers that wrote one each."""
    first, *lines = random_trace(3, 200, 5)
    paths = []
    for server in (1, 2, 3):
        own = [line for line in lines if json.loads(line)["server"] == server]
        path = tmp_path / f"{server}.ndjson"
        path.write_bytes(b"".join([first, *own]))
        paths.append(str(path))
    code, report = report_on(capsys, *paths)
    assert (code, report["steps_allowed"]) == (0, 203)
    assert report["last_allowed"]["file"] in paths
    Path(paths[1]).write_bytes(b"".join([first.replace(b"[1,2,3]", b"[1,2,3,4]")]))
    assert run(["trace", *paths]) == 2
    assert f"line 1 of {paths[1]}: another first line" in capsys.readouterr().err


def test_etcds_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.ndjson"
    path.write_bytes(b"".join(random_etcd_trace(3, 40, 1)))
    code, report = report_on(capsys, "--format", "etcd", str(path))
    assert (code, report["profile"]) == (0, "etcd")
    code, report = report_on(capsys, "--format", "etcd", "--profile", "paper", str(path))
    assert (code, report["profile"]) == (0, "paper")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "malformed: the trace is empty"),
        (b"x\n", "malformed: line 1: JSON is malformed"),
        (b'{"event": {"nid": "1"}}\n', "(or is it --format etcd?)"),
        (b"\xff\xfe\n", "malformed: line 1:"),
        (b"[" * 100_000, "malformed: line 1:"),
    ],
)
def test_what_cannot_be_read(
    content: bytes, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.ndjson"
    path.write_bytes(content)
    assert run(["trace", str(path)]) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert not captured.out
    code, report = report_on(capsys, str(path))
    assert (code, report["verdict"]) == (2, "malformed")


def test_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", str(tmp_path / "no.ndjson")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert run(["trace", "--json", str(tmp_path), str(TRACES / "toy.ndjson")]) == 2
    assert "is a directory" in capsys.readouterr().err


def test_a_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "deadline_of", lambda _: out_of_time_when("reading"))
    path = tmp_path / "trace.ndjson"
    path.write_bytes(b"".join(random_trace(3, 300, 1)))
    code, report = report_on(capsys, str(path))
    assert (code, report["verdict"]) == (4, "inconclusive")
    assert "the budget of" in report["doubt"]["reason"]
