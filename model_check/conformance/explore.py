"""One exploration of a foreign implementation, from beginning to end."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from model_check.check import (
    FASTEST,
    EngineName,
    Means,
    Setup,
    explore_system,
    replayed,
    unexercised,
)
from model_check.conformance.confirm import confirm
from model_check.conformance.consequence import consequence
from model_check.conformance.coverage import Shortfall, exploration_shortfalls
from model_check.conformance.finding import Finding, first_breach
from model_check.conformance.learner import Adapter, Learner
from model_check.conformance.node import (
    ForeignNode,
    ForeignReplay,
    ForeignSystem,
    foreign_system,
    judgeable,
)
from model_check.conformance.observed import (
    ForeignEvent,
    ForeignMessage,
    describe_undelivered,
    understood,
)
from model_check.conformance.protocol import StateField
from model_check.conformance.schedule import NetworkPart, Schedule
from model_check.conformance.suspicion import Hearing, Suspicion, hear
from model_check.conformance.witness import Explore, Testimony, follow_up
from model_check.counterexample import replay
from model_check.deadline import REDOING
from model_check.explore import UNLIMITED, Budget, Exploration, Figures, ignore, verdict
from spec.forms import Property
from spec.judge import Judge
from spec.profiles import PAPER, Profile
from spec.rules import RULES

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
MOST_BREACHES = 5
"""So many rules that are suspected to be broken get a run each; more are only named."""


@dataclass(frozen=True, kw_only=True)
class ForeignSetup:
    """What is explored of which implementation."""

    adapter: Adapter
    space: Setup
    """Of its bounds, ``max_entries`` means nothing: that is the implementation's business."""
    profile: Profile = PAPER

    def __post_init__(self) -> None:
        # An adapter shows no lastApplied; what its servers apply is held against APPLY-ORDER.
        names = tuple(name for name in self.space.properties if name not in JUDGED_AS_RULES)
        object.__setattr__(self, "space", replace(self.space, properties=names))


JUDGED_AS_RULES = frozenset({"StateMachineOrder"})
"""The properties that a rule states of one server, from what it was observed to do."""


@dataclass(frozen=True, kw_only=True)
class Conformance:
    """What an exploration says of an implementation."""

    setup: ForeignSetup
    engine: EngineName
    name: str
    """What the adapter calls it."""
    judged: tuple[Property, ...]
    unjudged: dict[str, tuple[str, ...]]
    """The properties and rules that could not be judged, and for want of what."""
    hidden: frozenset[str]
    """The fields of a server's state that the adapter does not show."""
    exploration: ForeignExploration
    steps_judged: int = 0
    """Steps that were held against the rules, each in every light in which it may stand."""
    findings: tuple[Finding, ...] = ()
    """To the violation of a property, then to those of further rules, then to failed steps; the
    shortest of each."""
    unconfirmed: Finding | None = None
    """The first of the others, which there was no time to do again, so that they do not count."""
    unresolved: tuple[Testimony, ...] = ()
    """Suspicions of which it is not known whether there is anything in them."""
    suspected: tuple[str, ...] = ()
    """Further rules that are suspected to be broken, and were not looked into."""
    other_failures: int = 0
    """How many more kinds of failed steps there are."""
    local_states: int
    adapter_calls: int
    """Steps that the adapter was asked for; the others stood in the table already."""

    @property
    def verdict(self) -> Judgement:
        """What it comes to."""
        if any(not finding.is_failure for finding in self.findings):
            return "violates"
        if self.findings:
            return "failed-step"
        is_known = self.exploration.verdict == "holds" and not self.shortfalls
        is_suspected = self.unresolved or self.suspected
        return "conforms" if is_known and not is_suspected else "inconclusive"

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """What did not happen within the bounds, so that it says little that nothing is
        violated."""
        if self.findings or self.exploration.verdict != "holds":
            return ()
        return exploration_shortfalls(self.exploration.reached, self.hidden)

    @property
    def vacuous(self) -> dict[str, tuple[str, ...]]:
        """The properties and rules that nothing could have broken, and the milestones that each one
        lacked."""
        if self.exploration.verdict == "violated":
            return {}
        return judged_vacuously(self.setup.space, self.hidden, self.exploration.reached)


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
    budget, deadline = budget.begun()
    with deadline.phase("starting the adapter"):
        first = Learner(setup.adapter, means.workers, table, deadline=deadline)
    with first as learner:
        return _Inquiry(setup, learner, budget, means, on_progress).result()


