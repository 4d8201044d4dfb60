"""The reference explorer: breadth-first, plain, and the definition of what the figures mean.

- ``states``: the distinct states found, what the properties remember included;
- ``transitions``: the actions enabled in them, also if one leads back to the same state;
- ``depth``: the number of actions to the state that is farthest from the initial one.

Breadth-first search meets every state on a shortest path, so a counterexample is shortest. The
search goes on to the end of the level in which it met a violation, so that its figures do not
depend on any order: of all violations there, the one of the lowest rank is reported. A state in
which a property is violated is not counted, unless a step that violates none leads there, too.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeAlias, TypeVar

from model_check.contracts import not_the_same_in
from model_check.deadline import Deadline
from model_check.system import Action, M, Q, State, Successor, System, Violation
from spec.forms import E, H, O, S

T = TypeVar("T")

Verdict: TypeAlias = Literal["holds", "violated", "inconclusive"]


class AsymmetryError(ValueError):
    """Something is not the same under other names: what, and how it differs."""


class MistakenClaim(ValueError):
    """A node says that a message is outdated, and it is not: which, and what it still does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When to give up; None for never."""

    max_states: int | None = None
    """How many states may be stored."""
    max_memory: int | None = None
    """How many bytes of memory may be used; what the machine can spare, if None. The reference
    explorer knows no such budget."""
    deadline: Deadline | None = None
    """Of all that is done with this budget together, in as many explorations as that takes."""

    def begun(self) -> tuple[Budget, Deadline]:
        """The same budget with a deadline, a fresh one that never comes if there is none; and that
        deadline."""
        deadline = self.deadline or Deadline()
        return replace(self, deadline=deadline), deadline


UNLIMITED = Budget()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """A search that leaves most states out, to come deeper; see `model_check.engine.beam`.

    With the same seed, on the same number of workers, it finds the same.

    Raises:
        ValueError: if the width is below 1, or the seed negative.
    """

    width: int = 100
    """How many states are followed at each depth, of those that look the same to the properties."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"the width of a beam must be at least 1, not {self.width}")
        if self.seed < 0:
            raise ValueError(f"the seed must not be negative: {self.seed}")


@dataclass(slots=True, kw_only=True)
class Figures:
    """What an exploration has found so far, in numbers."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    frontier: int = 0
    """States found but not expanded yet; 0 at the end of a complete exploration."""
    seconds: float = 0.0
    orbits: int = 0
    """States stored: under symmetry, one for each orbit."""
    renamings: int = 1
    """How many renamings symmetry made use of; 1 without symmetry."""
    workers: int = 1
    core_calls: int = 0
    """How often the node's own step function was called."""
    state_bytes: int | None = None
    """Bytes of memory that the stored states take, parents and index included."""
    memory_bytes: int | None = None
    """Bytes of memory that the process took in all."""
    reached: dict[str, int] = field(default_factory=dict)
    """Each milestone reached, with the smallest number of actions to it."""
    is_reduced: bool = False
    """Whether the figures are those of a space that was reduced beyond symmetry."""
    beam: Beam | None = None
    """How states were left out, if they were."""
    is_shortest: bool = True
    """Whether a run to a violation is as short as there is."""
    notes: list[str] = field(default_factory=list)
    """What one should know of how it was explored."""


@dataclass(slots=True, kw_only=True)
class Exploration(Figures, Generic[E, M]):
    """What an exploration found."""

    verdict: Verdict = "inconclusive"
    stopped_by: str | None = None
    """What ended an inconclusive exploration."""
    violation: Violation | None = None
    actions: list[Action[E, M]] = field(default_factory=list)
    """The run to the violation."""


Parents: TypeAlias = dict[State[S, Q, H], State[S, Q, H] | None]
"""Every state found, with the one it was first reached from."""

Recorder: TypeAlias = Callable[["State[S, Q, H]", "Action[E, M]", "State[S, Q, H]"], None]
"""Sees every transition."""


COMPILING = "compiling the explorer (only once, about half a minute)"
"""The phase that takes long and has nothing to show."""
TICK = 4096
"""After so many transitions, progress is reported."""
GLANCE = 64
"""After so many, the clock is looked at: a step of somebody else's may take its time."""


def ignore(_: object) -> None:
    """Report progress to nobody."""


