"""Connections between servers: broken ones are opened again, and certificates are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trustme
from prometheus_client import Counter
from prometheus_client.samples import Sample

from raft_ref import AppendEntries, Config, Entry, PersistentState, RequestVote
from raft_ref.cluster.frames import Answer, Frame, RaftFrame, Tag
from raft_ref.cluster.handshake import MAX_HANDSHAKE, Accepting
from raft_ref.cluster.measures import Measures
from raft_ref.cluster.outbox import MAX_QUEUED
from raft_ref.cluster.processes import LocalCluster
from raft_ref.cluster.replies import Count, Value
from raft_ref.cluster.secret import make_secret, read_secret
from raft_ref.cluster.server import Server
from raft_ref.cluster.settings import Address, Certificates, Settings, SettingsError
from raft_ref.cluster.timers import Timing
from raft_ref.cluster.tls import contexts, require_own
from raft_ref.cluster.transport import MAX_STRANGERS, Link, Transport, read_frame
from raft_ref.cluster.wire import decode_frame, with_length
from raft_ref.types import NodeId

CHANCE = Random(1)  # noqa: S311


class Station:
    """One end: what it has heard."""

    def __init__(self, settings: Settings) -> None:
        self.heard: list[tuple[NodeId, Frame]] = []
        self.measures = new_measures(settings.config)
        self.transport = Transport(
            settings,
            self.measures,
            lambda source, frame: self.heard.append((source, frame)),
            lambda: 0,
            CHANCE,
        )


def new_measures(config: Config) -> Measures:
    return Measures(Server(config, PersistentState(), Timing(), CHANCE, 0))


def frame(number: int) -> Frame:
    return Answer(Tag(1, number), Count(number))


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Station]:
    station = Station(settings)
    await station.transport.start()
    try:
        yield station
    finally:
        await station.transport.stop()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Settings, Settings]:
    one, other = LocalCluster(tmp_path, 2).members.values()
    return one.settings, other.settings


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def playing() -> None:
        await scene()

    asyncio.run(playing())


def test_frames_arrive_in_order_also_those_sent_before_the_other_was_there(
    two: tuple[Settings, Settings],
) -> None:
    async def scene() -> None:
        async with started(two[0]) as one:
            for number in range(100):
                one.transport.send(2, frame(number))
            async with started(two[1]) as other:
                await until(lambda: len(other.heard) == 100)
                assert other.heard == [(1, frame(number)) for number in range(100)]

    play(scene)


def test_a_connection_that_broke_is_opened_again(two: tuple[Settings, Settings]) -> None:
    async def scene() -> None:
        async with started(two[0]) as one:
            for number in range(3):
                async with started(two[1]) as other:
                    one.transport.send(2, frame(number))
                    await until(partial(bool, other.heard))

    play(scene)


def test_a_server_that_has_started_is_connected_to_at_once(
    two: tuple[Settings, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause may be longer than an election timeout."""
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(f"raft_ref.cluster.transport.{name}", 1000.0)

    async def scene() -> None:
        async with started(two[0]) as one:
            one.transport.send(2, frame(1))
            await asyncio.sleep(0.1)  # until the first attempt has failed
            async with started(two[1]) as other:
                await until(lambda: other.heard)

    play(scene)


