"""What implementations do on purpose otherwise than the rules say.

A profile is a small set of *departures*. Each is from one rule, says when it is tolerated, and why
Raft stays safe all the same. Properties know of no profiles: whatever is tolerated of a server, two
leaders in one term are two leaders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from raft_ref.events import Send
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from spec import rules
from spec.conduct import Conduct
from spec.rule import Rule


@dataclass(frozen=True, slots=True)
class Departure:
    """Something that a rule forbids, and that is done on purpose."""

    id: str
    rule: Rule
    """The rule that it departs from."""
    statement: str
    """What is done instead, and why that is safe."""
    tolerates: Callable[[Conduct], bool]
    """Whether a step that breaks the rule does no more than that."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is tolerated of an implementation."""

    name: str
    departures: tuple[Departure, ...] = ()

    def tolerates(self, rule: Rule, conduct: Conduct) -> bool:
        """Whether a step that breaks ``rule`` is one of the departures."""
        return any(each.rule is rule and each.tolerates(conduct) for each in self.departures)


def _acknowledges_what_is_committed(step: Conduct) -> bool:
    committed = step.before.state.commit_index
    most = max(committed, step.after.evidence.confirmed)
    return all(each.match_index <= most for each in step.sent(AppendEntriesReply) if each.success)


def _replaces_what_follows(step: Conduct) -> bool:
    """Whether the log after the step is what the request says, and nothing more."""
    request, log = step.appended_by, step.after.state.log
    if request is None:
        return False
    return log.last_index == request.prev_log_index + len(request.entries)


def _starts_in_term_0(step: Conduct) -> bool:
    """Whether the messages would be well-formed, if what is of term 0 were of term 1."""
    messages = (output.message for output in step.outputs if isinstance(output, Send))
    outputs = tuple(Send(_in_term_1(message)) for message in messages)
    return rules.message_well_formed.predicate(replace(step, outputs=outputs)) is None


def _in_term_1(message: Message) -> Message:
    match message:
        case RequestVote(last_log_index=index, last_log_term=0) if index > 0:
            return replace(message, last_log_term=1)
        case AppendEntries(prev_log_index=index):
            entries = (replace(entry, term=max(entry.term, 1)) for entry in message.entries)
            term = max(message.prev_log_term, 1) if index > 0 else message.prev_log_term
            return replace(message, prev_log_term=term, entries=tuple(entries))
        case RequestVote() | RequestVoteReply() | AppendEntriesReply():
            return message
        case _:
            assert_never(message)


ACKNOWLEDGES_COMMITTED = Departure(
    "acknowledges-what-is-committed",
    rules.ack_confirmed,
    "A request whose entries all lie below the commit index is acknowledged up to that, without "
    "comparing anything. Every leader has what is committed (Leader Completeness), so no other "
    "entries can have been meant. (So it stands in etcd's source; no run has needed it yet.)",
    _acknowledges_what_is_committed,
)

TRUNCATES_MATCHING = Departure(
    "truncates-what-matches",
    rules.follower_splice_conflict,
    "A request replaces all that follows its first entry, also what does not conflict. On links "
    "that keep the order and never repeat, what is removed was not acknowledged, as long as a "
    "leader never sends less than it sent before. (PySyncObj 0.3.17 does send less, and so loses "
    "what it committed; the properties tell.)",
    _replaces_what_follows,
)

STARTS_IN_TERM_0 = Departure(
    "starts-in-term-0",
    rules.message_well_formed,
    "Every log begins with an entry of term 0, the same for all, which no leader has appended.",
    _starts_in_term_0,
)

PAPER = Profile("paper")
ETCD = Profile("etcd", (ACKNOWLEDGES_COMMITTED,))
PYSYNCOBJ = Profile("pysyncobj", (TRUNCATES_MATCHING, STARTS_IN_TERM_0))

PROFILES = {profile.name: profile for profile in (PAPER, ETCD, PYSYNCOBJ)}
