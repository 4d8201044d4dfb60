"""A schedule done again, on a fresh process."""

from __future__ import annotations

from dataclasses import dataclass

from model_check.conformance.confirm import confirm
from model_check.conformance.explore import ForeignSetup, Judgement, unjudged
from model_check.conformance.finding import Finding, first_breach, until
from model_check.conformance.learner import Learner
from model_check.conformance.node import ForeignReplay, ScheduledNode, foreign_system, judgeable
from model_check.conformance.schedule import Schedule
from model_check.counterexample import replay
from model_check.judged import Breach
from spec.judge import Judge


@dataclass(frozen=True, kw_only=True)
class Redone:
    """What came of it."""

    setup: ForeignSetup
    name: str
    """What the adapter calls the implementation."""
    run: ForeignReplay
    breach: Breach | None
    """The first rule that is broken in it. If no property is violated, it ends there."""
    judged: tuple[str, ...]
    """The properties that could be judged."""
    unjudged: dict[str, tuple[str, ...]]
    """The others, and for want of what."""
    hidden: frozenset[str]
    """The fields of a server's state that the adapter does not show."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What it leads to, if it leads there still."""
        return () if self.run.violation is None else (Finding(self.run, self.breach),)

    @property
    def verdict(self) -> Judgement | None:
        """The verdict on the implementation; nothing, if it leads nowhere any more."""
        for finding in self.findings:
            return "failed-step" if finding.is_failure else "violates"
        return None


def redo(setup: ForeignSetup, schedule: Schedule) -> Redone:
    """``schedule`` done again, judged by all that the observations allow.

    Raises:
        AdapterFailed: if the adapter is at fault.
    """
    with Learner(setup.adapter, workers=1) as learner:
        hidden = learner.table.hidden
        judged, _ = judgeable(setup.space.chosen_properties, hidden)
        node = ScheduledNode(learner, setup.space.bounds, schedule.actions)
        run = replay(foreign_system(node, setup.space, judged), schedule.actions)
        confirm(setup.adapter, learner.table, run)
        breach = first_breach(run, Judge(setup.profile, hidden)) if setup.space.rules else None
        if run.violation is None and breach is not None:
            run = until(run, breach)
        return Redone(
            setup=setup,
            name=learner.table.init.name,
            run=run,
            breach=breach,
            judged=tuple(item.name for item in judged),
            unjudged=unjudged(setup.space, hidden),
            hidden=hidden,
        )
