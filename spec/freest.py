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
from itertools import product

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
    Role,
    Term,
)
from spec.conduct import Conduct, watch
from spec.rule import Rule
from spec.rules import RULES, commit_stable
from spec.shadow import Shadow

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
    """Who alone may stand in term 1, in term 2, ...: in all others, and if this is empty in all,
    everyone may."""

    def __post_init__(self) -> None:
        minimums = {"servers": 1, "max_term": 1, "max_log": 0, "values": 1}
        for bound, minimum in minimums.items():
            if getattr(self, bound) < minimum:
                value = getattr(self, bound)
                raise ValueError(f"{bound} must be at least {minimum}, not {value}")
        for server in self.candidates:
            if not 1 <= server <= self.servers:
                raise ValueError(f"candidates: there is no server {server}")

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
        self._logs = universe.logs
        self._of_outputs = [rule for rule in guards if "outputs" in rule.observes]
        of_states = [rule for rule in guards if "outputs" not in rule.observes]
        self._stages = [
            (field, [rule for rule in of_states if _settled_by(rule) == number])
            for number, field in enumerate(FIELDS)
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
        """All that the server may do when ``event`` happens, each with all that it may send."""
        states = [before.state]
        for field, guards in self._stages:
            states = [
                state
                for chosen in states
                for state in self._with_each(field, chosen, before, event)
                if _is_allowed(guards, watch(before, event, state, ()))
            ]
        return tuple(
            Choice(conduct.after, conduct.outputs)
            for state in states
            for conduct in self._put_out(watch(before, event, state, ()))
            if _is_called_for(conduct)
        )

    # --- states ------------------------------------------------------------------------------

    def _with_each(
        self, field: str, chosen: NodeState, before: Shadow, event: Event
    ) -> Iterator[NodeState]:
        """A state of which some fields are chosen, with each value of the next one."""
        persistent = chosen.persistent
        match field:
            case "current_term":
                for term in self.universe.terms:
                    yield replace(chosen, persistent=replace(persistent, current_term=term))
            case "voted_for":
                for server in (None, *sorted(before.servers)):
                    if server != before.id or self._may_stand(before, chosen):
                        yield replace(chosen, persistent=replace(persistent, voted_for=server))
            case "role":
                for role in ROLES if self._may_stand(before, chosen) else ROLES[:1]:
                    yield replace(chosen, role=role)
            case "log":
                for log in self._logs_from(chosen, before, event):
                    yield replace(chosen, persistent=replace(persistent, log=log))
            case "commit_index":
                for index in range(self.universe.max_log + 1):
                    yield replace(chosen, commit_index=index)

    def _may_stand(self, before: Shadow, chosen: NodeState) -> bool:
        return self.universe.may_stand(before.id, chosen.current_term)

    def _logs_from(self, chosen: NodeState, before: Shadow, event: Event) -> Iterable[Log]:
        """All logs that the rules may allow; all there are, where one of these rules is not there."""
        if not self._rules >= _RULES_OF_LOGS:
            return self._logs
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

    def _put_out(self, conduct: Conduct) -> Iterator[Conduct]:
        """A step that puts nothing out, with all that it may send, and whatever it may apply."""
        messages = tuple(map(Send, self.messages(conduct.after)))
        for applied in self._applied(conduct):
            yield replace(conduct, outputs=(*applied, *messages))

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
            return has_new_term or conduct.comes_to_power
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
