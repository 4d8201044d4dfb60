"""All that a server may say in some state: every message that the rules on messages allow.

Where a rule settles a field, only what it allows is tried; where the rule is not there, everything.
The rules are asked all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import assert_never

from raft_ref.events import HeartbeatTimeout, Send
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Leader, NodeId, Term
from spec.conduct import Conduct
from spec.rule import Rule
from spec.shadow import Evidence, Shadow
from spec.universe import Universe


class Speech:
    """What a server may say that obeys ``guards``, in a ``universe``."""

    def __init__(self, universe: Universe, guards: Iterable[Rule]) -> None:
        self._universe = universe
        self._guards = [rule for rule in guards if "outputs" in rule.observes]
        self._rules = frozenset(rule.id for rule in self._guards)
        self._indexes = range(universe.max_log + 1)
        self._positions = ((0, 0), *product(self._indexes[1:], universe.terms[1:]))
        self._strongest = cache(self._find_strongest)

    def messages(self, after: Shadow) -> tuple[Message, ...]:
        """All messages that a server in this state may send, but for what says less than another.

        Of the evidence, only what is confirmed matters here.
        """
        confirmed = Evidence(confirmed=after.evidence.confirmed)
        return self._strongest(replace(after, evidence=confirmed))

    def _find_strongest(self, after: Shadow) -> tuple[Message, ...]:
        allowed = [
            message
            for peer in sorted(after.servers - {after.id})
            for source in self._sources(after, peer)
            for message in self._tried(after, source, peer)
            if self._is_allowed(after, message)
        ]
        return tuple(
            message
            for message in allowed
            if not any(_says_less(message, other) for other in allowed)
        )

    def _is_allowed(self, after: Shadow, message: Message) -> bool:
        """Whether a server may send a message in a state, however it came to it."""
        conduct = Conduct(after, HeartbeatTimeout(), after, (Send(message),))
        return all(rule.predicate(conduct) is None for rule in self._guards)

    # --- what is tried -----------------------------------------------------------------------

    def _tried(self, after: Shadow, source: NodeId, peer: NodeId) -> Iterator[Message]:
        yield from self._vote_requests(after, source, peer)
        yield from self._grants(after, source, peer)
        yield from self._acknowledgements(after, source, peer)
        yield from self._appends(after, source, peer)

    def _sources(self, after: Shadow, peer: NodeId) -> Iterable[NodeId]:
        """In whose name it may speak to a peer."""
        if "MESSAGE-WELL-FORMED" in self._rules:
            return (after.id,)
        return sorted(after.servers - {peer})

    def _terms(self, rule: str, after: Shadow) -> Iterable[Term]:
        """The terms of messages of which a rule says that they are of the own term."""
        return (after.state.current_term,) if rule in self._rules else self._universe.terms[1:]

    def _vote_requests(self, after: Shadow, source: NodeId, peer: NodeId) -> Iterator[RequestVote]:
        for term in self._terms("VOTE-REQUEST-TRUTHFUL", after):
            if self._universe.may_stand(after.id, term):
                for index, last_term in self._positions:
                    yield RequestVote(
                        source=source,
                        destination=peer,
                        term=term,
                        last_log_index=index,
                        last_log_term=last_term,
                    )

    def _grants(self, after: Shadow, source: NodeId, peer: NodeId) -> Iterator[RequestVoteReply]:
        for term in self._terms("VOTE-GRANT-TERM", after):
            yield RequestVoteReply(source=source, destination=peer, term=term, vote_granted=True)

    def _acknowledgements(
        self, after: Shadow, source: NodeId, peer: NodeId
    ) -> Iterator[AppendEntriesReply]:
        for term in self._terms("ACK-TERM", after):
            for index in self._indexes[1:]:
                yield AppendEntriesReply(
                    source=source, destination=peer, term=term, success=True, match_index=index
                )

    def _appends(self, after: Shadow, source: NodeId, peer: NodeId) -> Iterator[AppendEntries]:
        """With one entry, or none."""
        if "APPEND-LEADER" in self._rules and not isinstance(after.state.role, Leader):
            return
        if "APPEND-TRUTHFUL" in self._rules:
            log = after.state.log
            places = tuple((index, log.term_at(index) or 0) for index in range(log.last_index + 1))
            entries = log.entries
        else:
            places, entries = self._positions, self._universe.entries
        pieces = ((), *((entry,) for entry in entries))
        for term in self._terms("APPEND-LEADER", after):
            for (index, prev_term), piece, commit in product(places, pieces, self._indexes):
                yield AppendEntries(
                    source=source,
                    destination=peer,
                    term=term,
                    prev_log_index=index,
                    prev_log_term=prev_term,
                    entries=piece,
                    leader_commit=commit,
                )


def _says_less(message: Message, other: Message) -> bool:
    """Whether all that the rules let a receiver do upon ``message``, they let it do upon ``other``,
    which is another message to the same receiver."""
    way, other_way = (message.source, message.destination), (other.source, other.destination)
    if message == other or way != other_way or message.term != other.term:
        return False
    match message:
        case RequestVote():
            last = message.last_log_term, message.last_log_index
            return isinstance(other, RequestVote) and last < (
                other.last_log_term,
                other.last_log_index,
            )
        case RequestVoteReply():
            return False  # a grant is all that it can say
        case AppendEntries():
            return (
                isinstance(other, AppendEntries)
                and message.leader_commit < other.leader_commit
                and replace(message, leader_commit=other.leader_commit) == other
            )
        case AppendEntriesReply():
            return isinstance(other, AppendEntriesReply) and message.match_index < other.match_index
        case _:
            assert_never(message)
