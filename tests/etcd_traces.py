"""Runs of the core, written as etcd's Raft would write them when it is built with ``with_tla``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Event,
    Follower,
    Leader,
    Message,
    NodeState,
    Output,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Role,
    Send,
)
from spec.forms import Step
from tests.recorded import random_run

Json: TypeAlias = dict[str, Any]
CoreStep: TypeAlias = Step[NodeState, Event, Output]

NAMES: dict[type[Message], str] = {
    RequestVote: "RequestVoteRequest",
    RequestVoteReply: "RequestVoteResponse",
    AppendEntries: "AppendEntriesRequest",
    AppendEntriesReply: "AppendEntriesResponse",
}
ROLES: dict[type[Role], str] = {Follower: "Follower", Candidate: "Candidate", Leader: "Leader"}


def random_etcd_trace(servers: int, steps: int, seed: int) -> list[bytes]:
    """A run at random, as etcd would write it."""
    lines = [*_starts(servers), *_lines(random_run(servers, steps, seed))]
    return [json.dumps({"event": line, "tag": "trace"}).encode() + b"\n" for line in lines]


def _starts(servers: int) -> Iterator[Json]:
    newconf = {"cc": {"newconf": [str(server) for server in range(1, servers + 1)]}}
    for server in range(1, servers + 1):
        yield _line("InitState", server, NodeState())
        yield _line("ApplyConfChange", server, NodeState()) | {"prop": newconf}
        yield _line("BecomeFollower", server, NodeState())


def _lines(steps: Iterable[CoreStep]) -> Iterator[Json]:
    for step in steps:
        if isinstance(step.event, Restart):
            yield _line("InitState", step.node, step.after)
        else:
            yield from _of_step(step)
            yield _line("Ready", step.node, step.after)


def _of_step(step: CoreStep) -> Iterator[Json]:
    server, before, after = step.node, step.before, step.after
    match step.event:
        case Receive(message):
            yield _line(f"Receive{NAMES[type(message)]}", server, before, message)
        case ClientRequest() if isinstance(after.role, Leader):
            yield _line("Replicate", server, before)
    if before.current_term != after.current_term and isinstance(after.role, Follower):
        # The vote is recorded later.
        yield _line("BecomeFollower", server, after, vote="0", commit=before.commit_index)
    elif _becomes_another(step):
        yield _line(f"Become{ROLES[type(after.role)]}", server, after)
    if isinstance(after.role, Leader) and after.commit_index > before.commit_index:
        yield _line("Commit", server, after)
    for output in step.outputs:
        if isinstance(output, Send):
            yield _line(f"Send{NAMES[type(output.message)]}", server, after, output.message)


def _becomes_another(step: CoreStep) -> bool:
    is_leader = isinstance(step.before.role, Leader)
    is_new = type(step.before.role) is not type(step.after.role)
    return not is_leader and (is_new or isinstance(step.event, ElectionTimeout))


def _line(
    name: str,
    server: int,
    state: NodeState,
    message: Message | None = None,
    vote: str | None = None,
    commit: int | None = None,
) -> Json:
    own_vote = str(state.voted_for or 0)
    line = {
        "name": name,
        "nid": str(server),
        "state": {
            "term": state.current_term,
            "vote": own_vote if vote is None else vote,
            "commit": state.commit_index if commit is None else commit,
        },
        "role": f"State{ROLES[type(state.role)]}",
        "log": state.log.last_index,
        "conf": [["1", "2", "3"], []],
    }
    return line if message is None else line | {"msg": _message(message)}


def _message(message: Message) -> Json:
    known: Json = {
        "term": message.term,
        "from": str(message.source),
        "to": str(message.destination),
        "entries": 0,
        "logTerm": 0,
        "index": 0,
        "commit": 0,
        "vote": "0",
        "reject": False,
        "rejectHint": 0,
    }
    return known | _particulars(message)


def _particulars(message: Message) -> Json:
    match message:
        case RequestVote(last_log_index=index, last_log_term=term):
            return {"type": "MsgVote", "index": index, "logTerm": term}
        case RequestVoteReply(vote_granted=granted):
            return {"type": "MsgVoteResp", "reject": not granted}
        case AppendEntries():
            return {
                "type": "MsgApp",
                "index": message.prev_log_index,
                "logTerm": message.prev_log_term,
                "entries": len(message.entries),
                "commit": message.leader_commit,
            }
        case AppendEntriesReply(success=success, match_index=index):
            return {"type": "MsgAppResp", "reject": not success, "index": index}
