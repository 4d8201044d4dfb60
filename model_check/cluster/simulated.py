"""Simulated runs, judged: many of them, in the order of their seeds, until one is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from model_check.cluster.history import COUNTING, write_history
from model_check.cluster.questions import (
    Answer,
    Judgement,
    alive,
    conforms,
    counted,
    linearizable,
    overall,
)
from model_check.traces import own
from model_check.traces.happening import Place, PlacedLines, Trace
from model_check.workers import leaving_interrupts_to_the_parent, workers
from raft_ref.cluster.history import Operation
from raft_ref.cluster.replies import Value
from raft_ref.cluster.simulation import Outcome, Scale, simulate
from raft_ref.types import NodeId

CHUNK = 10
"""How many runs a worker is given at once."""


# --- one run -------------------------------------------------------------------------------------


def judgements(outcome: Outcome, *, judges_traces: bool = True) -> Iterator[Judgement]:
    """All questions that are put to a run, and the answers."""
    yield alive(outcome.given_up)
    yield _converged(outcome)
    yield counted(outcome.history)
    yield linearizable([*outcome.history, *_last_reads(outcome)])
    if judges_traces:
        yield conforms(lambda: as_trace(outcome.traces))


def as_trace(traces: Mapping[NodeId, bytes]) -> Trace:
    """What the servers of a cluster have written, each one's own trace, as one.

    Raises:
        TraceError: if it is none.
    """
    return own.read(_placed(traces))


def _placed(traces: Mapping[NodeId, bytes]) -> PlacedLines:
    for server, trace in traces.items():
        for number, line in enumerate(trace.splitlines(), start=1):
            yield Place(number, f"S{server}"), line


def _converged(outcome: Outcome) -> Judgement:
    question = "servers that are left in peace agree"
    seen: dict[str, list[object]] = {
        "the logs": [state.log for state in outcome.states.values()],
        "the commit indexes": [state.commit_index for state in outcome.states.values()],
        "the stores": list(outcome.stores.values()),
    }
    for what, values in seen.items():
        if any(value != values[0] for value in values):
            return Judgement(question, "violated", f"{what} differ in the end")
    return Judgement(question, "holds", f"all {len(outcome.states)}")


def _last_reads(outcome: Outcome) -> Iterator[Operation]:
    """What stands in the stores, as if a last client had read it."""
    for store in outcome.stores.values():
        for key in {each.key.encode() for each in outcome.history if each.name != COUNTING}:
            reply = Value(store.get(key))
            yield Operation(0, (b"GET", key), float("inf"), float("inf"), reply)


# --- many ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Which runs."""

    scale: Scale
    seed: int
    """Of the first; each further one takes the next."""
    runs: int
    traces_every: int
    """The traces of one run in so many are judged, which takes longer than the run."""

    def judges_traces(self, seed: int) -> bool:
        """Whether they are, in this run."""
        return (seed - self.seed) % self.traces_every == 0


@dataclass(frozen=True, slots=True)
class Judged:
    """A run, and what is not as it should be."""

    seed: int
    counts: Mapping[str, int]
    """What happened, how often: the metrics of the run, its operations, traces judged."""
    wrong: tuple[Judgement, ...]


@dataclass(slots=True)
class Total:
    """What has come of runs, up to the first that violates something."""

    runs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[Judged] = field(default_factory=list)
    """Those in which something was violated, or not found out."""
    is_interrupted: bool = False

    def add(self, judged: Judged) -> None:
        """One more."""
        self.runs += 1
        self.counts.update(judged.counts)
        if judged.wrong:
            self.wrong.append(judged)

    @property
    def answer(self) -> Answer:
        """The worst answer; of less than was asked for, nothing holds."""
        found = overall(judgement for each in self.wrong for judgement in each.wrong)
        return "inconclusive" if found == "holds" and self.is_interrupted else found


def run_and_judge(series: Series, seed: int) -> Judged:
    """The run of one seed, judged."""
    outcome, judges_traces = simulate(seed, series.scale), series.judges_traces(seed)
    counts: Counter[str] = Counter(each.certainty for each in outcome.history)
    counts.update(asdict(outcome.metrics), traces=int(judges_traces))
    found = judgements(outcome, judges_traces=judges_traces)
    return Judged(seed, counts, tuple(each for each in found if each.answer != "holds"))


def run_and_judge_all(series: Series, jobs: int) -> Iterator[Judged]:
    """The runs in the order of their seeds, up to the first that violates something."""
    seeds, work = range(series.seed, series.seed + series.runs), partial(run_and_judge, series)
    with workers(jobs) as pool:
        results: Iterator[Judged]
        if jobs == 1:
            results = map(work, seeds)
        else:
            with leaving_interrupts_to_the_parent():
                results = pool.map(work, seeds, chunksize=CHUNK)
        for each in results:
            yield each
            if overall(each.wrong) == "violated":
                return


def keep(outcome: Outcome, directory: Path) -> None:
    """Write the clients' history and the servers' traces into a directory.

    Raises:
        OSError: if that cannot be done.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_history(outcome.history, directory)
    for server, trace in outcome.traces.items():
        path = directory / f"server-{server}" / "trace.ndjson"
        path.parent.mkdir()
        path.write_bytes(trace)
