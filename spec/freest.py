"""The freest server: in each step it does whatever the rules allow, and in no way more than that.

A server that obeys the rules does, in each step, something that the freest one may do, too. So what
holds of clusters of the freest holds of every cluster that obeys (*sufficiency*); and whether a rule
is needed shows if it is taken away from the freest (*necessity*).

Nothing is computed here that Raft computes. An outcome is found by trying: each field of the state
takes each value of a small universe, in the order of `FIELDS`, and every rule is asked as soon as
all it observes is settled. Where trying everything would be hopeless, only what may pass is tried
(`_logs`, `_messages`); the rules are asked all the same.

Three things are left out, since nothing is lost by it:

- *Silence.* A message that may be sent in a state is sent when the state is entered: on a network
  that keeps all and delivers what it likes, it need not arrive.
- *Weaker messages.* Of two messages that differ in how much of the log, of the term's entries or of
  commitments they claim, only the stronger is sent: all that a rule lets a receiver do upon the
  weaker, it lets it do upon the stronger.
- *Denials.* A vote or an append refused tells nothing but a term, and to take a later term is
  allowed at an `ElectionTimeout` anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, product

from raft_ref.events import (
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Output,
    Receive,
    Restart,
    Send,
)
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import (
    Candidate,
    Command,
    Entry,
    Follower,
    IndexMap,
    Leader,
    Log,
    NodeId,
    NodeState,
    PersistentState,
    Role,
    Term,
)
from spec.conduct import Conduct, watch
from spec.rule import Rule
from spec.rules import RULES, commit_stable
from spec.shadow import Evidence, Shadow, learn

GUARDS: tuple[Rule, ...] = tuple(rule for rule in RULES if rule is not commit_stable)
"""The rules that the freest server obeys. COMMIT-STABLE follows from them, and is a property: as a
guard it would hide that it does not."""

FIELDS = ("current_term", "voted_for", "role", "log", "commit_index")
"""What there is to choose of a state, in the order in which it is chosen; then outputs follow."""

ROLES: tuple[Role, ...] = (Follower(), Candidate(frozenset()), Leader(IndexMap(), IndexMap()))
"""What roles remember is the judge's to know, not the server's: see `spec.shadow.Evidence`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """All terms, logs and so on that there are.

    Raises:
        ValueError: if a bound is below its minimum, or a candidate no server.
    """

    servers: int = 3
    max_term: int = 2
    max_log: int = 1
    values: int = 1
    restarts: bool = True
    candidates: tuple[NodeId, ...] = ()
    """Who alone may stand in term 1, in term 2, ...; in all further terms, everyone may."""
    participants: tuple[tuple[NodeId, ...], ...] = ()
    """Which servers alone may come to term 1, to term 2, ...; to all further terms, all may."""

    def __post_init__(self) -> None:
        minimums = {"servers": 1, "max_term": 1, "max_log": 0, "values": 1}
        for bound, minimum in minimums.items():
            if getattr(self, bound) < minimum:
                value = getattr(self, bound)
                raise ValueError(f"{bound} must be at least {minimum}, not {value}")
        for server in chain(self.candidates, *self.participants):
            if not 1 <= server <= self.servers:
                raise ValueError(f"there is no server {server}")

    @property
    def terms(self) -> range:
        """All terms, that before the first election included."""
        return range(self.max_term + 1)

    @property
    def commands(self) -> tuple[Command, ...]:
        """``v1``, ``v2``, ..."""
        return tuple(f"v{number}" for number in range(1, self.values + 1))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries."""
        pairs = product(self.terms[1:], self.commands)
        return tuple(Entry(term, command) for term, command in pairs)

    @property
    def logs(self) -> tuple[Log, ...]:
        """All logs, of whatever entries in whatever order."""
        lengths = range(self.max_log + 1)
        return tuple(Log(log) for length in lengths for log in product(self.entries, repeat=length))

    def may_enter(self, server: NodeId, term: Term) -> bool:
        """Whether a server may come to a term."""
        if not 1 <= term <= len(self.participants):
            return True
        return server in self.participants[term - 1]

    def may_stand(self, server: NodeId, term: Term) -> bool:
        """Whether a server may be candidate, and leader, of a term."""
        if not 1 <= term <= len(self.candidates):
            return True
        return self.candidates[term - 1] == server


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the things that a server may do."""

    after: Shadow
    outputs: tuple[Output, ...]


