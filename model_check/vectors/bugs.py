"""What the known bugs of the catalogue answer where the core answers something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

from model_check.cover import LocalStep
from model_check.interned import Memo
from model_check.judged import STRICT
from model_check.mutants import MUTANTS, Mutant
from model_check.mutants.node import MutantNode
from model_check.raft import Bounds, RaftNode
from model_check.system import Outcome, attempt
from model_check.vectors.taken import Taken
from raft_ref import Message, NodeId, NodeState, Output, Transition
from spec.conduct import watch
from spec.judge import single_steps
from spec.rule import Broken, Rule
from spec.rules import RULES

RaftOutcome: TypeAlias = Outcome[NodeState, Output, Message]

BUGS: Mapping[str, Mutant] = {
    name: mutant for name, mutant in MUTANTS.items() if mutant.kind == "bug"
}


def remembers(bug: Mutant) -> bool:
    """Whether its servers remember more than Raft asks for, so that a single step says little."""
    return bug.crash_leaves is not None or type(bug.initial) is not NodeState


@dataclass(frozen=True)
class WrongAnswer:
    """An answer that some bugs give, and that breaks rules."""

    answer: Transition
    bugs: tuple[str, ...]
    breaks: tuple[Rule, ...]


class Suspects:
    """All bugs, asked what they would have answered."""

    def __init__(self, cluster: Bounds) -> None:
        self._core = RaftNode(cluster)
        nodes = {name: MutantNode(cluster, bug) for name, bug in BUGS.items()}
        self._nodes = {name: node for name, node in nodes.items() if not remembers(node.mutant)}
        self._remembering = {
            name: _Remembering(node) for name, node in nodes.items() if remembers(node.mutant)
        }
        self._answers: Memo[LocalStep, dict[str, RaftOutcome]] = Memo(self._find_answers)

    def answers(self, step: LocalStep) -> dict[str, RaftOutcome]:
        """By bug that answers otherwise than the core: what."""
        return self._answers[step]

    def _find_answers(self, step: LocalStep) -> dict[str, RaftOutcome]:
        outcome = self._core.step(*step)
        right = Transition(outcome.state, outcome.outputs)
        answers = {name: _answer(node, step) for name, node in self._nodes.items()}
        return {name: answer for name, answer in answers.items() if not _is(answer, right)}

    def wrong_answers(self, taken: Taken) -> Iterator[WrongAnswer]:
        """Those that break a rule, given what has happened to the server before."""
        bugs: dict[Transition, list[str]] = {}
        for name, answer in self.answers(taken.local).items():
            if answer.failure is None:
                bugs.setdefault(_visible(answer), []).append(name)
        for seen, names in bugs.items():
            breaks = tuple(broken_rules(taken, seen))
            if breaks:
                yield WrongAnswer(seen, tuple(names), breaks)

    def seen_in(self, run: Sequence[Taken]) -> frozenset[str]:
        """The bugs that answer otherwise than the core somewhere in a run of it."""
        at_once = {name for taken in run for name in self.answers(taken.local)}
        later = {name for name, each in self._remembering.items() if each.differs_in(run)}
        return frozenset(at_once | later)


class _Remembering:
    """Servers with a bug for which they remember more than Raft asks for."""

    def __init__(self, node: MutantNode) -> None:
        self._node = node
        self._answers: Memo[LocalStep, RaftOutcome] = Memo(lambda step: _answer(node, step))

    def differs_in(self, run: Iterable[Taken]) -> bool:
        """Whether they answer otherwise than the core somewhere in a run of it."""
        states: dict[NodeId, NodeState] = {}
        for taken in run:
            number = taken.before.id
            state = states.get(number, self._node.initial(number))
            answer = self._answers[number, state, taken.event]
            if not _is(answer, taken.answer):
                return True
            states[number] = answer.state
        return False


def broken_rules(taken: Taken, answer: Transition) -> Iterator[Rule]:
    """The rules that ``answer`` breaks, given what has happened to the server before."""
    steps = tuple(single_steps(watch(taken.before, taken.event, answer.state, answer.outputs)))
    for rule in RULES:
        if isinstance(STRICT.judge(rule, steps), Broken):
            yield rule


def _answer(node: RaftNode, step: LocalStep) -> RaftOutcome:
    (outcome,) = attempt(node, *step)
    return outcome


def _is(answer: RaftOutcome, right: Transition) -> bool:
    return answer.failure is None and _visible(answer) == right


def _visible(outcome: RaftOutcome) -> Transition:
    """What can be seen of an outcome."""
    # The state may be of a subclass, which has more fields.
    seen = {field.name: getattr(outcome.state, field.name) for field in fields(NodeState)}
    return Transition(NodeState(**seen), outcome.outputs)
