"""What a run of a cluster must come to: each verdict says what is wrong, or nothing.

The history is not searched for an order that explains it, but held against what every order would
have to obey; each value is written once, so a read says which write it saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from model_check.traces import own
from model_check.traces.happening import Place, PlacedLines
from model_check.traces.judge import TraceVerdict, judge_trace
from raft_ref.cluster.replies import Count, Done, Value
from raft_ref.cluster.simulation import Operation, Outcome
from raft_ref.types import NodeId
from spec.profiles import PAPER


def problems(outcome: Outcome, *, judges_traces: bool = True) -> Iterator[str]:
    """All that is wrong with a run."""
    yield from divergence(outcome)
    yield from miscounts(outcome.history)
    yield from stale_reads([*outcome.history, *last_reads(outcome)])
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


def miscounts(history: Iterable[Operation]) -> Iterator[str]:
    """Counting calls in a session that were not applied exactly once each."""
    counted: dict[int, int] = {}
    for operation in history:
        if operation.name == "INCR":
            expected = counted[operation.client] = counted.get(operation.client, 0) + 1
            if operation.reply != Count(expected):
                yield f"call {expected} of client {operation.client} got {operation.reply}"


def last_reads(outcome: Outcome) -> Iterator[Operation]:
    """What stands in the stores, as if a last client had read it."""
    for store in outcome.stores.values():
        for key in {each.key.encode() for each in outcome.history if each.name != "INCR"}:
            reply = Value(store.get(key))
            yield Operation(0, (b"GET", key), float("inf"), float("inf"), reply)


def stale_reads(history: Sequence[Operation]) -> Iterator[str]:
    """Reads of what was not there: never written, or certainly replaced before the read began."""
    for key in {operation.key for operation in history if operation.name != "INCR"}:
        of_key = [operation for operation in history if operation.key == key]
        writes = [each for each in of_key if _may_write(each)]
        for read in of_key:
            if (seen := _seen(read)) is not None:
                yield from _stale(read, seen[0], writes)


def _seen(operation: Operation) -> tuple[bytes | None] | None:
    """What an operation says that it found, if it does."""
    match operation.name, operation.reply:
        case "GET", Value(data):
            return (data,)
        case "CAS", Count(1):
            return (operation.words[2],)
        case _:
            return None


def _may_write(operation: Operation) -> bool:
    return (
        operation.name in ("SET", "CAS", "DEL")
        and operation.certainty != "failed"
        and not (operation.name == "CAS" and operation.reply == Count(0))
    )


def _written(write: Operation) -> bytes | None:
    return None if write.name == "DEL" else write.words[-1]


def _certainly_wrote(write: Operation) -> bool:
    return isinstance(write.reply, Done | Count)


def _stale(read: Operation, value: bytes | None, writes: list[Operation]) -> Iterator[str]:
    sources = [write for write in writes if _written(write) == value and write.start <= read.end]
    if value is not None and not sources:
        yield f"{read} found {value!r}, which nobody had written"
        return
    # What was written by nobody was there before all; what may still be written later is later.
    latest_end = max(
        (write.end if _certainly_wrote(write) else float("inf") for write in sources), default=0.0
    )
    for write in writes:
        replaces = _certainly_wrote(write) and _written(write) != value
        if replaces and write.start > latest_end and write.end < read.start:
            yield f"{read} found {value!r}, which {write} had replaced"
            return
