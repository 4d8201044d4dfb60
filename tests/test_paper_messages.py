"""Figure 2's messages: which ones no server can have sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Config,
    MalformedEvent,
    Message,
    NodeState,
    Receive,
    RequestVote,
    RequestVoteReply,
    step,
)
from tests.cluster import entries_of

SERVER_1 = Config(id=1, servers=frozenset({1, 2, 3}))

REQUEST_VOTE = RequestVote(source=2, destination=1, term=5, last_log_index=3, last_log_term=4)
REQUEST_VOTE_REPLY = RequestVoteReply(source=2, destination=1, term=5, vote_granted=True)
APPEND_ENTRIES = AppendEntries(
    source=2,
    destination=1,
    term=5,
    prev_log_index=3,
    prev_log_term=3,
    entries=entries_of(3, 4, 4, 5, after=3),
    leader_commit=9,
)
ACKNOWLEDGEMENT = AppendEntriesReply(source=2, destination=1, term=5, success=True, match_index=9)
REJECTION = AppendEntriesReply(source=2, destination=1, term=5, success=False, match_index=0)
ALL = [REQUEST_VOTE, REQUEST_VOTE_REPLY, APPEND_ENTRIES, ACKNOWLEDGEMENT, REJECTION]


def name(value: object) -> str | None:
    """Short test ids."""
    if isinstance(value, dict):
        return ",".join(value) or "as it is"
    return None if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        *((message, {}) for message in ALL),
        (REQUEST_VOTE, {"last_log_index": 0, "last_log_term": 0}),
        (REQUEST_VOTE, {"term": 1, "last_log_index": 0, "last_log_term": 0}),
        (APPEND_ENTRIES, {"prev_log_index": 0, "prev_log_term": 0, "entries": entries_of(1, 5)}),
        (APPEND_ENTRIES, {"entries": (), "leader_commit": 0}),
        (APPEND_ENTRIES, {"prev_log_term": 5, "entries": entries_of(5, after=3)}),
        (ACKNOWLEDGEMENT, {"match_index": 0}),
        *((message, {"source": 3}) for message in ALL),
    ],
    ids=name,
)
def test_well_formed_messages_are_handled(message: Message, changes: dict[str, Any]) -> None:
    """Figure 2: index 0 and term 0 stand for "before the log", and nothing else is of term 0."""
    arrived = replace(message, **changes)
    transition = step(SERVER_1, NodeState(), Receive(arrived))
    assert transition.state.current_term == arrived.term


@pytest.mark.parametrize(
    ("message", "changes", "problem"),
    [
        *((message, {"source": 1}, "source") for message in ALL),
        *((message, {"source": 4}, "source") for message in ALL),
        *((message, {"destination": 3}, "destination") for message in ALL),
        *((message, {"term": 0}, "term") for message in ALL),
        (REQUEST_VOTE, {"last_log_index": -1}, "last_log_index"),
        (REQUEST_VOTE, {"last_log_index": 0}, "last_log_term must be 0"),
        (REQUEST_VOTE, {"last_log_term": 0}, "last_log_term must be from 1"),
        (REQUEST_VOTE, {"last_log_term": 6}, "last_log_term must be from 1"),
        (APPEND_ENTRIES, {"prev_log_index": -1}, "prev_log_index"),
        (APPEND_ENTRIES, {"prev_log_index": 0}, "prev_log_term must be 0"),
        (APPEND_ENTRIES, {"prev_log_term": 0}, "prev_log_term must be from 1"),
        (APPEND_ENTRIES, {"prev_log_term": 6, "entries": ()}, "prev_log_term must be from 1"),
        (APPEND_ENTRIES, {"entries": entries_of(3, 6, after=3)}, "entries"),
        (APPEND_ENTRIES, {"entries": entries_of(4, 3, after=3)}, "entries"),
        (APPEND_ENTRIES, {"entries": entries_of(2, 3, after=3)}, "entries"),
        (
            APPEND_ENTRIES,
            {"prev_log_index": 0, "prev_log_term": 0, "entries": entries_of(0, 1)},
            "entries",
        ),
        (APPEND_ENTRIES, {"leader_commit": -1}, "leader_commit"),
        (ACKNOWLEDGEMENT, {"match_index": -1}, "match_index"),
        (REJECTION, {"match_index": 1}, "match_index of a rejection"),
    ],
    ids=name,
)
def test_malformed_messages_are_refused(
    message: Message, changes: dict[str, Any], problem: str
) -> None:
    """Figure 2: no server of the cluster can have sent these to S1. The error tells the field."""
    arrived = replace(message, **changes)
    with pytest.raises(MalformedEvent, match=f"^{problem}"):
        step(SERVER_1, NodeState(), Receive(arrived))


def test_the_terms_of_entries_that_fall_are_named() -> None:
    arrived = replace(APPEND_ENTRIES, entries=entries_of(3, 4, 3, after=3))
    with pytest.raises(MalformedEvent, match=r"from 3 to \d+, not \[3, 4, 3\]"):
        step(SERVER_1, NodeState(), Receive(arrived))
