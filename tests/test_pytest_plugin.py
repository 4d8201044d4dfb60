"""The pytest plugin, as someone would use it who has an implementation of Raft to test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from model_check.cli import run
from model_check.mutants import MUTANTS
from model_check.mutants.runs import recorded_runs

TOY = f"{sys.executable} {Path(__file__).parent / 'peers/toy/adapter.py'}"

RUNS = sum(MUTANTS[name].bounds.servers == 3 for name in recorded_runs())
"""Those of mutants that are played on three servers."""


def pytest_in(directory: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-q", *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(  # noqa: S603
        command, cwd=directory, capture_output=True, text=True, check=False, env=env
    )
    return done.returncode, done.stdout + done.stderr


def test_an_implementation_that_conforms_passes_beside_other_tests(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own() -> None:\n    pass\n")
    junit = tmp_path / "junit.xml"
    some = ["--raft-adapter", TOY, "--raft-schedules", "mutants", "--junitxml", str(junit)]
    code, out = pytest_in(tmp_path, *some)
    assert (code, out.splitlines()[-1].split(" in ")[0]) == (0, f"{RUNS + 1} passed")
    cases = [case.get("name") for case in ElementTree.parse(junit).iter("testcase")]  # noqa: S314
    assert {"test_own", "mutants[vote-without-log-check]"} <= set(cases)


def test_a_session_that_could_have_found_nothing_fails(tmp_path: Path) -> None:
    """Though each of its tests passes; not so where somebody selects some of the runs."""
    (tmp_path / "test_own.py").write_text("def test_own() -> None:\n    pass\n")
    deaf = f"{sys.executable} {Path(__file__).parent / 'vacuous.py'} ignores-deliver"
    some = ["--raft-adapter", deaf, "--raft-schedules", "random", "--raft-walks", "5"]
    code, out = pytest_in(tmp_path, *some)
    assert (code, out.splitlines()[-1].split(" in ")[0]) == (1, "6 passed")
    assert "inconclusive: nothing is violated, but no leader was elected" in out
    assert "note: no leader was elected: no server answered any message" in out
    assert "not reached  election, " in out
    assert "warning: nothing could have broken" in out
    code, out = pytest_in(tmp_path, *some, "-k", "random[3]")
    assert code == 0
    assert "of a selection of the runs this is no failure" in out


def test_one_that_does_not_fails_and_says_which_rule_and_how_to_do_it_again(tmp_path: Path) -> None:
    buggy = ["--raft-adapter", TOY, "--raft-option", "bug=truncates"]
    code, out = pytest_in(tmp_path, *buggy, "--raft-schedules", "mutants")
    assert code == 1
    assert "violates: FOLLOWER-SPLICE-CONFLICT" in out
    assert f"1 failed, {RUNS - 1} passed" in out
    # where CI is set, pytest says it a second time, in its summary
    (again,) = {line for line in out.splitlines() if line.startswith("to do it again: raft-ref")}
    words = again.removeprefix("to do it again: raft-ref ").split()
    command = [sys.executable, "-m", "model_check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert "FOLLOWER-SPLICE-CONFLICT" in done.stdout


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Vectors; only few of their traces are of two servers."""
    directory = str(tmp_path_factory.mktemp("vectors"))
    bounds = ["--servers", "2", "--max-term", "1", "--max-log", "0", "--no-restarts"]
    assert run(["vectors", "--out", directory, *bounds]) == 0
    return directory


def test_the_traces_of_a_suite_are_tests(suite: str, tmp_path: Path) -> None:
    traces = json.loads((Path(suite) / "trace.json").read_bytes())["cases"]
    ids = [case["id"] for case in traces if len(case["configs"]) == 2]
    assert 0 < len(ids) < len(traces)
    some = ["--raft-adapter", TOY, "--raft-vectors", suite, "--raft-servers", "2"]
    junit = tmp_path / "junit.xml"
    code, out = pytest_in(tmp_path, *some, "--junitxml", str(junit))
    assert (code, f"{len(ids)} passed" in out) == (0, True)
    assert [case.get("name") for case in ElementTree.parse(junit).iter("testcase")] == ids  # noqa: S314
    walks = ["--raft-schedules", "random", "--raft-walks", "3"]
    code, out = pytest_in(tmp_path, *some, *walks)
    assert (code, f"{len(ids) + 3} passed" in out) == (0, True)


def test_a_suite_without_traces_of_so_many_servers_is_of_no_use(suite: str, tmp_path: Path) -> None:
    some = ["--raft-adapter", TOY, "--raft-vectors", suite, "--raft-servers", "7"]
    code, out = pytest_in(tmp_path, *some)
    assert code != 0
    assert f"--raft-vectors: {suite} has no trace of 7 servers" in out


