"""A torture run, judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from model_check.cluster.questions import Judgement, alive, conforms, counted, linearizable
from model_check.traces.files import read_trace
from raft_ref.cluster.commands import Words, as_commands
from raft_ref.cluster.history import Operation
from raft_ref.cluster.replies import Count, Done
from raft_ref.cluster.torture.run import Outcome
from raft_ref.types import Log


def judgements(outcome: Outcome, traces: Sequence[Path]) -> Iterator[Judgement]:
    """All questions and answers; the traces take longest, and come last."""
    yield alive(outcome.given_up)
    yield _settled(outcome)
    yield _converged(outcome)
    yield _kept(outcome)
    yield counted(outcome.operations)
    yield linearizable(outcome.operations)
    yield conforms(lambda: read_trace(traces, "raft-ref"))


def _settled(outcome: Outcome) -> Judgement:
    question = "once all is mended, the cluster serves and agrees"
    if outcome.unsettled is not None:
        return Judgement(question, "violated", outcome.unsettled)
    return Judgement(question, "holds", f"up to entry {outcome.committed:,}, store and sessions")


def _converged(outcome: Outcome) -> Judgement:
    """What is on the disks, too, up to where it is committed."""
    question = "all logs are the same"
    logs = {log.between(0, outcome.committed) for log in outcome.logs.values()}
    if len(logs) > 1:
        return Judgement(question, "violated", "what is stored as committed differs")
    return Judgement(
        question, "holds", f"{outcome.committed:,} entries on {len(outcome.logs)} disks"
    )


def _kept(outcome: Outcome) -> Judgement:
    question = "no acknowledged write is lost"
    acknowledged = [each.words for each in outcome.operations if _is_acknowledged_write(each)]
    for number, log in outcome.logs.items():
        stored = set(_commands(log))
        for words in acknowledged:
            if words not in stored:
                shown = b" ".join(words).decode()
                return Judgement(question, "violated", f"{shown} is not in the log of S{number}")
    reason = f"each of {len(acknowledged):,} is in all {len(outcome.logs)} logs"
    return Judgement(question, "holds", reason)


def _is_acknowledged_write(operation: Operation) -> bool:
    """Of those that write a value of their own, by which they can be found."""
    done = operation.reply in (Done(), Count(1))
    return operation.name in ("SET", "CAS") and done


def _commands(log: Log) -> Iterator[Words]:
    for entry in log.between(0, log.last_index):
        yield from as_commands(entry.command)
