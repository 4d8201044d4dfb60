"""One exploration of a foreign implementation, from beginning to end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

from model_check.check import FASTEST, EngineName, Means, Setup, explore_system, replayed, vacuous
from model_check.conformance.confirm import confirm
from model_check.conformance.learner import Adapter, Learner
from model_check.conformance.node import ForeignNode, ForeignWatch, ScheduledNode
from model_check.conformance.observed import (
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    understood,
)
from model_check.conformance.protocol import StateField
from model_check.conformance.schedule import NetworkPart, Schedule
from model_check.counterexample import Replay, replay
from model_check.explore import UNLIMITED, Budget, Exploration, Figures, ignore
from model_check.system import Network, System
from model_check.watch import Memory
from spec.forms import Milestone, Property
from spec.milestones import MILESTONES

ForeignSystem: TypeAlias = System[
    ObservedState, ForeignEvent, ForeignOutput, ForeignMessage, object, Memory
]
ForeignReplay: TypeAlias = Replay[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]
ForeignMilestone: TypeAlias = Milestone[ObservedState, ForeignEvent, ForeignOutput]
ForeignExploration: TypeAlias = Exploration[ForeignEvent, ForeignMessage]

Judgement: TypeAlias = Literal[
    "conforms", "violates", "failed-step", "malformed", "adapter-failed", "inconclusive"
]
"""The verdict on an implementation; see ``spec/adapter_protocol.md``, "How we judge"."""

NEEDED: tuple[StateField, ...] = ("current_term", "role", "log")
"""What must be observable for an exploration to have bounds."""
WALKS = 20
STEPS = 50
"""So many runs at random, of so many actions, are done again before it counts that nothing was
found."""
MOST_FAILURES = 5
"""So many kinds of failed steps get a run each; more are only counted."""


@dataclass(frozen=True, kw_only=True)
class ForeignSetup:
    """What is explored of which implementation."""

    adapter: Adapter
    space: Setup
    """Of its bounds, ``max_entries`` means nothing: that is the implementation's business."""


@dataclass(frozen=True, kw_only=True)
class Conformance:
    """What an exploration says of an implementation."""

    setup: ForeignSetup
    engine: EngineName
    name: str
    """What the adapter calls it."""
    judged: tuple[Property, ...]
    unjudged: dict[str, tuple[StateField, ...]]
    """The properties that could not be judged, and what cannot be observed."""
    exploration: ForeignExploration
    findings: tuple[ForeignReplay, ...] = ()
    """Runs to a violation, then to a failed step, the shortest of each; all done again."""
    other_failures: int = 0
    """How many more kinds of failed steps there are."""
    local_states: int
    adapter_calls: int
    """Steps that the adapter was asked for; the others stood in the table already."""

    @property
    def verdict(self) -> Judgement:
        """What it comes to."""
        if self.exploration.violation is not None:
            return "violates"
        if self.findings:
            return "failed-step"
        return "conforms" if self.exploration.verdict == "holds" else "inconclusive"

    @property
    def vacuous(self) -> dict[str, tuple[str, ...]]:
        """The properties that nothing could have broken, and the milestones each one lacked."""
        return vacuous(self.judged, self.exploration)


def conform(
    setup: ForeignSetup,
    budget: Budget = UNLIMITED,
    means: Means = FASTEST,
    table: Path | None = None,
    on_progress: Callable[[Figures], None] = ignore,
) -> Conformance:
    """Explore the implementation behind an adapter; what is found is done again before it counts.

    Steps learnt are kept in the file ``table``, and taken from there.

    Raises:
        AdapterFailed: if the adapter is at fault.
        TableError: if ``table`` is none of this adapter.
    """
    with Learner(setup.adapter, means.workers, table) as learner:
        return _explore(setup, learner, budget, means, on_progress)


