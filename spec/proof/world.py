"""All servers at one moment, what is in flight, and *ghosts*: what a proof remembers of history.

Every part is a function of terms. What an action makes of a world is a world in which some of these
functions are others, so that nothing needs to be said of what stays as it is.

No rule looks at a ghost, and no server has one. They are there for what the paper says of history:
"the leader of term T", "has been committed in T".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from spec.proof.step import EvidenceTerms, ServerTerms
from spec.proof.terms import FALSE, Function, Sort, Term, term_of
from spec.proof.vocabulary import LogTerms

Part = Callable[..., Term]

_SORTS: dict[str, tuple[Sort, int]] = {
    # of each server
    "term": ("Int", 1),
    "has_voted": ("Bool", 1),
    "vote": ("Node", 1),
    "role": ("Int", 1),
    "entry": ("Entry", 2),
    "length": ("Int", 1),
    "commit": ("Int", 1),
    # what has arrived at it
    "grants": ("Bool", 2),
    "acknowledged": ("Int", 2),
    "confirmed": ("Int", 1),
    "claimed": ("Int", 1),
    # what it has applied
    "ever_applied": ("Int", 1),
    # what has been put out
    "sent": ("Bool", 1),
    "applied": ("Bool", 2),
    # ghosts
    "voted": ("Bool", 3),
    "led": ("Bool", 2),
    "started": ("Bool", 1),
    "leader": ("Node", 1),
    "electors": ("Quorum", 1),
    "led_entry": ("Entry", 2),
    "led_length": ("Int", 1),
    "entered_entry": ("Entry", 3),
    "entered_length": ("Int", 2),
    "held": ("Bool", 3),
    "committed": ("Int", 1),
    "backers": ("Quorum", 1),
    "commit_term": ("Int", 1),
    "considered": ("Bool", 3),
    "considered_in": ("Int", 3),
    "claim": ("Int", 1),
    "claim_term": ("Int", 1),
    "applied_term": ("Int", 2),
    "ever_applied_term": ("Int", 1),
}
"""Of each part: what sort it has, and how many arguments."""


@dataclass(frozen=True, slots=True)
class World:
    """All servers, what is in flight, and ghosts."""

    term: Part
    has_voted: Part
    vote: Part
    role: Part
    entry: Part
    """Of a server's log, at an index."""
    length: Part
    commit: Part
    grants: Part
    """By whom a server knows to be granted its vote in its term."""
    acknowledged: Part
    confirmed: Part
    claimed: Part
    ever_applied: Part
    sent: Part
    """Which messages have ever been sent: any may arrive, any number of times, or never."""
    applied: Part
    """Which entries have ever been applied at which index, by whomever."""
    voted: Part
    """Which server has ever voted, in which term, for whom."""
    led: Part
    """Which server has ever led which term."""
    started: Part
    """Which terms have ever had a leader."""
    leader: Part
    """Who led a term."""
    electors: Part
    """The majority whose votes made it leader."""
    led_entry: Part
    """The log of the leader of a term, as long as it led."""
    led_length: Part
    entered_entry: Part
    """The log with which a server entered a term."""
    entered_length: Part
    held: Part
    """Which server has held, in which term, the log of its leader, up to which index."""
    committed: Part
    """The highest index of a term that a majority is known to have held in it; 0 before that."""
    backers: Part
    """That majority."""
    commit_term: Part
    """In which term was committed what a server considers committed."""
    considered: Part
    """Which entry any server has ever come to consider committed, at which index, and in which term
    that it was in."""
    considered_in: Part
    """In which term that was committed."""
    claim: Part
    """The highest commit index that the leader of a term has had."""
    claim_term: Part
    """In which term that was committed."""
    applied_term: Part
    """In which term was committed what was applied."""
    ever_applied_term: Part
    """In which term was committed what a server has ever applied, up to the highest index."""

    def server(self, node: Term) -> ServerTerms:
        """The state of a server."""
        return ServerTerms(
            term=self.term(node),
            has_voted=self.has_voted(node),
            vote=self.vote(node),
            role=self.role(node),
            log=self.log(node),
            commit=self.commit(node),
        )

    def evidence(self, node: Term) -> EvidenceTerms:
        """What has arrived at a server."""
        return EvidenceTerms(
            grants=lambda m: self.grants(node, m),
            acknowledged=lambda m: self.acknowledged(node, m),
            confirmed=self.confirmed(node),
            claimed=self.claimed(node),
            ever_applied=self.ever_applied(node),
        )

    def log(self, node: Term) -> LogTerms:
        """A server's log."""
        return LogTerms(self.length(node), lambda i: self.entry(node, i))

    def led_log(self, term: Term) -> LogTerms:
        """The log of the leader of a term."""
        return LogTerms(self.led_length(term), lambda i: self.led_entry(term, i))

    def entered_log(self, node: Term, term: Term) -> LogTerms:
        """The log with which a server entered a term."""
        return LogTerms(
            self.entered_length(node, term), lambda i: self.entered_entry(node, term, i)
        )


ANY = World(**{name: Function(name, sort, arity) for name, (sort, arity) in _SORTS.items()})
"""A world of which nothing is known."""


def _nothing(name: str) -> Part:
    sort, _ = _SORTS[name]
    if sort in ("Bool", "Int"):
        value = FALSE if sort == "Bool" else term_of(0)
        return lambda *_: value
    part: Part = getattr(ANY, name)
    return part


INITIAL = World(**{part.name: _nothing(part.name) for part in fields(World)})
"""Where every run begins: all are followers of term 0, and nothing has happened."""
