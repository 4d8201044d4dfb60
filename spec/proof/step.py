"""One step of one server, as terms: what `spec.conduct.Conduct` is to predicates.

Logs begin at index 1: what a snapshot covers is not spoken of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spec.proof.terms import Term, both, differ, equal, every, implies, negation, some, term_of
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    LEADER,
    REQUEST_VOTE,
    LogTerms,
    is_alone,
    is_member,
    kind,
    message_term,
)


@dataclass(frozen=True, slots=True)
class ServerTerms:
    """The state of a server."""

    term: Term
    has_voted: Term
    vote: Term
    """For whom, if it has voted."""
    role: Term
    log: LogTerms
    commit: Term


@dataclass(frozen=True, slots=True)
class EvidenceTerms:
    """What has arrived at a server in its term: see `spec.shadow.Evidence`."""

    grants: Callable[[Term], Term]
    acknowledged: Callable[[Term], Term]
    """By server: the highest index; 0 of one that has acknowledged nothing."""
    confirmed: Term
    claimed: Term
    ever_applied: Term
    """Before the step applies anything. (The others: once the event has happened.)"""


@dataclass(frozen=True, slots=True)
class EventTerms:
    """What happens to the server: one of these, or a timer fires, or a client asks."""

    is_timeout: Term
    """Of the election timer."""
    is_restart: Term
    is_receipt: Term
    message: Term
    """That has arrived, if one has."""


@dataclass(frozen=True, slots=True)
class OutputTerms:
    """One thing that a step puts out."""

    is_send: Term
    message: Term
    is_apply: Term
    index: Term
    entry: Term


@dataclass(frozen=True, slots=True)
class StepTerms:
    """A step, and one thing that it puts out: a rule on outputs is to hold of each."""

    server: Term
    before: ServerTerms
    event: EventTerms
    after: ServerTerms
    evidence: EvidenceTerms
    """Once the event has happened."""
    output: OutputTerms
    removed: Term
    """The first index of the log before at which the log after does not hold the same; where there
    is none, any beyond it. (It is named, since that there is a *first* one needs induction.)"""

    keeps_log: Term
    """Whether the log is the same before and after."""

    @property
    def definitions(self) -> Term:
        """What is meant by `removed` and `keeps_log`."""
        log, after = self.before.log, self.after.log
        is_same = every(("Int",), lambda i: implies(log.covers(i), equal(log.at(i), after.at(i))))
        return both(
            equal(self.keeps_log, both(equal(log.length, after.length), is_same)),
            term_of(1) <= self.removed,
            implies(self.removed <= log.length, self.changes(self.removed)),
            every(
                ("Int",),
                lambda i: implies(both(log.covers(i), i < self.removed), negation(self.changes(i))),
            ),
        )

    def received(self, message_kind: Term) -> Term:
        """Whether a message of this kind has just arrived."""
        return both(self.event.is_receipt, equal(kind(self.event.message), message_kind))

    def sends(self, message_kind: Term) -> Term:
        """Whether a message of this kind is put out."""
        return both(self.output.is_send, equal(kind(self.output.message), message_kind))

    def changes(self, index: Term) -> Term:
        """Whether the log after does not hold what the log before holds at an index."""
        return negation(self.after.log.has(index, self.before.log.at(index)))

    def adds(self, index: Term) -> Term:
        """Whether the log after has an entry at an index that the log before did not have there."""
        before, after = self.before.log, self.after.log
        return both(after.covers(index), negation(before.has(index, after.at(index))))

    @property
    def keeps_term(self) -> Term:
        """Whether the term is the same before and after."""
        return equal(self.before.term, self.after.term)

    @property
    def keeps_vote(self) -> Term:
        """Whether there is the same vote before and after, or none."""
        before, after = self.before, self.after
        is_same = both(after.has_voted, equal(before.vote, after.vote))
        return both(
            implies(before.has_voted, is_same),
            implies(negation(before.has_voted), negation(after.has_voted)),
        )

    @property
    def votes_for_another(self) -> Term:
        """Whether it gives a vote to another server."""
        before, after = self.before, self.after
        is_same = both(
            self.keeps_term,
            equal(before.has_voted, after.has_voted),
            equal(before.vote, after.vote),
        )
        return both(after.has_voted, differ(after.vote, self.server), negation(is_same))

    @property
    def asked_for_vote(self) -> Term:
        """Whether a RequestVote has just arrived."""
        return self.received(REQUEST_VOTE)

    @property
    def leads(self) -> Term:
        """Whether the server leads the same term before and after."""
        return both(
            self.keeps_term, equal(self.before.role, LEADER), equal(self.after.role, LEADER)
        )

    @property
    def leads_among_others(self) -> Term:
        """Whether the server leads before and after, though no majority by itself, in whatever
        terms."""
        leads = both(equal(self.before.role, LEADER), equal(self.after.role, LEADER))
        return both(leads, negation(is_alone(self.server)))

    @property
    def is_elected(self) -> Term:
        """Whether a non-leader becomes leader."""
        return both(equal(self.after.role, LEADER), differ(self.before.role, LEADER))

    @property
    def changes_log(self) -> Term:
        """Whether it changes the log of a server that does not lead, other than by a crash."""
        return both(negation(self.leads), negation(self.event.is_restart), negation(self.keeps_log))

    @property
    def is_appended_to(self) -> Term:
        """Whether an AppendEntries has changed the log of a server that does not lead."""
        return both(self.received(APPEND_ENTRIES), self.changes_log)

    @property
    def sends_of_own_term(self) -> Term:
        """Whether a message that is sent is of the sender's term."""
        return equal(message_term(self.output.message), self.after.term)

    @property
    def commits(self) -> Term:
        """Whether it commits something."""
        return self.before.commit < self.after.commit

    @property
    def commits_as_leader(self) -> Term:
        """Whether a leader commits something."""
        return both(self.commits, equal(self.after.role, LEADER))

    @property
    def commits_as_follower(self) -> Term:
        """Whether a server that does not lead commits something."""
        return both(self.commits, differ(self.after.role, LEADER))

    def is_holder(self, server: Term, index: Term) -> Term:
        """Whether a server is known to hold a leader's log up to an index."""
        itself = equal(server, self.server)
        acknowledged = index <= self.evidence.acknowledged(server)
        return negation(both(negation(itself), negation(acknowledged)))

    def counts(self, index: Term, quorum: Term) -> Term:
        """Whether an index, from the commit index on, is held by all of a majority."""
        return both(
            self.after.commit <= index,
            index <= self.after.log.length,
            every(("Node",), lambda m: implies(is_member(m, quorum), self.is_holder(m, index))),
        )

    def is_counted(self, index: Term) -> Term:
        """Whether an index, from the commit index on, is held by a majority."""
        return some(("Quorum",), lambda q: self.counts(index, q))

    def elects(self, quorum: Term) -> Term:
        """Whether all of a majority are the server itself, or have granted it a vote."""
        return every(
            ("Node",),
            lambda m: implies(
                is_member(m, quorum),
                negation(both(differ(m, self.server), negation(self.evidence.grants(m)))),
            ),
        )
