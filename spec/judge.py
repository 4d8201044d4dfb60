"""A rule held against what an implementation did, which may be several steps of Raft at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from raft_ref.events import ClientRequest
from raft_ref.types import NodeState
from spec.conduct import Conduct
from spec.profiles import PAPER, Profile
from spec.rule import Broken, NotDecidable, Rule


@dataclass(frozen=True, slots=True)
class Judge:
    """Whoever holds rules against steps."""

    profile: Profile = PAPER
    unobserved: frozenset[str] = frozenset()
    """The fields of a server's state that cannot be observed."""
    read: frozenset[str] = frozenset()
    """The kinds of Figure 2 by which votes and acknowledgements are known to be reported."""
    incomplete: frozenset[str] = frozenset()
    """The evidence, by name, of which some may not have been observed."""

    def judge(self, rule: Rule, steps: Iterable[Conduct]) -> Broken | NotDecidable | None:
        """How a step, given as its `single_steps`, breaks ``rule``; None if it obeys it, or the
        profile tolerates it."""
        undecided = None
        for step in steps:
            verdict = rule.judge(step, self.unobserved, self.read, self.incomplete)
            if isinstance(verdict, Broken) and not self.profile.tolerates(rule, step):
                return verdict
            if isinstance(verdict, NotDecidable):
                undecided = verdict
        return undecided


def single_steps(conduct: Conduct) -> Iterator[Conduct]:
    """The steps of Raft that a step is made of.

    It is more than one where a new leader at once appends an entry of its own (§8), and commits it
    if it is alone: first it is elected, then it appends, and puts out what it does as a leader.
    """
    before, after = conduct.before.state, conduct.after.state
    if not conduct.becomes_leader or after.log == before.log:
        yield conduct
        return
    elected = replace(
        conduct.after,
        state=_as_elected(before, after),
        evidence=replace(  # nothing is applied yet
            conduct.after.evidence,
            applied=conduct.before.evidence.applied,
            ever_applied=conduct.before.evidence.ever_applied,
        ),
    )
    yield replace(conduct, after=elected, outputs=())
    yield replace(conduct, before=elected, event=ClientRequest(""))


def _as_elected(before: NodeState, after: NodeState) -> NodeState:
    """A new leader that has not yet done anything else."""
    return replace(
        after,
        persistent=replace(after.persistent, log=before.log),
        commit_index=before.commit_index,
        last_applied=before.last_applied,
    )
