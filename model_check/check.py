"""One check from beginning to end: set up Raft within bounds, explore it, replay what was found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, TypeAlias, cast, get_args

from model_check.counterexample import Replay, replay, shorten
from model_check.deadline import Deadline
from model_check.explore import UNLIMITED, Beam, Budget, Exploration, Figures, explore, ignore
from model_check.interned import InternedSystem
from model_check.judged import judged_system, obeyed_rules
from model_check.mutants import MUTANTS
from model_check.mutants.node import MutantNode
from model_check.network import Fifo, Once, Replayable
from model_check.raft import Bounds, RaftNetwork, RaftNode, RaftSystem, raft_system
from model_check.system import Action, M, System
from model_check.watch import Memory
from raft_ref import Event, Message, NodeState, Output
from spec.forms import E, O, Property, S
from spec.properties import PROPERTIES, PROPERTY_NAMES, WITHOUT_REDIRECTS

EngineName: TypeAlias = Literal["compiled", "reference"]
NetworkName: TypeAlias = Literal["replayable", "once", "fifo"]
RaftReplay: TypeAlias = Replay[NodeState, Event, Output, Message]

ENGINE_NAMES: tuple[EngineName, ...] = get_args(EngineName)
NETWORK_NAMES: tuple[NetworkName, ...] = get_args(NetworkName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is checked: everything a report must say for the check to be repeated.

    Raises:
        ValueError: if a property has none of `PROPERTY_NAMES`, the mutant is none of `MUTANTS`, or
            ``max_in_flight`` is below 1.
    """

    bounds: Bounds
    network: NetworkName = "replayable"
    max_in_flight: int = 2
    """Capacity of a link; of `fifo` alone."""
    loss: bool = True
    """Whether links lose messages; of `fifo` alone, the others may always lose them."""
    properties: tuple[str, ...] = WITHOUT_REDIRECTS
    mutant: str | None = None
    """Which of `MUTANTS` takes the place of the core; None for the core as it is."""
    rules: bool = False
    """Whether every step is held against the rules, too; see `model_check.judged`."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.properties if name not in PROPERTY_NAMES]
        if unknown:
            raise ValueError(f"no property {unknown[0]!r}; there are {', '.join(PROPERTY_NAMES)}")
        if self.mutant is not None and self.mutant not in MUTANTS:
            raise ValueError(f"no mutant {self.mutant!r}: see raft-ref mutants --list")
        if self.max_in_flight < 1:
            raise ValueError(f"max_in_flight must be at least 1, not {self.max_in_flight}")

    @property
    def chosen_properties(self) -> tuple[Property, ...]:
        """The properties to check, in the order of the specification."""
        return tuple(item for item in PROPERTIES if item.name in self.properties)

    def network_object(self) -> RaftNetwork:
        """The network by that name."""
        networks: dict[NetworkName, object] = {
            "replayable": Replayable(),
            "once": Once(),
            "fifo": Fifo(self.max_in_flight, self.loss),
        }
        # They differ in the type of what is in flight, which is nobody else's business.
        return cast(RaftNetwork, networks[self.network])

    def system(self) -> RaftSystem:
        """The closed system to explore."""
        node = self._node()
        if not self.rules:
            return raft_system(node, self.network_object(), self.chosen_properties)
        properties = (*self.chosen_properties, *obeyed_rules(self.bounds.servers))
        return judged_system(node, self.network_object(), properties)

    def _node(self) -> RaftNode:
        """The core, or the mutant of it."""
        if self.mutant is None:
            return RaftNode(self.bounds)
        return MutantNode(self.bounds, MUTANTS[self.mutant])

    def described_bounds(self) -> dict[str, int | bool | list[int] | list[str] | None]:
        """Every bound by its name, those of the network included where it has some."""
        named = {item.name: getattr(self.bounds, item.name) for item in fields(Bounds)}
        for name in ("only_timeout", "script"):
            named[name] = list(named[name])
        if self.network == "fifo":
            named |= {"max_in_flight": self.max_in_flight, "loss": self.loss}
        return named


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found, its counterexample already replayed."""

    setup: Setup
    engine: EngineName
    exploration: Exploration[Event, Message]
    counterexample: RaftReplay | None

    @property
    def vacuous(self) -> dict[str, tuple[str, ...]]:
        """See `vacuous`."""
        return vacuous(self.setup.chosen_properties, self.exploration)


def vacuous(properties: Iterable[Property], found: Exploration[E, M]) -> dict[str, tuple[str, ...]]:
    """The properties that nothing could have broken, and the milestones each one lacked."""
    if found.verdict == "violated":
        return {}
    return unexercised({item.name: item.exercised_by for item in properties}, found.reached)