def explore(
    system: System[S, E, O, M, Q, H],
    budget: Budget = UNLIMITED,
    *,
    on_progress: Callable[[Figures], None] = ignore,
    record: Recorder[S, Q, H, E, M] | None = None,
) -> Exploration[E, M]:
    """Explore everything ``system`` can do, up to the first violation or the end of ``budget``.

    ``on_progress`` is called now and then with what was found so far. An interrupt (Ctrl-C) ends
    the exploration as an exhausted budget does: with a truthful report.

    Raises:
        ContractError: if ``system`` is not what a `System` has to be.
    """
    started = time.monotonic()
    budget, deadline = budget.begun()
    found: Exploration[E, M] = Exploration(violation=system.initial_violation())
    parents: Parents[S, Q, H] = {system.initial(): None}
    last: tuple[State[S, Q, H], Action[E, M]] | None = None

    def take_stock() -> None:
        found.states = found.orbits = len(parents)
        found.seconds = time.monotonic() - started

    with _without_garbage_collection():
        try:
            for before, action, after, violation, reached in _breadth_first(
                system, parents, found, budget
            ):
                found.transitions += 1
                for milestone in reached:
                    found.reached.setdefault(milestone, found.depth + 1)
                if record is not None:
                    record(before, action, after)
                if violation is not None and _counts_more(system, violation, found.violation):
                    found.violation, last = violation, (before, action)
                if found.transitions % GLANCE == 0:
                    deadline.check()
                if found.transitions % TICK == 0:
                    take_stock()
                    on_progress(found)
            _ask_again(system, parents, found, deadline)
        except KeyboardInterrupt as interrupt:
            found.stopped_by = deadline.interrupted(interrupt)
        take_stock()
        if last is not None:
            before, action = last
            with deadline.finishing():
                found.actions = [*_path(system, parents, before), action]
            found.depth = len(found.actions)
        parents.clear()  # before the collector would look through it
    found.verdict = verdict(found)
    return found


def _ask_again(
    system: System[S, E, O, M, Q, H],
    parents: Parents[S, Q, H],
    found: Exploration[E, M],
    deadline: Deadline,
) -> None:
    """See that the system is made of pure functions, if the search has come to its end."""
    if found.stopped_by is None:
        with deadline.phase("asking for some steps again"):
            system.check_pure(parents, deadline.check, are_all=found.violation is None)


def verdict(found: Exploration[E, M]) -> Verdict:
    """What an exploration that has ended says of the system."""
    if found.violation is not None:
        return "violated"
    return "holds" if found.stopped_by is None else "inconclusive"


def _counts_more(
    system: System[S, E, O, M, Q, H], violation: Violation, known: Violation | None
) -> bool:
    return known is None or system.watch.rank(violation) < system.watch.rank(known)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Spare the collector a search that makes no garbage: it would look at every state, often."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _breadth_first(
    system: System[S, E, O, M, Q, H],
    parents: Parents[S, Q, H],
    found: Exploration[E, M],
    budget: Budget,
) -> Iterator[tuple[State[S, Q, H], *Successor[E, M, S, Q, H]]]:
    """Every transition of every state, nearest states first; fills ``parents`` as it goes.

    Ends after the level in which ``found`` has got a violation, and as soon as it has a reason to
    stop.
    """
    frontier = list(parents)
    while frontier and found.violation is None:
        discovered: list[State[S, Q, H]] = []
        for expanded, state in enumerate(frontier):
            found.frontier = len(frontier) - expanded + len(discovered)
            for action, after, violation, reached in system.successors(state):
                yield state, action, after, violation, reached
                if found.stopped_by is not None:
                    return
                if violation is None and after is not state and after not in parents:
                    if len(parents) == budget.max_states:
                        found.stopped_by = f"the budget of {budget.max_states} states"
                        return
                    parents[after] = state
                    discovered.append(after)
        frontier = discovered
        found.frontier = len(frontier)
        found.depth += bool(frontier)


def taken_again(actions: Iterator[T], state: object) -> T:
    """The first of ``actions``, which once led from ``state`` to where they have to lead again.

    Raises:
        ContractError: if there is none.
    """
    action = next(actions, None)
    if action is None:
        raise not_the_same_in(state)
    return action


def _path(
    system: System[S, E, O, M, Q, H], parents: Parents[S, Q, H], state: State[S, Q, H]
) -> list[Action[E, M]]:
    """The actions of a shortest run to ``state``."""
    actions: list[Action[E, M]] = []
    while (parent := parents[state]) is not None:
        led = (action for action, after, *_ in system.successors(parent) if after == state)
        actions.append(taken_again(led, parent))
        state = parent
    return actions[::-1]
