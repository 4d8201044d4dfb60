"""``raft-ref bench --cluster``: all is measured; how fast it is is nobody's business here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import spec
from model_check.cli import run
from model_check.cluster import bench
from model_check.cluster.bench import OURS, WAYS
from model_check.cluster.catch_up import Backlog

SCHEMA = Path(str(spec.__file__)).with_name("schemas") / "bench_cluster_report.schema.json"


def report_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["bench", "--cluster", "--json", "-", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(report)
    return report


def test_a_cluster_of_ours_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "has_pysyncobj", lambda: False)
    monkeypatch.setattr(bench, "BACKLOG", Backlog(tiny=5, large=2, conflicting=3))
    report = report_of(capsys, "--clients", "8", "--seconds", "0.5")
    assert report["catch_up"]["entries"] > 7
    (found,) = report["measurements"]
    assert (found["system"], found["clients"], found["times_ours"]) == (OURS, 8, 1.0)
    assert 0 < found["saves"] <= found["operations"] + 20, "a save is of some writes, not of none"
    assert found["latency_seconds"]["p50"] <= found["latency_seconds"]["p99"] < 0.5
    assert sum(found["shares"].values()) > 0


@pytest.mark.slow
def test_pysyncobj_is_measured_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, "--clients", "1", "--clients", "5", "--seconds", "1")
    found = [(each["system"], each["clients"]) for each in report["measurements"]]
    assert found == [(system, clients) for system in (OURS, *WAYS) for clients in (1, 5)]
    assert all(each["times_ours"] > 0 for each in report["measurements"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--against-tlc"], "--plot and --against-tlc are not for --cluster"),
        (["--clients", "0"], "Invalid value for '--clients': 0 is not in the range"),
        (["--json", "/nowhere/out.json"], "cannot write /nowhere/out.json"),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "--cluster", *arguments]) == 2
    assert complaint in capsys.readouterr().err
