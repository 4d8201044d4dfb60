"""A run of three servers to a commit in a second term, as actions of the proof.

S1 is elected in term 1 and appends an entry; S2 is elected in term 2 without it, appends another,
commits it by counting; S3 commits it, too, and S1 restarts.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    NodeId,
    RequestVote,
    RequestVoteReply,
    Term,
)

Happening: TypeAlias = dict[str, object]
"""What constants of an action mean this time; those that are not named, that nothing happens."""


class Move(NamedTuple):
    """A server takes an action."""

    action: str
    server: NodeId
    happening: Happening


SERVERS = frozenset({1, 2, 3})
SECOND_MAJORITY = frozenset({2, 3})
OLD, NEW = Entry(1, "a"), Entry(2, "b")


def _append(commit: int) -> AppendEntries:
    return AppendEntries(
        source=2,
        destination=3,
        term=2,
        prev_log_index=0,
        prev_log_term=0,
        entries=(NEW,),
        leader_commit=commit,
    )


def _candidacy(server: NodeId, term: Term) -> list[Move]:
    fired = {"timed_out": True}
    return [
        Move("enter", server, fired | {"new_term": term}),
        Move("vote", server, fired | {"has_new_vote": True, "new_vote": server}),
        Move("change-role", server, fired | {"new_role": 1}),
    ]


def _election(server: NodeId, voter: NodeId, term: Term) -> list[Move]:
    asks = RequestVote(
        source=server, destination=voter, term=term, last_log_index=0, last_log_term=0
    )
    grants = RequestVoteReply(source=voter, destination=server, term=term, vote_granted=True)
    asked = {"received": True, "arrived": asks}
    return [
        *_candidacy(server, term),
        Move("send", server, {"sent_now": asks}),
        Move("enter", voter, asked | {"new_term": term}),
        Move("vote", voter, asked | {"has_new_vote": True, "new_vote": server}),
        Move("send", voter, {"sent_now": grants}),
        Move("note", server, {"received": True, "arrived": grants}),
        Move("elect", server, {"votes": frozenset({server, voter})}),
    ]


def _log_of_one(entry: Entry) -> Happening:
    return {"new_length": 1, "new_entry": lambda _: entry, "removed": 1}


_ACKNOWLEDGED = AppendEntriesReply(source=3, destination=2, term=2, success=True, match_index=1)

RUN: tuple[Move, ...] = (
    *_election(1, 2, 1),
    Move("propose", 1, _log_of_one(OLD)),
    *_election(2, 3, 2),
    Move("propose", 2, _log_of_one(NEW)),
    Move("send", 2, {"sent_now": _append(0)}),
    Move("append", 3, {"received": True, "arrived": _append(0), **_log_of_one(NEW)}),
    Move("note", 3, {"received": True, "arrived": _append(0)}),
    Move("send", 3, {"sent_now": _ACKNOWLEDGED}),
    Move("note", 2, {"received": True, "arrived": _ACKNOWLEDGED}),
    Move("commit", 2, {"new_commit": 1, "counted": 1, "holders": SECOND_MAJORITY}),
    Move("apply", 2, {"applied_index": 1, "applied_entry": NEW}),
    Move("send", 2, {"sent_now": _append(1)}),
    Move("note", 3, {"received": True, "arrived": _append(1)}),
    Move("commit", 3, {"new_commit": 1}),
    Move("change-role", 1, {"restarted": True, "new_role": 0}),
)
