"""What ties the formulas to the rules: what each symbol of a step means of a `Conduct`.

A conduct and its formulas differ in four things, and in nothing else:

- a vote is whether there is one, and for whom; a role is a number, without what it remembers (which
  no rule looks at);
- a log is a length, and a function of indexes, of which nothing is said beyond the length; there
  are no snapshots;
- a majority is a value of its own, of which servers are members;
- a guard is about one thing that is put out: a step obeys if it obeys of each.

Functions of formulas are total: there is an entry at every index, and a message even where none has
arrived, of which solvers may think whatever they like. A guard that looks at such things does not
say what its rule says; so it is to be asked with several values of what is `Undefined`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

from raft_ref.events import Apply, ElectionTimeout, Output, Receive, Restart, Send
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Candidate, Entry, Follower, Index, Leader, NodeId, NodeState
from spec.conduct import Conduct, differences
from spec.proof.evaluation import Meaning, compiled
from spec.proof.guards import Guard
from spec.proof.step import EventTerms, EvidenceTerms, OutputTerms, ServerTerms, StepTerms
from spec.proof.terms import Function, Sort, constant
from spec.proof.vocabulary import LogTerms
from spec.shadow import Witnessed


def _server(moment: str) -> ServerTerms:
    return ServerTerms(
        term=constant(f"{moment}_term", "Int"),
        has_voted=constant(f"{moment}_has_voted", "Bool"),
        vote=constant(f"{moment}_vote", "Node"),
        role=constant(f"{moment}_role", "Int"),
        log=LogTerms(constant(f"{moment}_length", "Int"), Function(f"{moment}_entry", "Entry", 1)),
        commit=constant(f"{moment}_commit", "Int"),
    )


ANY_STEP = StepTerms(
    server=constant("acting", "Node"),
    before=_server("before"),
    event=EventTerms(
        is_timeout=constant("is_timeout", "Bool"),
        is_restart=constant("is_restart", "Bool"),
        is_receipt=constant("is_receipt", "Bool"),
        message=constant("received_message", "Message"),
    ),
    after=_server("after"),
    evidence=EvidenceTerms(
        grants=Function("known_grant", "Bool", 1),
        acknowledged=Function("known_acknowledged", "Int", 1),
        confirmed=constant("known_confirmed", "Int"),
        claimed=constant("known_claimed", "Int"),
        ever_applied=constant("known_ever_applied", "Int"),
    ),
    output=OutputTerms(
        is_send=constant("is_send", "Bool"),
        message=constant("output_message", "Message"),
        is_apply=constant("is_apply", "Bool"),
        index=constant("output_index", "Int"),
        entry=constant("output_entry", "Entry"),
    ),
    removed=constant("first_removed", "Int"),
    keeps_log=constant("log_is_kept", "Bool"),
)
"""A step of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Undefined:
    """What stands where there is nothing."""

    server: NodeId
    """For whom a server has voted that has not."""
    entry: Entry
    message: Message
    number: int
    """Of a field that a message does not have; where that is true or false, whether it is odd."""


@dataclass(frozen=True, slots=True)
class FiniteGuard:
    """A guard that is asked of steps of a cluster of some servers, with indexes up to a bound."""

    holds: Callable[[Meaning], object]
    undefined: Undefined
    messages: Meaning

    @classmethod
    def of(
        cls, guard: Guard, servers: frozenset[NodeId], max_index: Index, undefined: Undefined
    ) -> FiniteGuard:
        """The guard, with quantifiers over these servers and indexes."""
        domains: dict[Sort, Sequence[object]] = {
            "Node": sorted(servers),
            "Quorum": majorities(servers),
            "Int": range(max_index + 1),
        }
        return cls(compiled(guard(ANY_STEP), domains), undefined, messages(undefined))

    def obeys(self, conduct: Conduct) -> bool:
        """Whether a step obeys."""
        known = {**self.messages, **_meaning(conduct, self.undefined)}
        outputs: Sequence[Output | None] = conduct.outputs or (None,)
        return all(self.holds({**known, **_output(output, self.undefined)}) for output in outputs)


