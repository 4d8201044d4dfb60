"""Many runs played on an implementation, one after the other, until one of them accuses it.

For implementations, or parts of what they do, that an exhaustive exploration does not reach.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from model_check.check import Means, explore_system
from model_check.conformance.confirm import confirm
from model_check.conformance.consequence import FIRST_LOOK, consequence
from model_check.conformance.coverage import Coverage, Shortfall, shortfalls
from model_check.conformance.difference import first_difference
from model_check.conformance.explore import (
    ForeignExploration,
    ForeignSetup,
    Judgement,
    judged_vacuously,
    unjudged,
)
from model_check.conformance.finding import Finding, first_breach
from model_check.conformance.learner import Learner
from model_check.conformance.node import ForeignSystem, judgeable
from model_check.conformance.plan import Job, Plan, ScheduleKind, jobs, runs_of
from model_check.conformance.play import Player
from model_check.conformance.process import AdapterFailed
from model_check.deadline import REDOING, Deadline
from model_check.explore import Budget
from model_check.raft import RaftAction
from model_check.workers import leaving_interrupts_to_the_parent, workers
from spec.judge import Judge
from spec.rules import RULES_BY_ID

PLAYING = "playing runs"


@dataclass(kw_only=True)
class Progress(Coverage):
    """How far it has come."""

    runs: Counter[ScheduleKind] = field(default_factory=Counter)
    """How many were played of each kind."""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of it."""

    setup: ForeignSetup
    plan: Plan
    name: str
    """What the adapter calls the implementation."""
    progress: Progress
    unjudged: dict[str, tuple[str, ...]]
    """The properties and rules that could not be judged, and for want of what."""
    hidden: frozenset[str]
    """The fields of a server's state that the adapter does not show."""
    findings: tuple[Finding, ...] = ()
    """The first accusation, as short as leaving out actions makes it; and what comes of it."""
    unconfirmed: Finding | None = None
    """An accusation that there was no time to do again, so that it does not count."""
    stopped_by: str | None = None
    """Why not everything was played."""

    @property
    def judged(self) -> tuple[str, ...]:
        """The properties that could be judged."""
        return tuple(name for name in self.setup.space.properties if name not in self.unjudged)

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """Why it says little that nothing was violated, if it does."""
        is_judged = self.findings or self.unconfirmed is not None
        return () if is_judged else shortfalls(self.progress, self.hidden)

    @property
    def vacuous(self) -> dict[str, tuple[str, ...]]:
        """The properties and rules that nothing could have broken, and the milestones each one
        lacked."""
        if self.findings or self.unconfirmed is not None:
            return {}
        return judged_vacuously(self.setup.space, self.hidden, self.progress.reached)

    @property
    def verdict(self) -> Judgement:
        """What it comes to."""
        if any(not finding.is_failure for finding in self.findings):
            return "violates"
        if self.findings:
            return "failed-step"
        is_known = self.stopped_by is None and not self.shortfalls
        return "conforms" if is_known else "inconclusive"


def try_out(
    setup: ForeignSetup,
    plan: Plan,
    on_progress: Callable[[Progress], None] = lambda _: None,
    deadline: Deadline | None = None,
) -> Trial:
    """Play everything that is planned; what is found is done again before it counts.

    When the deadline comes, or an interrupt, it ends with what was done; what is found by then is
    as short as it is.

    Raises:
        AdapterFailed: if the adapter is at fault.
    """
    started, deadline = time.monotonic(), deadline or Deadline()
    progress = Progress()
    accused: _Accused | None = None
    with deadline.phase("starting the adapter"):
        first = _player(setup)
    with closing(first) as player:
        name, hidden = player.table.init.name, player.table.hidden
        unseen = unjudged(setup.space, hidden)
        try:
            for verdict in _in_order(setup, plan, deadline):
                progress.runs[verdict.kind] += verdict.runs
                progress.add(verdict.coverage)
                progress.seconds = time.monotonic() - started
                on_progress(progress)
                accused = verdict.accused
                if accused is not None:
                    break
                with deadline.phase(PLAYING):
                    pass
        except KeyboardInterrupt as interrupt:
            deadline.interrupted(interrupt)
        findings = () if accused is None else _findings(setup, plan, player, accused, deadline)
    return Trial(
        setup=setup,
        plan=plan,
        name=name,
        progress=progress,
        unjudged=unseen  # first, as it stands in the specification
        | {rule: lacking for rule, lacking in progress.undecided.items() if rule not in unseen},
        hidden=hidden,
        findings=findings,
        unconfirmed=accused.finding if accused is not None and not findings else None,
        stopped_by=deadline.ended,
    )


# --- the work ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Accused:
    """A run that accuses somebody, and of what."""

    run: tuple[RaftAction, ...]
    finding: Finding


@dataclass(frozen=True)
class _JobDone:
    """What came of some runs, up to the first that accuses somebody."""

    kind: ScheduleKind
    runs: int
    coverage: Coverage
    accused: _Accused | None


def _in_order(setup: ForeignSetup, plan: Plan, deadline: Deadline) -> Iterator[_JobDone]:
    """The jobs done, each by some worker, in their order."""
    count = plan.workers or os.cpu_count() or 1
    with workers(count, partial(_set_up, setup)) as pool:
        pending: deque[Future[_JobDone | AdapterFailed]] = deque()
        for job in jobs(plan, setup.adapter.servers, deadline):
            with leaving_interrupts_to_the_parent():
                pending.append(pool.submit(_do, job))
            # The next may take long to make: what is accused by then is not kept waiting.
            while pending and (job.is_last or len(pending) > 2 * count):
                yield _result(pending.popleft(), deadline)
        while pending:
            yield _result(pending.popleft(), deadline)


