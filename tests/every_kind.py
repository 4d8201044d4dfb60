"""A sample of every message, event, output and role, and each of them with one field changed.

What is added to the core is added here, too: a kind without a sample, and a field of a type without
another value, fail by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias, get_args

from raft_ref import (
    Appended,
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    Config,
    ConflictHint,
    ElectionTimeout,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Log,
    Message,
    NodeState,
    NotLeader,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
    Restart,
    Role,
    Send,
    Window,
)
from tests.random_conducts import Way

WAY = Way(source=2, destination=1, term=3)
ENTRY = Entry(2, "a")
PERSISTENT = PersistentState(3, 2, Log((Entry(1, "a"), ENTRY)))

MESSAGES: Mapping[type, tuple[Any, ...]] = {
    RequestVote: (RequestVote(**WAY, last_log_index=2, last_log_term=2),),
    RequestVoteReply: (RequestVoteReply(**WAY, vote_granted=True),),
    AppendEntries: (
        AppendEntries(**WAY, prev_log_index=1, prev_log_term=1, entries=(ENTRY,), leader_commit=1),
    ),
    AppendEntriesReply: (
        AppendEntriesReply(**WAY, success=True, match_index=2),
        AppendEntriesReply(**WAY, success=False, match_index=0, hint=ConflictHint(2, 2)),
    ),
}
ROLES: Mapping[type, tuple[Any, ...]] = {
    Follower: (Follower(2),),
    Candidate: (Candidate(frozenset({1, 3})),),
    Leader: (Leader(IndexMap(((2, 2), (3, 3))), IndexMap(((2, 0), (3, 1)))),),
}
EVENTS: Mapping[type, tuple[Any, ...]] = {
    ElectionTimeout: (ElectionTimeout(),),
    HeartbeatTimeout: (HeartbeatTimeout(),),
    ClientRequest: (ClientRequest("a"),),
    Receive: tuple(Receive(each) for kind in MESSAGES.values() for each in kind),
    Restart: (Restart(),),
}
OUTPUTS: Mapping[type, tuple[Any, ...]] = {
    Send: tuple(Send(each) for kind in MESSAGES.values() for each in kind),
    Apply: (Apply(2, ENTRY),),
    Appended: (Appended(2, 3),),
    NotLeader: (NotLeader(2),),
    ResetElectionTimer: (ResetElectionTimer(),),
}
STATES: Mapping[type, tuple[Any, ...]] = {
    Entry: (ENTRY,),
    ConflictHint: (ConflictHint(2, 2),),
    Log: (Log((ENTRY,), 1, 1),),
    PersistentState: (PERSISTENT,),
    NodeState: tuple(NodeState(PERSISTENT, each, 1, 1) for kind in ROLES.values() for each in kind),
    Config: (Config(id=1, servers=frozenset({1, 2, 3}), pipelining=Window(2)),),
    Window: (Window(2, 3),),
}
SUM_TYPES: Mapping[str, tuple[Any, Mapping[type, tuple[Any, ...]]]] = {
    "Message": (Message, MESSAGES),
    "Role": (Role, ROLES),
    "Event": (Event, EVENTS),
    "Output": (Output, OUTPUTS),
}
KINDS: Mapping[type, tuple[Any, ...]] = {**MESSAGES, **ROLES, **EVENTS, **OUTPUTS, **STATES}

_OTHER: Mapping[str, Callable[[Any], Any]] = {
    "NodeId": lambda server: server % 3 + 1,
    "NodeId | None": lambda server: None if server == 3 else 3,
    "frozenset[NodeId]": lambda servers: servers ^ {4},
    "IndexMap": lambda indexes: indexes.with_index(2, indexes[2] + 1),
    "Term": lambda term: term + 1,
    "Term | None": lambda term: None if term == 3 else 3,
    "Index": lambda index: index + 1,
    "int": lambda number: number + 1,
    "int | None": lambda number: 7 if number is None else number + 1,
    "bool": lambda flag: not flag,
    "Command": lambda command: f"{command}b",
    "Entry": lambda entry: replace(entry, command="c"),
    "tuple[Entry, ...]": lambda entries: (*entries, Entry(2, "c")),
    "ConflictHint | None": lambda hint: ConflictHint(1, 1) if hint is None else None,
    "Window | None": lambda window: None if window else Window(2),
    "Log": lambda log: replace(log, entries=log.entries[:-1]),
    "PersistentState": lambda state: replace(state, current_term=state.current_term + 1),
    "Role": lambda role: Follower(2) if role != Follower(2) else Candidate(frozenset({1})),
    "Message": lambda message: replace(message, term=message.term + 1),
}
"""By the type of a field, as it is annotated: another value than the one given."""

SERVERS = ("NodeId", "IndexMap")
COMMANDS = ("Command", "Entry")
NESTED = ("Log", "PersistentState", "Role", "Message")
"""What the annotation of a field says if it holds servers, commands or, perhaps, either."""

Reasons: TypeAlias = Mapping[str, str]
"""By kind and field, ``Kind.field``: why a consumer leaves it out."""


def missing(sum_type: Any, samples: Iterable[type]) -> list[str]:
    """The members of a sum type that are not among ``samples``."""
    return [kind.__name__ for kind in get_args(sum_type) if kind not in samples]


def named(kind: type) -> list[str]:
    """The fields of a kind, each as ``Kind.field``."""
    return [f"{kind.__name__}.{field.name}" for field in fields(kind)]


def variants(value: Any) -> Iterator[tuple[str, Any]]:
    """By the name of each field: the value, with another value in this field alone."""
    for field in fields(value):
        annotation = str(field.type)
        name = f"{type(value).__name__}.{field.name}"
        assert annotation in _OTHER, f"tests.every_kind lacks a value of {annotation}, of {name}"
        yield name, replace(value, **{field.name: _OTHER[annotation](getattr(value, field.name))})


def untold(consumer: Callable[[Any], object], kind: type, samples: Iterable[Any]) -> list[str]:
    """The fields of ``kind`` that make no difference to what ``consumer`` makes of ``samples``."""
    told = {
        name
        for sample in samples
        for name, other in variants(sample)
        if consumer(sample) != consumer(other)
    }
    return [name for name in named(kind) if name not in told]


def unread(reader: Callable[[Any], object], samples: Iterable[Any]) -> list[str]:
    """The fields with which a value is not the same again once ``reader`` has written and read it;
    the kind, if it never is."""
    found = []
    for sample in samples:
        if reader(sample) != sample:
            found.append(type(sample).__name__)
        found += [name for name, other in variants(sample) if reader(other) != other]
    return found