class _Inquiry:
    """One exploration and all that follows from it, as far as there is time."""

    def __init__(
        self,
        setup: ForeignSetup,
        learner: Learner,
        budget: Budget,
        means: Means,
        on_progress: Callable[[Figures], None],
    ) -> None:
        self._setup = setup
        self._space = setup.space
        self._learner = learner
        self._table = learner.table
        self._budget, self._deadline = budget.begun()
        self._means = means
        self._on_progress = on_progress
        self._node = ForeignNode(learner, setup.space.bounds)
        self._judge = Judge(setup.profile, self._table.hidden)
        self._judged, self._unjudged = judgeable(setup.space.chosen_properties, self._table.hidden)
        self._found = ForeignExploration()
        self._hearing = Hearing()
        self._suspicions: list[Suspicion] = []
        self._testimonies: list[Testimony] = []
        self._runs: list[ForeignReplay] = []
        """To violations of properties, and to failed steps."""
        self._confirmed: list[ForeignReplay] = []
        """Those that were done again."""

    def result(self) -> Conformance:
        """Look for all there is to find, do again what was found, and report it."""
        lacking = [field for field in NEEDED if field in self._table.hidden]
        if lacking:
            stopped_by = f"{', '.join(lacking)}, which bounds the exploration and is not observable"
            self._found.stopped_by = stopped_by
            return self._conformance()
        try:
            self._look()
        except KeyboardInterrupt as interrupt:
            self._deadline.interrupted(interrupt)
        try:
            with self._deadline.finishing(REDOING):
                self._confirm()
        except KeyboardInterrupt as interrupt:
            self._deadline.interrupted(interrupt)
        if (ended := self._deadline.ended) is not None:
            self._found.stopped_by = self._found.stopped_by or ended
            self._found.verdict = verdict(self._found)
        self._found.notes += _notes(self._learner)
        return self._conformance()

    def _confirm(self) -> None:
        """Do again what was found and was not done again yet.

        Raises:
            AdapterFailed: if a server does something else then.
            KeyboardInterrupt: if the deadline comes, or an interrupt.
        """
        for run in self._runs_in_order():
            if run not in self._confirmed:
                with self._deadline.phase("doing again what was found"):
                    confirm(self._setup.adapter, self._table, run, self._deadline.check)
                self._confirmed.append(run)

    def _look(self) -> None:
        """Look for what is wrong, the worst first.

        Raises:
            KeyboardInterrupt: if the deadline comes, or an interrupt.
        """
        deadline, space = self._deadline, self._space
        system = foreign_system(self._node, space, self._judged)
        found = self._found = self._explore(system)
        if found.violation is not None:
            self._runs.append(replayed(system, found, deadline))
        # What is found is done again before there is a search for more, so that it counts if that
        # takes all the time that is left.
        self._confirm()
        if space.rules:
            with deadline.phase("holding what was learnt against the rules"):
                hear(self._node, self._table, self._judge, self._hearing, deadline)
            self._follow_suspicions()
            self._confirm()
        with deadline.phase("looking for runs to failed steps"):
            failures = list(self._node.failures)[:MOST_FAILURES]
            self._runs += _failures(self._node, space, failures, self._explore)
        if not self._runs_in_order():
            with deadline.phase("doing again what was learnt"):
                for run in _walks(foreign_system(self._node, space, ())):
                    deadline.check()
                    confirm(self._setup.adapter, self._table, run)

    def _follow_suspicions(self) -> None:
        """See what there is in them, and what comes of it."""
        deadline = self._deadline
        diagnosed = {
            breach.rule for run in self._runs if (breach := first_breach(run, self._judge))
        }
        self._suspicions = [each for each in self._hearing.suspicions if each.rule not in diagnosed]
        for suspicion in self._suspicions[:MOST_BREACHES]:
            with deadline.phase(f"looking for a run that breaks {suspicion.rule.id}"):
                self._testimonies.append(
                    follow_up(
                        suspicion, self._node, self._space, self._judge, self._explore, deadline
                    )
                )
        if self._runs:
            return
        self._confirm()
        for rule in [each.suspicion.rule for each in self._testimonies if each.run is not None]:
            run = consequence(
                rule,
                self._learner,
                self._space,
                self._judged,
                self._judge,
                self._explore,
                deadline,
            )
            if run is not None:
                self._runs.append(run)

    def _explore(self, system: ForeignSystem, max_states: int | None = None) -> ForeignExploration:
        most = [limit for limit in (self._budget.max_states, max_states) if limit is not None]
        limited = replace(self._budget, max_states=min(most, default=None))
        return explore_system(system, limited, self._means, self._on_progress)

    def _runs_in_order(self) -> list[ForeignReplay]:
        """To violations of properties, then of rules, then to failed steps."""
        of_rules = [each.run for each in self._testimonies if each.run is not None]
        is_failure = [Finding(run, None).is_failure for run in self._runs]
        worst = [run for run, fails in zip(self._runs, is_failure, strict=True) if not fails]
        failed = [run for run, fails in zip(self._runs, is_failure, strict=True) if fails]
        return [*worst, *of_rules, *failed]

    def _findings(self, *, confirmed: bool) -> tuple[Finding, ...]:
        """Those that were done again, or those that were not."""
        rules = self._space.rules
        return tuple(
            Finding(run, first_breach(run, self._judge) if rules else None)
            for run in self._runs_in_order()
            if (run in self._confirmed) == confirmed
        )

    def _conformance(self) -> Conformance:
        findings, unconfirmed = self._findings(confirmed=True), self._findings(confirmed=False)
        return Conformance(
            setup=self._setup,
            engine=self._means.chosen_engine,
            name=self._table.init.name,
            judged=self._judged,
            hidden=self._table.hidden,
            unjudged=self._unjudged | self._hearing.undecided,
            exploration=self._found,
            steps_judged=self._hearing.steps,
            findings=findings,
            unconfirmed=next(iter(unconfirmed), None),
            unresolved=tuple(each for each in self._testimonies if each.stopped_by is not None),
            suspected=tuple(each.rule.id for each in self._suspicions[len(self._testimonies) :]),
            other_failures=len(list(self._node.failures)[MOST_FAILURES:]),
            local_states=self._table.states,
            adapter_calls=self._learner.calls,
        )


