"""Which runs to play on an implementation.

Those that betray the bugs of the catalogue (`mutants`), those of our core that take each of its
local steps (`cover`), and walks at random that prefer what was done least (`random`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias, get_args

from model_check.conformance.walks import BATCH, random_walks
from model_check.deadline import Deadline
from model_check.mutants import MUTANTS
from model_check.mutants.runs import recorded_runs
from model_check.raft import Bounds, RaftAction

ScheduleKind: TypeAlias = Literal["mutants", "cover", "random"]
SCHEDULE_KINDS: tuple[ScheduleKind, ...] = get_args(ScheduleKind)

JOB = 20
"""Runs that are handed to a worker at once."""
WALKS = 1000
"""Walks at random, unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to play."""

    kinds: tuple[ScheduleKind, ...] = SCHEDULE_KINDS
    walks: int = WALKS
    seed: int = 0
    workers: int | None = None
    """Processes, each with an adapter of its own; None for as many as there are processors. What is
    found does not depend on it."""

    def cover_bounds(self, servers: int) -> Bounds:
        """The bounds within which the core's local steps are covered."""
        return Bounds(servers=servers, max_term=2 if servers <= 3 else 1, values=1)


@dataclass(frozen=True)
class Job:
    """Some runs to play, or the number of a batch of walks."""

    kind: ScheduleKind
    runs: tuple[tuple[RaftAction, ...], ...] = ()
    batch: int = 0
    walks: int = 0
    seed: int = 0
    is_last: bool = False
    """Of its kind; those of the next may take a while to make."""


def named_runs(plan: Plan, servers: int) -> Iterator[tuple[str, Sequence[RaftAction]]]:
    """All runs of a plan, each with a name."""
    mutants, numbers = iter(_betraying(servers)), {kind: count() for kind in plan.kinds}
    for job in jobs(plan, servers):
        for run in runs_of(job, servers):
            name = next(mutants) if job.kind == "mutants" else next(numbers[job.kind])
            yield f"{job.kind}[{name}]", run


def _betraying(servers: int) -> dict[str, tuple[RaftAction, ...]]:
    """The runs of all mutants with so many servers, by their ids."""
    return {
        name: run
        for name, run in recorded_runs().items()
        if MUTANTS[name].bounds.servers == servers
    }


def jobs(plan: Plan, servers: int, deadline: Deadline | None = None) -> Iterator[Job]:
    """All that is to be played, in portions.

    Raises:
        OutOfTime: if the deadline comes while some are made.
    """
    deadline = deadline or Deadline()
    for kind in plan.kinds:
        match kind:
            case "mutants":
                yield from _in_jobs(kind, list(_betraying(servers).values()))
            case "cover":
                # Imported here, since it takes a second, and not everyone has a use for it.
                from model_check.cover import cover

                with deadline.phase("making the covering runs"):
                    covering = cover(plan.cover_bounds(servers), deadline=deadline)
                yield from _in_jobs(kind, covering.runs)
            case "random":
                for batch, first in enumerate(range(0, plan.walks, BATCH)):
                    walks = min(BATCH, plan.walks - first)
                    yield Job(kind, batch=batch, walks=walks, seed=plan.seed)


def runs_of(job: Job, servers: int) -> Sequence[Sequence[RaftAction]]:
    """The runs of a portion; those at random are made here."""
    if job.kind != "random":
        return job.runs
    return random_walks(servers, job.seed, job.batch)[: job.walks]


def _in_jobs(kind: ScheduleKind, runs: Sequence[tuple[RaftAction, ...]]) -> Iterator[Job]:
    for first in range(0, len(runs), JOB):
        yield Job(kind, tuple(runs[first : first + JOB]), is_last=first + JOB >= len(runs))
