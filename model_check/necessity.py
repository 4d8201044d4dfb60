"""Whether the rules are enough, and whether each is needed: claims about the freest server.

*Sufficiency*: clusters of the freest server that obeys all rules keep every property. *Necessity*:
once a rule is taken away, a property breaks, and here is a run; or nothing was found where it was
searched, which is said, and the rule is called *hygiene*. (Only with five servers does a quorum miss
so much that some rules show what they are for; so nothing is called hygiene before those were
searched, in four terms.)

What is broken is a property of several servers: those of Figure 3 but for Leader Append-Only, which
is a rule itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from model_check.check import Means, explore_system, replayed
from model_check.counterexample import Replay
from model_check.explore import UNLIMITED, Budget, Exploration, Figures, ignore
from model_check.freest import Sent, freest_system
from raft_ref import Event, NodeState, Output
from spec.freest import GUARDS
from spec.properties import (
    PROPERTIES,
    CommitStability,
    ElectionSafety,
    LeaderCompleteness,
    LogMatching,
    StateMachineSafety,
)
from spec.rule import Rule
from spec.rules import COMMIT_STABLE_ID, RULES, RULES_BY_ID
from spec.universe import Universe

FreestRun: TypeAlias = Replay[NodeState, Event, Output, Sent]
NecessityVerdict: TypeAlias = Literal["needed", "hygiene", "inconclusive"]
"""`needed`: a property breaks without it. `hygiene`: none did, where it was searched.
`inconclusive`: a budget ran out first."""

OF_SEVERAL_SERVERS = (ElectionSafety(), LogMatching(), LeaderCompleteness(), StateMachineSafety())


@dataclass(frozen=True, slots=True)
class Search:
    """Where to search, and how."""

    universe: Universe
    reduced: bool = False
    """Whether evidence arrives at once, and messages without use are forgotten: then a run that is
    found needs each of its steps, but may not be the shortest."""

    @property
    def means(self) -> Means:
        """How to explore."""
        return Means(eager=self.reduced, forget=self.reduced)