def _result(future: Future[_JobDone | AdapterFailed], deadline: Deadline) -> _JobDone:
    with deadline.phase(PLAYING):
        while not future.done():
            wait([future], deadline.left)
            deadline.check()
    result = future.result()
    if isinstance(result, AdapterFailed):
        raise result
    return result


_OWN: list[Player] = []
"""The player of this process, once it has one."""
_SETUP: list[ForeignSetup] = []


def _set_up(setup: ForeignSetup) -> None:
    _SETUP.append(setup)


def _do(job: Job) -> _JobDone | AdapterFailed:
    try:
        if not _OWN:
            _OWN.append(_player(_SETUP[0]))
        return _played(job, _OWN[0])
    except AdapterFailed as failed:
        return failed


def _played(job: Job, player: Player) -> _JobDone:
    coverage, played_runs = Coverage(), 0
    accused: _Accused | None = None
    for run in runs_of(job, len(player.table.initial)):
        played = player.play(run)
        played_runs += 1
        coverage.add(played.coverage)
        if played.finding is not None:
            accused = _Accused(tuple(run), played.finding)
            break
    return _JobDone(job.kind, played_runs, coverage, accused)


def _player(setup: ForeignSetup) -> Player:
    return Player(setup.adapter, setup.space, setup.profile, asks_for_leader=True)


# --- what was found ------------------------------------------------------------------------------


def accusation(
    player: Player, run: Sequence[RaftAction], deadline: Deadline | None = None
) -> Finding:
    """What is wrong with ``run``, with as little of it as that takes, done again.

    When the deadline comes, or an interrupt, it is as short as it is by then: shortening ends early
    enough for the rest to be done again.

    Raises:
        AdapterFailed: if a fresh process does something else.
        OutOfTime: if there is no time to do it again.
    """
    deadline = deadline or Deadline()
    began = deadline.left
    with deadline.finishing(REDOING):
        shortest = player.play(run, deadline.check)
    cost = 0.0 if began is None or deadline.left is None else began - deadline.left
    first = shortest.finding
    if first is None:
        raise AdapterFailed(
            "the servers did something else when the same run was played again: nothing is "
            "violated any more"
        )

    def is_same(rest: tuple[RaftAction, ...]) -> bool:
        nonlocal shortest
        played = player.play(rest, partial(deadline.check, cost))
        if not _is_same(played.finding, first):
            return False
        shortest = played
        return True

    try:
        with deadline.phase("shortening the run"):
            shortened(tuple(run), is_same)
    except KeyboardInterrupt as interrupt:
        deadline.interrupted(interrupt)
    before = shortest.run.moments
    with deadline.finishing(REDOING):
        again = player.again([moment.action for moment in before], deadline.check)
    if again.finding is None or not _is_same(again.finding, first):
        where = first_difference(before, again.run.moments)
        raise AdapterFailed(
            f"the servers did something else on a fresh process: {first.violation.property} was "
            f"violated before" + (f"; {where}" if where else "")
        )
    return again.finding


def _findings(
    setup: ForeignSetup,
    plan: Plan,
    player: Player,
    accused: _Accused,
    deadline: Deadline,
) -> tuple[Finding, ...]:
    """The accusation, if there is time to do it again; and before it what comes of it, if there is
    time to find out."""
    finding: Finding | None = None
    try:
        finding = accusation(player, accused.run, deadline)
        if finding.violation.property not in RULES_BY_ID:
            return (finding,)
        return (*_consequence(setup, plan, finding, deadline), finding)
    except KeyboardInterrupt as interrupt:
        deadline.interrupted(interrupt)
        return () if finding is None else (finding,)


def _is_same(finding: Finding | None, first: Finding) -> bool:
    """Whether the same is violated, and the same rule is broken first."""
    if finding is None or finding.violation.property != first.violation.property:
        return False
    rules = (each.breach.rule if each.breach is not None else None for each in (finding, first))
    return next(rules) == next(rules)


def _consequence(
    setup: ForeignSetup, plan: Plan, finding: Finding, deadline: Deadline
) -> Iterator[Finding]:
    """A run in which a property is violated by who breaks this rule, if a first look finds one."""
    assert finding.breach is not None
    deadline.check()
    with Learner(setup.adapter, plan.workers, deadline=deadline) as learner:
        hidden = learner.table.hidden
        judge = Judge(setup.profile, hidden)
        properties, _ = judgeable(setup.space.chosen_properties, hidden)

        def explore(system: ForeignSystem, max_states: int | None = None) -> ForeignExploration:
            budget = Budget(max_states=max_states or FIRST_LOOK, deadline=deadline)
            eager = setup.space.network == "replayable"
            return explore_system(system, budget, Means(workers=plan.workers, eager=eager))

        rule = finding.breach.rule
        run = consequence(rule, learner, setup.space, properties, judge, explore, deadline)
        if run is not None:
            with deadline.finishing(REDOING):
                confirm(setup.adapter, learner.table, run, deadline.check)
            yield Finding(run, first_breach(run, judge))


def shortened(
    run: tuple[RaftAction, ...], is_same: Callable[[tuple[RaftAction, ...]], bool]
) -> tuple[RaftAction, ...]:
    """``run`` without what can be left out, larger pieces first."""
    size = len(run) // 2
    while size:
        start, before = 0, len(run)
        while start < len(run):
            rest = run[:start] + run[start + size :]
            if is_same(rest):
                run = rest
            else:
                start += size
        if size == 1 and len(run) < before:
            continue
        size //= 2
    return run
