"""The freest server: in each step it does whatever the rules allow, and nothing but that.

Whatever a server does that obeys the rules, the freest one may do, too. So what holds of clusters
of the freest holds of every cluster that obeys (*sufficiency*); and whether a rule is needed shows
if it is taken away from the freest (*necessity*).

Nothing is computed here that Raft computes. An outcome is found by trying: each field of the state
takes each value of a small `Universe`, in the order of `FIELDS`, and every rule is asked as soon as
all that it observes is settled. Where trying everything would be hopeless, only what may pass is
tried (`Freest._logs_from`, and `spec.speech`); the rules are asked all the same.

Four things are left out, since nothing is lost by it:

- *Silence.* A message that may be sent in a state is sent when the state is entered: on a network
  that keeps all and delivers what it likes, it need not arrive.
- *Weaker messages.* Of two messages that differ in how much of a log, or of what is committed, they
  claim, only the stronger is sent: all that a rule lets a receiver do upon the weaker, it lets it
  do upon the stronger.
- *Denials.* A vote or an append refused tells nothing but a term, and to take a later term is
  allowed at an `ElectionTimeout` anyway.
- *Haste.* Upon a message, a server takes note of it, or does what the message alone allows. What it
  could do by itself once it knows, it does by itself, in a step of its own.
- *Delayed application.* A server applies an entry in the step in which it comes to consider it
  committed; after a restart it applies again, in the restart, what it had applied before. Applied
  later, it would be the same entry, since committed entries never change (CommitStability, Leader
  Completeness); and nothing else that a rule allows depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product, takewhile
from typing import assert_never

from raft_ref.events import (
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    NotLeader,
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
    Follower,
    IndexMap,
    Leader,
    Log,
    NodeState,
    Role,
)
from spec.conduct import Conduct, watch
from spec.rule import Rule
from spec.rules import RULES, commit_stable
from spec.shadow import EVIDENCE, OF_APPLYING, Shadow, Unread, Witnessed
from spec.speech import Speech
from spec.universe import Universe

GUARDS: tuple[Rule, ...] = tuple(rule for rule in RULES if rule is not commit_stable)
"""The rules that the freest server obeys. COMMIT-STABLE follows from them, and is a property: as a
guard it would hide that it does not."""

FIELDS = ("current_term", "voted_for", "role", "log", "commit_index")
"""What there is to choose of a state, in the order in which it is chosen; then outputs follow."""

ROLES: tuple[Role, ...] = (Follower(), Candidate(frozenset()), Leader(IndexMap(), IndexMap()))
"""What roles remember is the judge's to know, not the server's: see `spec.shadow.Evidence`."""


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
        self._speech = Speech(universe, guards)
        of_states = [rule for rule in guards if rule.observes <= frozenset(FIELDS)]
        self._of_applying = [rule for rule in guards if "applied" in rule.observes]
        self._of_redirects = [rule for rule in guards if "redirect" in rule.observes]
        # Without redirects, it makes no difference who is known to lead.
        unused = frozenset() if universe.redirects else frozenset({"leaders"})
        self._evidence = (EVIDENCE | OF_APPLYING) - unused
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
        noted = self._watch(before, event, before.state, ())
        by_itself = self._by_itself(noted.after)
        allowed: Iterable[NodeState]
        match event.message:
            case RequestVote() | AppendEntries():
                allowed = self._states(before, event)
            case RequestVoteReply() | AppendEntriesReply():
                allowed = ()  # no rule lets a reply do what an election timeout may not
            case _:
                assert_never(event.message)
        states = [state for state in allowed if state not in by_itself]
        more = self._put_out(self._watch(before, event, state, ()) for state in states)
        if noted.after == before:  # and all that may be sent was sent
            return (Choice(before, ()), *more)
        return (*self._put_out([noted]), *more)

    def _called_for(self, before: Shadow, event: Event) -> tuple[Choice, ...]:
        conducts = (self._watch(before, event, state, ()) for state in self._states(before, event))
        asks_others = self.universe.redirects
        return tuple(self._put_out(each for each in conducts if _is_called_for(each, asks_others)))

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
                if _is_allowed(guards, self._watch(before, event, state, ()))
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
                noted = self._watch(before, Receive(message), state, ())
                return noted.after.evidence == before.evidence
            case AppendEntries():
                return False
            case _:
                assert_never(message)

    def _watch(
        self, before: Shadow, event: Witnessed, state: NodeState, outputs: tuple[Output, ...]
    ) -> Conduct:
        """A step, with as much evidence as the rules ask for."""
        seen = watch(before, event, state, outputs)
        evidence = seen.after.evidence.only(self._evidence)
        return replace(seen, after=replace(seen.after, evidence=evidence))

    # --- states ------------------------------------------------------------------------------

    def _terms(self, chosen: NodeState, before: Shadow, _event: Event) -> Iterator[NodeState]:
        for term in self.universe.terms:
            if self.universe.may_enter(before.id, term):
                persistent = replace(chosen.persistent, current_term=term)
                yield replace(chosen, persistent=persistent)

    def _votes(self, chosen: NodeState, before: Shadow, _event: Event) -> Iterator[NodeState]:
        may_stand = self.universe.may_stand(before.id, chosen.current_term)
        for vote in (None, *sorted(before.servers)):
            if vote != before.id or may_stand:
                yield replace(chosen, persistent=replace(chosen.persistent, voted_for=vote))

    def _roles(self, chosen: NodeState, before: Shadow, _event: Event) -> Iterator[NodeState]:
        may_stand = self.universe.may_stand(before.id, chosen.current_term)
        for role in ROLES if may_stand else ROLES[:1]:
            yield replace(chosen, role=role)

    def _logs(self, chosen: NodeState, before: Shadow, event: Event) -> Iterator[NodeState]:
        for log in self._logs_from(chosen, before, event):
            yield replace(chosen, persistent=replace(chosen.persistent, log=log))

    def _commits(self, chosen: NodeState, _before: Shadow, _event: Event) -> Iterator[NodeState]:
        for index in range(self.universe.max_log + 1):
            yield replace(chosen, commit_index=index)

    def _logs_from(self, chosen: NodeState, before: Shadow, event: Event) -> Iterable[Log]:
        """All logs that the rules may allow; all there are, where one of these is not there."""
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
                            logs[replace(own, entries=own.entries[:kept] + new)] = None
            case _ if isinstance(chosen.role, Leader):  # by itself, whatever happens
                lengths = range(1, self.universe.max_log - own.last_index + 1)
                own_term = [
                    each for each in self.universe.entries if each.term == chosen.current_term
                ]
                for length in lengths:
                    for new in product(own_term, repeat=length):
                        logs[own.append(*new)] = None
            case _:
                pass  # the log stays as it is
        return [log for log in logs if log.last_index <= self.universe.max_log]

    # --- outputs -----------------------------------------------------------------------------

    def _put_out(self, conducts: Iterable[Conduct]) -> Iterator[Choice]:
        """Steps, with all that they may send, and whatever they may apply."""
        for conduct in conducts:
            messages = tuple(map(Send, self._speech.messages(conduct.after)))
            for applied in self._applied(conduct):
                seen = self._watch(conduct.before, conduct.event, conduct.after.state, applied)
                if not _is_allowed(self._of_applying, seen):
                    continue
                after = seen.after
                # A server has no variable of its own for it: it is what was really applied.
                state = replace(after.state, last_applied=after.evidence.applied)
                for named in self._redirected(conduct):
                    yield Choice(replace(after, state=state), (*applied, *named, *messages))

    def _redirected(self, conduct: Conduct) -> Iterator[tuple[NotLeader, ...]]:
        """What a server may answer to a client whose command it does not take: nothing, or a
        leader."""
        yield ()
        if (
            self.universe.redirects
            and isinstance(conduct.event, ClientRequest)
            and not conduct.leads
        ):
            for leader in sorted(conduct.after.servers):
                answer = (NotLeader(leader),)
                if _is_allowed(self._of_redirects, replace(conduct, outputs=answer)):
                    yield answer

    def _applied(self, conduct: Conduct) -> Iterator[tuple[Apply, ...]]:
        """What a step may apply: all that it can; or anything, where a rule is missing."""
        before, after = conduct.before.evidence, conduct.after.state
        first = 0 if conduct.is_restart else before.applied
        last = max(after.commit_index, before.ever_applied)
        entries = ((index, after.log.entry_at(index)) for index in range(first + 1, last + 1))
        held = takewhile(lambda each: each[1] is not None, entries)
        yield tuple(Apply(index, entry) for index, entry in held if entry is not None)
        if not self._rules >= _RULES_OF_APPLYING:
            for index in range(1, self.universe.max_log + 1):
                for entry in self.universe.entries:
                    yield (Apply(index, entry),)


_RULES_OF_APPLYING = frozenset({"APPLY-COMMITTED", "APPLY-ORDER"})
"""With both of these, a server applies what `Freest._applied` says, or less."""

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


def _is_called_for(conduct: Conduct, asks_others: bool) -> bool:
    """Whether a step belongs to its event: each thing that a server does by itself does to one.

    Only a name: what a server may do at a `ClientRequest`, or at an `ElectionTimeout` unless its
    term rises, it may do at a `HeartbeatTimeout`, too.
    """
    before, after = conduct.before.state, conduct.after.state
    new = after.log.entry_at(before.log.last_index + 1)
    has_new_term = before.current_term != after.current_term
    match conduct.event:
        case ClientRequest(command):
            is_taken = conduct.leads and new is not None and new.command == command
            return is_taken or (asks_others and not conduct.leads and before == after)
        case ElectionTimeout():
            return has_new_term
        case HeartbeatTimeout():
            return not (conduct.leads and new is not None)
        case Receive() | Restart() | Unread():
            return True
