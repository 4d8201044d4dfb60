"""A finding counts once it was done again; if there is no time for that, it is told, and kept."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from model_check.cli import run
from tests.deadlines import out_of_time_when

TOY = (sys.executable, "tests/peers/toy/adapter.py")
BOUNDS = ("--max-term", "2", "--values", "1", "--max-heartbeats", "1", "--only-timeout", "1,3")
MODES = {
    "played": (["--schedules", "mutants", "--workers", "1"], "shortening the run"),
    "explored": (["--explore", *BOUNDS], "doing again what was found"),
}
BUG = ("--option", "bug=ignores-logs", "--", *TOY)


@pytest.mark.parametrize("mode", MODES)
def test_what_there_is_no_time_to_do_again_does_not_count_and_is_not_lost(
    mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how, phase = MODES[mode]
    deadline = out_of_time_when(phase, late=2)
    for module in ("conform", "options"):
        monkeypatch.setattr(f"model_check.commands.{module}.deadline_of", lambda _: deadline)
    report, schedule = tmp_path / "report.json", tmp_path / "schedule.json"
    saved = ["--json", str(report), "--save-schedule", str(schedule)]
    assert run(["conform", *how, *saved, *BUG]) == 4
    said = capsys.readouterr().out
    assert said.startswith("inconclusive: stopped by the budget of 1 seconds, while ")
    assert "before what was found had been done again" in said
    assert "note: VOTE-UP-TO-DATE was violated after" in said or mode == "explored"
    assert "there was no time to do it again on a fresh process, so it does not count" in said
    data = json.loads(report.read_text())
    schema = files("spec").joinpath("schemas/conform_report.schema.json").read_text()
    Draft202012Validator(json.loads(schema)).validate(data)
    assert (data["verdict"], data["findings"]) == ("inconclusive", [])
    assert data["unconfirmed"]["first_breach"]["rule"] == "VOTE-UP-TO-DATE"
    assert run(["conform", "--replay", str(schedule), "--", *TOY]) == 1


@pytest.mark.parametrize("mode", MODES)
def test_there_is_some_time_to_do_it_again(
    mode: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    how, phase = MODES[mode]
    deadline = out_of_time_when(phase, late=0.9)
    for module in ("conform", "options"):
        monkeypatch.setattr(f"model_check.commands.{module}.deadline_of", lambda _: deadline)
    assert run(["conform", *how, "--json", "-", *BUG]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["unconfirmed"] is None
    assert data["findings"]
    assert data["stopped_by"].startswith("the budget of 1 seconds, while ")
