"""Pipelining: a leader sends on before it has an answer (dissertation §10.2.1).

In Figure 2, ``nextIndex`` rises only with an acknowledgement. So a follower is sent one batch of
entries each round trip, and whatever is sent meanwhile repeats entries that are on their way. Two
things are new:

1. ``nextIndex`` rises as soon as entries are sent, before they are acknowledged.
2. The entries that were sent to a follower and not acknowledged (those after ``matchIndex`` and
   before ``nextIndex``) are limited by a `Window`. While it is full, requests carry no entries. So
   a follower that is down, or whose log is not known yet, is sent heartbeats alone.

Messages may get lost or overtake each other; the rest of Figure 2 copes with that. A follower that
lacks the entry before those of a request rejects it (receiver rule 2), and the leader begins again
at a lower ``nextIndex``. A heartbeat has ``nextIndex - 1`` as its ``prevLogIndex``, so its answer
tells whether all that was sent before has arrived.

A retry after a rejection does not raise ``nextIndex``. The rejections of other requests that were
on their way then hint at no lower index (see `conflict_hints`), and are seen to be old.
"""

from __future__ import annotations

from dataclasses import replace

from raft_ref.messages import AppendEntries
from raft_ref.types import Config, Entry, Index, Leader, Log


def within_window(
    config: Config, log: Log, match_index: Index, prev_log_index: Index, entries: tuple[Entry, ...]
) -> tuple[Entry, ...]:
    """The first of ``entries``, which follow ``prev_log_index``: as many as may be sent to a peer
    that has acknowledged ``match_index``. Without pipelining, all of them."""
    window = config.pipelining
    if window is None:
        return entries
    room = window.max_entries - (prev_log_index - match_index)
    if room <= 0:
        return ()
    entries = entries[:room]
    if window.max_size is None:
        return entries
    in_flight = log.between(match_index, prev_log_index)
    space = window.max_size - sum(len(entry.command) for entry in in_flight)
    return of_size(entries, space) if space > 0 else ()


def of_size(entries: tuple[Entry, ...], most: int) -> tuple[Entry, ...]:
    """The first of ``entries`` whose commands have ``most`` characters together; one at least."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.command)
        if size > most:
            return entries[: max(count, 1)]
    return entries


def after_sending(config: Config, leader: Leader, request: AppendEntries) -> Leader:
    """The leader once it has sent a request: with pipelining, its ``nextIndex`` is beyond it."""
    if config.pipelining is None:
        return leader
    peer = request.destination
    next_index = max(leader.next_index[peer], request.prev_log_index + len(request.entries) + 1)
    return replace(leader, next_index=leader.next_index.with_index(peer, next_index))
