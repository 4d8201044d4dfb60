"""A run of Raft for people: as a table, or as a Mermaid sequence diagram.

Runs of foreign implementations are shown as those of our own core are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, assert_never

from rich.table import Table
from rich.text import Text

from model_check.check import RaftReplay
from model_check.conformance.observed import (
    Arrival,
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    understood,
)
from model_check.conformance.observed import (
    Sent as ForeignSent,
)
from model_check.counterexample import Moment, Replay
from model_check.freest import Forged, FreestRun, Sent
from model_check.system import Action, Deliver, Lose, Occur
from raft_ref import (
    Appended,
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    Leader,
    Message,
    NodeId,
    NodeState,
    NotLeader,
    Output,
    Receive,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
    Restart,
    Role,
    Send,
)

AnyEvent: TypeAlias = Event | ForeignEvent
AnyMessage: TypeAlias = Message | Forged | ForeignMessage
AnyAction: TypeAlias = (
    Action[Event, Message] | Action[Event, Sent] | Action[ForeignEvent, ForeignMessage]
)
AnyMoment: TypeAlias = (
    Moment[NodeState, Event, Output, Message]
    | Moment[NodeState, Event, Output, Sent]
    | Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]
)
AnyReplay: TypeAlias = (
    RaftReplay | FreestRun | Replay[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]
)


# --- words -----------------------------------------------------------------------------------


def server_name(server: NodeId | None) -> str:
    """``S1``, as in the paper's figures."""
    return "none" if server is None else f"S{server}"


MOST_ENTRIES = 20
"""To be shown one by one."""


def describe_entries(entries: tuple[Entry, ...]) -> str:
    """Entries as term:command, in brackets; of very many, the first."""
    shown = [f"{entry.term}:{entry.command}" for entry in entries[:MOST_ENTRIES]]
    if len(entries) > MOST_ENTRIES:
        shown.append(f"and {len(entries) - MOST_ENTRIES:,} more")
    return "[" + " ".join(shown) + "]"


def describe_message(message: AnyMessage) -> str:
    """A message's kind and fields, without its source and destination."""
    match message:
        case RequestVote():
            fields = f"last_log_index={message.last_log_index}, "
            fields += f"last_log_term={message.last_log_term}"
            return _describe_kind(message, fields)
        case RequestVoteReply():
            return _describe_kind(message, f"vote_granted={message.vote_granted}")
        case AppendEntries():
            fields = f"prev_log_index={message.prev_log_index}, "
            fields += f"prev_log_term={message.prev_log_term}, "
            fields += f"entries={describe_entries(message.entries)}, "
            fields += f"leader_commit={message.leader_commit}"
            return _describe_kind(message, fields)
        case AppendEntriesReply():
            fields = f"success={message.success}, match_index={message.match_index}"
            if (hint := message.hint) is not None:
                fields += f", hint=(index={hint.index}, term={hint.term})"
            return _describe_kind(message, fields)
        case Forged(sender, forged):
            return f"{describe_message(forged)}, which {server_name(sender)} forged,"
        case ForeignMessage(kind=kind):
            understood_message = understood(message)
            if understood_message is not None:
                return describe_message(understood_message)
            return f"{kind}({_describe_fields(json.loads(message.fields))})"
        case _:
            assert_never(message)


def _describe_kind(message: Message, fields: str) -> str:
    return f"{type(message).__name__}(term={message.term}, {fields})"


def _describe_fields(fields: dict[str, object]) -> str:
    shown = ((name, json.dumps(value, ensure_ascii=False)) for name, value in fields.items())
    return ", ".join(f"{name}={text}" for name, text in shown)


def describe_way(message: AnyMessage) -> str:
    """A message with its source and destination."""
    way = f"{server_name(message.source)} → {server_name(message.destination)}"
    return f"{way} {describe_message(message)}"


def describe_event(node: NodeId, event: AnyEvent) -> str:
    """What happens to ``node``, as a sentence."""
    name = server_name(node)
    match event:
        case ElectionTimeout():
            return f"{name} times out"
        case HeartbeatTimeout():
            return f"{name} is due to send heartbeats"
        case ClientRequest(command):
            return f"a client asks {name} for {command}"
        case Restart():
            return f"{name} crashes and restarts"
        case Receive(message) | Arrival(message):
            return f"{name} receives {describe_message(message)} from {server_name(message.source)}"
        case _:
            assert_never(event)


def describe_action(action: AnyAction) -> str:
    """What happens, as a sentence."""
    match action:
        case Occur(node, event):
            return describe_event(node, event)
        case Deliver(message):
            return (
                f"{server_name(message.destination)} receives {describe_message(message)} from "
                f"{server_name(message.source)}"
            )
        case Lose(message):
            return f"{describe_way(message)} is lost"


def describe_role(role: Role) -> str:
    """The role's name."""
    return type(role).__name__.lower()


