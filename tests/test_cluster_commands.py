"""``raft-ref cluster``: what it says, and with what code it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from model_check.cli import run
from model_check.commands.cluster_run import table_of
from model_check.commands.tables import fitted
from raft_ref.cluster.processes import LocalCluster
from raft_ref.cluster.service import ServiceError


def test_the_demo_tells_the_tutorial_and_its_traces_conform(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["cluster", "demo"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    titles = ("An election", "A write", "The leader dies", "Two of three", "It comes back")
    assert sorted(titles, key=out.index) == list(titles)
    assert out.count(": blue.") == 3
    assert re.search(r"the traces conform: Raft allows ([\d,]+) of \1 steps", out)


@pytest.mark.slow
def test_a_cluster_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model_check", "cluster", "run", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert re.search(r"S\d leads in term \d", next(line for line in lines if "leads" in line))
        process.send_signal(signal.SIGINT)
        assert "all servers have stopped" in process.stdout.read()
    assert process.returncode == 0
    assert not any(member.info() for member in LocalCluster(tmp_path, 3).members.values())


def test_a_cluster_that_cannot_run_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (member,) = LocalCluster(tmp_path, 1).members.values()
    member.settings.database_path.write_bytes(b"x" * 5000)
    assert run(["cluster", "run", "--nodes", "1", "--dir", str(tmp_path)]) == 2
    complaint = capsys.readouterr().err
    assert "no server runs: " in complaint
    assert "is damaged" in complaint
    assert len(complaint.splitlines()) == 1


def test_a_server_that_has_ended_is_told_of_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    member = LocalCluster(tmp_path, 3).members[2]
    member.settings.database_path.write_bytes(b"x" * 5000)
    assert run(["cluster", "run", "--dir", str(tmp_path), "--max-seconds", "6"]) == 0
    assert f"S2 has ended: {member.settings.database_path} is damaged" in capsys.readouterr().out


def test_no_leader_is_waited_for_where_no_server_runs(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, 3)
    with pytest.raises(ServiceError, match="no server runs: it said nothing"):
        cluster.wait_for_leader()


def test_the_group_alone_tells_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster"]) == 0
    assert "torture" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["node"], "Missing option '--config'"),
        (["node", "--config", "/nowhere.toml"], "cannot read /nowhere.toml: No such file"),
        (["run"], "Missing option '--dir'"),
        (["run", "--nodes", "0", "--dir", "d"], "0 is not in the range"),
        (["run", "--dir", "/proc/nowhere"], "cannot write /proc/nowhere"),
        (["demo", "--dir", "/"], "/ is not empty; choose another directory"),
        (["demo", "--dir", "/proc/nowhere"], "cannot write /proc/nowhere"),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cluster", *arguments]) == 2
    found = capsys.readouterr()
    assert complaint in found.err
    assert len(found.err.splitlines()) == 1


def test_a_secret_and_limits_are_taken_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = str(LocalCluster(tmp_path, 3).members[1].path)
    for arguments, complaint in {
        ("run", "--dir", str(tmp_path), "--maxclients", "0"): "maxclients must be at least 1",
        ("node", "--config", settings, "--timeout", "x"): "timeout is a number, such as",
        ("node", "--config", settings, "--secret", "/nowhere"): "cannot read the secret /nowhere",
    }.items():
        assert run(["cluster", *arguments]) == 2
        assert complaint in capsys.readouterr().err


def test_a_directory_of_another_cluster_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LocalCluster(tmp_path, 3)
    assert run(["cluster", "run", "--nodes", "5", "--dir", str(tmp_path)]) == 2
    assert f"{tmp_path} holds a cluster of 3, not 5" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["hiredis", "prometheus_client"])
def test_without_the_extra_it_is_said_what_to_install(missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from model_check.cli import run; "
        "sys.exit(run(['cluster', 'node', '--config', '/nowhere.toml']))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"raft-ref: {missing} is missing: pip install 'raft-ref[cluster]'\n"


def test_the_table_says_how_each_server_is(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, 2)
    info = {"id": "1", "role": "leader", "term": "7", "leader": "1", "commit_index": "40"}
    info |= {"last_index": "41", "keys": "12", "open_requests": "3"}
    console = Console(file=StringIO(), width=80)
    console.print(fitted(table_of(cluster, {1: info, 2: None}), 80))
    assert isinstance(console.file, StringIO)
    one, other = console.file.getvalue().splitlines()[2:4]
    ports = [str(member.settings.client.port) for member in cluster.members.values()]
    assert one.split() == ["S1", "ended", ports[0], "leader", "7", "1", "41", "40", "12", "3"]
    assert other.split() == ["S2", "ended", ports[1], *"-------"]