def test_a_trace_that_shows_a_bug_fails(suite: str, tmp_path: Path) -> None:
    buggy = ["--raft-adapter", TOY, "--raft-option", "bug=votes-twice", "--raft-vectors", suite]
    code, out = pytest_in(tmp_path, *buggy, "-x")
    assert code == 1
    assert "VOTE-ONCE" in out
    assert re.search(r"^_+ trace-[0-9a-f]{16} _+$", out, re.MULTILINE)
    assert "to do it again: raft-ref conform --replay" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--raft-adapter", "nobody"], "adapter-failed: cannot start nobody"),
        (["--raft-adapter", "'"], "--raft-adapter: No closing quotation: '"),
        (["--raft-adapter", " "], "--raft-adapter: no command"),
        (["--raft-adapter", TOY, "--raft-profile", "x"], "--raft-profile: no 'x', but paper"),
        (["--raft-adapter", TOY, "--raft-option", "x"], "--raft-option looks like NAME=VALUE"),
        (["--raft-adapter", TOY, "--raft-servers", "0"], "servers must be at least 1"),
        (["--raft-vectors", "nowhere"], "--raft-vectors belongs to --raft-adapter"),
        (
            ["--raft-adapter", TOY, "--raft-vectors", "nowhere"],
            "--raft-vectors: cannot read nowhere/trace.json: No such file or directory",
        ),
    ],
)
def test_what_does_not_work_is_said(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    code, out = pytest_in(tmp_path, *arguments, "--raft-schedules", "random", "--raft-walks", "1")
    assert code != 0
    assert complaint in out


def test_without_an_adapter_it_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own() -> None:\n    pass\n")
    code, out = pytest_in(tmp_path)
    assert (code, out.splitlines()[-1].split(" in ")[0]) == (0, "1 passed")


def test_a_dead_adapter_fails_once_and_the_rest_is_not_played(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own() -> None:\n    pass\n")
    junit = tmp_path / "junit.xml"
    some = ["--raft-adapter", "false", "--raft-schedules", "mutants", "--junitxml", str(junit)]
    code, out = pytest_in(tmp_path, *some, "-rs")
    summary = f"1 failed, 1 passed, {RUNS - 1} skipped"
    assert (code, out.splitlines()[-1].split(" in ")[0]) == (1, summary)
    assert "adapter-failed: the process ended with exit code 1, at init" in out
    (skipped,) = (line for line in out.splitlines() if line.startswith("SKIPPED"))
    first = next(iter(recorded_runs()))
    assert skipped.endswith(f"not played, since the adapter failed in mutants[{first}]")
    found = [each.attrib for each in ElementTree.parse(junit).iter("property")]  # noqa: S314
    assert found == [{"name": "raft_ref_verdict", "value": "adapter-failed"}]


@pytest.mark.parametrize("cache", ["none", "not to be written"])
def test_a_finding_is_not_lost_without_a_cache(cache: str, tmp_path: Path) -> None:
    buggy = ["--raft-adapter", TOY, "--raft-option", "bug=forgets-vote", "-x"]
    without = ["-p", "no:cacheprovider"] if cache == "none" else []
    (tmp_path / ".pytest_cache").write_text("a file where a directory should be")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    some = [*buggy, "--raft-schedules", "mutants", *without, "-W", "ignore"]
    code, out = pytest_in(tmp_path, *some, TMPDIR=str(temporary))
    assert code == 1
    assert "RESTART-VOTE" in out
    (schedule,) = temporary.glob("raft-ref-*/mutants-*.json")
    assert f"to do it again: raft-ref conform --replay {schedule} -- " in out


BREAKS = """
import sys

if "raft_ref.entry.judge" in " ".join(sys.orig_argv):
    {statement}
"""
DEFECT = "from model_check.conformance.play import Player; del Player.play"


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (DEFECT, "AttributeError: 'Player' object has no attribute 'play'"),
        ("import os; os._exit(9)", "the process that judges ended with exit code 9"),
    ],
)
def test_a_defect_of_ours_is_no_verdict(statement: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BREAKS.format(statement=statement))
    some = ["--raft-adapter", TOY, "--raft-schedules", "random", "--raft-walks", "3"]
    code, out = pytest_in(tmp_path, *some, PYTHONPATH=str(tmp_path))
    assert code == 70
    assert complaint in out
    assert "internal error: a defect of raft-ref" in out
    assert statement != DEFECT or "1 failed, 2 skipped" in out