class Freest:
    """The freest server that obeys ``guards``, in a ``universe``."""

    def __init__(self, universe: Universe, guards: Iterable[Rule] = GUARDS) -> None:
        self.universe = universe
        guards = tuple(guards)
        self._rules = frozenset(rule.id for rule in guards)
        self._all_logs = universe.logs
        self._of_outputs = [rule for rule in guards if "outputs" in rule.observes]
        of_states = [rule for rule in guards if "outputs" not in rule.observes]
        self._sendable = cache(self._find_sendable)
        self._by_itself = cache(self._find_by_itself)
        self._stages = [
            (with_each, [rule for rule in of_states if _settled_by(rule) == number])
            for number, with_each in enumerate(
                (self._terms, self._votes, self._roles, self._logs, self._commits)
            )
        ]

    def events(self, state: NodeState) -> Iterator[Event]:
        """What may happen to a server by itself."""
        yield HeartbeatTimeout()
        yield from map(ClientRequest, self.universe.commands)
        if state.current_term < self.universe.max_term:
            yield ElectionTimeout()
        if self.universe.restarts:
            yield Restart()

    def choices(self, before: Shadow, event: Event) -> tuple[Choice, ...]:
        """All that the server may do when ``event`` happens, each with all that it may send.

        When it receives something, it may take note of it, and no more; or do what it might not do
        by itself then.
        """
        if not isinstance(event, Receive):
            return self._called_for(before, event)
        noted = watch(before, event, before.state, ())
        # No rule lets a reply do what an election timeout may not.
        is_reply = isinstance(event.message, RequestVoteReply | AppendEntriesReply)
        by_itself = self._by_itself(noted.after)
        allowed = () if is_reply else self._states(before, event)
        states = [state for state in allowed if state not in by_itself]
        more = self._put_out(watch(before, event, state, ()) for state in states)
        if noted.after == before:  # and all that may be sent was sent
            return (Choice(before, ()), *more)
        return (*self._put_out([noted]), *more)

    def _called_for(self, before: Shadow, event: Event) -> tuple[Choice, ...]:
        conducts = (watch(before, event, state, ()) for state in self._states(before, event))
        return tuple(self._put_out(conduct for conduct in conducts if _is_called_for(conduct)))

    def _find_by_itself(self, before: Shadow) -> frozenset[NodeState]:
        """The states that a server may come to by itself."""
        return frozenset(
            state
            for event in (HeartbeatTimeout(), ElectionTimeout())
            for state in self._states(before, event)
        )

    def _states(self, before: Shadow, event: Event) -> tuple[NodeState, ...]:
        """All states that the rules allow after ``event``."""
        states = [before.state]
        for with_each, guards in self._stages:
            states = [
                state
                for chosen in states
                for state in with_each(chosen, before, event)
                if _is_allowed(guards, watch(before, event, state, ()))
            ]
        return tuple(states)

    def is_outdated(self, before: Shadow, message: Message) -> bool:
        """Whether a message to the server can never again make it do or note anything: it is of an
        old term, asks for a vote that is given, or tells what is noted already."""
        state = before.state
        if not self._rules >= _RULES_OF_THE_OUTDATED or message.term > state.current_term:
            return False
        if message.term < state.current_term:
            return True
        match message:
            case RequestVote():
                return state.voted_for is not None
            case RequestVoteReply() | AppendEntriesReply():
                return learn(before, Receive(message), state) == before.evidence
            case AppendEntries():
                return False

    # --- states ------------------------------------------------------------------------------

    def _terms(self, chosen: NodeState, before: Shadow, _event: Event) -> Iterator[NodeState]:
        vote, log = chosen.voted_for, chosen.log
        for term in self.universe.terms:
            if self.universe.may_enter(before.id, term):
                persistent = PersistentState(term, vote, log)
                yield NodeState(persistent, chosen.role, chosen.commit_index)

    def _votes(self, chosen: NodeState, before: Shadow, _event: Event) -> Iterator[NodeState]:
        term, log = chosen.current_term, chosen.log
        for vote in (None, *sorted(before.servers)):
            if vote != before.id or self.universe.may_stand(before.id, term):
                yield NodeState(PersistentState(term, vote, log), chosen.role, chosen.commit_index)

    def _roles(self, chosen: NodeState, before: Shadow, _event: Event) -> Iterator[NodeState]:
        may_stand = self.universe.may_stand(before.id, chosen.current_term)
        for role in ROLES if may_stand else ROLES[:1]:
            yield NodeState(chosen.persistent, role, chosen.commit_index)

    def _logs(self, chosen: NodeState, before: Shadow, event: Event) -> Iterator[NodeState]:
        term, vote = chosen.current_term, chosen.voted_for
        for log in self._logs_from(chosen, before, event):
            yield NodeState(PersistentState(term, vote, log), chosen.role, chosen.commit_index)

    def _commits(self, chosen: NodeState, _before: Shadow, _event: Event) -> Iterator[NodeState]:
        for index in range(self.universe.max_log + 1):
            yield NodeState(chosen.persistent, chosen.role, index)

    def _logs_from(self, chosen: NodeState, before: Shadow, event: Event) -> Iterable[Log]:
        """All logs that the rules may allow; all there are, where one of these rules is not there."""
        if not self._rules >= _RULES_OF_LOGS:
            return self._all_logs
        own = before.state.log
        logs = {own: None}
        match event:
            case Receive(AppendEntries(prev_log_index=first, entries=entries)):
                for kept in range(own.last_index + 1):
                    for end in range(max(kept - first, 0), len(entries) + 1):
                        new = entries[max(kept - first, 0) : end]
                        if not new or first <= kept:
                            logs[Log(own.entries[:kept] + new)] = None
            case _ if isinstance(chosen.role, Leader):
                lengths = range(1, self.universe.max_log - own.last_index + 1)
                own_term = [
                    each for each in self.universe.entries if each.term == chosen.current_term
                ]
                for length in lengths:
                    for new in product(own_term, repeat=length):
                        logs[own.append(*new)] = None
        return [log for log in logs if log.last_index <= self.universe.max_log]

    # --- outputs -----------------------------------------------------------------------------

    def _put_out(self, conducts: Iterable[Conduct]) -> Iterator[Choice]:
        """Steps, with all that they may send, and whatever they may apply."""
        for conduct in conducts:
            messages = tuple(map(Send, self.messages(conduct.after)))
            for applied in self._applied(conduct):
                yield Choice(conduct.after, (*applied, *messages))

    def _applied(self, conduct: Conduct) -> Iterator[tuple[Apply, ...]]:
        """What a step may apply: all that it commits; or anything, where no rule is against it."""
        first, last = conduct.before.state.commit_index, conduct.after.state.commit_index
        log = conduct.after.state.log
        yield tuple(
            Apply(index, entry)
            for index in range(first + 1, last + 1)
            if (entry := log.entry_at(index)) is not None
        )
        if "APPLY-COMMITTED" not in self._rules:
            for index in range(1, self.universe.max_log + 1):
                for entry in self.universe.entries:
                    yield (Apply(index, entry),)

    def messages(self, after: Shadow) -> tuple[Message, ...]:
        """All that a server in this state may send, but for what says less than another."""
        confirmed = Evidence(confirmed=after.evidence.confirmed)  # no rule on outputs sees the rest
        return self._sendable(replace(after, evidence=confirmed))

    def _find_sendable(self, after: Shadow) -> tuple[Message, ...]:
        allowed = [
            message
            for peer in sorted(after.servers - {after.id})
            for message in self._messages(after, peer)
            if _may_put_out(self._of_outputs, after, Send(message))
        ]
        return tuple(
            message
            for message in allowed
            if not any(_says_less(message, other) for other in allowed)
        )

    def _messages(self, after: Shadow, peer: NodeId) -> Iterator[Message]:
        """All messages to a peer that the rules may allow; all there are, where a rule is not there
        that says something of a field."""
        source, destination, universe = after.id, peer, self.universe
        terms = universe.terms[1:]
        indexes = range(universe.max_log + 1)
        positions = [(0, 0), *product(indexes[1:], terms)]
        log = after.state.log

        def terms_by(rule: str) -> Iterable[Term]:
            return terms if rule not in self._rules else [after.state.current_term]

        for term in terms_by("VOTE-REQUEST-TRUTHFUL"):
            if universe.may_stand(source, term):
                for index, last_term in positions:
                    yield RequestVote(
                        source=source,
                        destination=destination,
                        term=term,
                        last_log_index=index,
                        last_log_term=last_term,
                    )
        for term in terms_by("VOTE-GRANT-TERM"):
            yield RequestVoteReply(
                source=source, destination=destination, term=term, vote_granted=True
            )
        for term in terms_by("ACK-TERM"):
            for index in indexes[1:]:
                yield AppendEntriesReply(
                    source=source,
                    destination=destination,
                    term=term,
                    success=True,
                    match_index=index,
                )
        if "APPEND-TRUTHFUL" in self._rules:
            places = [(index, log.term_at(index) or 0) for index in range(log.last_index + 1)]
            pieces = [*((entry,) for entry in log.entries), ()]
        else:
            places, pieces = positions, [*((entry,) for entry in universe.entries), ()]
        if "APPEND-LEADER" in self._rules and not isinstance(after.state.role, Leader):
            return
        for term in terms_by("APPEND-LEADER"):
            for (index, last_term), entries, commit in product(places, pieces, indexes):
                yield AppendEntries(
                    source=source,
                    destination=destination,
                    term=term,
                    prev_log_index=index,
                    prev_log_term=last_term,
                    entries=entries,
                    leader_commit=commit,
                )


