"""`raft-ref bench`: what it measures must be equal; how fast it is is nobody's business here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import spec
from model_check import bench
from model_check.bench import Configuration, MeasurementError, measure
from model_check.cli import run
from model_check.raft import Bounds
from tests.interrupts import interrupt

TINY = (
    Configuration("complete", Bounds(servers=2), "small", "small"),
    Configuration("too large", Bounds(servers=2, restarts=True), "small", None),
    Configuration("for later", Bounds(servers=9, max_term=9), "large", "large"),
)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CONFIGURATIONS", TINY)
    monkeypatch.setattr(bench, "REFERENCE_STATES", 100)


def test_every_configuration_is_explored_in_every_way() -> None:
    measurements = list(measure("small"))
    assert [each.configuration for each in measurements] == 8 * ["complete"] + 8 * ["too large"]
    assert {each.states for each in measurements[:5]} == {85}
    assert {each.states for each in measurements[9:13]} == {285}
    assert (measurements[8].states, measurements[8].complete) == (100, False)
    assert [each.speedup for each in measurements[::8]] == [1, 1]
    assert all((each.speedup or each.reduction or 0) > 0 for each in measurements)


def test_reductions_are_measured_by_what_they_save() -> None:
    *_, eager, forget, both = (each for each in measure("small") if each.complete)
    assert [(each.eager, each.forget) for each in (eager, forget, both)] == [
        (True, False),
        (False, True),
        (True, True),
    ]
    assert 1 < (eager.reduction or 0) < (both.reduction or 0)
    assert both.states * (both.reduction or 0) == pytest.approx(285)


def test_a_reduction_that_changes_the_verdict_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    explore = bench._explore

    def lose(*arguments: object) -> bench.Measurement:
        found = explore(*arguments)  # type: ignore[arg-type] # handed through as they are
        return replace(found, complete=not found.forget)

    monkeypatch.setattr(bench, "_explore", lose)
    with pytest.raises(MeasurementError, match=r"complete: does not hold any more with .*forget"):
        list(measure("small"))


def test_explorations_that_differ_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    explore = bench._explore

    def miscount(*arguments: object) -> bench.Measurement:
        found = explore(*arguments)  # type: ignore[arg-type] # handed through as they are
        return replace(found, states=found.states + found.symmetry)

    monkeypatch.setattr(bench, "_explore", miscount)
    with pytest.raises(MeasurementError, match=r"complete: the reference engine found \(85"):
        list(measure("small"))


def test_the_report_and_the_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = tmp_path / "out.svg"
    assert run(["bench", "--size", "small", "--json", "-", "--plot", str(drawing)]) == 0
    report = json.loads(capsys.readouterr().out)
    path = Path(str(spec.__file__)).with_name("schemas") / "bench_report.schema.json"
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    assert len(report["measurements"]) == 16
    assert "stored states" in drawing.read_text()


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--size", "small"]) == 0
    out = capsys.readouterr().out
    assert "reference, in part" in out
    assert "│ complete" in out
    assert "compiled, symmetry, eager, forget, 2 workers" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--size", "huge"], "'huge' is not one of 'small', 'medium', 'large'"),
        (["--plot", "out.png"], "must end in .svg"),
        (["--plot", "/nowhere/out.svg"], "cannot write /nowhere/out.svg"),
        (["--json", "/nowhere/out.json"], "cannot write /nowhere/out.json"),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.tlc
def test_tlc_is_measured_beside_ours(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["bench", "--size", "small", "--against-tlc", "--json", "-"])
    captured = capsys.readouterr()
    if code == 2:
        pytest.skip(captured.err)
    report = json.loads(captured.out)
    path = Path(str(spec.__file__)).with_name("schemas") / "bench_report.schema.json"
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    assert [each["configuration"] for each in report["against_tlc"]] == ["complete"]
    assert all(each["ratio"] > 0 for each in report["against_tlc"])


def test_without_java_it_is_said_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(["bench", "--against-tlc"]) == 2
    assert "--against-tlc: TLC needs a Java runtime" in capsys.readouterr().err


def test_an_interrupt_is_no_measurement() -> None:
    with pytest.raises(KeyboardInterrupt):
        list(measure("small", interrupt))