def unexercised(
    exercised_by: Mapping[str, frozenset[str]], reached: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Of properties and rules, each with the milestones without which nothing could have broken it,
    those that lacked some, and which, where no more milestones were ``reached``."""
    lacking = {name: tuple(sorted(each.difference(reached))) for name, each in exercised_by.items()}
    return {name: milestones for name, milestones in lacking.items() if milestones}


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How to explore. What is found is the same."""

    engine: EngineName | None = None
    """None for the fastest there is."""
    workers: int | None = None
    """Of the compiled engine: how many threads; None for as many as there are processors."""
    symmetry: bool | None = None
    """Of the compiled engine: whether to explore one state of each orbit; None for where it is
    possible."""
    eager: bool = False
    """Of the compiled engine, on a network that keeps what it delivers: whether nodes send at once
    what they could send without changing. Figures are then those of the reduced space."""
    forget: bool = False
    """Likewise: whether messages are forgotten that can never again do anything."""
    beam: Beam | None = None
    """Of the compiled engine: which states of each level to follow; None for all of them."""

    @property
    def chosen_engine(self) -> EngineName:
        """The engine by name."""
        return self.engine or "compiled"


FASTEST = Means()


def check(
    setup: Setup,
    budget: Budget = UNLIMITED,
    means: Means = FASTEST,
    on_progress: Callable[[Figures], None] = ignore,
) -> CheckResult:
    """Explore ``setup`` within ``budget``; a violation is replayed on the core before it counts.

    Raises:
        AssertionError: if the replay does not end in the same violation. The explorer is at fault.
        MistakenClaim: if a message that was forgotten would have done something.
        ValueError: if symmetry was asked for, and there is none.
    """
    budget, deadline = budget.begun()
    found = explore_system(setup.system(), budget, means, on_progress)
    run = None if found.violation is None else replayed(setup.system(), found, deadline)
    return CheckResult(setup, means.chosen_engine, found, run)


def explore_system(
    system: System[S, E, O, M, Hashable, Memory],
    budget: Budget,
    means: Means,
    on_progress: Callable[[Figures], None] = ignore,
) -> Exploration[E, M]:
    """Explore any system by ``means``.

    Raises:
        MistakenClaim: if a message that was forgotten would have done something.
        ValueError: if symmetry was asked for, and there is none.
    """
    budget, deadline = budget.begun()
    try:
        return _explore_system(system, budget, means, on_progress)
    except KeyboardInterrupt as interrupt:  # before the explorer was there to notice
        return Exploration(stopped_by=deadline.interrupted(interrupt))


def _explore_system(
    system: System[S, E, O, M, Hashable, Memory],
    budget: Budget,
    means: Means,
    on_progress: Callable[[Figures], None],
) -> Exploration[E, M]:
    if means.chosen_engine == "reference":
        interned = InternedSystem(system)
        found = explore(interned, budget, on_progress=on_progress)
        actions: list[Action[E, M]] = [interned.original(action) for action in found.actions]
        translated = cast("Exploration[E, M]", found)
        return replace(translated, actions=actions, core_calls=interned.core_calls)
    # Imported here, since it takes a second, and not everyone has a use for it.
    from model_check.engine import explorer

    options = explorer.Options(
        workers=means.workers,
        symmetry=means.symmetry,
        eager=means.eager,
        forget=means.forget,
        beam=means.beam,
    )
    return explorer.explore(system, budget, options, on_progress=on_progress)


def replayed(
    system: System[S, E, O, M, Hashable, Memory],
    found: Exploration[E, M],
    deadline: Deadline | None = None,
) -> Replay[S, E, O, M]:
    """The run to the violation that was ``found``, taken again on ``system``.

    A run that may not be the shortest is shortened, as far as there is time, and what was found
    corrected accordingly.

    Raises:
        AssertionError: if it does not lead to that violation. The explorer is at fault.
    """
    assert found.violation is not None
    deadline = deadline or Deadline()
    with deadline.finishing():
        run = replay(system, found.actions)
    assert run.violation == found.violation, (
        f"the explorer found {found.violation}, but its run leads to {run.violation}"
    )
    if not found.is_shortest:
        run = shorten(system, found.actions, found.violation.property, deadline)
        found.actions = [moment.action for moment in run.moments]
        found.violation, found.depth = run.violation, len(found.actions)
        found.notes.append(
            "the run to the violation needs each of its actions, but may not be the shortest"
            if deadline.ended is None
            else "the run to the violation may have actions that it does not need: shortening it "
            f"was stopped by {deadline.ended}"
        )
    return run
