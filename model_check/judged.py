"""Servers with a judge beside them, who holds every step against the rules of `spec.rules`.

The judge's evidence is part of a server's state, so an explorer sees every step in the light of
everything that may have arrived before it; and a rule is then a property of single steps, which is
judged once for each distinct one.

What a rule says holds on any network if it holds on `replayable`: every run on `once` or `fifo` is,
for the servers, a run on `replayable`, since whatever arrives there was sent before, and may arrive
here, too. A rule looks at nothing but what happens at one server.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import NamedTuple, TypeAlias, TypeVar, cast

from model_check.counterexample import Moment
from model_check.raft import RaftNode
from model_check.renaming import rename_evidence
from model_check.system import Deliver, Lose, M, Network, Node, Occur, Outcome, Q, System, T
from model_check.watch import Memory, PropertyWatch
from raft_ref import (
    AppendEntriesReply,
    Event,
    Message,
    NodeId,
    NodeState,
    Output,
    Receive,
    RequestVoteReply,
    Send,
)
from spec.conduct import Conduct, watch
from spec.forms import E, O, Property, Renaming, S, Step, StepProperty
from spec.judge import Judge, single_steps
from spec.properties import RaftStep
from spec.rule import Broken, NotDecidable, Rule
from spec.rules import RULES
from spec.shadow import (
    CARRIED_BY,
    EVIDENCE,
    NO_EVIDENCE,
    OF_APPLYING,
    Evidence,
    Shadow,
    Witnessed,
    first_evidence,
    learn,
)

X = TypeVar("X", bound=Hashable)
WitnessedStep: TypeAlias = Step[NodeState, Witnessed, Output]

STRICT = Judge()
"""Who sees all, and tolerates nothing."""

_NOBODY_YET = NodeState()


@dataclass(frozen=True, slots=True)
class Judged(NodeState):
    """The state of a server, and what the judge knows besides."""

    server: NodeState = _NOBODY_YET
    """The state itself, which may remember more than Raft asks for."""
    evidence: Evidence = NO_EVIDENCE


def judged(server: NodeState, evidence: Evidence = NO_EVIDENCE) -> Judged:
    """``server`` with the judge's ``evidence``."""
    return _judged(*_fields_of(server), server=server, evidence=evidence)


_judged: Callable[..., Judged] = Judged
_fields_of = attrgetter(*(field.name for field in fields(NodeState)))


class JudgedNode(Node[NodeState, E, O, M]):
    """The servers of ``node``, judged."""

    def __init__(
        self,
        node: Node[NodeState, E, O, M],
        witness: Callable[[E], Witnessed],
        evidence: frozenset[str] = EVIDENCE | OF_APPLYING,
    ) -> None:
        """``witness`` says what the judge sees of an event, ``evidence`` what he keeps of it."""
        self._node = node
        self._witness = witness
        self._kept = evidence
        self._servers = frozenset(range(1, node.count + 1))

    @property
    def count(self) -> int:
        return self._node.count

    def initial(self, node: NodeId) -> NodeState:
        server = self._node.initial(node)
        return judged(server, first_evidence(server).only(self._kept))

    def events(self, node: NodeId, state: NodeState) -> Iterable[E]:
        return self._node.events(node, server_of(state))

    def outcomes(
        self, node: NodeId, state: NodeState, event: E
    ) -> tuple[Outcome[NodeState, O, M], ...]:
        shadow, witnessed = self._shadow(node, state), self._witness(event)

        def kept(outcome: Outcome[NodeState, O, M]) -> Evidence:
            # A foreign server's messages are no `Send`; of outputs, only what is applied counts.
            outputs = cast("tuple[Output, ...]", outcome.outputs)
            return learn(shadow, witnessed, outcome.state, outputs).only(self._kept)

        return tuple(
            replace(outcome, state=judged(outcome.state, kept(outcome)))
            for outcome in self._node.outcomes(node, server_of(state), event)
        )

    def foresee(self, steps: Iterable[tuple[NodeId, NodeState, E]]) -> None:
        self._node.foresee((node, server_of(state), event) for node, state, event in steps)

    def arrival(self, message: M) -> tuple[NodeId, E]:
        return self._node.arrival(message)

    def sender(self, message: M) -> NodeId:
        return self._node.sender(message)

    def is_outdated(self, state: NodeState, message: M) -> bool:
        """What is to the server, and is no news to the judge either."""
        node, event = self._node.arrival(message)
        shadow = self._shadow(node, state)
        learnt = learn(shadow, self._witness(event), state).only(self._kept)
        is_known = learnt == shadow.evidence
        return is_known and self._node.is_outdated(server_of(state), message)

    def is_restart(self, event: E) -> bool:
        return self._node.is_restart(event)

    def renamings(self) -> Iterable[Renaming]:
        return self._node.renamings()

    def rename(self, value: T, renaming: Renaming) -> T:
        if isinstance(value, Judged):
            server = self._node.rename(value.server, renaming)
            return cast(T, judged(server, rename_evidence(value.evidence, renaming)))
        return self._node.rename(value, renaming)

    def _shadow(self, node: NodeId, state: NodeState) -> Shadow:
        return Shadow(node, self._servers, state, cast(Judged, state).evidence)


def server_of(state: NodeState) -> NodeState:
    """A server without its judge."""
    return cast(Judged, state).server


