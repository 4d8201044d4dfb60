"""Servers with a judge beside them, who holds every step against the rules of `spec.rules`.

The judge's evidence is part of a server's state, so an explorer sees every step in the light of
everything that may have arrived before it; and a rule is then a property of single steps, which is
judged once for each distinct one.

What a rule says holds on any network if it holds on `replayable`: every run on `once` or `fifo` is,
for the servers, a run on `replayable`, since whatever arrives there was sent before, and may arrive
here, too. A rule looks at nothing but what happens at one server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from model_check.counterexample import Moment
from model_check.raft import Bounds, RaftNode
from model_check.renaming import rename_evidence
from model_check.system import Deliver, Lose, Occur, Outcome, T
from raft_ref import Event, Message, NodeId, NodeState, Output, Receive
from spec.conduct import watch
from spec.forms import Renaming, StepProperty
from spec.properties import RaftStep
from spec.rule import Broken, Rule
from spec.rules import RULES
from spec.shadow import NO_EVIDENCE, Evidence, Shadow, learn

_NOBODY_YET = NodeState()


@dataclass(frozen=True, slots=True)
class Judged(NodeState):
    """The state of a server, and what the judge knows besides."""

    server: NodeState = _NOBODY_YET
    """The state itself, which may remember more than Raft asks for."""
    evidence: Evidence = NO_EVIDENCE


def judged(server: NodeState, evidence: Evidence = NO_EVIDENCE) -> Judged:
    """``server`` with the judge's ``evidence``."""
    return Judged(
        persistent=server.persistent,
        role=server.role,
        commit_index=server.commit_index,
        last_applied=server.last_applied,
        server=server,
        evidence=evidence,
    )


class JudgedNode(RaftNode):
    """The servers of ``node``, judged."""

    def __init__(self, node: RaftNode) -> None:
        super().__init__(node.bounds)
        self._node = node
        self._servers = frozenset(range(1, node.count + 1))

    def initial(self, node: NodeId) -> NodeState:
        return judged(self._node.initial(node))

    def step(
        self, node: NodeId, state: NodeState, event: Event
    ) -> Outcome[NodeState, Output, Message]:
        before = cast(Judged, state)
        outcome = self._node.step(node, before.server, event)
        evidence = learn(self._shadow(node, before), event, outcome.state)
        return replace(outcome, state=judged(outcome.state, evidence))

    def is_outdated(self, state: NodeState, message: Message) -> bool:
        """What is to the server, and is no news to the judge either."""
        own = cast(Judged, state)
        is_known = learn(self._shadow(0, own), Receive(message), own) == own.evidence
        return is_known and self._node.is_outdated(own.server, message)

    def rename(self, value: T, renaming: Renaming) -> T:
        if isinstance(value, Judged):
            server = self._node.rename(value.server, renaming)
            return cast(T, judged(server, rename_evidence(value.evidence, renaming)))
        return self._node.rename(value, renaming)

    def _shadow(self, node: NodeId, state: Judged) -> Shadow:
        return Shadow(node, self._servers, state, state.evidence)


class Obeyed(StepProperty[NodeState, Event, Output]):
    """A rule as a property of the steps of a `JudgedNode`."""

    def __init__(self, rule: Rule, servers: int) -> None:
        self._rule = rule
        self._servers = frozenset(range(1, servers + 1))

    @property
    def name(self) -> str:
        """The rule's id."""
        return self._rule.id

    @property
    def statement(self) -> str:
        """The rule's."""
        return self._rule.statement

    def violation(self, step: RaftStep) -> str | None:
        before = Shadow(step.node, self._servers, step.before, cast(Judged, step.before).evidence)
        verdict = self._rule.judge(watch(before, step.event, step.after, step.outputs))
        return f"S{step.node}: {verdict}" if isinstance(verdict, Broken) else None


def obeyed_rules(bounds: Bounds) -> tuple[Obeyed, ...]:
    """All rules, for as many servers."""
    return tuple(Obeyed(rule, bounds.servers) for rule in RULES)


class Breach(NamedTuple):
    """A rule broken in a run."""

    action: int
    """The number of the action, from 1."""
    node: NodeId
    rule: Rule
    broken: Broken


def breaches(
    initial: tuple[NodeState, ...], moments: Iterable[Moment[NodeState, Event, Output, Message]]
) -> Iterator[Breach]:
    """Every rule that is broken in a run, in the order in which they are."""
    servers = frozenset(range(1, len(initial) + 1))
    shadows = {node: Shadow(node, servers, state) for node, state in enumerate(initial, start=1)}
    for number, moment in enumerate(moments, start=1):
        if moment.node is None or moment.outcome is None:
            continue
        event = _event(moment)
        outcome = moment.outcome
        conduct = watch(shadows[moment.node], event, outcome.state, outcome.outputs)
        shadows[moment.node] = conduct.after
        for rule in RULES:
            verdict = rule.judge(conduct)
            if isinstance(verdict, Broken):
                yield Breach(number, moment.node, rule, verdict)


def _event(moment: Moment[NodeState, Event, Output, Message]) -> Event:
    match moment.action:
        case Deliver(message):
            return Receive(message)
        case Occur(event=event):
            return event
        case Lose():
            raise AssertionError("a message that is lost is no step")
