"""Servers in processes of their own, stock clients, and a leader that is killed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from model_check.cli import run
from raft_ref.cluster.client import Client, ClientError
from raft_ref.cluster.processes import HOST, LOG, LocalCluster, Member, free_ports, wait_for
from raft_ref.cluster.settings import Address
from raft_ref.cluster.wire import with_length


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    directory = tmp_path_factory.mktemp("cluster")
    settings = LocalCluster(directory, 3).members[1].path
    settings.write_text(f'metrics = "{Address(HOST, *free_ports(1))}"\n{settings.read_text()}')
    cluster = LocalCluster(directory, 3)
    cluster.start()
    try:
        cluster.wait_for_leader()
        yield cluster
    finally:
        cluster.stop()


def of(member: Member, version: int = 3) -> redis.Redis:
    return redis.Redis(*member.settings.client, protocol=version)


@pytest.mark.parametrize("version", [2, 3])
def test_stock_clients_work_with_any_server(cluster: LocalCluster, version: int) -> None:
    for member in cluster.members.values():
        with of(member, version) as client:
            assert client.set("key", "value")
            assert client.get("key") == b"value"
            assert client.execute_command("CAS", "key", "value", b"\xff") == 1
            assert client.get("key") == b"\xff"
            assert client.delete("key", "absent") == 1
            assert client.get("key") is None
            assert client.incr("counter") > 0
            assert client.ping()
            with pytest.raises(redis.ResponseError, match="unknown command"):
                client.flushall()
            with client.pipeline() as transaction:
                transaction.set("key", "never")
                with pytest.raises(redis.ResponseError, match="nothing of it was done"):
                    transaction.execute()
            assert client.get("key") is None
            with client.pipeline(transaction=False) as pipeline:
                for number in range(50):
                    pipeline.set("key", number)
                    pipeline.get("key")
                found = pipeline.execute()
            assert found[1::2] == [b"%d" % number for number in range(50)]


@pytest.mark.redis_cli
def test_redis_cli_works_with_any_server(cluster: LocalCluster) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed")
    for member in cluster.members.values():
        assert redis_cli(member, "SET", "color", "blue") == "OK"
        assert redis_cli(member, "GET", "color") == "blue"
        assert redis_cli(member, "CAS", "color", "blue", "red") == "1"
        assert redis_cli(member, "-3", "GET", "color") == "red"
        assert redis_cli(member, "DEL", "color") == "1"
        assert "unknown command" in redis_cli(member, "FLUSHALL")
        assert f"id:{member.number}" in redis_cli(member, "INFO")


def redis_cli(member: Member, *words: str) -> str:
    """What redis-cli prints, as it does where there is no terminal."""
    host, port = member.settings.client
    done = subprocess.run(  # noqa: S603
        ["redis-cli", "-h", host, "-p", str(port), *words],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout.strip()


def test_whatever_was_written_anywhere_is_read_everywhere(cluster: LocalCluster) -> None:
    clients = [of(member) for member in cluster.members.values()]
    for number in range(30):
        clients[number % 3].set("shared", number)
        assert clients[(number + 1) % 3].get("shared") == b"%d" % number
    for client in clients:
        client.close()


MALFORMED = (b"\xff\xff\xff\xff", with_length(b"{}"), b"\0\0\0\1{")


def send_malformed_frames(member: Member) -> None:
    for rubbish in MALFORMED:
        with socket.create_connection(member.settings.servers[member.number], 5) as connection:
            connection.sendall(rubbish)
            assert connection.recv(1) == b"", "it is closed"


def metrics_of(member: Member) -> dict[str, str]:
    address = member.settings.metrics
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_a_malformed_frame_closes_the_connection_and_is_counted(cluster: LocalCluster) -> None:
    member, name = cluster.members[1], "raft_frames_malformed_total"
    before = float(metrics_of(member)[name])
    send_malformed_frames(member)
    assert float(metrics_of(member)[name]) == before + len(MALFORMED)


def test_prometheus_is_told(cluster: LocalCluster) -> None:
    with of(cluster.members[1]) as client:
        client.set("key", "value")
    found = metrics_of(cluster.members[1])
    assert float(found["raft_term"]) >= 1
    assert float(found["raft_is_leader"]) in (0, 1)
    assert float(found["raft_commit_index"]) >= 1
    assert float(found["raft_steps_total"]) > 1
    assert float(found["raft_save_seconds_count"]) >= 1
    assert float(found["raft_request_seconds_count"]) >= 1


def test_logs_are_lines_of_json(cluster: LocalCluster) -> None:
    send_malformed_frames(cluster.members[1])
    log = cluster.members[1].path.parent / LOG
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[0]["event"] == "started"
    assert {line["server"] for line in lines} == {1}
    warnings = [line["level"] for line in lines if line["event"] == "malformed"]
    assert warnings[-len(MALFORMED) :] == ["warning"] * len(MALFORMED)


def test_a_leader_that_is_killed_is_replaced_and_nothing_is_lost_or_done_twice(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    first = cluster.wait_for_leader()
    others = [member for member in cluster.members.values() if member is not first]
    with of(first) as client:
        session = client.execute_command("RAFT.SESSION")
        assert client.execute_command("RAFT.CALL", session, 1, "INCR", "once") == 1
        client.set("before", "kept")
    first.kill()
    second = cluster.wait_for_leader()
    assert second is not first
    for member in others:
        with of(member) as client:
            assert client.get("before") == b"kept"
            assert client.execute_command("RAFT.CALL", session, 1, "INCR", "once") == 1
    first.start()
    last = (second.info() or {})["last_index"]
    wait_for(lambda: (first.info() or {}).get("commit_index") == last, "the first to catch up")
    cluster.stop()
    assert [member.wait() for member in cluster.members.values()] == [0, 0, 0]
    assert run(["trace", *map(str, cluster.traces)]) == 0
    assert "conforms" in capsys.readouterr().out


# --- errors ----------------------------------------------------------------------------------


def complaint(path: Path) -> str:
    """What a server says that cannot run."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "raft_ref.cluster", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 2
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    return str(lines[-1]["problem"])


