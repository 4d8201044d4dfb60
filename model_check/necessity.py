"""Whether the rules are enough, and whether each is needed: claims about the freest server.

*Sufficiency*: clusters of the freest server that obeys all rules keep every property. *Necessity*:
once a rule is taken away, a property breaks, and here is a run; or nothing was found where it was
searched, which is said, and the rule is called *hygiene*; of some it is proved, without bounds,
that nothing does. (Only among five servers does one quorum
miss so much of another that some rules show what they are for; so nothing is called hygiene before
those were searched, in four terms.)

What has to break is a property of several servers: those of Figure 3 but for Leader Append-Only,
which is a rule itself. All searches are on `replayable`, and complete within their universe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from model_check.check import Means, explore_system, replayed
from model_check.explore import UNLIMITED, Budget, Exploration, Figures, ignore
from model_check.freest import FreestRun, Sent, freest_system
from raft_ref import Event
from spec.forms import Property
from spec.freest import GUARDS
from spec.properties import PROPERTIES
from spec.rule import Rule
from spec.universe import Universe

Need: TypeAlias = Literal["needed", "hygiene", "inconclusive"]
"""`needed`: a property breaks without the rule. `hygiene`: none did, where it was searched.
`inconclusive`: a budget ran out first."""

OF_SEVERAL_SERVERS = ("ElectionSafety", "LogMatching", "LeaderCompleteness", "StateMachineSafety")
ITS_PROPERTY: Mapping[str, tuple[str, ...]] = {
    "COMMIT-STABLE": ("CommitStability",),  # it is no guard anyway
    # State Machine Safety is not violated by an entry that is left out, or applied twice.
    "APPLY-ORDER": ("StateMachineOrder",),
    "REDIRECT-LEADER": ("ClientRedirection",),
}
"""By rule: a further property that may break without it."""


@dataclass(frozen=True, slots=True)
class Search:
    """Where to search, and how."""

    universe: Universe
    reduced: bool = False
    """Whether evidence arrives at once, and messages without use are forgotten: then a run that is
    found needs each of its steps, but may not be the shortest."""

    def __str__(self) -> str:
        """The universe, but for what is as usual."""
        said = (
            (item.name, getattr(self.universe, item.name))
            for item in fields(Universe)
            if getattr(self.universe, item.name) not in (False, ())
        )
        named = (name if value is True else f"{name} {_shown(value)}" for name, value in said)
        return ", ".join(named).replace("_", " ")


@dataclass(frozen=True, slots=True)
class Necessity:
    """What is known of the need for a rule: where it was searched, and what was found."""

    searches: tuple[Search, ...]
    """All of them hold, for hygiene; else the only one leads to a violation."""
    breaks: str | None = None
    """The property that breaks without the rule."""
    steps: int | None = None
    """The length of the run to that."""
    proved_needless: bool = False
    """Whether the properties are proved without it, and without bounds: see ``raft-ref prove``."""

    @property
    def need(self) -> Need:
        """What is known of it."""
        return "hygiene" if self.breaks is None else "needed"

    def __str__(self) -> str:
        if self.proved_needless:
            return "needless: what holds of several servers is proved without it"
        if self.breaks is None:
            return f"open: nothing breaks within {'; nor '.join(map(str, self.searches))}"
        at_most = "≤ " if self.searches[0].reduced else ""
        return f"needed: {self.breaks} breaks in {at_most}{self.steps} steps"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(
            "+".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value
        )
    return str(value)


# --- what is known -------------------------------------------------------------------------------

_SMALL = Search(Universe(restarts=False))
_WITH_RESTARTS = Search(Universe())
_TWO_VALUES = Search(Universe(restarts=False, values=2))
_FIVE_SERVERS = Search(Universe(servers=5, restarts=False, candidates=(1, 2)), reduced=True)
_FOUR_TERMS = Search(
    Universe(
        servers=5,
        max_term=4,
        restarts=False,
        candidates=(1, 5, 1, 5),
        participants=((1, 2, 3, 4), (5, 2, 3, 4), (1, 2, 3, 4), (5, 4, 3, 2)),
    ),
    reduced=True,
)
_DIRECTED = (_WITH_RESTARTS, _FOUR_TERMS)
_FIGURE_8 = Search(Universe(max_term=4, restarts=False, candidates=(1, 2, 1, 2)), reduced=True)
_REDIRECTS = Search(Universe(restarts=False, redirects=True))
_IN_ANOTHERS_NAME = Search(Universe(servers=5, max_term=1, max_log=0, restarts=False), reduced=True)

NECESSITY: Mapping[str, Necessity] = {
    "TERM-MONOTONIC": Necessity((_SMALL,), "ElectionSafety", 9),
    "TERM-ADOPT": Necessity(_DIRECTED, proved_needless=True),
    "TERM-STEP-DOWN": Necessity((_SMALL,), "ElectionSafety", 8),
    "VOTE-ONCE": Necessity((_SMALL,), "ElectionSafety", 7),
    "VOTE-SELF": Necessity((_SMALL,), "ElectionSafety", 6),
    "VOTE-REQUESTED": Necessity((_SMALL,), "LeaderCompleteness", 12),
    "VOTE-UP-TO-DATE": Necessity((_SMALL,), "LeaderCompleteness", 12),
    "VOTE-TRUTHFUL": Necessity((_SMALL,), "ElectionSafety", 6),
    "VOTE-GRANT-TERM": Necessity((_SMALL,), "ElectionSafety", 9),
    "VOTE-REQUEST-TRUTHFUL": Necessity((_SMALL,), "LeaderCompleteness", 12),
    "ELECT-QUORUM": Necessity((_SMALL,), "ElectionSafety", 4),
    "ELECT-CANDIDATE": Necessity((_SMALL,), "ElectionSafety", 6),
    "LEADER-APPEND-ONLY": Necessity((_TWO_VALUES,), "LogMatching", 7),
    "LEADER-ENTRY-TERM": Necessity((_TWO_VALUES,), "LogMatching", 10),
    "LOG-SOURCE": Necessity((_TWO_VALUES,), "LogMatching", 2),
    "FOLLOWER-CURRENT-TERM": Necessity((_SMALL,), "StateMachineSafety", 15),
    "FOLLOWER-PREV-MATCH": Necessity(
        (Search(Universe(max_log=2, restarts=False), reduced=True),), "LogMatching", 11
    ),
    "FOLLOWER-SPLICE-SOURCE": Necessity((_TWO_VALUES,), "LogMatching", 6),
    "FOLLOWER-SPLICE-CONFLICT": Necessity((_SMALL,), "LeaderCompleteness", 13),
    "APPEND-LEADER": Necessity(
        (Search(Universe(restarts=False), reduced=True),), "LeaderCompleteness", 15
    ),
    "APPEND-TRUTHFUL": Necessity((_TWO_VALUES,), "LogMatching", 6),
    "APPEND-COMMIT": Necessity((_FIVE_SERVERS,), "LeaderCompleteness", 14),
    "ACK-TERM": Necessity((_SMALL,), "LeaderCompleteness", 12),
    "ACK-CONFIRMED": Necessity((_SMALL,), "LeaderCompleteness", 10),
    "COMMIT-MONOTONIC": Necessity(_DIRECTED, proved_needless=True),
    "COMMIT-QUORUM": Necessity((_SMALL,), "LeaderCompleteness", 9),
    "COMMIT-CURRENT-TERM": Necessity((_FIGURE_8,), "LeaderCompleteness", 21),
    "COMMIT-CONFIRMED": Necessity((_SMALL,), "StateMachineSafety", 14),
    "COMMIT-CLAIMED": Necessity((_FIVE_SERVERS,), "LeaderCompleteness", 14),
    "COMMIT-STABLE": Necessity(_DIRECTED, proved_needless=True),
    "APPLY-COMMITTED": Necessity((_SMALL,), "StateMachineSafety", 2),
    "APPLY-ORDER": Necessity((_SMALL,), "StateMachineOrder", 9),
    "RESTART-TERM": Necessity((_WITH_RESTARTS,), "ElectionSafety", 9),
    "RESTART-VOTE": Necessity((_WITH_RESTARTS,), "ElectionSafety", 8),
    "RESTART-LOG": Necessity((_WITH_RESTARTS,), "StateMachineSafety", 8),
    "REDIRECT-LEADER": Necessity((_REDIRECTS,), "ClientRedirection", 1),
    "MESSAGE-WELL-FORMED": Necessity((_IN_ANOTHERS_NAME,), "ElectionSafety", 10),
}
"""By rule: what `find_need` finds."""

SUFFICIENT: tuple[Search, ...] = (
    Search(Universe(values=2), reduced=True),
    Search(Universe(max_term=3), reduced=True),
    Search(Universe(servers=4), reduced=True),
    Search(Universe(max_log=2), reduced=True),
    Search(Universe(redirects=True), reduced=True),
    Search(Universe(max_term=4, restarts=False), reduced=True),
    _FIVE_SERVERS,
    _FOUR_TERMS,
)
"""Where the rules are enough."""


# --- finding out ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Explored:
    """What became of a search."""

    search: Search
    exploration: Exploration[Event, Sent]
    run: FreestRun | None
    """To a violation, replayed."""


@dataclass(frozen=True, slots=True)
class RuleRun:
    """Whether a rule was found to be needed."""

    rule: Rule
    explored: tuple[Explored, ...]

    @property
    def need(self) -> Need:
        """What was found."""
        verdicts = {each.exploration.verdict for each in self.explored}
        if "violated" in verdicts:
            return "needed"
        return "inconclusive" if "inconclusive" in verdicts else "hygiene"

    @property
    def breaks(self) -> str | None:
        """The property that breaks."""
        violation = self.explored[-1].exploration.violation
        return None if violation is None else violation.property

    @property
    def is_as_known(self) -> bool:
        """Whether it is what `NECESSITY` says."""
        known, found = NECESSITY[self.rule.id], self.explored[-1].exploration
        steps = None if self.breaks is None else found.depth
        return (self.need, self.breaks, steps) == (known.need, known.breaks, known.steps)


def explore_freest(
    search: Search,
    guards: Iterable[Rule],
    properties: Iterable[str],
    budget: Budget = UNLIMITED,
    on_progress: Callable[[Figures], None] = ignore,
) -> Explored:
    """Explore a cluster of freest servers that obey ``guards``; a violation is replayed."""
    chosen: list[Property] = [item for item in PROPERTIES if item.name in set(properties)]
    system = freest_system(search.universe, chosen, guards)
    means = Means(eager=search.reduced, forget=search.reduced)
    found = explore_system(system, budget, means, on_progress)
    return Explored(search, found, None if found.violation is None else replayed(system, found))


def find_need(
    rule: Rule,
    budget: Budget = UNLIMITED,
    on_progress: Callable[[Figures], None] = ignore,
) -> RuleRun:
    """Take ``rule`` away, and search where `NECESSITY` says."""
    guards = [guard for guard in GUARDS if guard is not rule]
    names: tuple[str, ...] = OF_SEVERAL_SERVERS
    names = (*names, *ITS_PROPERTY.get(rule.id, ()))
    explored: list[Explored] = []
    for search in NECESSITY[rule.id].searches:
        explored.append(explore_freest(search, guards, names, budget, on_progress))
        if explored[-1].exploration.verdict != "holds":
            break
    return RuleRun(rule, tuple(explored))


def find_sufficiency(
    search: Search,
    budget: Budget = UNLIMITED,
    on_progress: Callable[[Figures], None] = ignore,
) -> Explored:
    """Explore servers that obey all rules, and hold them against all properties."""
    return explore_freest(search, GUARDS, [item.name for item in PROPERTIES], budget, on_progress)