def _failures(
    node: ForeignNode, space: Setup, kinds: Sequence[str], explore: Explore
) -> list[ForeignReplay]:
    """For each kind of failed step the shortest run to one.

    All steps were learnt, so these explorations cost little; they know no properties but that no
    step of this kind fails.
    """
    runs = []
    for kind in kinds:
        node.failing = kind
        system = foreign_system(node, space, ())
        found = explore(system)
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


def _notes(learner: Learner) -> Iterator[str]:
    table = learner.table
    unknown = sorted({message.kind for message in table.messages if understood(message) is None})
    if unknown:
        yield (
            f"messages of the kinds {', '.join(unknown)} are none of Figure 2; what shows in such "
            f"messages alone was not seen"
        )
    outside = {each.destination for each in table.messages if each.destination > table.servers}
    if outside:
        yield describe_undelivered(outside)


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


def judged_vacuously(
    space: Setup, hidden: frozenset[str], reached: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """The properties and rules that are judged where these fields are hidden, and that nothing
    could have broken, with the milestones that each one lacked."""
    items = {item.name: item.exercised_by for item in space.chosen_properties}
    if space.rules:
        items |= {rule.id: rule.exercised_by for rule in RULES}
    lacking = unexercised(items, reached)
    skipped = unjudged(space, hidden)
    return {name: milestones for name, milestones in lacking.items() if name not in skipped}


def unjudged(space: Setup, hidden: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The properties and rules that cannot be judged where these fields are hidden, and for want of
    which of them."""
    _, properties = judgeable(space.chosen_properties, hidden)
    rules = RULES if space.rules else ()
    lacking = {rule.id: tuple(sorted(rule.observes & hidden)) for rule in rules}
    return properties | {rule_id: fields for rule_id, fields in lacking.items() if fields}