def changes(before: NodeState, after: NodeState) -> list[str]:
    """Every field that differs, with its old and new value."""
    shown = (
        ("role", describe_role(before.role), describe_role(after.role)),
        ("current_term", str(before.current_term), str(after.current_term)),
        ("voted_for", server_name(before.voted_for), server_name(after.voted_for)),
        ("log", describe_entries(before.log.entries), describe_entries(after.log.entries)),
        ("commit_index", str(before.commit_index), str(after.commit_index)),
        *_role_fields(before.role, after.role),
    )
    found = [f"{field}: {old} → {new}" for field, old, new in shown if old != new]
    if not found and before != after and isinstance(before, ObservedState):
        return ["(only what cannot be observed)"]
    return found


def _role_fields(before: Role, after: Role) -> Iterator[tuple[str, str, str]]:
    if isinstance(before, Follower) and isinstance(after, Follower):
        yield "leader", server_name(before.leader), server_name(after.leader)
    if isinstance(before, Candidate) and isinstance(after, Candidate):
        votes = [
            ", ".join(map(server_name, sorted(role.votes_granted))) for role in (before, after)
        ]
        yield "votes_granted", votes[0], votes[1]
    if isinstance(before, Leader) and isinstance(after, Leader):
        for peer in after.next_index:
            name = server_name(peer)
            old, new = before.next_index[peer], after.next_index[peer]
            yield f"next_index[{name}]", str(old), str(new)
            old, new = before.match_index[peer], after.match_index[peer]
            yield f"match_index[{name}]", str(old), str(new)


def describe_output(output: Output | ForeignOutput) -> str:
    """What a server puts out; nothing for what is no news to a reader."""
    match output:
        case Send(message) | ForeignSent(message):
            return f"to {server_name(message.destination)}: {describe_message(message)}"
        case Apply(index, entry):
            return f"applies {entry.term}:{entry.command} at index {index}"
        case NotLeader(leader):
            return f"answers: not the leader, that is {server_name(leader)}"
        case Appended() | ResetElectionTimer():
            return ""
        case _:
            assert_never(output)


# --- a table ---------------------------------------------------------------------------------


class Row(NamedTuple):
    """An action: what happened, what it changed, what the server put out."""

    happens: str
    changes: list[str]
    outputs: list[str]


def as_table(run: AnyReplay) -> Table:
    """A run with one row an action."""
    table = Table(show_lines=True)
    table.add_column("", justify="right")
    table.add_column("what happens", ratio=3)
    table.add_column("what changes", ratio=3)
    table.add_column("what the server puts out", ratio=4)
    for number, row in enumerate(rows_of(run), start=1):
        cells = (row.happens, "\n".join(row.changes), "\n".join(row.outputs))
        table.add_row(str(number), *map(Text, cells))
    return table


def rows_of(run: AnyReplay) -> Iterator[Row]:
    """A row for each action."""
    moments: tuple[AnyMoment, ...] = run.moments
    for moment in moments:
        changed, outputs = [], []
        if moment.before is not None and moment.outcome is not None:
            changed = changes(moment.before, moment.outcome.state)
            outputs = [text for text in map(describe_output, moment.outcome.outputs) if text]
            outputs += [f"fails: {moment.outcome.failure}"] if moment.outcome.failure else []
        yield Row(describe_action(moment.action), changed, outputs)


# --- a sequence diagram ----------------------------------------------------------------------


def as_mermaid(run: AnyReplay) -> str:
    """A run as a Mermaid sequence diagram: arrows for what arrived, notes for what it changed."""
    lines = ["sequenceDiagram"]
    lines += [f"    participant S{node}" for node in range(1, len(run.initial) + 1)]
    moments: tuple[AnyMoment, ...] = run.moments
    for moment in moments:
        lines += [f"    {line}" for line in _diagram_lines(moment)]
    if run.violation is not None:
        over = f"S1,S{len(run.initial)}" if len(run.initial) > 1 else "S1"
        text = _in_diagram(f"{run.violation.property} is violated: {run.violation.explanation}")
        lines.append(f"    Note over {over}: {text}")
    return "\n".join(lines) + "\n"


def _diagram_lines(moment: AnyMoment) -> Iterator[str]:
    notes: list[str] = []
    match moment.action:
        case Deliver(message):
            yield f"{_way(message, '->>')}: {_in_diagram(describe_message(message))}"
        case Lose(message):
            yield f"{_way(message, '-x')}: {_in_diagram(describe_message(message))}"
        case Occur(node, event):
            notes = [describe_event(node, event)]
    if moment.before is not None and moment.outcome is not None:
        notes += changes(moment.before, moment.outcome.state)
    if notes:
        yield f"Note over S{moment.node}: {'<br/>'.join(map(_in_diagram, notes))}"


def _way(message: AnyMessage, arrow: str) -> str:
    return f"S{message.source}{arrow}S{message.destination}"


def _in_diagram(text: str) -> str:
    """``text`` without the characters that end or escape a Mermaid statement."""
    return re.sub("[#;]", lambda match: f"#{ord(match[0])};", text)
