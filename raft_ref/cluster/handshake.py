"""The handshake between two servers: mutual authentication, and a check that both are configured
for the same cluster.

::

    connecting server                        accepting server
    Hello       version, server, cluster,
                members, destination,
                nonce                     ->
                                          <- Challenge  nonce, proof
    Proof       proof                     ->
                                          <- Welcome, or Refusal with the reason

Challenge and Proof are omitted where the servers share no secret; they are then authenticated by
their certificates (see `tls`). A proof is HMAC-SHA256 under the secret over the role (connecting or
accepting), the hello, and the nonce of the accepting server. It is valid for one direction of one
connection between two servers, so it cannot be replayed, reflected, or relayed to a third server.

The secret proves that a peer belongs to the cluster, not which server it is: any holder can claim
any number, where a certificate is issued for one. The handshake authenticates the peer when a
connection is opened. It provides neither confidentiality nor integrity afterwards: an attacker who
can modify traffic can let it complete and then inject frames. Use TLS where that is a concern.

The reason for a refusal is sent only to a peer that has authenticated itself.

The handshake is JSON, whatever the format of the frames that follow: servers of different versions
can still tell each other so.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from raft_ref.cluster.frames import VERSION, Malformed
from raft_ref.cluster.storage import Identity
from raft_ref.types import NodeId

NONCE_SIZE = 32

MAX_HANDSHAKE = 4096
"""The longest frame before a server is welcome, in bytes."""

_Nonce = Annotated[bytes, Meta(min_length=NONCE_SIZE, max_length=NONCE_SIZE)]
_Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Hello(Struct, frozen=True, tag="hello", forbid_unknown_fields=True):
    """The first frame of a connection: the identity and configuration of the connecting server."""

    version: Annotated[int, Meta(ge=0, lt=2**31)]
    """Of the frames that are to follow, see `frames.VERSION`."""
    cluster: str
    members: tuple[NodeId, ...]
    source: NodeId
    destination: NodeId
    nonce: _Nonce


class Challenge(Struct, frozen=True, tag="challenge", forbid_unknown_fields=True):
    """The accepting server proves that it knows the secret, and asks for proof."""

    nonce: _Nonce
    proof: _Digest


class Proof(Struct, frozen=True, tag="proof", forbid_unknown_fields=True):
    """The connecting server proves that it knows the secret."""

    proof: _Digest


class Welcome(Struct, frozen=True, tag="welcome", forbid_unknown_fields=True):
    """The handshake is complete; frames may follow."""


class Refusal(Struct, frozen=True, tag="refusal", forbid_unknown_fields=True):
    """The two servers are not configured for the same cluster; the connection is closed."""

    problem: str


_Step: TypeAlias = Hello | Challenge | Proof | Welcome | Refusal

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[_Step] = msgspec.json.Decoder(_Step)


class Refused(Exception):
    """The peer is authenticated, but not configured for the same cluster as this server."""


class Connecting:
    """The state of the handshake in the connecting server."""

    def __init__(self, identity: Identity, peer: NodeId, secret: bytes | None) -> None:
        self._secret = secret
        self._is_proved = secret is None
        nonce = secrets.token_bytes(NONCE_SIZE)
        self.hello = _encoder.encode(
            Hello(VERSION, identity.cluster, identity.members, identity.server, peer, nonce)
        )
        """The first frame to send."""

    def hear(self, content: bytes) -> bytes | None:
        """The answer to a frame of the peer; None once the handshake is complete.

        Raises:
            Malformed: if the peer violates the protocol, or does not prove that it knows the
                secret.
            Refused: if the peer has sent a `Refusal`.
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
    """The state of the handshake in the accepting server.

    ``is_certified`` tells whether the peer has presented the certificate of a given server; always
    true without TLS.
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
        """The server that has connected, once the handshake is complete."""

    def hear(self, content: bytes) -> bytes:
        """The answer to a frame of the peer.

        Raises:
            Malformed: if the peer violates the protocol, or does not prove its identity.
            Refused: if it is not configured for the same cluster; send it a `refusal`.
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
        if hello.version != VERSION:
            raise Refused(
                f"server {hello.source} speaks version {hello.version} of the protocol between "
                f"servers, and server {own.server} version {VERSION}: run the same release of "
                "raft-ref on all servers"
            )
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
    """A `Refusal`, encoded."""
    return _encoder.encode(Refusal(problem))


def _proof(secret: bytes, end: bytes, hello: bytes, nonce: bytes) -> bytes:
    return digest(secret, b"raft-ref " + end + sha256(hello).digest() + nonce, "sha256")


def _decode(content: bytes) -> _Step:
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a handshake: {error}") from None
