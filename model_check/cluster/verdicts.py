"""A torture run, judged: each question that is put to it, and the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from model_check.cluster.history import as_history, miscounts
from model_check.linearizability.check import Budget, NotLinearizable, Undecided, check
from model_check.linearizability.models import KeyValueStore
from model_check.linearizability.words import explain, headline
from model_check.traces.files import read_trace
from model_check.traces.happening import TraceError
from model_check.traces.judge import judge_trace
from raft_ref.cluster.commands import Words, as_commands
from raft_ref.cluster.history import Operation
from raft_ref.cluster.replies import Count, Done
from raft_ref.cluster.torture.run import Outcome
from raft_ref.types import Log
from spec.profiles import PAPER

Answer: TypeAlias = Literal["holds", "violated", "inconclusive"]

MAX_SECONDS = 600.0
"""For each of history and traces."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A question, and its answer."""

    question: str
    answer: Answer
    reason: str
    """In a line: of what it holds, or why it does not."""
    details: tuple[str, ...] = ()
    seconds: float = 0.0
    """How long it took to find out."""


def judgements(outcome: Outcome, traces: Sequence[Path]) -> Iterator[Judgement]:
    """All questions and answers; the traces take longest, and come last."""
    yield _alive(outcome)
    yield _settled(outcome)
    yield _converged(outcome)
    yield _kept(outcome)
    yield _counted(outcome)
    yield _linearizable(outcome)
    yield _conforms(traces)


def overall(answers: Sequence[Judgement]) -> Answer:
    """The worst of them."""
    found = {each.answer for each in answers}
    order: tuple[Answer, ...] = ("violated", "inconclusive", "holds")
    return next(answer for answer in order if answer in found)


def _alive(outcome: Outcome) -> Judgement:
    question = "no server gives up"
    for number, words in outcome.given_up.items():
        return Judgement(question, "violated", f"S{number} ended by itself: {words}")
    return Judgement(question, "holds", "none ended that was not killed")


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


def _counted(outcome: Outcome) -> Judgement:
    question = "calls in sessions are applied exactly once"
    for problem in miscounts(outcome.operations):
        return Judgement(question, "violated", problem)
    count = sum(each.name == "INCR" for each in outcome.operations)
    return Judgement(question, "holds", f"{count:,} calls")


def _linearizable(outcome: Outcome) -> Judgement:
    question = "the history is linearizable"
    found = check(as_history(outcome.operations), KeyValueStore(), Budget(max_seconds=MAX_SECONDS))
    work = found.work
    reason = f"{work.operations:,} operations on {work.keys:,} keys"
    match found:
        case NotLinearizable():
            details = tuple(explain(found))
            return Judgement(question, "violated", headline(found), details, work.seconds)
        case Undecided(keys):
            undecided = f"undecided for {len(keys):,} of {work.keys:,} keys"
            return Judgement(question, "inconclusive", undecided, (), work.seconds)
    return Judgement(question, "holds", reason, (), work.seconds)


def _conforms(paths: Sequence[Path]) -> Judgement:
    question = "the traces conform to the rules"
    start = time.monotonic()
    try:
        trace = read_trace(paths, "raft-ref")
    except TraceError as error:
        return Judgement(question, "violated", f"they cannot be read: {error}")
    verdict = judge_trace(trace, PAPER, MAX_SECONDS)
    seconds = time.monotonic() - start
    if (offence := verdict.offence) is not None:
        where = f"{offence.name} at {offence.happening.place}: {offence.explanation}"
        return Judgement(question, "violated", where, (), seconds)
    if (doubt := verdict.doubt) is not None:
        return Judgement(question, "inconclusive", doubt.reason, (), seconds)
    return Judgement(question, "holds", f"{verdict.matched:,} steps", (), seconds)