class Obeyed(StepProperty[NodeState, Event, Output]):
    """A rule as a property of the steps of a `JudgedNode`."""

    def __init__(self, rule: Rule, bench: Bench) -> None:
        self._rule = rule
        self._bench = bench

    @property
    def name(self) -> str:
        """The rule's id."""
        return self._rule.id

    @property
    def statement(self) -> str:
        """The rule's."""
        return self._rule.statement

    def violation(self, step: RaftStep) -> str | None:
        verdict = self._bench.verdict(self._rule, cast("WitnessedStep", step))
        return f"S{step.node}: {verdict}" if isinstance(verdict, Broken) else None


class Bench:
    """A judge, before whom one step after the other is held against many rules."""

    def __init__(self, servers: int, judge: Judge = STRICT) -> None:
        self._servers = frozenset(range(1, servers + 1))
        self._judge = judge
        self._step: WitnessedStep | None = None
        self._conduct: tuple[Conduct, ...] = ()

    def verdict(self, rule: Rule, step: WitnessedStep) -> Broken | NotDecidable | None:
        """Whether a step of a `JudgedNode` breaks ``rule``."""
        if step is not self._step:
            evidence = cast(Judged, step.before).evidence
            before = Shadow(step.node, self._servers, step.before, evidence)
            conduct = watch(before, step.event, step.after, step.outputs)
            self._step, self._conduct = step, tuple(single_steps(conduct))
        return self._judge.judge(rule, self._conduct)


def obeyed_rules(servers: int, judge: Judge = STRICT) -> tuple[Obeyed, ...]:
    """All rules, for so many servers."""
    bench = Bench(servers, judge)
    return tuple(Obeyed(rule, bench) for rule in RULES)


def judged_system(
    node: RaftNode, network: Network[Message, Q], properties: Iterable[Property]
) -> System[NodeState, Event, Output, Message, Q, Memory]:
    """The servers of ``node``, judged, within its bounds on ``network``."""
    watching: PropertyWatch[NodeState, Event, Output, Message] = PropertyWatch(
        properties, node.bounds.milestones, node.bounds.limits
    )
    # Where no client asks a server that does not lead, it makes no difference who is known to lead.
    unused = frozenset() if node.bounds.redirects else frozenset({"leaders"})
    judged_node = JudgedNode(node, lambda event: event, (EVIDENCE | OF_APPLYING) - unused)
    return System(judged_node, network, watching)


class Breach(NamedTuple):
    """A rule broken in a run."""

    action: int
    """The number of the action, from 1."""
    node: NodeId
    rule: Rule
    broken: Broken


class Docket:
    """What a judge knows of every server, as a run goes on."""

    def __init__(self, initial: tuple[NodeState, ...], judge: Judge = STRICT) -> None:
        servers = frozenset(range(1, len(initial) + 1))
        self._judge = judge
        self.undecided: dict[str, tuple[str, ...]] = {}
        """By rule: for want of what it could not be judged the first time that it could not."""
        self._shadows = {
            node: Shadow(node, servers, state, first_evidence(state))
            for node, state in enumerate(initial, start=1)
        }

    def hear(self, step: WitnessedStep) -> Iterator[tuple[Rule, Broken]]:
        """The next step, and the rules that it breaks, in their order."""
        conduct = watch(self._shadows[step.node], step.event, step.after, step.outputs)
        self._shadows[step.node] = conduct.after
        single = tuple(single_steps(conduct))
        self._take_note(step.outputs)
        for rule in RULES:
            match self._judge.judge(rule, single):
                case Broken() as broken:
                    yield rule, broken
                case NotDecidable(unobserved):
                    self.undecided.setdefault(rule.id, unobserved)
                case None:
                    pass

    def _take_note(self, outputs: Iterable[Output]) -> None:
        """Of the kinds by which votes and acknowledgements are reported."""
        for output in outputs:
            match output:
                case Send(RequestVoteReply(vote_granted=True)):
                    kind = CARRIED_BY["grants"]
                case Send(AppendEntriesReply(success=True, match_index=index)) if index:
                    kind = CARRIED_BY["acknowledged"]
                case _:
                    continue
            if kind not in self._judge.read:
                self._judge = replace(self._judge, read=self._judge.read | {kind})


def breaches(
    initial: tuple[NodeState, ...],
    steps: Iterable[WitnessedStep | None],
    judge: Judge = STRICT,
) -> Iterator[Breach]:
    """Every rule that is broken in a run, in the order in which they are.

    There is a step for each action, or None where no server had any part in it.
    """
    docket = Docket(initial, judge)
    for number, step in enumerate(steps, start=1):
        if step is not None:
            for rule, broken in docket.hear(step):
                yield Breach(number, step.node, rule, broken)


def core_steps(
    moments: Iterable[Moment[NodeState, Event, Output, Message]],
) -> Iterator[WitnessedStep | None]:
    """The steps of a run of the core."""
    for moment in moments:
        match moment.action:
            case Deliver(message):
                yield step_of(moment, Receive(message))
            case Occur(event=event):
                yield step_of(moment, event)
            case Lose():
                yield None


def step_of(moment: Moment[S, E, O, M], event: X) -> Step[S, X, O]:
    """The step of a moment in which a server had a part, its event called otherwise."""
    assert moment.node is not None
    assert moment.before is not None
    assert moment.outcome is not None
    state, outputs = moment.outcome.state, moment.outcome.outputs
    return Step(moment.node, moment.before, event, state, outputs)
