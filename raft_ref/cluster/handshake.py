"""How two servers make sure that they belong together, before either says anything else.

::

    the one that connects                    the one that accepts
    Hello       who I am, of which cluster,
                a nonce                   ->
                                          <- Challenge  a nonce, a proof
    Proof       a proof                   ->
                                          <- Welcome, or Refusal  why, and what to do

Challenge and proof are left out where the servers share no secret; then certificates say who they
are (see `tls`). A proof is HMAC-SHA256 under the secret, of who proves it (which end), the whole
hello, and the nonce of the accepting end. So it holds for one direction between two servers in one
connection: it cannot be used again, given back to who made it, or used for another server.

That says who is at the other end when a connection is made. It hides nothing. Who can change what
is sent on the connection can also wait until both ends have proved who they are, and then say what
it likes: against that, there is TLS.

Why a server is not welcome is told only to those that know the secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from raft_ref.cluster.frames import Malformed
from raft_ref.cluster.storage import Identity
from raft_ref.types import NodeId

NONCE_SIZE = 32

MAX_HANDSHAKE = 4096
"""The longest frame before a server is welcome, in bytes."""

_Nonce = Annotated[bytes, Meta(min_length=NONCE_SIZE, max_length=NONCE_SIZE)]
_Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Hello(Struct, frozen=True, tag="hello", forbid_unknown_fields=True):
    """The first frame: who has connected, and to whom they want to talk."""

    version: Literal[2]
    cluster: str
    members: tuple[NodeId, ...]
    source: NodeId
    destination: NodeId
    nonce: _Nonce


class Challenge(Struct, frozen=True, tag="challenge", forbid_unknown_fields=True):
    """The accepting end proves that it knows the secret, and wants proof."""

    nonce: _Nonce
    proof: _Digest


class Proof(Struct, frozen=True, tag="proof", forbid_unknown_fields=True):
    """The connecting end proves that it knows the secret."""

    proof: _Digest


class Welcome(Struct, frozen=True, tag="welcome", forbid_unknown_fields=True):
    """From now on, frames are listened to."""


class Refusal(Struct, frozen=True, tag="refusal", forbid_unknown_fields=True):
    """The connection is closed, and will be every time until something is changed."""

    problem: str


_Step: TypeAlias = Hello | Challenge | Proof | Welcome | Refusal

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[_Step] = msgspec.json.Decoder(_Step)


class Refused(Exception):
    """The other end does not belong to this one, although it is of a cluster that knows the secret;
    or it says so of this one.
    """


class Connecting:
    """The end that connects."""

    def __init__(self, identity: Identity, peer: NodeId, secret: bytes | None) -> None:
        self._secret = secret
        self._is_proved = secret is None
        nonce = secrets.token_bytes(NONCE_SIZE)
        self.hello = _encoder.encode(
            Hello(2, identity.cluster, identity.members, identity.server, peer, nonce)
        )
        """What to begin with."""

    def hear(self, content: bytes) -> bytes | None:
        """The answer to what the other end has said; None if this server is welcome.

        Raises:
            Malformed: if the other end does not keep to the protocol, or does not know the secret.
            Refused: if this server is not welcome.
        """
        match _decode(content):
            case Challenge(nonce, proof):
                return self._prove(nonce, proof)
            case Welcome() if self._is_proved:
                return None
            case Welcome():
                raise Malformed("it does not prove that it knows the secret of the cluster")
            case Refusal(problem):
                raise Refused(problem)
            case Hello() | Proof():
                raise Malformed("a challenge, a welcome or a refusal was expected")

    def _prove(self, nonce: bytes, proof: bytes) -> bytes:
        if self._secret is None:
            raise Malformed("it asks for a secret, and this server has none")
        if self._is_proved:
            raise Malformed("a second challenge")
        if not compare_digest(proof, _proof(self._secret, b"accepting", self.hello, nonce)):
            raise Malformed("it has another secret than this server")
        self._is_proved = True
        return _encoder.encode(Proof(_proof(self._secret, b"connecting", self.hello, nonce)))


class Accepting:
    """The end that accepts.

    ``is_certified`` says whether the other end has shown the certificate of a server, where
    certificates are asked for.
    """

    def __init__(
        self, identity: Identity, secret: bytes | None, is_certified: Callable[[NodeId], bool]
    ) -> None:
        self._identity = identity
        self._secret = secret
        self._is_certified = is_certified
        self._nonce = secrets.token_bytes(NONCE_SIZE)
        self._hello: tuple[Hello, bytes] | None = None
        self.source: NodeId | None = None
        """Who has connected, once they are welcome."""

    def hear(self, content: bytes) -> bytes:
        """The answer to what the other end has said.

        Raises:
            Malformed: if it does not keep to the protocol, or does not prove who it is.
            Refused: if it is not welcome; it is to be told so (`refusal`).
        """
        match _decode(content):
            case Hello() as hello if self._hello is None:
                self._hello = hello, content
                if self._secret is None:
                    return self._welcome(hello)
                proof = _proof(self._secret, b"accepting", content, self._nonce)
                return _encoder.encode(Challenge(self._nonce, proof))
            case Proof(proof) if self._hello is not None and self._secret is not None:
                hello, said = self._hello
                if not compare_digest(
                    proof, _proof(self._secret, b"connecting", said, self._nonce)
                ):
                    raise Malformed("it has another secret than this server")
                return self._welcome(hello)
            case Hello() | Challenge() | Proof() | Welcome() | Refusal():
                raise Malformed("a hello was expected, and then a proof")

    def _welcome(self, hello: Hello) -> bytes:
        own = self._identity
        if not self._is_certified(hello.source):
            raise Malformed(f"the certificate is not that of server {hello.source}")
        if hello.cluster != own.cluster:
            raise Refused(
                f"server {hello.source} is of cluster {hello.cluster!r}, and server {own.server} "
                f"of {own.cluster!r}: correct cluster, directory or [servers] in the settings"
            )
        if hello.members != own.members:
            raise Refused(
                f"server {hello.source} has the servers {list(hello.members)}, and server "
                f"{own.server} has {list(own.members)}: [servers] must be the same for all"
            )
        if hello.destination != own.server:
            raise Refused(
                f"for server {hello.destination}, and this is server {own.server}: correct the "
                f"address of server {hello.destination} in [servers] of server {hello.source}"
            )
        if hello.source not in own.members or hello.source == own.server:
            raise Refused(f"there is no other server {hello.source}: correct its id")
        self.source = hello.source
        return _encoder.encode(Welcome())


def refusal(problem: str) -> bytes:
    """What to tell a server that is not welcome."""
    return _encoder.encode(Refusal(problem))


def _proof(secret: bytes, end: bytes, hello: bytes, nonce: bytes) -> bytes:
    return digest(secret, b"raft-ref " + end + sha256(hello).digest() + nonce, "sha256")


def _decode(content: bytes) -> _Step:
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a handshake: {error}") from None
