"""Servers that are attacked: from outside, by one that knows the secret, and by mistake."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from raft_ref.cluster.client import ClientError
from raft_ref.cluster.frames import Forward, Frame, RaftFrame, Tag
from raft_ref.cluster.handshake import Connecting
from raft_ref.cluster.processes import LOG, LocalCluster, Member, wait_for
from raft_ref.cluster.secret import read_secret
from raft_ref.cluster.settings import Address
from raft_ref.cluster.sqlite import SqliteStorage
from raft_ref.cluster.storage import Change
from raft_ref.cluster.wire import LENGTH_SIZE, MAX_FRAME, encode_frame, with_length
from raft_ref.messages import AppendEntries, AppendEntriesReply, RequestVote
from raft_ref.types import Term
from tests.cluster_attack import Scale, attacked

SCALE = Scale(
    streams=600,
    frames=500,
    connections=60,
    slow_readers=3,
    at_once=20,
    processes=1,
    ping_within=5.0,
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with running(LocalCluster(tmp_path, 3)) as started:
        yield started


@contextmanager
def running(cluster: LocalCluster) -> Iterator[LocalCluster]:
    cluster.start()
    try:
        cluster.wait_for_leader()
        yield cluster
    finally:
        cluster.stop()


def _log(member: Member) -> Path:
    return member.path.parent / LOG


def lines_of(member: Member) -> list[dict[str, object]]:
    return [json.loads(line) for line in _log(member).read_text().splitlines()]


def problems_of(member: Member) -> str:
    return " ".join(str(line.get("problem", "")) for line in lines_of(member))


def test_nothing_comes_of_what_strangers_send(cluster: LocalCluster) -> None:
    outcome = asyncio.run(attacked(cluster, SCALE))
    assert outcome.problems(SCALE) == []
    assert outcome.streams == SCALE.streams


@pytest.mark.parametrize("content", [b"*1000000000\r\n", b">300000000\r\n"])
def test_thirteen_bytes_take_no_memory(cluster: LocalCluster, content: bytes) -> None:
    for member in cluster.members.values():
        with socket.create_connection(member.settings.client, 5) as connection:
            connection.sendall(content)
            assert connection.recv(100).startswith(b"-ERR Protocol error: ")
        with member.connect() as client:
            assert client.call("PING") in ("PONG", b"PONG")
        assert psutil.Process(member.pid).memory_info().rss < 200 * 2**20


# --- one that knows the secret -------------------------------------------------------------------


def as_server(member: Member, source: int, content: bytes) -> None:
    """Say this to a server as another one of its cluster would; until it closes the connection."""
    settings, own = member.settings, member.number
    assert settings.secret is not None
    identity = type(settings.identity)(source, settings.cluster, settings.identity.members)
    connecting = Connecting(identity, own, read_secret(settings.secret))
    with socket.create_connection(settings.servers[own], 5) as connection:
        said: bytes | None = connecting.hello
        while said is not None:
            connection.sendall(with_length(said))
            said = connecting.hear(_frame(connection))
        connection.sendall(content)
        assert connection.recv(1) == b"", "it is closed"


def _frame(connection: socket.socket) -> bytes:
    length = int.from_bytes(connection.recv(LENGTH_SIZE, socket.MSG_WAITALL), "big")
    return connection.recv(length, socket.MSG_WAITALL)


def vote(member: Member, source: int, term: Term) -> Frame:
    return RaftFrame(
        RequestVote(
            source=source,
            destination=member.number,
            term=term,
            last_log_index=0,
            last_log_term=0,
        )
    )


def test_what_is_forged_is_not_believed_and_the_cluster_goes_on(cluster: LocalCluster) -> None:
    leader = cluster.wait_for_leader()
    other = next(number for number in cluster.members if number != leader.number)
    term = int((leader.info() or {})["term"])
    forged: list[Frame] = [
        *(vote(leader, other, term) for term in (2**53 - 1, 2**52, 2**40)),
        *(
            Forward(Tag(1, number), term, text)
            for number, text in enumerate(("[]", "", '["GET","k"],["GET","k"]', '["FLUSHALL"]'), 1)
        ),
        RaftFrame(
            AppendEntriesReply(
                source=other, destination=leader.number, term=term, success=True, match_index=2**53
            )
        ),
    ]
    for frame in forged:
        as_server(leader, other, encode_frame(frame))
    with leader.connect() as client:
        assert client.call("SET", "k", "v") in ("OK", b"OK")
    assert int((leader.info() or {})["term"]) < 2**32
    for problem in ("cannot be", "empty command", "not a command", "Expected `int` <= "):
        assert problem in problems_of(leader)
    leader.kill()
    wait_for(lambda: (found := cluster.leader()) and found is not leader, "another leader")


def test_a_frame_of_millions_of_entries_is_refused_before_memory_is_taken(
    cluster: LocalCluster,
) -> None:
    leader = cluster.wait_for_leader()
    other = next(number for number in cluster.members if number != leader.number)
    cluster.members[other].kill()  # it would take its connection back
    count = (MAX_FRAME - 100) // 3
    empty = encode_frame(
        RaftFrame(
            AppendEntries(
                source=other,
                destination=leader.number,
                term=1,
                prev_log_index=0,
                prev_log_term=0,
                entries=(),
                leader_commit=0,
            )
        )
    )[LENGTH_SIZE:]
    beginning, no_entries, end = empty[:-2], empty[-2:-1], empty[-1:]
    assert no_entries == b"\x90"
    entries = b"\xdd" + count.to_bytes(4, "big") + b"\x92\x01\xa0" * count
    as_server(leader, other, with_length(beginning + entries + end))
    assert "Expected `array` of length <= " in problems_of(leader)
    assert psutil.Process(leader.pid).memory_info().rss < 300 * 2**20


# --- another's directory, another's table --------------------------------------------------------


def complaint(member: Member) -> str:
    """What a server says that cannot run."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "raft_ref.cluster", str(member.path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 2
    return str(json.loads(done.stderr.splitlines()[-1])["problem"])


