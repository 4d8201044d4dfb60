"""Playing runs on the servers behind an adapter, all at once in one process, and judging each step.

What is played is a run of our own core, or of a mutant of it. An implementation does not send the
same messages: it batches, sends heartbeats apart, begins with entries of its own. So a delivery is
an order to deliver what comes closest among what its servers really sent; if there is nothing of
the kind, it is left out. Whatever is played, every step is held against the rules, and the cluster
against the properties: nobody is accused of not being our core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

from model_check.check import Setup
from model_check.conformance.difference import difference
from model_check.conformance.finding import Finding, event_of, until
from model_check.conformance.learner import Adapter, Cluster, StepFailed
from model_check.conformance.likeness import closest
from model_check.conformance.node import (
    ForeignReplay,
    ForeignServers,
    foreign_system,
    in_core_terms,
    judgeable,
    outcome_of,
)
from model_check.conformance.observed import (
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
)
from model_check.conformance.protocol import EventReply, ProtocolError
from model_check.conformance.schedule import ForeignAction
from model_check.conformance.table import LearntStep, Table
from model_check.counterexample import Moment, Replay
from model_check.judged import Breach, Docket, WitnessedStep, step_of
from model_check.raft import RaftAction
from model_check.system import TOTALITY, Deliver, Lose, Occur, Outcome
from raft_ref import AppendEntries, HeartbeatTimeout, Message, NodeId, Receive
from spec.judge import Judge
from spec.profiles import Profile


class _LiveServers(ForeignServers):
    """The servers of one process as they are: a step is taken, and cannot be taken back."""

    def __init__(self, cluster: Cluster, table: Table) -> None:
        super().__init__(table)
        self._cluster = cluster
        self._table = table
        self.outcome: Outcome[ObservedState, ForeignOutput, ForeignMessage] | None = None
        """Of the last step."""
        self.wanted: ForeignEvent | None = None
        """What is to happen next."""

    def reset(self) -> None:
        """Back to the beginning."""
        for node in range(1, self.count + 1):
            try:
                (reply,) = self._cluster.perform(node, [], from_start=True)
            except StepFailed as failed:
                raise failed.as_adapters_fault() from None
            initial = self._table.initial[node - 1]
            # Nothing is learnt here, so fingerprints may contain what they like.
            again = replace(self._read(node, reply).state, fingerprint=initial.fingerprint)
            if again != initial:
                steps = LearntStep(initial), LearntStep(again)
                raise self._cluster.failed(
                    f"a reset of server {node} does not lead back to how it started: "
                    f"{difference(*steps)}",
                    reply,
                )

    def events(self, node: NodeId, state: ObservedState) -> tuple[ForeignEvent, ...]:
        return () if self.wanted is None else (self.wanted,)

    def step(
        self, node: NodeId, state: ObservedState, event: ForeignEvent
    ) -> Outcome[ObservedState, ForeignOutput, ForeignMessage]:
        try:
            (reply,) = self._cluster.perform(node, [event], from_start=False)
        except StepFailed as failed:
            self.outcome = Outcome(state, failure=failed.description)
            return self.outcome
        self.outcome = outcome_of(self._read(node, reply), self.count)
        return self.outcome

    def _read(self, node: NodeId, reply: EventReply) -> LearntStep:
        try:
            return self._table.read(node, reply)
        except ProtocolError as error:
            raise self._cluster.failed(str(error), reply) from None


@dataclass(frozen=True)
class Played:
    """What became of a run that was played."""

    run: ForeignReplay
    """What happened really, up to the first violation or breach."""
    breach: Breach | None
    """The first rule that was broken."""
    left_out: int
    """Actions of which there was nothing like."""

    @property
    def finding(self) -> Finding | None:
        """What is wrong with it, if anything is."""
        if self.run.violation is not None:
            return Finding(self.run, self.breach)
        return None if self.breach is None else Finding(until(self.run, self.breach), self.breach)


class Player:
    """Plays runs, one after the other, on the servers of one process.

    Raises:
        AdapterFailed: here or later, if the adapter is at fault.
    """

    def __init__(self, adapter: Adapter, space: Setup, profile: Profile) -> None:
        self._adapter = adapter
        self._space = space
        self._profile = profile
        self.steps = 0
        """Steps that were judged."""
        self._start()

    def _start(self) -> None:
        cluster = self._cluster = self._adapter.start()
        try:
            self.table = Table(cluster.init, self._adapter.identity(cluster.init))
        except ProtocolError as error:
            cluster.close()
            raise cluster.failed(f"at init: {error}", cluster.init) from None
        hidden = self.table.hidden
        self._judge = Judge(self._profile, hidden)
        self._servers = _LiveServers(cluster, self.table)
        judged, _ = judgeable(self._space.chosen_properties, hidden)
        self._system = foreign_system(self._servers, self._space, judged)
        base = self._system.initial().nodes
        self._first_term = max(state.current_term for state in base)

    def close(self) -> None:
        """End the process."""
        self._cluster.close()

    def play(self, actions: Iterable[RaftAction]) -> Played:
        """Play a run of the core, as far as there is something like it, until something breaks."""
        self._begin()
        left_out = 0
        for action in actions:
            before = len(self._moments)
            if not all(self._take(each) for each in self._meant_by(action)):
                break
            left_out += len(self._moments) == before
        return self._ended(left_out)

    def again(self, actions: Iterable[ForeignAction]) -> Played:
        """Play exactly this, in a fresh process."""
        self._cluster.close()
        self._start()
        self._begin()
        for action in actions:
            if not self._take(action):
                break
        return self._ended(0)

    # --- the run that is being played ------------------------------------------------------------

    def _begin(self) -> None:
        self._servers.reset()
        self._state = self._system.initial()
        self._docket = Docket(self._state.nodes, self._judge)
        self._moments: list[Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]] = []
        self._violation = self._system.initial_violation()
        self._breach: Breach | None = None

    def _ended(self, left_out: int) -> Played:
        initial = self._system.initial().nodes
        run = Replay(initial, tuple(self._moments), self._violation, None)
        if self._violation is not None and self._violation.property == TOTALITY:
            self._cluster.close()  # whatever it is now, it is not what it was
            self._start()
        return Played(run, self._breach, left_out)

    def _take(self, action: ForeignAction) -> bool:
        """Do an action, and say whether all is well."""
        servers = self._servers
        servers.outcome = None
        servers.wanted = action.event if isinstance(action, Occur) else None
        taken = self._system.take(self._state, action)
        if taken is None:
            return True  # an event that this adapter has not, or a message that it never sent
        before, node = self._state, self._node_of(action)
        self._state, self._violation, _ = taken
        if node is None or servers.outcome is None:
            self._moments.append(Moment(action, None, None, None))
            return True
        moment = Moment(action, node, before.nodes[node - 1], servers.outcome)
        self._moments.append(moment)
        self.steps += 1
        if servers.outcome.failure is None and self._space.rules:
            self._hear(moment, node)
        return self._violation is None and self._breach is None

    def _node_of(self, action: ForeignAction) -> NodeId | None:
        match action:
            case Occur(node=node):
                return node
            case Deliver(message):
                return message.destination
            case Lose():
                return None

    def _hear(
        self,
        moment: Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage],
        node: NodeId,
    ) -> None:
        event = event_of(moment.action)
        assert event is not None
        step = cast("WitnessedStep", in_core_terms(step_of(moment, event)))
        for rule, broken in self._docket.hear(step):
            self._breach = self._breach or Breach(len(self._moments), node, rule, broken)

    # --- what an action of the core means here ---------------------------------------------------

    def _meant_by(self, action: RaftAction) -> Iterator[ForeignAction]:
        """What to do, each once the one before it is done."""
        match action:
            case Occur(node, event) if not isinstance(event, Receive):
                yield Occur(node, event)
            case Deliver(message):
                yield from self._deliveries(message)
            case Lose(message):
                found = closest(message, self._in_flight(message.source), self._first_term)
                if found is not None:
                    yield Lose(found[0])

    def _deliveries(self, wanted: Message) -> Iterator[ForeignAction]:
        """The delivery of what comes closest; before that, what may make its sender send it."""
        found = closest(wanted, self._in_flight(wanted.source), self._first_term)
        is_alike = found is not None and found[1][0]
        if isinstance(wanted, AppendEntries) and not is_alike:
            yield Occur(wanted.source, HeartbeatTimeout())
            found = closest(wanted, self._in_flight(wanted.source), self._first_term)
        if found is not None:
            yield from self._ahead_of(found[0])
            yield Deliver(found[0])

    def _in_flight(self, source: NodeId) -> tuple[ForeignMessage, ...]:
        return self._system.network.messages(self._state.in_flight[source - 1])

    def _ahead_of(self, message: ForeignMessage) -> Iterator[ForeignAction]:
        """What must be out of the way before ``message`` can arrive."""
        network = self._system.network
        while True:
            in_flight = self._state.in_flight[message.source - 1]
            next_ones = [deliver for deliver, _ in network.deliveries(in_flight)]
            if Deliver(message) in next_ones:
                return
            first = next(
                deliver.message
                for deliver in next_ones
                if deliver.message.destination == message.destination
            )
            may_lose = any(lose.message == first for lose, _ in network.losses(in_flight))
            yield Lose(first) if may_lose else Deliver(first)
