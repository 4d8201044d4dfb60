"""How the servers of a cluster replicate: the core's extensions, and limits to what is sent.

A server that lags is brought up to date as fast as it can save entries: a rejection says where its
log conflicts (see `raft_ref.extensions.conflict_hints`), and the leader sends on before it has an
answer (see `raft_ref.extensions.pipelining`). No frame takes long to encode or to decode, since a
heartbeat waits behind it.
"""

from __future__ import annotations

from typing import Final

from raft_ref.types import Config, NodeId, Window

MAX_ENTRIES: Final = 1024
"""In one AppendEntries. So many tiny ones are decoded in 0.6 ms, and the cost of a message and its
answer is shared by enough of them."""

MAX_SIZE: Final = 2**20
"""Characters of commands in one AppendEntries. A character is at most 4 bytes in UTF-8: a message
is at most 4 MiB, half of `wire.MAX_FRAME`, and is decoded in 5 ms; usually it is 1 MiB, and is
decoded in 0.1 ms."""

WINDOW: Final = Window(max_entries=4 * MAX_ENTRIES, max_size=8 * MAX_SIZE)
"""On their way to one peer. Enough that one message is decoded, one saved and one answered at any
time. And little enough that the queue for a peer that does not answer (`outbox.MAX_QUEUED`) holds
it several times: after a rejection, entries are sent again while earlier messages may still wait.
The follower saves all that has arrived at once, and is not to be busy for an election timeout."""


def replicating(server: NodeId, servers: frozenset[NodeId]) -> Config:
    """The configuration of one of some servers. Raises `ValueError` as `Config` does."""
    return Config(
        id=server,
        servers=servers,
        max_entries_per_append=MAX_ENTRIES,
        max_size_per_append=MAX_SIZE,
        conflict_hints=True,
        pipelining=WINDOW,
    )
