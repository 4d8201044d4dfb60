"""What is asked of a cluster that ran, on sockets or simulated, and the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from model_check.cluster.history import COUNTING, as_history, miscounts
from model_check.deadline import Deadline
from model_check.linearizability.check import (
    Budget,
    Linearizable,
    NotLinearizable,
    Undecided,
    check,
)
from model_check.linearizability.models import KeyValueStore
from model_check.linearizability.words import explain, headline
from model_check.traces.happening import Trace, TraceError
from model_check.traces.judge import judge_trace
from raft_ref.cluster.history import Operation
from raft_ref.types import NodeId
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


def overall(judged: Iterable[Judgement]) -> Answer:
    """The worst answer; of no question, that it holds."""
    found = {each.answer for each in judged}
    order: tuple[Answer, ...] = ("violated", "inconclusive")
    return next((answer for answer in order if answer in found), "holds")


def alive(given_up: Mapping[NodeId, str]) -> Judgement:
    """Whether servers ended by themselves, with what last words."""
    question = "no server gives up"
    for server, words in given_up.items():
        lines = words.splitlines()
        reason, details = f"S{server} ended by itself: {lines[-1]}", tuple(lines[:-1])
        return Judgement(question, "violated", reason, details)
    return Judgement(question, "holds", "none ended that was not killed")


def counted(operations: Sequence[Operation]) -> Judgement:
    """Whether each session counted each call once."""
    question = "calls in sessions are applied exactly once"
    for problem in miscounts(operations):
        return Judgement(question, "violated", problem)
    count = sum(each.name == COUNTING for each in operations)
    return Judgement(question, "holds", f"{count:,} calls")


def linearizable(operations: Sequence[Operation]) -> Judgement:
    """Whether some key-value store that does one thing at a time would have answered so."""
    question = "the history is linearizable"
    found = check(as_history(operations), KeyValueStore(), Budget(max_seconds=MAX_SECONDS))
    work = found.work
    reason = f"{work.operations:,} operations on {work.keys:,} keys"
    match found:
        case NotLinearizable():
            details = tuple(explain(found))
            return Judgement(question, "violated", headline(found), details, work.seconds)
        case Undecided(keys):
            undecided = f"undecided for {len(keys):,} of {work.keys:,} keys"
            return Judgement(question, "inconclusive", undecided, (), work.seconds)
        case Linearizable():
            return Judgement(question, "holds", reason, (), work.seconds)


def conforms(read: Callable[[], Trace]) -> Judgement:
    """Whether the rules allow all that the servers' traces tell."""
    question = "the traces conform to the rules"
    start = time.monotonic()
    try:
        trace = read()
    except TraceError as error:
        return Judgement(question, "violated", f"they cannot be read: {error}")
    verdict = judge_trace(trace, PAPER, Deadline(MAX_SECONDS))
    seconds = time.monotonic() - start
    if (offence := verdict.offence) is not None:
        where = f"{offence.name} at {offence.happening.place}: {offence.explanation}"
        return Judgement(question, "violated", where, (), seconds)
    if (doubt := verdict.doubt) is not None:
        return Judgement(question, "inconclusive", doubt.reason, (), seconds)
    return Judgement(question, "holds", f"{verdict.matched:,} steps", (), seconds)