def _explore(
    setup: ForeignSetup,
    learner: Learner,
    budget: Budget,
    means: Means,
    on_progress: Callable[[Figures], None],
) -> Conformance:
    hidden = learner.table.unobservable
    chosen = setup.space.chosen_properties
    unjudged = {
        item.name: tuple(sorted(item.observes & hidden))
        for item in chosen
        if item.observes & hidden
    }
    judged = tuple(item for item in chosen if item.name not in unjudged)
    node = ForeignNode(learner, setup.space.bounds)
    lacking = [field for field in NEEDED if field in hidden]
    findings: Sequence[ForeignReplay] = ()
    if lacking:
        stopped_by = f"{', '.join(lacking)}, which bounds the exploration and is not observable"
        found = ForeignExploration(stopped_by=stopped_by)
    else:
        system = _system(node, setup.space, judged)
        found = explore_system(system, budget, means, on_progress)
        if found.violation is not None:
            findings = [replayed(system, found)]
        kinds = list(node.failures)
        findings = [*findings, *_failures(node, setup.space, kinds[:MOST_FAILURES], budget, means)]
        for run in findings or _walks(_system(node, setup.space, ())):
            confirm(setup.adapter, learner.table, run)
        found.notes += _notes(learner)
    return Conformance(
        setup=setup,
        engine=means.chosen_engine,
        name=learner.table.init.name,
        judged=judged,
        unjudged=cast("dict[str, tuple[StateField, ...]]", unjudged),
        exploration=found,
        findings=tuple(findings),
        other_failures=max(len(node.failures) - MOST_FAILURES, 0),
        local_states=learner.table.states,
        adapter_calls=learner.calls,
    )


def _system(node: ForeignNode, space: Setup, properties: Iterable[Property]) -> ForeignSystem:
    network = cast("Network[ForeignMessage, object]", space.network_object())
    milestones = cast("tuple[ForeignMilestone, ...]", MILESTONES)  # of what the watch translates
    return System(node, network, ForeignWatch(properties, milestones, space.bounds.limits))


def _failures(
    node: ForeignNode, space: Setup, kinds: Sequence[str], budget: Budget, means: Means
) -> list[ForeignReplay]:
    """For each kind of failed step the shortest run to one.

    All steps were learnt, so these explorations cost little; they know no properties but that no
    step of this kind fails.
    """
    runs = []
    for kind in kinds:
        node.failing = kind
        system = _system(node, space, ())
        found = explore_system(system, budget, means)
        if found.violation is not None:
            runs.append(replayed(system, found))
    node.failing = None
    return runs


def _walks(system: ForeignSystem) -> Iterator[ForeignReplay]:
    """Some runs at random, the same ones each time: where nothing was found, they are done again to
    see that the servers do together what was learnt of each by itself."""
    chance = random.Random(WALKS)  # noqa: S311 - no secret
    for _ in range(WALKS):
        state, actions = system.initial(), []
        for _ in range(STEPS):
            successors = list(system.successors(state))
            if not successors:
                break
            action, state, _, _ = chance.choice(successors)
            actions.append(action)
        yield replay(system, actions)


def _notes(learner: Learner) -> list[str]:
    unknown = sorted(
        {message.kind for message in learner.table.messages if understood(message) is None}
    )
    if not unknown:
        return []
    return [
        f"messages of the kinds {', '.join(unknown)} are none of Figure 2; what shows in such "
        f"messages alone was not seen"
    ]


def schedule_of(setup: ForeignSetup, run: ForeignReplay) -> Schedule:
    """``run`` as a schedule to do again."""
    space, violation = setup.space, run.violation
    return Schedule(
        servers=space.bounds.servers,
        options=dict(setup.adapter.options),
        network=NetworkPart(name=space.network, max_in_flight=space.max_in_flight, loss=space.loss),
        finding="" if violation is None else f"{violation.property}: {violation.explanation}",
        actions=tuple(moment.action for moment in run.moments),
    )


def replay_schedule(setup: ForeignSetup, schedule: Schedule) -> ForeignReplay:
    """``schedule`` done again, judged by all properties that the observations allow.

    Raises:
        AdapterFailed: if the adapter is at fault.
    """
    with Learner(setup.adapter, workers=1) as learner:
        hidden = learner.table.unobservable
        judged = [item for item in setup.space.chosen_properties if not item.observes & hidden]
        node = ScheduledNode(learner, setup.space.bounds, schedule.actions)
        run = replay(_system(node, setup.space, judged), schedule.actions)
        confirm(setup.adapter, learner.table, run)
        return run