def test_why_a_server_cannot_run_is_one_line(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, 1)
    member = cluster.members[1]
    with socket.create_server(member.settings.client):
        assert "address already in use" in complaint(member.path)
    member.settings.database_path.write_bytes(b"x" * 5000)
    assert "is damaged: file is not a database" in complaint(member.path)
    assert "cannot read" in complaint(tmp_path / "nowhere.toml")
    member.settings.database_path.unlink()
    member.settings.trace_path.write_text("{}\n")
    assert "raft.db is missing, but trace.ndjson is not" in complaint(member.path)
    assert not member.settings.database_path.exists()
    text = member.path.read_text()
    member.path.write_text(text.replace('directory = "."', 'directory = "settings.toml"'))
    assert f"cannot use the directory {member.path}" in complaint(member.path)


def test_a_full_disk_ends_the_server_and_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    (member,) = LocalCluster(tmp_path, 1).members.values()
    command = f"ulimit -f 600; exec {sys.executable} -m raft_ref.cluster {member.path}"
    acknowledged: list[int] = []
    with subprocess.Popen(["bash", "-c", command], stderr=subprocess.PIPE, text=True) as process:  # noqa: S603, S607
        wait_for(member.info, "the server")
        with member.connect() as client:
            while write(client, len(acknowledged)):
                acknowledged.append(len(acknowledged))
        assert process.stderr is not None
        last_words = [json.loads(line) for line in process.stderr.read().splitlines()][-1]
    assert process.returncode == 2
    assert last_words["problem"].startswith("cannot write ")
    member.start()
    wait_for(member.info, "the server")
    with member.connect() as client:
        assert all(client.call("GET", each) == b"x" * 10_000 for each in acknowledged)
    member.stop()
    assert len(acknowledged) > 10


def write(client: Client, number: int) -> bool:
    """Whether a write was acknowledged."""
    try:
        return client.call("SET", number, "x" * 10_000) == b"OK"
    except ClientError:
        return False


def test_a_client_that_nobody_answers_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="NOBODY at"):
        Client(LocalCluster(tmp_path, 1).members[1].settings.client)
