"""What a server may be like at some moment of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from msgspec import UNSET, UnsetType

from model_check.traces.happening import (
    Happening,
    RoleName,
    Seen,
)
from raft_ref import (
    Candidate,
    Follower,
    Index,
    IndexMap,
    Leader,
    NodeId,
    NodeState,
    PersistentState,
    Role,
    Term,
)
from spec.chain import Chain, Chains, SharedLog
from spec.shadow import NO_EVIDENCE, Evidence, Unread

X = TypeVar("X")

BEFORE_THE_TRACE = "what came before the trace"
"""In place of the kind of a message that cannot be read."""

_UNREAD_BEFORE = frozenset({Unread(None, BEFORE_THE_TRACE)})

_ROLES: dict[RoleName, Role] = {
    "follower": Follower(),
    "candidate": Candidate(frozenset()),
    "leader": Leader(IndexMap(), IndexMap()),
}


@dataclass(frozen=True, slots=True)
class Belief:
    """What a server may be like."""

    log: Chain
    current_term: Term = 0
    voted_for: NodeId | None = None
    role: RoleName = "follower"
    commit_index: Index = 0
    evidence: Evidence = NO_EVIDENCE
    left_open: str | None = None
    """What nobody could judge on the way to this, if that was so of something."""
    is_guessed: bool = False
    """Whether the commit index is what nobody could judge, so that it may be less."""

    @property
    def state(self) -> NodeState:
        """The same, as rules look at it."""
        return NodeState(
            persistent=PersistentState(self.current_term, self.voted_for, SharedLog(self.log)),
            role=_ROLES[self.role],
            commit_index=self.commit_index,
            last_applied=self.commit_index,
        )


def first_beliefs(happening: Happening, chains: Chains) -> tuple[Belief, ...]:
    """What a server may be like at the start of a trace: what was seen, otherwise as at first."""
    seen = happening.seen
    base = chains.beginning() if isinstance(seen.base, UnsetType) else _begun(seen, chains)
    log = base if isinstance(seen.log, UnsetType) else chains.extended(base, *seen.log.entries)
    term = _given(seen.current_term, 0)
    has_a_past = term > 0 or log.last_index > 0
    return (
        Belief(
            log=log,
            current_term=term,
            voted_for=_given(seen.voted_for, None),
            role=_given(seen.role, "follower"),
            commit_index=_given(seen.commit_index, 0),
            evidence=Evidence(
                unread=_UNREAD_BEFORE if has_a_past else frozenset(),
                ever_applied=log.last_index,  # or less: nobody can tell
            ),
        ),
    )


def _begun(seen: Seen, chains: Chains) -> Chain:
    assert not isinstance(seen.base, UnsetType)
    return chains.beginning(seen.base.index, seen.base.term)


def contradiction(belief: Belief) -> str | None:
    """Why no server that obeys the rules is ever like this, for what the log says of the rest."""
    log = belief.log
    if belief.commit_index > log.last_index:
        return f"entry {belief.commit_index} is committed in a log that ends at {log.last_index}"
    later = belief.current_term
    terms = [(chain.last_index, entry.term) for chain, entry in log.back_to(0)]
    if terms:  # a snapshot alone may be of term 1 in a server of term 0: etcd begins so
        terms.append((log.beginning.last_index, log.beginning.last_term))
    for index, term in terms:
        if term > later:
            return f"entry {index} is of term {term}, what follows of {later}"
        later = term
    return None


def was_glimpsed(before: Belief, glimpse: Seen, after: Belief) -> bool:
    """Whether a server may have looked so within a step: each field as before, or as after.

    But for the term: that changes first, and the vote of another term is forgotten with it.
    """
    is_same = before.current_term == after.current_term
    vote = before.voted_for if is_same else None
    commits = range(before.commit_index, after.commit_index + 1)
    return (
        glimpse.current_term in (UNSET, after.current_term)
        and glimpse.voted_for in (UNSET, vote, after.voted_for)
        and glimpse.role in (UNSET, before.role, after.role)
        and (isinstance(glimpse.commit_index, UnsetType) or glimpse.commit_index in commits)
    )


def _given(value: X | UnsetType, otherwise: X) -> X:
    return otherwise if isinstance(value, UnsetType) else value
