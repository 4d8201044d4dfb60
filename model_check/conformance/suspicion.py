"""The rules held against what was learnt of foreign servers.

Each step that was learnt is looked at in the light of all that may have arrived before it, at that
server alone: whether one run of the whole cluster brings all of it together is another question. So
a rule that is obeyed there is obeyed, in every run that was explored; one that is broken is
*suspected*, until there is a run of the cluster in which it is.

Found so, the rules cost no more than what one server can do. With the judge's evidence in the state
of the cluster there may be a hundred times more states than without.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from model_check.conformance.node import ForeignNode, in_core_terms
from model_check.conformance.observed import (
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    witnessed,
)
from model_check.conformance.table import Table
from model_check.deadline import Deadline
from model_check.judged import Bench, JudgedNode, server_of
from model_check.relaxed import Possible, relaxation
from model_check.system import Node
from raft_ref import NodeId, NodeState
from spec.forms import Step
from spec.judge import Judge
from spec.rule import Broken, NotDecidable, Rule
from spec.rules import RULES


class Suspicion(NamedTuple):
    """A step that breaks a rule, if what arrived before it was no more than it may have been."""

    rule: Rule
    node: NodeId
    before: ObservedState
    event: ForeignEvent
    broken: Broken


@dataclass
class Hearing:
    """What the rules make of all steps that were learnt."""

    steps: int = 0
    """How many were judged, in different light."""
    suspicions: list[Suspicion] = field(default_factory=list)
    """For each rule the step that breaks it and needs the least before it."""
    undecided: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The rules that could not be judged, at least once, and for want of what."""


JudgedForeignNode = JudgedNode[ForeignEvent, ForeignOutput, ForeignMessage]


def judged_node(node: ForeignNode, rules: Iterable[Rule]) -> JudgedForeignNode:
    """The servers behind an adapter, with as much evidence as ``rules`` ask for."""
    evidence = frozenset(name for rule in rules for name in rule.allowed_by)
    server = cast("Node[NodeState, ForeignEvent, ForeignOutput, ForeignMessage]", node)
    return JudgedNode(server, witnessed, evidence)


def hear(
    node: ForeignNode,
    table: Table,
    judge: Judge,
    hearing: Hearing | None = None,
    deadline: Deadline | None = None,
) -> Hearing:
    """Hold every step in ``table`` against every rule; what comes of it is noted in ``hearing``.

    Raises:
        OutOfTime: if the deadline comes before that is done.
    """
    hearing, deadline = hearing or Hearing(), deadline or Deadline()
    for evidence in dict.fromkeys(rule.allowed_by for rule in RULES):
        alike = tuple(rule for rule in RULES if rule.allowed_by == evidence)
        hidden = {rule.id: tuple(sorted(rule.observes & judge.unobserved)) for rule in alike}
        hearing.undecided |= {rule: fields for rule, fields in hidden.items() if fields}
        rules = tuple(rule for rule in alike if not hidden[rule.id])
        if rules:
            _hear(node, table, Bench(node.count, judge), rules, hearing, deadline)
    hearing.suspicions.sort(key=lambda suspicion: RULES.index(suspicion.rule))
    return hearing


def _hear(
    node: ForeignNode,
    table: Table,
    bench: Bench,
    rules: tuple[Rule, ...],
    hearing: Hearing,
    deadline: Deadline,
) -> None:
    def is_known(possible: Possible[NodeState, ForeignEvent]) -> bool:
        number, state, event = possible
        return (number, cast(ObservedState, server_of(state)), event) in table

    suspected: set[Rule] = set()
    for move in relaxation(judged_node(node, rules), is_known):
        deadline.check()
        if move.outcome.failure is not None:
            continue
        after, outputs = move.outcome.state, move.outcome.outputs
        step = in_core_terms(Step(move.node, move.before, move.event, after, outputs))
        hearing.steps += 1
        for rule in rules:
            match bench.verdict(rule, step):
                case Broken() as broken if rule not in suspected:
                    suspected.add(rule)
                    before = cast(ObservedState, server_of(move.before))
                    suspicion = Suspicion(rule, move.node, before, move.event, broken)
                    hearing.suspicions.append(suspicion)
                case NotDecidable(unobserved):
                    hearing.undecided.setdefault(rule.id, unobserved)
                case Broken() | None:
                    pass
