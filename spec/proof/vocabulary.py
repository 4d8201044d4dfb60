"""What formulas speak of: servers, majorities, entries and messages.

All of this never changes: a message is what it is, whether it is sent or not. What is assumed of
majorities (`ASSUMPTIONS`) is all of combinatorics that the proof trusts. Both hold whatever the
number n of servers: two sets with more than n/2 of n members each have more than n between them,
and so share one; and if a single server is more than n/2 of them, n is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from spec.proof.terms import Function, Term, both, choose, constant, equal, every, implies, term_of

FOLLOWER, CANDIDATE, LEADER = term_of(0), term_of(1), term_of(2)

REQUEST_VOTE, REQUEST_VOTE_REPLY, APPEND_ENTRIES, APPEND_ENTRIES_REPLY = map(term_of, range(4))

# --- servers and majorities ----------------------------------------------------------------------

is_member = Function("is_member", "Bool", 2)
"""Of a server, and a majority."""
common = Function("common", "Node", 2)
"""A server that is in both of two majorities."""
is_alone = Function("is_alone", "Bool", 1)
"""Whether a server is a majority by itself."""

ASSUMPTIONS: dict[str, Term] = {
    "majorities-intersect": every(
        ("Quorum", "Quorum"),
        lambda p, q: both(is_member(common(p, q), p), is_member(common(p, q), q)),
    ),
    "one-is-a-majority-of-one": every(
        ("Node", "Node"), lambda n, m: implies(is_alone(n), equal(n, m))
    ),
}

# --- entries and messages ------------------------------------------------------------------------

entry_term = Function("entry_term", "Int", 1)

kind = Function("kind", "Int", 1)
source = Function("source", "Node", 1)
destination = Function("destination", "Node", 1)
message_term = Function("message_term", "Int", 1)
last_log_index = Function("last_log_index", "Int", 1)
last_log_term = Function("last_log_term", "Int", 1)
vote_granted = Function("vote_granted", "Bool", 1)
prev_log_index = Function("prev_log_index", "Int", 1)
prev_log_term = Function("prev_log_term", "Int", 1)
last_new_index = Function("last_new_index", "Int", 1)
"""The index of the last entry of an AppendEntries; without entries, that of the one before them."""
sent_entry = Function("sent_entry", "Entry", 2)
"""The entry of an AppendEntries that belongs at an index."""
leader_commit = Function("leader_commit", "Int", 1)
success = Function("success", "Bool", 1)
match_index = Function("match_index", "Int", 1)


def is_grant(message: Term) -> Term:
    """Whether a message grants a vote."""
    return both(equal(kind(message), REQUEST_VOTE_REPLY), vote_granted(message))


def carries(request: Term, index: Term) -> Term:
    """Whether an AppendEntries has an entry that belongs at an index."""
    return both(prev_log_index(request) < index, index <= last_new_index(request))


def is_acknowledgement(message: Term) -> Term:
    """Whether a message acknowledges entries."""
    return both(equal(kind(message), APPEND_ENTRIES_REPLY), success(message))


# --- logs ----------------------------------------------------------------------------------------

EntryAt: TypeAlias = Callable[[Term], Term]


@dataclass(frozen=True, slots=True)
class LogTerms:
    """A log: how long it is, and what stands where, as far as that."""

    length: Term
    at: EntryAt

    @property
    def last_term(self) -> Term:
        """The term of its last entry; 0 of an empty one."""
        return choose(equal(self.length, 0), 0, entry_term(self.at(self.length)))

    def covers(self, index: Term) -> Term:
        """Whether it has an entry at an index."""
        return both(term_of(1) <= index, index <= self.length)

    def has_term(self, index: Term, term: Term) -> Term:
        """Whether an entry of this term stands there; before the first, one of term 0."""
        return choose(
            equal(index, 0),
            equal(term, 0),
            both(self.covers(index), equal(entry_term(self.at(index)), term)),
        )

    def has(self, index: Term, entry: Term) -> Term:
        """Whether this entry stands there."""
        return both(self.covers(index), equal(self.at(index), entry))

    def agrees(self, other: LogTerms, until: Term) -> Term:
        """Whether it reaches as far as this, and is the same as another up to there."""
        same = every(
            ("Int",),
            lambda i: implies(both(term_of(1) <= i, i <= until), equal(self.at(i), other.at(i))),
        )
        return both(until <= self.length, same)


def reaches(last_term: Term, last_index: Term, log: LogTerms) -> Term:
    """Whether a log that ends so is at least as up-to-date as this one (§5.4.1)."""
    return not_before(last_term, last_index, log.last_term, log.length)


def not_before(term: Term, index: Term, other_term: Term, other_index: Term) -> Term:
    """Whether one last entry is at least as up-to-date as another (§5.4.1)."""
    return choose(equal(term, other_term), other_index <= index, other_term < term)


def holds(log: LogTerms, request: Term) -> Term:
    """Whether a log has the entries of an AppendEntries, and the one before them."""
    entries = every(
        ("Int",),
        lambda i: implies(
            carries(request, i),
            log.has(i, sent_entry(request, i)),
        ),
    )
    return both(log.has_term(prev_log_index(request), prev_log_term(request)), entries)


# --- for the names of constants --------------------------------------------------------------


def node(name: str) -> Term:
    """A server."""
    return constant(name, "Node")


def number(name: str) -> Term:
    """A term, or an index."""
    return constant(name, "Int")