def test_dropped_frames_are_counted(two: tuple[Settings, Settings]) -> None:
    measures = new_measures(two[0].config)
    link = Link(two[0], b"", 2, measures, CHANCE)
    for number in range(10):
        link.put(Answer(Tag(1, number), Value(bytes(MAX_QUEUED // 4))))
    assert [sample.value for sample in _totals(measures.dropped)] == [7]


def test_a_bug_that_ends_a_link_is_told(
    two: tuple[Settings, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(_: Frame) -> bytes:
        raise ValueError("a bug")

    monkeypatch.setattr("raft_ref.cluster.wire.encode_frame", encode)
    told: list[object] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
        async with started(two[0]) as one, started(two[1]):
            one.transport.send(2, frame(1))
            await until(lambda: told)

    play(scene)
    assert "a bug" in str(told)


def vote_of(settings: Settings) -> Frame:
    source, (destination, *_) = settings.config.id, settings.config.peers
    return RaftFrame(
        RequestVote(
            source=source, destination=destination, term=1, last_log_index=0, last_log_term=0
        )
    )


def test_a_raft_message_overtakes_requests_that_the_other_server_does_not_read_yet(
    two: tuple[Settings, Settings],
) -> None:
    answers: list[Frame] = [Answer(Tag(1, n), Value(bytes(60_000))) for n in range(500)]
    vote = vote_of(two[0])
    read_from_now_on = asyncio.Event()
    heard: list[Frame] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepting = Accepting(two[1].identity, secret_of(two[1]), lambda _: True)
        while accepting.source is None:
            answer = accepting.hear(await read_frame(reader))
            writer.write(with_length(answer))
        await read_from_now_on.wait()
        while len(heard) <= len(answers):
            heard.append(decode_frame(await read_frame(reader), two[1].config, 1, 0))
        writer.close()

    async def scene() -> None:
        async with started(two[0]) as one, await asyncio.start_server(serve, *two[1].servers[2]):
            for each in answers:
                one.transport.send(2, each)
            await asyncio.sleep(0.3)  # the kernel has taken all that it takes
            one.transport.send(2, vote)
            read_from_now_on.set()
            await until(lambda: len(heard) == len(answers) + 1)

    play(scene)
    assert [each for each in heard if each != vote] == answers
    assert heard.index(vote) < len(answers) // 2


def secret_of(settings: Settings) -> bytes:
    assert settings.secret is not None
    return read_secret(settings.secret)


@pytest.mark.parametrize("has_tls", [False, True])
def test_a_large_frame_arrives(
    two: tuple[Settings, Settings], tmp_path: Path, has_tls: bool
) -> None:
    authority = trustme.CA()
    settings = list(two)
    if has_tls:
        settings = [certified(s, authority, f"server-{s.config.id}", tmp_path) for s in two]
    entries = tuple(Entry(1, chr(97 + n % 26) * 60_000) for n in range(100))
    large = RaftFrame(
        AppendEntries(
            source=1,
            destination=2,
            term=1,
            prev_log_index=0,
            prev_log_term=0,
            entries=entries,
            leader_commit=0,
        )
    )

    async def scene() -> None:
        async with started(settings[0]) as one, started(settings[1]) as other:
            for each in (frame(1), large, frame(2)):
                one.transport.send(2, each)
            await until(lambda: len(other.heard) == 3)
            assert sorted(other.heard, key=str) == [(1, frame(1)), (1, frame(2)), (1, large)]

    play(scene)


# --- secrets and clusters ------------------------------------------------------------------------


def with_other_secret(settings: Settings, directory: Path) -> Settings:
    make_secret(directory / "other")
    return replace(settings, secret=directory / "other")


STRANGERS: dict[str, tuple[Callable[[Settings, Path], Settings], set[tuple[str, str]]]] = {
    "another secret": (
        with_other_secret,
        {("not welcome", "it has another secret than this server")},
    ),
    "no secret": (
        lambda settings, _: replace(settings, secret=None),
        {
            ("not welcome", "it asks for a secret, and this server has none"),
            ("not welcome", "it does not prove that it knows the secret of the cluster"),
        },
    ),
    "another cluster": (
        lambda settings, _: replace(settings, cluster="another"),
        {
            ("not let in", "server 1 is of cluster 'another', and server 2 of"),
            ("not welcome", "server 1 is of cluster 'another', and server 2 of"),
            ("not welcome", "and server 1 of 'another': correct cluster, directory"),
        },
    ),
    "another table of members": (
        lambda settings, _: replace(
            settings, servers={**settings.servers, 3: Address("127.0.0.1", 1)}
        ),
        {
            ("not let in", "server 1 has the servers [1, 2, 3], and server 2 has [1, 2]"),
            ("not welcome", "[servers] must be the same for all"),
        },
    ),
}
"""Those that are not of the cluster of S2, and what the logs of S2 and theirs say of it."""


@pytest.mark.parametrize("stranger", STRANGERS)
def test_who_is_not_of_the_cluster_is_not_heard_and_hears_nothing(
    two: tuple[Settings, Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture, stranger: str
) -> None:
    change, expected = STRANGERS[stranger]

    async def scene() -> None:
        async with started(change(two[0], tmp_path)) as one, started(two[1]) as other:
            one.transport.send(2, frame(1))
            other.transport.send(1, frame(2))
            await until(lambda: all(is_said(caplog, each) for each in expected))
            assert (one.heard, other.heard) == ([], [])
            assert refusals(one) + refusals(other) > 0

    play(scene)


def is_said(caplog: pytest.LogCaptureFixture, expected: tuple[str, str]) -> bool:
    event, problem = expected
    return any(event == each and problem in why for each, why in said_of_trust(caplog))


def test_strangers_that_say_nothing_keep_nobody_out(
    two: tuple[Settings, Settings], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with started(two[1]) as other:
            address = two[1].servers[2]
            strangers = [await asyncio.open_connection(*address) for _ in range(3 * MAX_STRANGERS)]
            async with started(two[0]) as one:
                one.transport.send(2, frame(1))
                await until(lambda: other.heard)
            for _, writer in strangers:
                writer.close()

    play(scene)
    assert is_said(caplog, ("too many connections", "they do not complete the handshake"))


def test_before_the_handshake_only_little_is_read(
    two: tuple[Settings, Settings], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with started(two[1]):
            reader, writer = await asyncio.open_connection(*two[1].servers[2])
            writer.write((MAX_HANDSHAKE + 1).to_bytes(4, "big"))
            assert await reader.read() == b""
            writer.close()

    play(scene)
    assert is_said(caplog, ("malformed", f"a frame of 4,097 bytes; {MAX_HANDSHAKE:,} are the most"))


# --- certificates ----------------------------------------------------------------------------


PAST = datetime(2020, 1, 1, tzinfo=UTC)


def certified(
    settings: Settings,
    authority: trustme.CA,
    name: str,
    directory: Path,
    until: datetime | None = None,
) -> Settings:
    """Settings with a certificate in this name."""
    issued = authority.issue_cert(name, not_after=until)
    place = directory / f"{settings.config.id}-{name}-{until is None}"
    place.mkdir()
    certificates = Certificates(place / "certificate", place / "key", place / "authority")
    issued.cert_chain_pems[0].write_to_path(certificates.certificate)
    issued.private_key_pem.write_to_path(certificates.key)
    authority.cert_pem.write_to_path(certificates.authority)
    return replace(settings, certificates=certificates)


@pytest.mark.parametrize("has_secret", [True, False])
def test_with_certificates_servers_hear_each_other(
    two: tuple[Settings, Settings], tmp_path: Path, has_secret: bool
) -> None:
    authority = trustme.CA()
    settings = [certified(each, authority, f"server-{each.config.id}", tmp_path) for each in two]
    if not has_secret:
        settings = [replace(each, secret=None) for each in settings]

    async def scene() -> None:
        async with started(settings[0]) as one, started(settings[1]) as other:
            one.transport.send(2, frame(1))
            other.transport.send(1, frame(2))
            await until(lambda: one.heard and other.heard)
            assert (one.heard, other.heard) == ([(2, frame(2))], [(1, frame(1))])

    play(scene)


def said_of_trust(caplog: pytest.LogCaptureFixture) -> set[tuple[str, str]]:
    """What the logs say of certificates: the event, and the problem."""
    return {
        (record.getMessage(), record.about["problem"])  # type: ignore[attr-defined] # by Log
        for record in caplog.records
        if record.levelname == "WARNING"
    }


INTRUDERS: dict[str, set[tuple[str, str]]] = {
    "another name": {
        ("malformed", "the certificate is not that of server 1"),
        ("not trusted", "Hostname mismatch"),
    },
    "another authority": {
        ("not let in", "unable to get local issuer certificate"),
        ("not trusted", "unable to get local issuer certificate"),
    },
    "no certificate": {
        ("malformed", "it speaks TLS, and this server has no certificates"),
        ("not let in", "wrong version number"),
    },
    "no longer valid": {
        ("not let in", "certificate has expired"),
        ("not trusted", "certificate has expired"),
    },
}
"""Those that try to be taken for S1, and what the logs of S2 and theirs say of it."""


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_who_cannot_prove_who_they_are_is_not_heard(
    two: tuple[Settings, Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture, intruder: str
) -> None:
    authority = trustme.CA()
    other_settings = certified(two[1], authority, "server-2", tmp_path)
    settings = {
        "another name": lambda: certified(two[0], authority, "server-3", tmp_path),
        "another authority": lambda: replace_authority(
            certified(two[0], trustme.CA(), "server-1", tmp_path), authority
        ),
        "no certificate": lambda: two[0],
        "no longer valid": lambda: certified(two[0], authority, "server-1", tmp_path, PAST),
    }[intruder]()

    async def scene() -> None:
        async with started(settings) as one, started(other_settings) as other:
            one.transport.send(2, frame(1))
            other.transport.send(1, frame(2))
            await asyncio.sleep(0.4)
            assert other.heard == []
            assert refusals(one) + refusals(other) > 0

    play(scene)
    said = said_of_trust(caplog)
    for event, problem in INTRUDERS[intruder]:
        assert any(event == each and problem in why for each, why in said), (event, problem, said)


def refusals(station: Station) -> float:
    counted = station.measures.untrusted, station.measures.malformed
    return sum(sample.value for each in counted for sample in _totals(each))


def _totals(counter: Counter) -> Iterator[Sample]:
    return (
        sample
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


def test_who_is_turned_away_again_and_again_loses_haste(
    two: tuple[Settings, Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    authority = trustme.CA()
    settings = certified(two[0], authority, "server-3", tmp_path)
    other_settings = certified(two[1], authority, "server-2", tmp_path)

    async def scene() -> None:
        async with started(settings), started(other_settings):
            await asyncio.sleep(2)

    play(scene)
    tries = [each for each in caplog.records if each.getMessage() == "malformed"]
    assert 0 < len(tries) < 10


def test_a_server_that_nobody_would_let_in_does_not_start(
    two: tuple[Settings, Settings], tmp_path: Path
) -> None:
    authority = trustme.CA()
    wrong = {
        "Hostname mismatch": certified(two[0], authority, "server-3", tmp_path),
        "expired": certified(two[0], authority, "server-1", tmp_path, PAST),
        "unable to get local issuer": replace_authority(
            certified(two[0], authority, "server-1", tmp_path), trustme.CA()
        ),
    }
    for problem, settings in wrong.items():
        with pytest.raises(SettingsError, match=f"no server would let this one in .*{problem}"):
            require_own(certificates_of(settings), 1)
    require_own(certificates_of(certified(two[1], authority, "server-2", tmp_path)), 2)


def certificates_of(settings: Settings) -> Certificates:
    assert settings.certificates is not None
    return settings.certificates


def replace_authority(settings: Settings, authority: trustme.CA) -> Settings:
    authority.cert_pem.write_to_path(certificates_of(settings).authority)
    return settings


def test_certificates_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(SettingsError, match="cannot use the certificates") as caught:
        contexts(Certificates(nowhere, nowhere, nowhere))
    assert len(str(caught.value).splitlines()) == 1
