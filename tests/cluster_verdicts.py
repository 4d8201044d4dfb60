"""What a run of a cluster must come to: each verdict says what is wrong, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from model_check.cluster.history import COUNTING, anomalies, miscounts
from model_check.traces import own
from model_check.traces.happening import Place, PlacedLines
from model_check.traces.judge import judge_trace
from model_check.traces.verdict import TraceVerdict
from raft_ref.cluster.history import Operation
from raft_ref.cluster.replies import Value
from raft_ref.cluster.simulation import Outcome
from raft_ref.types import NodeId
from spec.profiles import PAPER


def problems(outcome: Outcome, *, judges_traces: bool = True) -> Iterator[str]:
    """All that is wrong with a run."""
    yield from divergence(outcome)
    yield from miscounts(outcome.history)
    yield from anomalies([*outcome.history, *last_reads(outcome)])
    if judges_traces:
        verdict = judged(outcome.traces)
        if verdict.offence is not None:
            yield f"{verdict.offence.name}: {verdict.offence.explanation}"
        elif verdict.verdict != "conforms":
            yield f"the traces are {verdict.verdict}"


def judged(traces: Mapping[NodeId, bytes]) -> TraceVerdict:
    """What `raft-ref trace` says of the traces of all servers."""
    return judge_trace(own.read(_placed(traces)), PAPER)


def _placed(traces: Mapping[NodeId, bytes]) -> PlacedLines:
    for server, trace in traces.items():
        for number, line in enumerate(trace.splitlines(), start=1):
            yield Place(number, f"S{server}"), line


def divergence(outcome: Outcome) -> Iterator[str]:
    """Whether servers that were left in peace do not hold the same."""
    if len({state.log for state in outcome.states.values()}) > 1:
        yield "the logs differ in the end"
    if len({state.commit_index for state in outcome.states.values()}) > 1:
        yield "not the same is committed in the end"
    if len({str(sorted(store.items())) for store in outcome.stores.values()}) > 1:
        yield "the stores differ in the end"


def last_reads(outcome: Outcome) -> Iterator[Operation]:
    """What stands in the stores, as if a last client had read it."""
    for store in outcome.stores.values():
        for key in {each.key.encode() for each in outcome.history if each.name != COUNTING}:
            reply = Value(store.get(key))
            yield Operation(0, (b"GET", key), float("inf"), float("inf"), reply)
