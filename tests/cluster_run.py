"""One run of a whole cluster, taken step by step by a test, every property after every step."""

from __future__ import annotations

from collections.abc import Iterable

from model_check.network import Replayable
from model_check.raft import Bounds, RaftAction, RaftNode, raft_system
from model_check.render import describe_action
from model_check.system import Deliver, Occur
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    NodeId,
    RequestVote,
    RequestVoteReply,
)

UNBOUNDED = 10**9


class ClusterRun:
    """A cluster on the most hostile network, partitions included, with no bounds worth the name."""

    def __init__(self, servers: int, max_entries: int) -> None:
        self.servers = range(1, servers + 1)
        bounds = Bounds(
            servers=servers,
            max_term=UNBOUNDED,
            max_log=UNBOUNDED,
            values=3,
            max_entries=max_entries,
        )
        self.system = raft_system(RaftNode(bounds), Replayable())
        self.state = self.system.initial()
        self.actions: list[RaftAction] = []
        self.sent: list[Message] = []
        self.arrived: set[Message] = set()
        self.island: frozenset[NodeId] = frozenset()
        """Messages travel among these, and among the others, but not between the two groups."""

    def occur(self, server: NodeId, event: Event) -> None:
        """Cause ``event``, unless it is one that the environment has no reason to cause."""
        if event in self.system.node.events(server, self.state.nodes[server - 1]):
            self._take(Occur(server, event))

    def arrive(self, message: Message) -> None:
        """Deliver ``message``, unless the partition is in its way."""
        if (message.source in self.island) == (message.destination in self.island):
            self._take(Deliver(message))
            self.arrived.add(message)

    def reign(
        self,
        candidate: NodeId,
        voters: Iterable[NodeId],
        requests: Iterable[str],
        followers: Iterable[NodeId],
    ) -> None:
        """A server runs for leader, and ``voters`` hear of it and answer.

        If elected, it serves ``requests``, and ``followers`` hear of that and answer.
        """
        self.occur(candidate, ElectionTimeout())
        term = self.state.nodes[candidate - 1].current_term
        for voter in voters:
            self._arrive_all(RequestVote, term, candidate, voter)
            self._arrive_all(RequestVoteReply, term, voter, candidate)
        for command in requests:
            self.occur(candidate, ClientRequest(command))
        self.replicate(candidate, followers)

    def replicate(self, leader: NodeId, followers: Iterable[NodeId]) -> None:
        """A leader and some followers exchange messages until nothing new is said."""
        self.occur(leader, HeartbeatTimeout())
        term = self.state.nodes[leader - 1].current_term
        for follower in followers:
            said = -1
            while said != len(self.sent):
                said = len(self.sent)
                self._arrive_all(AppendEntries, term, leader, follower)
                self._arrive_all(AppendEntriesReply, term, follower, leader)

    def _arrive_all(
        self, kind: type[Message], term: int, source: NodeId, destination: NodeId
    ) -> None:
        """All messages of one kind, sent in ``term`` on one link, that have not arrived yet."""
        for message in [message for message in self.sent if message not in self.arrived]:
            way = (message.term, message.source, message.destination)
            if isinstance(message, kind) and way == (term, source, destination):
                self.arrive(message)

    def _take(self, action: RaftAction) -> None:
        taken = self.system.take(self.state, action)
        assert taken is not None, f"{action} is not enabled"
        known = set(self.sent)
        self.state, violation, _ = taken
        self.sent += [
            message
            for in_flight in self.state.in_flight
            for message in self.system.network.messages(in_flight)
            if message not in known
        ]
        self.actions.append(action)
        assert violation is None, "\n".join(
            [*map(describe_action, self.actions), f"{violation.property}: {violation.explanation}"]
        )
