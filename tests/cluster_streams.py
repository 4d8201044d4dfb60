"""Hostile input for the ports of clients and servers."""

from __future__ import annotations

from random import Random

from raft_ref.cluster.frames import RaftFrame
from raft_ref.cluster.handshake import Connecting
from raft_ref.cluster.storage import Identity
from raft_ref.cluster.wire import encode_frame, with_length
from raft_ref.messages import RequestVote
from raft_ref.types import NodeId


def packed(*words: bytes) -> bytes:
    """A command."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


LARGE = (
    b"*1000000000",
    b">300000000",
    b"*-5",
    b"*1\r\n$999999999",
    b"%99999999",
    b"~99",
    b"*1\r\n",
)
COMMANDS = (
    packed(b"PING"),
    packed(b"SET", b"attack", b"v" * 50),
    packed(b"GET", b"attack"),
    packed(b"HELLO", b"3"),
    packed(b"MULTI") + packed(b"INCR", b"attack:n") + packed(b"EXEC"),
    packed(b"RAFT.CALL", b"1", b"1", b"GET", b"attack"),
    packed(b"INFO"),
    packed(b"CLIENT", b"SETNAME", b"x"),
    packed(b"ECHO", b"\x00\xff\r\n"),
)


def client_stream(chance: Random) -> bytes:
    """Hostile input for the port of clients."""
    match chance.randrange(4):
        case 0:
            return chance.randbytes(chance.randint(1, 2000))
        case 1:
            return chance.choice(LARGE) * chance.randint(1, 50) + b"\r\n"
        case _:
            commands = chance.choices(COMMANDS, k=chance.randint(1, 5))
            return mutated(chance, b"".join(commands))


def server_stream(chance: Random, identity: Identity, peer: int) -> bytes:
    """Hostile input for the port of servers, from an attacker without the secret."""
    hello = Connecting(identity, peer, None).hello
    proof = b'{"type":"proof","proof":"' + b"A" * 43 + b'="}'
    vote = encode_frame(RaftFrame(_vote(identity.server, peer)))
    match chance.randrange(5):
        case 0:
            return chance.randbytes(chance.randint(1, 2000))
        case 1:
            return with_length(chance.randbytes(chance.randint(0, 500)))
        case 2:
            return with_length(hello) + with_length(proof) + vote
        case 3:
            return with_length(hello) + mutated(chance, with_length(proof) + vote)
        case _:
            return mutated(chance, with_length(hello))


def _vote(source: NodeId, destination: NodeId) -> RequestVote:
    """In a term that can never be."""
    return RequestVote(
        source=source,
        destination=destination,
        term=2**53 - 1,
        last_log_index=9,
        last_log_term=9,
    )


def mutated(chance: Random, content: bytes) -> bytes:
    """Something like it: with bytes changed, left out, repeated, or a number exchanged."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[place : place + 1] = chance.randbytes(1)
            case 1:
                del changed[place : place + chance.randint(1, 20)]
            case 2:
                changed[place:place] = changed[place : place + chance.randint(1, 50)]
            case 3:
                changed[place:place] = b"%d" % (10 ** chance.randint(1, 12))
            case _:
                changed[place:place] = chance.choice(LARGE)
    return bytes(changed)