def majorities(servers: frozenset[NodeId]) -> list[frozenset[NodeId]]:
    """All sets of more than half of the servers."""
    least = len(servers) // 2 + 1
    sizes = range(least, len(servers) + 1)
    return [frozenset(each) for size in sizes for each in combinations(sorted(servers), size)]


def _meaning(conduct: Conduct, undefined: Undefined) -> dict[str, object]:
    """Of each symbol, but for those of messages and outputs."""
    before, after, evidence = conduct.before.state, conduct.after.state, conduct.after.evidence
    removed = next(
        differences(before.log, after.log, until=before.log.last_index), before.log.last_index + 1
    )
    return {
        **_moment("before", before, undefined),
        **_moment("after", after, undefined),
        "acting": conduct.after.id,
        "is_timeout": isinstance(conduct.event, ElectionTimeout),
        "is_restart": isinstance(conduct.event, Restart),
        "is_receipt": isinstance(conduct.event, Receive),
        "received_message": _received(conduct.event) or undefined.message,
        "known_grant": lambda server: server in evidence.grants,
        "known_acknowledged": lambda server: evidence.acknowledged.get(server, 0),
        "known_confirmed": evidence.confirmed,
        "known_claimed": evidence.claimed,
        "known_ever_applied": conduct.before.evidence.ever_applied,
        "first_removed": removed,
        "log_is_kept": before.log == after.log,
        "is_alone": lambda server: conduct.after.is_majority(frozenset({server})),
        "is_member": lambda server, majority: server in majority,
        "entry_term": lambda entry: entry.term,
    }


def _received(event: Witnessed) -> Message | None:
    return event.message if isinstance(event, Receive) else None


def _moment(moment: str, state: NodeState, undefined: Undefined) -> dict[str, object]:
    def entry(index: Index) -> Entry:
        return state.log.entry_at(index) or undefined.entry

    return {
        f"{moment}_term": state.current_term,
        f"{moment}_has_voted": state.voted_for is not None,
        f"{moment}_vote": undefined.server if state.voted_for is None else state.voted_for,
        f"{moment}_role": _role(state),
        f"{moment}_length": state.log.last_index,
        f"{moment}_entry": entry,
        f"{moment}_commit": state.commit_index,
    }


def _role(state: NodeState) -> int:
    match state.role:
        case Follower():
            return 0
        case Candidate():
            return 1
        case Leader():
            return 2


def _output(output: Output | None, undefined: Undefined) -> dict[str, object]:
    return {
        "is_send": isinstance(output, Send),
        "output_message": output.message if isinstance(output, Send) else undefined.message,
        "is_apply": isinstance(output, Apply),
        "output_index": output.index if isinstance(output, Apply) else undefined.number,
        "output_entry": output.entry if isinstance(output, Apply) else undefined.entry,
    }


_KINDS = (RequestVote, RequestVoteReply, AppendEntries, AppendEntriesReply)
_CONDITIONS = ("vote_granted", "success")


def messages(undefined: Undefined) -> dict[str, object]:
    """What is asked of messages."""

    def last_new_index(message: Message) -> Index:
        if not isinstance(message, AppendEntries):
            return undefined.number
        return message.prev_log_index + len(message.entries)

    def sent_entry(message: Message, index: Index) -> Entry:
        if not isinstance(message, AppendEntries):
            return undefined.entry
        place = index - message.prev_log_index - 1
        return message.entries[place] if 0 <= place < len(message.entries) else undefined.entry

    def attribute(name: str) -> Callable[[Message], object]:
        number = undefined.number
        otherwise = number % 2 == 1 if name in _CONDITIONS else number
        return lambda message: getattr(message, name, otherwise)

    return {
        "kind": lambda message: _KINDS.index(type(message)),
        "message_term": attribute("term"),
        "last_new_index": last_new_index,
        "sent_entry": sent_entry,
        **{
            field.name: attribute(field.name)
            for kind in _KINDS
            for field in fields(kind)
            if field.name not in ("term", "entries")
        },
    }