_RULES_OF_LOGS = frozenset(
    {
        "LEADER-APPEND-ONLY",
        "LEADER-ENTRY-TERM",
        "LOG-SOURCE",
        "FOLLOWER-SPLICE-SOURCE",
        "FOLLOWER-SPLICE-CONFLICT",
        "RESTART-LOG",
    }
)
"""With all of these, a log changes as `Freest._logs_from` says, or less."""


_RULES_OF_THE_OUTDATED = frozenset(
    {
        "TERM-MONOTONIC",
        "RESTART-TERM",
        "VOTE-ONCE",
        "VOTE-REQUESTED",
        "RESTART-VOTE",
        "LOG-SOURCE",
        "FOLLOWER-CURRENT-TERM",
    }
)
"""On these rests `Freest.is_outdated`."""


def _settled_by(rule: Rule) -> int:
    """The number of the last field that a rule observes."""
    return max(FIELDS.index(field) for field in rule.observes)


def _is_allowed(guards: Iterable[Rule], conduct: Conduct) -> bool:
    return all(rule.predicate(conduct) is None for rule in guards)


def _may_put_out(guards: Iterable[Rule], after: Shadow, output: Output) -> bool:
    """Whether a server may put something out in a state, however it came to it."""
    return _is_allowed(guards, Conduct(after, HeartbeatTimeout(), after, (output,)))


