"""A run to a commit in a second term, as the actions of the proof: it is possible.

Three servers. S1 is elected in term 1 and appends an entry; S2 is elected in term 2 without it,
appends another, commits it by counting, and S3 commits it, too. Then what the network and the
servers may do besides: S1's request for a vote comes to S2 again, late by a term; S1 takes the
other entry for its own; S3 crashes, forgets what is committed, and learns it from a request that
comes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    Message,
    NodeId,
    RequestVote,
    RequestVoteReply,
)


@dataclass(frozen=True, slots=True)
class Happening:
    """That a server takes an action."""

    action: str
    server: NodeId
    means: Mapping[str, Any]
    """Of constants of the action, by name, what they are; of others, nothing happens."""


SERVERS = frozenset({1, 2, 3})
OLD, NEW = Entry(1, "a"), Entry(2, "b")
FIRST, SECOND = frozenset({1, 2}), frozenset({2, 3})


def _request(source: int, destination: int, term: int) -> RequestVote:
    return RequestVote(
        source=source, destination=destination, term=term, last_log_index=0, last_log_term=0
    )


def _grant(source: int, destination: int, term: int) -> RequestVoteReply:
    return RequestVoteReply(source=source, destination=destination, term=term, vote_granted=True)


def _append(commit: int, destination: int = 3) -> AppendEntries:
    return AppendEntries(
        source=2,
        destination=destination,
        term=2,
        prev_log_index=0,
        prev_log_term=0,
        entries=(NEW,),
        leader_commit=commit,
    )


CORRECTS = _append(1, destination=1)
LATE = _request(1, 2, 1)
REFUSED = RequestVoteReply(source=2, destination=1, term=2, vote_granted=False)
ACKNOWLEDGED = AppendEntriesReply(source=3, destination=2, term=2, success=True, match_index=1)


def _candidacy(server: int, term: int) -> list[Happening]:
    """What a server does that stands for election."""
    return [
        Happening("enter", server, {"timed_out": True, "new_term": term}),
        Happening("vote", server, {"timed_out": True, "has_new_vote": True, "new_vote": server}),
        Happening("change-role", server, {"timed_out": True, "new_role": 1}),
    ]


def _election(server: int, voter: int, term: int) -> list[Happening]:
    asks, grants = _request(server, voter, term), _grant(voter, server, term)
    asked: dict[str, Any] = {"received": True, "arrived": asks}
    return [
        *_candidacy(server, term),
        Happening("send", server, {"sent_now": asks}),
        Happening("enter", voter, {**asked, "new_term": term}),
        Happening("vote", voter, {**asked, "has_new_vote": True, "new_vote": server}),
        Happening("send", voter, {"sent_now": grants}),
        Happening("note", server, {"received": True, "arrived": grants}),
        Happening("elect", server, {"votes": frozenset({server, voter})}),
    ]


def _log_of_one(entry: Entry) -> dict[str, Any]:
    return {"new_length": 1, "new_entry": lambda index: entry, "removed": 1}


RUN: list[Happening] = [
    *_election(1, 2, 1),
    Happening("propose", 1, _log_of_one(OLD)),
    *_election(2, 3, 2),
    Happening("propose", 2, _log_of_one(NEW)),
    Happening("send", 2, {"sent_now": _append(0)}),
    Happening("append", 3, {"received": True, "arrived": _append(0), **_log_of_one(NEW)}),
    Happening("note", 3, {"received": True, "arrived": _append(0)}),
    Happening("send", 3, {"sent_now": ACKNOWLEDGED}),
    Happening("note", 2, {"received": True, "arrived": ACKNOWLEDGED}),
    Happening("commit", 2, {"new_commit": 1, "counted": 1, "holders": SECOND}),
    Happening("apply", 2, {"applied_index": 1, "applied_entry": NEW}),
    Happening("send", 2, {"sent_now": _append(1)}),
    Happening("note", 3, {"received": True, "arrived": _append(1)}),
    Happening("commit", 3, {"new_commit": 1}),
    Happening("change-role", 1, {"restarted": True, "new_role": 0}),
    Happening("send", 2, {"received": True, "arrived": LATE, "sent_now": REFUSED}),
    Happening("send", 2, {"sent_now": CORRECTS}),
    Happening("enter", 1, {"received": True, "arrived": CORRECTS, "new_term": 2}),
    Happening("append", 1, {"received": True, "arrived": CORRECTS, **_log_of_one(NEW)}),
    Happening("note", 1, {"received": True, "arrived": CORRECTS}),
    Happening("commit", 1, {"new_commit": 1}),
    Happening("commit", 3, {"restarted": True, "new_commit": 0}),
    Happening("note", 3, {"received": True, "arrived": _append(1)}),
    Happening("commit", 3, {"received": True, "arrived": _append(1), "new_commit": 1}),
]

SENT: list[Message] = [each.means["sent_now"] for each in RUN if "sent_now" in each.means]
