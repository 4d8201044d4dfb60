"""A cluster driven by hand, one step at a time, for scenarios told as the paper tells them.

Servers are numbered from 1. Whatever they send waits in ``in_transit`` until the scenario delivers
it, once or twice, now or late, or loses it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from raft_ref import (
    Appended,
    AppendEntries,
    AppendEntriesReply,
    Apply,
    ClientRequest,
    Command,
    Config,
    ElectionTimeout,
    Entry,
    Event,
    HeartbeatTimeout,
    Index,
    Leader,
    Log,
    Message,
    NodeId,
    NodeState,
    NotLeader,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
    Restart,
    Send,
    Term,
    Window,
    step,
)

Outputs: TypeAlias = tuple[Output, ...]
M = TypeVar("M", bound=Message)


def entries_of(*terms: Term, after: int = 0) -> tuple[Entry, ...]:
    """Entries of these terms, following index ``after``. Same index and term, same command."""
    return tuple(
        Entry(term, f"index {index}, term {term}")
        for index, term in enumerate(terms, start=after + 1)
    )


class Cluster:
    """Some servers, and the messages in transit between them.

    >>> cluster = Cluster([1, 1, 2], [1, 1], [1])  # three servers, the terms in their logs
    >>> cluster.elect(1, voters=[2])
    >>> cluster.settle()
    >>> cluster.terms(3)
    [1, 1, 2]
    """

    def __init__(
        self,
        *logs: Sequence[Term],
        max_entries_per_append: int = 64,
        conflict_hints: bool = False,
        pipelining: Window | None = None,
    ) -> None:
        """Followers with these logs; all have seen the highest term in any of them."""
        servers = frozenset(range(1, len(logs) + 1))
        term = max((term for log in logs for term in log), default=0)
        self.configs = {
            server: Config(
                id=server,
                servers=servers,
                max_entries_per_append=max_entries_per_append,
                conflict_hints=conflict_hints,
                pipelining=pipelining,
            )
            for server in servers
        }
        self.states = {
            server: NodeState(PersistentState(current_term=term, log=Log(entries_of(*log))))
            for server, log in enumerate(logs, start=1)
        }
        self.in_transit: list[Message] = []
        self.applied: dict[NodeId, list[Apply]] = {server: [] for server in servers}

    # --- looking ---------------------------------------------------------------------------

    def __getitem__(self, server: NodeId) -> NodeState:
        return self.states[server]

    def leader(self, server: NodeId) -> Leader:
        """The volatile state of a server that is a leader."""
        role = self[server].role
        assert isinstance(role, Leader), f"server {server} is no leader but {role}"
        return role

    def terms(self, server: NodeId) -> list[Term]:
        """The terms in a server's log, as the paper's figures show it."""
        return [entry.term for entry in self[server].log.entries]

    def commands_applied(self, server: NodeId) -> list[Command]:
        """What a server's state machine has executed since the server (re)started."""
        return [apply.entry.command for apply in self.applied[server]]

    # --- events ----------------------------------------------------------------------------

    def timeout(self, server: NodeId) -> Outputs:
        """The server's election timeout elapses."""
        return self._step(server, ElectionTimeout())

    def heartbeat(self, server: NodeId) -> Outputs:
        """The server's heartbeat interval passes."""
        return self._step(server, HeartbeatTimeout())

    def request(self, server: NodeId, command: Command) -> Outputs:
        """A client asks the server."""
        return self._step(server, ClientRequest(command))

    def restart(self, server: NodeId) -> Outputs:
        """The server crashes and comes back, and so does its state machine."""
        self.applied[server].clear()
        return self._step(server, Restart())

    def receive(self, *messages: Message) -> Outputs:
        """These messages arrive, whether they were in transit or not."""
        outputs: Outputs = ()
        for message in messages:
            outputs += self._step(message.destination, Receive(message))
        return outputs

    def _step(self, server: NodeId, event: Event) -> Outputs:
        transition = step(self.configs[server], self[server], event)
        self.states[server] = transition.state
        for output in transition.outputs:
            match output:
                case Send(message):
                    self.in_transit.append(message)
                case Apply():
                    self.applied[server].append(output)
                case Appended() | NotLeader() | ResetElectionTimer():
                    pass
        return transition.outputs

    # --- the network -----------------------------------------------------------------------

    def take(
        self, kind: type[M], *, source: NodeId | None = None, to: NodeId | None = None
    ) -> list[M]:
        """Take messages out of transit: lost, or kept to be received later."""
        taken: list[M] = [
            message
            for message in self.in_transit
            if isinstance(message, kind)
            and source in (None, message.source)
            and to in (None, message.destination)
        ]
        self.in_transit = [other for other in self.in_transit if other not in taken]
        return taken

    def deliver(
        self,
        kind: type[Message],
        *,
        source: NodeId | None = None,
        to: NodeId | None = None,
        times: int = 1,
    ) -> Outputs:
        """Deliver what is in transit now, in the order sent; what that causes stays in transit."""
        outputs: Outputs = ()
        for message in self.take(kind, source=source, to=to):
            outputs += self.receive(*[message] * times)
        return outputs

    def lose(self) -> None:
        """All that is in transit gets lost."""
        self.in_transit.clear()

    def settle(self, among: Collection[NodeId] | None = None) -> None:
        """Deliver everything, in the order sent, until nothing is left.

        ``among`` are the servers that are up and connected; what others send or should get is lost.
        """
        connected = self.states.keys() if among is None else among
        for _ in range(1000):
            if not self.in_transit:
                return
            message = self.in_transit.pop(0)
            if message.source in connected and message.destination in connected:
                self.receive(message)
        raise AssertionError("the messages never end")

    # --- whole stories ---------------------------------------------------------------------

    def elect(self, server: NodeId, *, voters: Sequence[NodeId], term: Term | None = None) -> None:
        """Make ``server`` leader of ``term`` (or its next one), with the votes of ``voters``.

        Its earlier attempts, and its requests to anyone else, get lost. Its first heartbeats are in
        transit afterwards.
        """
        term = self[server].current_term + 1 if term is None else term
        for _ in range(term - self[server].current_term):
            self.take(RequestVote, source=server)
            self.timeout(server)
        for voter in voters:
            self.deliver(RequestVote, source=server, to=voter)
            self.deliver(RequestVoteReply, source=voter, to=server)
        self.take(RequestVote, source=server)
        self.leader(server)
        assert self[server].current_term == term

    def compact(self, server: NodeId, index: int) -> None:
        """The server commits and applies its log up to ``index``; a snapshot replaces it (§7)."""
        state = self[server]
        term = state.log.term_at(index)
        assert term is not None
        rest = state.log.between(index, state.log.last_index)
        self.states[server] = replace(
            state,
            persistent=replace(state.persistent, log=Log(rest, index, term)),
            commit_index=max(state.commit_index, index),
            last_applied=max(state.last_applied, index),
        )


def sent(outputs: Outputs) -> list[Message]:
    """The messages among some outputs."""
    return [output.message for output in outputs if isinstance(output, Send)]


def appends(outputs: Outputs) -> list[AppendEntries]:
    """The AppendEntries among some outputs."""
    return [message for message in sent(outputs) if isinstance(message, AppendEntries)]


def established(
    *logs: list[Term],
    max_entries_per_append: int = 64,
    conflict_hints: bool = False,
    pipelining: Window | None = None,
) -> Cluster:
    """Server 1 leads, with the vote of 2 (3, 4...: as many as needed); heartbeats got lost."""
    cluster = Cluster(
        *logs,
        max_entries_per_append=max_entries_per_append,
        conflict_hints=conflict_hints,
        pipelining=pipelining,
    )
    cluster.elect(1, voters=range(2, len(logs) // 2 + 2))
    cluster.lose()
    return cluster


def acknowledgement(source: int, *, term: Term, match_index: Index) -> AppendEntriesReply:
    """What ``source`` answers server 1, whose entries it holds up to ``match_index``."""
    return AppendEntriesReply(
        source=source, destination=1, term=term, success=True, match_index=match_index
    )