def _is_called_for(conduct: Conduct) -> bool:
    """Whether a step belongs to its event: each thing that a server does by itself does to one.

    Only a name: what a server may do at a `ClientRequest`, or at an `ElectionTimeout` unless its
    term rises, it may do at a `HeartbeatTimeout`, too.
    """
    before, after = conduct.before.state, conduct.after.state
    new = after.log.entry_at(before.log.last_index + 1)
    has_new_term = before.current_term != after.current_term
    match conduct.event:
        case ClientRequest(command):
            return conduct.leads and new is not None and new.command == command
        case ElectionTimeout():
            return has_new_term
        case HeartbeatTimeout():
            return not (conduct.leads and new is not None)
    return True


def _says_less(message: Message, other: Message) -> bool:
    """Whether all that the rules let a receiver do upon ``message``, they let it do upon ``other``,
    which is another message to the same receiver."""
    if message == other or message.destination != other.destination or message.term != other.term:
        return False
    match message, other:
        case RequestVote(), RequestVote():
            last = message.last_log_term, message.last_log_index
            return last < (other.last_log_term, other.last_log_index)
        case AppendEntries(), AppendEntries():
            is_same = replace(message, leader_commit=other.leader_commit) == other
            return is_same and message.leader_commit < other.leader_commit
        case AppendEntriesReply(), AppendEntriesReply():
            return message.match_index < other.match_index
    return False