def test_a_server_with_another_clusters_data_does_not_start(tmp_path: Path) -> None:
    one, other = (LocalCluster(tmp_path / name, 1).members[1] for name in ("one", "other"))
    one.start()
    wait_for(one.info, "the server")
    one.stop()
    shutil.copy(one.settings.database_path, other.settings.database_path)
    assert f"of cluster '{one.settings.cluster}', and the settings are of" in complaint(other)


def test_a_server_with_another_table_of_members_does_not_start(tmp_path: Path) -> None:
    member = LocalCluster(tmp_path, 1).members[1]
    member.start()
    wait_for(member.info, "the server")
    member.stop()
    member.path.write_text(f'{member.path.read_text()}2 = "127.0.0.1:1"\n')
    assert "a cluster of servers [1], and the settings are of one of servers [1, 2]" in complaint(
        member
    )


def test_a_server_whose_term_no_election_leads_to_does_not_start(tmp_path: Path) -> None:
    member = LocalCluster(tmp_path, 1).members[1]
    storage = SqliteStorage(member.settings.database_path, member.settings.identity)
    storage.save_now(Change(2**53 - 1, None, 1), b"")
    storage.close()
    assert "no election leads to" in complaint(member)


def test_a_cluster_of_before_there_were_secrets_is_given_one(tmp_path: Path) -> None:
    first = LocalCluster(tmp_path, 3)
    for member in first.members.values():
        lines = member.path.read_text().splitlines(keepends=True)
        member.path.write_text("".join(line for line in lines if not line.startswith("secret")))
    (tmp_path / "secret").unlink()
    with running(LocalCluster(tmp_path, 3)) as cluster, cluster.members[2].connect() as client:
        assert client.call("SET", "k", "v") in ("OK", b"OK")


# --- limits --------------------------------------------------------------------------------------


def test_limits_are_taken_from_the_command_line(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, 1, options={"maxclients": "2"})
    member = cluster.members[1]
    with running(cluster), member.connect() as one, member.connect(), member.connect() as third:
        assert one.info()["maxclients"] == "2"
        with pytest.raises(ClientError, match="max number of clients reached"):
            third.call("PING")


def test_without_file_descriptors_a_server_goes_on_and_says_so_in_few_lines(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, 1)
    member = cluster.members[1]
    with running(cluster), member.connect() as client:
        assert member.pid is not None
        few = psutil.Process(member.pid).num_fds() + 5
        resource.prlimit(member.pid, resource.RLIMIT_NOFILE, (few, few))
        with crowd(member.settings.servers[1], 30), crowd(member.settings.client, 30):
            wait_for(lambda: "cannot accept" in _log(member).read_text(), "no descriptors")
            assert client.call("SET", "k", "v") in ("OK", b"OK")
        wait_for(member.info, "a new connection")
    assert member.wait() == 0
    events = [line["event"] for line in lines_of(member)]
    assert 0 < events.count("cannot accept connections") < 100


@contextmanager
def crowd(address: Address, count: int) -> Iterator[None]:
    """So many connections, by which nothing is said."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(address, 5))
        yield


@pytest.mark.parametrize(("limit", "said"), [(30, "and 401 are needed"), (420, "fewer clients")])
def test_where_few_file_descriptors_are_allowed_there_are_fewer_clients_or_none(
    tmp_path: Path, limit: int, said: str
) -> None:
    (member,) = LocalCluster(tmp_path, 1).members.values()
    program = f"ulimit -n {limit}; exec {sys.executable} -m raft_ref.cluster {member.path}"
    with subprocess.Popen(["bash", "-c", program], stderr=subprocess.PIPE, text=True) as server:  # noqa: S603, S607
        wait_for(lambda: member.info() or server.poll(), "the server, or its end")
        server.terminate()
        assert server.stderr is not None
        lines = [json.loads(line) for line in server.stderr]
    assert said in lines[0].get("problem", "") + lines[0]["event"]
    assert server.returncode == (2 if limit == 30 else 0)
