"""Proving all obligations, each by a solver: `proved`, or `unknown`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from importlib.resources import files
from time import monotonic
from typing import Literal, TypeAlias

from model_check.deadline import Deadline
from model_check.proof.solvers import Attempt, SolverName, is_proved
from model_check.workers import leaving_interrupts_to_the_parent, workers
from spec.proof.obligations import Kind, Obligation
from spec.proof.smtlib import script

Verdict: TypeAlias = Literal["proved", "unknown"]


@dataclass(frozen=True, slots=True)
class Try:
    """Of which hypotheses, and how, a solver is asked."""

    narrow: bool
    """Of those alone that a proof was once found to need (`NEEDS`); else, of all."""
    milliseconds: int
    by_models: bool = True


TRIES = (
    Try(narrow=True, milliseconds=1_500),
    Try(narrow=True, milliseconds=1_500, by_models=False),
    Try(narrow=True, milliseconds=4_000),
    Try(narrow=True, milliseconds=4_000, by_models=False),
    Try(narrow=False, milliseconds=3_000),
    Try(narrow=False, milliseconds=3_000, by_models=False),
    Try(narrow=True, milliseconds=12_000),
)
"""One after the other, each with another seed, until one proves it."""

NEEDS: dict[str, list[str]] = json.loads((files("spec.proof") / "needs.json").read_text("utf-8"))
"""By obligation: the hypotheses that a proof was found to need (an unsat core). A hint, no more: a
proof from fewer hypotheses is one from all, and where they are not enough, all are tried."""


@dataclass(frozen=True, slots=True)
class Question:
    """An obligation as it is put to solvers."""

    name: str
    kind: Kind
    action: str
    about: str
    narrow: str
    wide: str

    @classmethod
    def of(cls, obligation: Obligation) -> Question:
        """The question whether it holds."""
        known = obligation.hypotheses
        needed = NEEDS.get(obligation.name)
        few = known if needed is None else {name: known[name] for name in needed if name in known}
        return cls(
            obligation.name,
            obligation.kind,
            obligation.action,
            obligation.about,
            script(few, obligation.goal),
            script(known, obligation.goal),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What a solver made of an obligation."""

    question: Question
    solver: SolverName
    verdict: Verdict
    seed: int
    """Of the attempt that proved it, or of the last."""
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of all obligations."""

    findings: tuple[Finding, ...]
    obligations: int
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """`proved` only if every obligation is, by every solver that was asked."""
        return "unknown" if self.unknown or not self.findings else "proved"

    @property
    def unknown(self) -> tuple[Finding, ...]:
        """What was not proved."""
        return tuple(each for each in self.findings if each.verdict == "unknown")

    @property
    def retried(self) -> tuple[Finding, ...]:
        """What was proved, but not at the first attempt."""
        return tuple(
            each for each in self.findings if each.verdict == "proved" and each.attempts > 1
        )


def settle(
    question: Question, solver: SolverName, seed: int, tries: tuple[Try, ...] = TRIES
) -> Finding:
    """Ask a solver until it proves an obligation, or there is nothing left to try."""
    start = monotonic()
    for number, each in enumerate(tries, start=1):
        text = question.narrow if each.narrow else question.wide
        attempt = Attempt(seed + number - 1, each.milliseconds, each.by_models)
        if is_proved(solver, text, attempt):
            break
    else:
        spent = monotonic() - start
        return Finding(question, solver, "unknown", seed + len(tries) - 1, len(tries), spent)
    return Finding(question, solver, "proved", attempt.seed, number, monotonic() - start)


def prove(
    obligations: Iterable[Obligation],
    solvers: tuple[SolverName, ...] = ("z3",),
    *,
    jobs: int = 2,
    deadline: Deadline | None = None,
    seed: int = 0,
    tries: tuple[Try, ...] = TRIES,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Proof:
    """Put every obligation to every solver; what is not done when the deadline comes, or an
    interrupt, is unknown.

    Raises:
        KeyboardInterrupt: if it comes before any is put to any.
    """
    start, deadline = monotonic(), deadline or Deadline()
    questions = []
    with deadline.phase("writing down what is to be proved"):
        for obligation in obligations:
            deadline.check()
            questions.append(Question.of(obligation))
    asked = [(question, solver) for question in questions for solver in solvers]
    with workers(jobs) as pool:
        with leaving_interrupts_to_the_parent():
            futures = [pool.submit(settle, *each, seed, tries) for each in asked]
        try:
            with deadline.phase("proving"):
                for done in _as_they_are_done(futures, deadline):
                    on_progress(done, len(futures))
        except KeyboardInterrupt as interrupt:
            deadline.interrupted(interrupt)
        findings = tuple(
            future.result() if future.done() else Finding(question, solver, "unknown", seed, 0, 0.0)
            for future, (question, solver) in zip(futures, asked, strict=True)
        )
    return Proof(findings, len(questions), monotonic() - start)


def _as_they_are_done(futures: list[Future[Finding]], deadline: Deadline) -> Iterator[int]:
    """How many are done, again and again, until all are.

    Raises:
        OutOfTime: if the deadline comes before that.
    """
    waiting: set[Future[Finding]] = set(futures)
    while waiting:
        deadline.check()
        left = 0.5 if deadline.left is None else min(0.5, deadline.left)
        waiting = wait(waiting, timeout=left).not_done
        yield len(futures) - len(waiting)
