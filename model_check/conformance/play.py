"""Playing runs on the servers behind an adapter, all at once in one process, and judging each step.

What is played is a run of our own core, or of a mutant of it. An implementation does not send the
same messages: it batches, sends heartbeats apart, begins with entries of its own. So a delivery is
an order to deliver what comes closest among what its servers really sent; if there is nothing of
the kind, it is left out.

There may be messages of kinds that Figure 2 does not know, and what is wanted may be sent only once
they have arrived: a candidate that first asks whether it would be elected asks for votes only after
the answers. So where the wanted message is not in flight, those of unknown kinds are delivered that
it may be waiting for: between its sender and its receiver, until it is in flight; and when an
election timer fires, between the candidate and all others, until it asks for votes, so that terms
rise as they do in the run.

Whatever is played, every step is held against the rules, and the cluster
against the properties: nobody is accused of not being our core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

from model_check.check import Setup
from model_check.conformance.coverage import KINDS_OF_FIGURE_2, Coverage
from model_check.conformance.difference import difference
from model_check.conformance.finding import Finding, event_of, until
from model_check.conformance.learner import Adapter, Cluster, StepFailed
from model_check.conformance.likeness import Likeness, closest
from model_check.conformance.node import (
    ForeignReplay,
    ForeignServers,
    foreign_system,
    in_core_terms,
    judgeable,
    outcome_of,
)
from model_check.conformance.observed import (
    Arrival,
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
    Sent,
)
from model_check.conformance.protocol import EventReply, ProtocolError
from model_check.conformance.schedule import ForeignAction
from model_check.conformance.table import LearntStep, Table
from model_check.counterexample import Moment, Replay
from model_check.judged import Breach, Docket, WitnessedStep, step_of
from model_check.raft import RaftAction
from model_check.system import TOTALITY, Deliver, Lose, Occur, Outcome
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    HeartbeatTimeout,
    Leader,
    Message,
    NodeId,
    Receive,
)
from spec.judge import Judge
from spec.profiles import Profile

MOST_UNKNOWN = 4
"""For so many messages of unknown kinds a server is waited: a request to each other server and its
answer, twice."""

MOST_REFUSALS = 8
"""A leader that is refused is followed for so many requests until one is acknowledged."""


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
        match self.wanted:
            case None | Arrival():
                return ()
            case event:
                return tuple(self.supported((event,)))

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
    coverage: Coverage
    """How much of it could be played, and what it reached."""

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

    def __init__(
        self, adapter: Adapter, space: Setup, profile: Profile, *, asks_for_leader: bool = False
    ) -> None:
        """With ``asks_for_leader``, a client asks each server that does not lead at the end of a
        run: in runs of the core clients ask leaders, and nothing would be heard of redirections."""
        self._adapter = adapter
        self._asks_for_leader = asks_for_leader
        self._space = space
        self._profile = profile
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

    def play(
        self, actions: Iterable[RaftAction], look: Callable[[], None] = lambda: None
    ) -> Played:
        """Play a run of the core, as far as there is something like it, until something breaks.

        ``look`` is called before each action, and may raise something.
        """
        self._begin(look)
        for action in actions:
            self._coverage.actions += 1
            if not all(self._take(each) for each in self._meant_by(action)):
                return self._ended()
        if self._asks_for_leader:
            all(self._take(each) for each in self._requests_to_others())
        return self._ended()

    def _requests_to_others(self) -> Iterator[ForeignAction]:
        """A client's request to each server that does not lead, if the adapter reports which leader
        such a server names."""
        if "redirect" not in self.table.init.reports or "role" in self.table.hidden:
            return
        request = ClientRequest("v1")
        if self._servers.unsupported(request) is not None:
            return
        for node in range(1, self._servers.count + 1):
            if not isinstance(self._state.nodes[node - 1].role, Leader):
                yield Occur(node, request)

    def again(
        self, actions: Iterable[ForeignAction], look: Callable[[], None] = lambda: None
    ) -> Played:
        """Play exactly this, in a fresh process, with a ``look`` before each action."""
        self._cluster.close()
        self._start()
        self._begin(look)
        for action in actions:
            if not self._take(action):
                break
        return self._ended()

    # --- the run that is being played ------------------------------------------------------------

    def _begin(self, look: Callable[[], None]) -> None:
        self._look = look
        look()
        self._servers.reset()
        self._state = self._system.initial()
        self._docket = Docket(self._state.nodes, self._judge)
        self._moments: list[Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]] = []
        self._violation = self._system.initial_violation()
        self._breach: Breach | None = None
        self._coverage = Coverage()
        self._sent: dict[ForeignMessage, None] = {}
        """All messages of the run."""
        self._unknown: dict[ForeignMessage, int] = {}
        """The messages of unknown kinds that have not arrived since they were sent last, in that
        order, each with how many actions there had been before."""

    def _ended(self) -> Played:
        initial = self._system.initial().nodes
        run = Replay(initial, tuple(self._moments), self._violation, None)
        if self._violation is not None and self._violation.property == TOTALITY:
            self._cluster.close()  # whatever it is now, it is not what it was
            self._start()
        self._coverage.undecided = dict(self._docket.undecided)
        return Played(run, self._breach, self._coverage)

    def _take(self, action: ForeignAction) -> bool:
        """Do an action, and say whether all is well."""
        self._look()
        servers = self._servers
        servers.outcome = None
        servers.wanted = action.event if isinstance(action, Occur) else None
        taken = self._system.take(self._state, action)
        if taken is None:
            return True  # an event that this adapter has not, or a message that it never sent
        before, node = self._state, self._node_of(action)
        self._state, self._violation, reached = taken
        if node is None or servers.outcome is None:
            self._moments.append(Moment(action, None, None, None))
            return True
        moment = Moment(action, node, before.nodes[node - 1], servers.outcome)
        self._moments.append(moment)
        self._cover(action, servers.outcome, reached)
        if servers.outcome.failure is None and self._space.rules:
            self._hear(moment, node)
        return self._violation is None and self._breach is None

    def _cover(
        self,
        action: ForeignAction,
        outcome: Outcome[ObservedState, ForeignOutput, ForeignMessage],
        reached: Iterable[str],
    ) -> None:
        """Note what a step has reached, what has arrived by it, and what was sent."""
        self._coverage.steps += 1
        for milestone in reached:
            self._coverage.reached.setdefault(milestone, len(self._moments))
        if isinstance(action, Deliver):
            self._unknown.pop(action.message, None)
        self._coverage.undelivered.update(
            output.message.destination
            for output in outcome.outputs
            if isinstance(output, Sent) and output.message.destination > self._servers.count
        )
        for message in outcome.messages:
            self._coverage.sent[message.kind] += 1
            self._sent[message] = None
            if message.kind not in KINDS_OF_FIGURE_2:
                self._unknown.pop(message, None)  # sent again, it is the latest
                self._unknown[message] = len(self._moments)

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
            case Occur(node, event):
                assert not isinstance(event, Receive), "what arrives is delivered"
                unsupported = self._servers.unsupported(event)
                if unsupported is not None:
                    self._coverage.unsupported[unsupported] += 1
                    return
                yield Occur(node, event)
                if isinstance(event, ElectionTimeout):
                    yield from self._candidacy(node)
            case Deliver(message):
                yield from self._deliveries(message)
            case Lose(message):
                found = self._closest(message)
                if found is not None:
                    yield Lose(found[0])
                else:
                    self._coverage.left_out += 1

    def _deliveries(self, wanted: Message) -> Iterator[ForeignAction]:
        """The delivery of what comes closest; before that, what may make its sender send it."""
        self._coverage.deliveries += 1
        found = self._closest(wanted)
        if not _is_alike(found):
            if isinstance(wanted, AppendEntries):
                yield Occur(wanted.source, HeartbeatTimeout())
            ends = {wanted.source, wanted.destination}
            yield from self._unknown_until(
                lambda: _is_alike(self._closest(wanted)),
                lambda message, _: {message.source, message.destination} == ends,
            )
            if isinstance(wanted, AppendEntriesReply) and wanted.match_index:
                yield from self._back_off(wanted)
            found = self._closest(wanted)
        if found is not None:
            yield from self._ahead_of(found[0])
            yield Deliver(found[0])
        else:
            self._coverage.left_out += 1
            self._coverage.deliveries_left_out += 1
            was_sent = closest(wanted, self._sent, self._first_term) is not None
            self._coverage.deliveries_gone += was_sent

    def _back_off(self, wanted: AppendEntriesReply) -> Iterator[ForeignAction]:
        """Where entries are to be acknowledged and a refusal is in flight: that, and the request by
        which the leader answers it, until that is acknowledged.

        A leader that begins with an entry of its own is refused once more than the core's.
        """
        no = replace(wanted, success=False, match_index=0)
        for _ in range(MOST_REFUSALS):
            refusal = self._closest(no)
            if refusal is None or not _is_alike(refusal) or _is_alike(self._closest(wanted)):
                return
            yield from self._ahead_of(refusal[0])
            yield Deliver(refusal[0])
            outcome = self._moments[-1].outcome
            assert outcome is not None, "it was in flight, so it was delivered"
            requests = [
                each
                for each in outcome.messages
                if (each.kind, each.destination) == ("AppendEntries", wanted.source)
            ]
            if not requests or requests[-1] not in self._in_flight(wanted.destination):
                return
            yield from self._ahead_of(requests[-1])
            yield Deliver(requests[-1])

    def _candidacy(self, candidate: NodeId) -> Iterator[ForeignAction]:
        """What a server sends on an election timeout that asks for no vote, and what comes of it,
        until it asks."""
        start = len(self._moments)

        def asks() -> bool:
            return any(
                message.kind == "RequestVote" and message.source == candidate
                for moment in self._moments[start - 1 :]
                for message in ([] if moment.outcome is None else moment.outcome.messages)
            )

        return self._unknown_until(
            asks,
            lambda message, sent: (
                sent >= start and candidate in (message.source, message.destination)
            ),
        )

    def _unknown_until(
        self, is_enough: Callable[[], bool], concerns: Callable[[ForeignMessage, int], bool]
    ) -> Iterator[ForeignAction]:
        """The delivery of those messages of unknown kinds that are in flight and ``concerns`` it,
        and of those that are sent then, oldest first, each at most once, until it is enough.

        They may go to and fro without end, so only so many are delivered.
        """
        for _ in range(MOST_UNKNOWN * self._servers.count):
            if not self._unknown or is_enough():
                return
            message = next(
                (
                    each
                    for each, sent in self._unknown.items()
                    if concerns(each, sent) and each in self._in_flight(each.source)
                ),
                None,
            )
            if message is None:
                return
            yield from self._ahead_of(message)
            yield Deliver(message)
            self._unknown.pop(message, None)

    def _closest(self, wanted: Message) -> tuple[ForeignMessage, Likeness] | None:
        return closest(wanted, self._in_flight(wanted.source), self._first_term)

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


def _is_alike(found: tuple[ForeignMessage, Likeness] | None) -> bool:
    """Whether there is one that says yes or no as the wanted one does, or has entries as it has."""
    return found is not None and found[1][0]
