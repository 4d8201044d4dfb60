"""Servers let in whom they share a secret and a cluster with, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from raft_ref.cluster.frames import VERSION, Malformed
from raft_ref.cluster.handshake import (
    MAX_HANDSHAKE,
    NONCE_SIZE,
    Accepting,
    Connecting,
    Refused,
    refusal,
)
from raft_ref.cluster.secret import make_secret, read_secret
from raft_ref.cluster.settings import SettingsError
from raft_ref.cluster.storage import Identity
from raft_ref.types import NodeId

SECRET = b"a secret"
ONE, TWO = (Identity(number, "c", (1, 2, 3)) for number in (1, 2))


def certified(_source: NodeId) -> bool:
    return True


def meet(
    connecting: Connecting,
    accepting: Accepting,
    tamper: Callable[[bytes], bytes] = lambda content: content,
) -> NodeId | None:
    """Have both say all that they say; who has come in."""
    said: bytes | None = connecting.hello
    while said is not None:
        said = connecting.hear(accepting.hear(tamper(said)))
    return accepting.source


@pytest.mark.parametrize("secret", [SECRET, None])
def test_servers_of_a_cluster_let_each_other_in(secret: bytes | None) -> None:
    accepting = Accepting(TWO, secret, certified)
    assert meet(Connecting(ONE, 2, secret), accepting) == 1


@pytest.mark.parametrize(
    ("of_one", "of_other", "problem"),
    [
        (b"another", SECRET, "it has another secret than this server"),
        (None, SECRET, "it asks for a secret, and this server has none"),
        (SECRET, None, "it does not prove that it knows the secret"),
    ],
)
def test_who_does_not_share_the_secret_gets_nowhere(
    of_one: bytes | None, of_other: bytes | None, problem: str
) -> None:
    with pytest.raises(Malformed, match=problem):
        meet(Connecting(ONE, 2, of_one), Accepting(TWO, of_other, certified))


def test_a_proof_is_asked_for_whatever_the_other_end_makes_of_the_challenge() -> None:
    accepting = Accepting(TWO, SECRET, certified)
    accepting.hear(Connecting(ONE, 2, b"another").hello)
    with pytest.raises(Malformed, match="another secret"):
        accepting.hear(msgspec.json.encode({"type": "proof", "proof": bytes(32)}))
    assert accepting.source is None


def test_no_proof_holds_twice() -> None:
    connecting, first = Connecting(ONE, 2, SECRET), Accepting(TWO, SECRET, certified)
    hello, proof = connecting.hello, connecting.hear(first.hear(connecting.hello))
    assert proof is not None
    again = Accepting(TWO, SECRET, certified)
    again.hear(hello)
    with pytest.raises(Malformed, match="another secret"):
        again.hear(proof)
    assert again.source is None


def test_a_proof_cannot_be_given_back_to_who_made_it() -> None:
    """Without the secret: have S2 prove what S2 then asks to be proved."""
    two, intruder = Accepting(TWO, SECRET, certified), Connecting(ONE, 2, None)
    challenge = msgspec.json.decode(two.hear(intruder.hello))
    with pytest.raises(Malformed, match="another secret"):
        two.hear(msgspec.json.encode({"type": "proof", "proof": challenge["proof"]}))
    other = Connecting(TWO, 1, SECRET)  # S2 connects to the intruder, who takes its hello to S2
    with pytest.raises(Refused, match="for server 1, and this is server 2"):
        meet(other, Accepting(TWO, SECRET, certified))


@pytest.mark.parametrize(
    ("other", "peer", "problem"),
    [
        (replace(ONE, cluster="d"), 2, "server 1 is of cluster 'd', and server 2 of 'c'"),
        (replace(ONE, members=(1, 2)), 2, r"has the servers \[1, 2\], and server 2 has \[1, 2, 3"),
        (ONE, 3, "for server 3, and this is server 2: correct the address of server 3"),
        (replace(ONE, server=9), 2, "there is no other server 9"),
        (TWO, 2, "there is no other server 2"),
    ],
)
def test_who_does_not_belong_here_is_told_why(other: Identity, peer: NodeId, problem: str) -> None:
    connecting, accepting = Connecting(other, peer, SECRET), Accepting(TWO, SECRET, certified)
    with pytest.raises(Refused, match=problem) as caught:
        meet(connecting, accepting)
    assert accepting.source is None
    with pytest.raises(Refused, match=problem):
        connecting.hear(refusal(str(caught.value)))


def test_what_it_hears_of_does_not_depend_on_the_secret_alone() -> None:
    with pytest.raises(Malformed, match="the certificate is not that of server 1"):
        meet(Connecting(ONE, 2, SECRET), Accepting(TWO, SECRET, lambda _source: False))


def hello(**changed: object) -> bytes:
    said = {"type": "hello", "version": VERSION, "cluster": "c", "members": [1, 2, 3]}
    said |= {"source": 1, "destination": 2, "nonce": bytes(NONCE_SIZE)}
    return msgspec.json.encode(said | changed)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"\xff", b"[" * 100_000, b'{"type":"jump"}', b'{"type":"welcome"}'),
        *(
            hello(version=-1),
            hello(version="3"),
            hello(nonce=b""),
            hello(source="1"),
            hello(extra=1),
        ),
        msgspec.json.encode({"type": "proof", "proof": bytes(32)}),
    ],
)
def test_only_a_hello_comes_first(content: bytes) -> None:
    with pytest.raises(Malformed):
        Accepting(TWO, SECRET, certified).hear(content)


@pytest.mark.parametrize("secret", [SECRET, None])
@pytest.mark.parametrize("version", [2, VERSION + 1])
def test_another_version_of_the_frames_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, version: int, secret: bytes | None
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("raft_ref.cluster.handshake.VERSION", version)
        connecting = Connecting(ONE, 2, secret)
    accepting = Accepting(TWO, secret, certified)
    expected = f"server 1 speaks version {version} .* version {VERSION}: run the same release"
    with pytest.raises(Refused, match=expected) as caught:
        meet(connecting, accepting)
    assert accepting.source is None
    assert "\n" not in str(caught.value)


def test_the_version_is_told_only_to_those_who_share_the_secret() -> None:
    accepting = Accepting(TWO, SECRET, certified)
    accepting.hear(hello(version=2))
    with pytest.raises(Malformed, match="another secret"):
        accepting.hear(msgspec.json.encode({"type": "proof", "proof": bytes(32)}))


@given(some.binary(max_size=300))
def test_rubbish_lets_nobody_in(rubbish: bytes) -> None:
    accepting, connecting = Accepting(TWO, SECRET, certified), Connecting(ONE, 2, SECRET)
    for end in (accepting, connecting):
        with pytest.raises(Malformed):
            end.hear(rubbish)
    accepting.hear(hello())
    with pytest.raises(Malformed):
        accepting.hear(rubbish)
    assert accepting.source is None


@given(some.data())
def test_a_handshake_that_was_changed_on_its_way_fails(data: some.DataObject) -> None:
    accepting = Accepting(TWO, SECRET, certified)

    def changed(content: bytes) -> bytes:
        place, bit = data.draw(some.integers(0, len(content) - 1)), data.draw(some.integers(0, 7))
        return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]

    with pytest.raises((Malformed, Refused)):
        meet(Connecting(ONE, 2, SECRET), accepting, changed)
    assert accepting.source is None


def test_all_that_is_said_fits_into_a_frame_of_a_handshake() -> None:
    members = tuple(range(1, 101))
    large = Identity(1, "é" * 200, members)
    assert len(Connecting(large, 2, SECRET).hello) < MAX_HANDSHAKE


# --- the file ------------------------------------------------------------------------------------


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    make_secret(path)
    secret = read_secret(path)
    assert path.stat().st_mode & 0o777 == 0o600
    make_secret(path)
    assert read_secret(path) == secret
    make_secret(tmp_path / "other")
    assert read_secret(tmp_path / "other") != secret


def test_a_secret_that_is_none_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with pytest.raises(SettingsError, match=r"cannot read the secret .*: No such file"):
        read_secret(path)
    with pytest.raises(SettingsError, match="cannot write the secret"):
        make_secret(tmp_path / "nowhere" / "secret")
    path.write_text("x" * 100)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match=f"can be read by others: chmod 600 {path}"):
        read_secret(path)
    path.write_text(" short \n")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="has 5 characters; it must have 32"):
        read_secret(path)
