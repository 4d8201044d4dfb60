"""Steps of a server at random, of any kind: most break some rule, and many obey each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import TypedDict

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Event,
    HeartbeatTimeout,
    IndexMap,
    Log,
    Message,
    NodeState,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Send,
)
from spec.conduct import Conduct, watch
from spec.freest import ROLES
from spec.shadow import NO_EVIDENCE, Evidence, Shadow

MAX_LOG = 6
MAX_INDEX = 12
"""No index is greater, of whatever log or message."""


def random_conducts(seed: int, count: int) -> Iterator[Conduct]:
    """Steps of server 1, among one to five."""
    chance = Random(seed)  # noqa: S311 - not for secrets
    for _ in range(count):
        yield _Drawn(chance, range(1, chance.randint(1, 5) + 1)).conduct()


class Way(TypedDict):
    """What all messages have."""

    source: int
    destination: int
    term: int


@dataclass(frozen=True)
class _Drawn:
    """What is drawn for one step, among some servers."""

    chance: Random
    servers: range

    def conduct(self) -> Conduct:
        before = self.state(self.log())
        after = self.later(before)
        shadow = Shadow(1, frozenset(self.servers), before, self.evidence())
        return watch(shadow, self.event(before, after), after, tuple(self.outputs(after)))

    # --- states ------------------------------------------------------------------------------

    def is_so(self, share: float) -> bool:
        return self.chance.random() < share

    def entry(self) -> Entry:
        return Entry(self.chance.randint(1, 3), self.chance.choice("ab"))

    def entries(self, at_most: int) -> tuple[Entry, ...]:
        found = [self.entry() for _ in range(self.chance.randint(0, at_most))]
        return tuple(sorted(found, key=lambda each: each.term) if self.is_so(0.6) else found)

    def log(self) -> Log:
        return Log(self.entries(4))

    def state(self, log: Log) -> NodeState:
        term, vote = self.chance.randint(0, 3), self.chance.choice((None, *self.servers))
        commit = self.chance.randint(0, log.last_index)
        return NodeState(PersistentState(term, vote, log), self.chance.choice(ROLES), commit)

    def later(self, before: NodeState) -> NodeState:
        """A state, in much of which nothing has changed."""
        entries = before.log.entries
        if self.is_so(0.6):
            kept = entries[: self.chance.randint(0, len(entries))]
            entries = (kept if self.is_so(0.4) else entries) + self.entries(2)
        drawn = self.state(Log(entries[:MAX_LOG]))
        if self.is_so(0.4):
            return drawn
        persistent = PersistentState(
            before.current_term if self.is_so(0.8) else drawn.current_term,
            before.voted_for if self.is_so(0.6) else drawn.voted_for,
            drawn.log,
        )
        role = before.role if self.is_so(0.5) else drawn.role
        commit = before.commit_index if self.is_so(0.5) else drawn.commit_index
        return NodeState(persistent, role, commit)

    def evidence(self) -> Evidence:
        if self.is_so(0.3):
            return NO_EVIDENCE
        known = {each: self.chance.randint(1, 4) for each in self.servers if self.is_so(0.5)}
        return Evidence(
            frozenset(each for each in self.servers if self.is_so(0.4)),
            IndexMap(tuple(known.items())),
            confirmed=self.chance.randint(0, 5),
            claimed=self.chance.randint(0, 5),
            ever_applied=self.chance.randint(0, 3),
        )

    # --- what happens and comes of it --------------------------------------------------------

    def event(self, before: NodeState, after: NodeState) -> Event:
        if self.is_so(0.4):
            others = (HeartbeatTimeout(), ElectionTimeout(), ClientRequest("a"), Restart())
            return self.chance.choice(others)
        log = self.chance.choice((before.log, after.log))
        message = self.message(self.chance.choice(self.servers), 1, log)
        return Receive(replace(message, term=after.current_term) if self.is_so(0.6) else message)

    def outputs(self, after: NodeState) -> Iterator[Output]:
        for _ in range(self.chance.choice((0, 0, 1, 1, 2, 3))):
            if self.is_so(0.3):
                index = self.chance.randint(0, 5)
                there = after.log.entry_at(index)
                yield Apply(index, self.entry() if there is None or self.is_so(0.3) else there)
                continue
            source = 1 if self.is_so(0.9) else 2
            message = self.message(source, self.chance.choice((*self.servers, 9)), after.log)
            yield Send(replace(message, term=after.current_term) if self.is_so(0.7) else message)

    def message(self, source: int, destination: int, log: Log) -> Message:
        """One that may be about this log."""
        way = Way(source=source, destination=destination, term=self.chance.randint(0, 3))
        match self.chance.randint(0, 4):
            case 0:
                return RequestVote(
                    **way,
                    last_log_index=self.or_any(log.last_index),
                    last_log_term=self.or_any(log.last_term),
                )
            case 1:
                return RequestVoteReply(**way, vote_granted=self.is_so(0.7))
            case 2:
                index = self.chance.randint(-1, 5)
                return AppendEntriesReply(**way, success=self.is_so(0.7), match_index=index)
            case _:
                return self.append_entries(way, log)

    def append_entries(self, way: Way, log: Log) -> AppendEntries:
        prev = self.chance.randint(0, log.last_index)
        end = self.chance.randint(prev, log.last_index)
        entries = [self.entry() if self.is_so(0.2) else each for each in log.entries[prev:end]]
        if self.is_so(0.5):
            entries += self.entries(2)
        return AppendEntries(
            **way,
            prev_log_index=self.or_any(prev),
            prev_log_term=self.or_any(log.entries[prev - 1].term if prev else 0),
            entries=tuple(entries[:4]),
            leader_commit=self.chance.randint(-1, 5),
        )

    def or_any(self, number: int) -> int:
        return self.chance.randint(0, 3) if self.is_so(0.25) else number
