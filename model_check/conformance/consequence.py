"""What comes of a broken rule: a run in which a property is violated, too.

Which rule a server breaks says little of how much it takes until something is lost. The bug
catalogue knows runs that lose something, for every rule that is needed: so the implementation is
explored where the environment does what it did in such a run, step by step, and only the network is
free. Whatever else its servers send, and when, does not matter then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import cast

from model_check.check import Setup, replayed
from model_check.conformance.learner import Learner
from model_check.conformance.node import (
    ForeignNode,
    ForeignReplay,
    foreign_system,
    in_core_terms,
)
from model_check.conformance.observed import (
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    witnessed,
)
from model_check.conformance.suspicion import JudgedForeignNode
from model_check.conformance.witness import Explore
from model_check.deadline import Deadline
from model_check.judged import Bench
from model_check.mutants import MUTANTS
from model_check.mutants.catalogue import breaking
from model_check.mutants.runs import recorded_runs
from model_check.raft import Bounds, RaftAction, scripted
from model_check.system import Node, Occur, Outcome
from raft_ref import NodeId, NodeState, Restart
from spec.forms import Property, Step
from spec.judge import Judge
from spec.rule import Broken, Rule
from spec.rules import RULES

UNBOUNDED = 1 << 30
FIRST_LOOK = 5_000_000
"""So many states of each script are explored before any has more of them."""


def consequence(
    rule: Rule,
    learner: Learner,
    space: Setup,
    properties: Sequence[Property],
    judge: Judge,
    explore: Explore,
    deadline: Deadline,
) -> ForeignReplay | None:
    """A run that violates one of ``properties``, and breaks no rule before it breaks ``rule``.

    Short scripts come first, and all of them before any is explored to its end.

    Raises:
        OutOfTime: if the deadline comes, or an interrupt, before one is found.
    """
    scripts = sorted(_scripts(rule, space.bounds.servers), key=lambda bounds: len(bounds.script))
    for max_states, bounds in product((FIRST_LOOK, None), dict.fromkeys(scripts)):
        node = ForeignNode(learner, bounds)
        scripted_space = replace(space, bounds=bounds)
        obeying = cast(ForeignNode, _Obeying(node, judge, rule))
        with deadline.phase(f"looking for what comes of {rule.id}"):
            found = explore(foreign_system(obeying, scripted_space, properties), max_states)
        if found.violation is not None:
            return replayed(foreign_system(node, scripted_space, properties), found, deadline)
    return None


class _Obeying(JudgedForeignNode):
    """Servers that do not get to steps that break any other rule than one."""

    def __init__(self, node: ForeignNode, judge: Judge, broken: Rule) -> None:
        self._rules = [rule for rule in RULES if rule is not broken]
        self._bench = Bench(node.count, judge)
        server = cast("Node[NodeState, ForeignEvent, ForeignOutput, ForeignMessage]", node)
        super().__init__(server, witnessed)

    def outcomes(
        self, node: NodeId, state: NodeState, event: ForeignEvent
    ) -> tuple[Outcome[NodeState, ForeignOutput, ForeignMessage], ...]:
        return tuple(
            outcome
            for outcome in super().outcomes(node, state, event)
            if outcome.failure is not None or self._obeys(node, state, event, outcome)
        )

    def _obeys(
        self,
        node: NodeId,
        state: NodeState,
        event: ForeignEvent,
        outcome: Outcome[NodeState, ForeignOutput, ForeignMessage],
    ) -> bool:
        step = in_core_terms(Step(node, state, event, outcome.state, outcome.outputs))
        verdicts = (self._bench.verdict(rule, step) for rule in self._rules)
        return not any(isinstance(verdict, Broken) for verdict in verdicts)


def _scripts(rule: Rule, servers: int) -> Iterator[Bounds]:
    """What the environment does in the runs of the mutants that break ``rule`` first."""
    for name in breaking(rule):
        run, bounds = recorded_runs().get(name), MUTANTS[name].bounds
        if run is not None and bounds.servers == servers:
            yield Bounds(
                servers=servers,
                max_term=UNBOUNDED,
                max_log=UNBOUNDED,
                values=bounds.values,
                restarts=any(isinstance(each, Occur) and each.event == Restart() for each in run),
                redirects=bounds.redirects,
                script=(*_environment(run), "heartbeats"),
            )


def _environment(run: Iterable[RaftAction]) -> Iterator[str]:
    """The lines of a script: all but heartbeats, which each implementation has its own way with."""
    for action in run:
        if isinstance(action, Occur):
            line = scripted(action.node, action.event)
            if line is not None and not line.startswith("heartbeat"):
                yield line
