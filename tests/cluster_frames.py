"""Valid, invalid and mutated frames for a server without connections.

They are derived from the server's state, so that most of those accepted have an effect. No correct
peers send such a mixture, so Raft's properties are not expected to hold: the server must refuse or
handle each frame, and never raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from raft_ref.cluster.frames import Answer, Forward, Frame, Malformed, RaftFrame, Tag
from raft_ref.cluster.replies import Done, Value
from raft_ref.cluster.server import Arrived, Asked, Input, Server
from raft_ref.cluster.timers import Timing
from raft_ref.cluster.wire import LENGTH_SIZE, decode_frame, encode_frame
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Config, Entry, NodeId, PersistentState, Term
from tests.cluster_streams import mutated

CONFIG = Config(id=1, servers=frozenset({1, 2, 3}))
COMMAND = '["SET","k","v"]'
LIFETIME = 1000
"""So many frames, then another server: by then most logs are beyond repair."""


@dataclass(slots=True)
class Tally:
    """How many frames were accepted and refused."""

    taken: int = 0
    refused: int = 0


def send_frames(count: int, seed: int) -> Tally:
    """Send so many frames to servers, one after the other; whatever they raise is an error."""
    chance, tally = Random(seed), Tally()  # noqa: S311 - no secret
    for first in range(0, count, LIFETIME):
        now = 0.0
        server = Server(CONFIG, PersistentState(), Timing(), chance, now)
        for number in range(first, min(first + LIFETIME, count)):
            now += chance.choice((0.001, 0.05, 0.3))
            server.handle(now, list(_inputs(chance, server, number, tally)))
    return tally


def _inputs(chance: Random, server: Server, number: int, tally: Tally) -> Iterator[Input]:
    source = chance.choice((2, 3))
    content = encode_frame(_frame(chance, server, source))[LENGTH_SIZE:]
    if chance.random() < 0.5:
        content = mutated(chance, content)
    try:
        yield Arrived(source, decode_frame(content, CONFIG, source, server.state.current_term))
        tally.taken += 1
    except Malformed:
        tally.refused += 1
    if chance.random() < 0.3:
        yield Asked(number, COMMAND)


def _frame(chance: Random, server: Server, source: NodeId) -> Frame:
    term = max(1, server.state.current_term + chance.choice((-1, 0, 0, 0, 0, 1)))
    match chance.randrange(6):
        case 0:
            return Forward(Tag(chance.randint(0, 3), chance.randint(0, 999)), term, COMMAND)
        case 1:
            reply = chance.choice((None, Done(), Value(b"x")))
            return Answer(Tag(server._requests.life, chance.randint(0, 50)), reply)
        case _:
            return RaftFrame(_message(chance, server, source, term))


def _message(chance: Random, server: Server, source: NodeId, term: Term) -> Message:
    log = server.state.log
    index = chance.randint(0, log.last_index + 1)
    term_there = min(term, log.term_at(index) or 1) if index else 0
    match chance.randrange(4):
        case 0:
            return RequestVote(
                source=source,
                destination=1,
                term=term,
                last_log_index=index,
                last_log_term=term_there,
            )
        case 1:
            return RequestVoteReply(source=source, destination=1, term=term, vote_granted=True)
        case 2:
            is_taken = chance.random() < 0.7
            return AppendEntriesReply(
                source=source,
                destination=1,
                term=term,
                success=is_taken,
                match_index=index if is_taken else 0,
            )
        case _:
            return AppendEntries(
                source=source,
                destination=1,
                term=term,
                prev_log_index=index,
                prev_log_term=term_there,
                entries=(Entry(term, f"[{COMMAND}]"),) * chance.randint(0, 3),
                leader_commit=chance.randint(0, log.last_index + 3),
            )
