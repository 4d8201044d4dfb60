"""A trace, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from msgspec import UnsetType

from model_check.deadline import Deadline
from model_check.traces import doubts
from model_check.traces.belief import Belief, contradiction, first_beliefs, was_glimpsed
from model_check.traces.court import (
    HIDDEN,
    MOST_WAYS,
    Judged,
    WatchedServer,
    allowed,
    describe_belief,
    in_full,
    is_hidden,
)
from model_check.traces.foresight import Foresight, end_of
from model_check.traces.happening import (
    NOTHING_SEEN,
    Arrived,
    Beyond,
    Counted,
    Happening,
    Sending,
    Start,
    Told,
    Trace,
    Unreadable,
    from_whom,
)
from model_check.traces.ledger import Ledger, Violated
from model_check.traces.outcomes import Situation
from model_check.traces.post import Post, in_order
from model_check.traces.verdict import Doubt, Offence, TraceVerdict
from model_check.traces.words import describe_seen, describe_told
from raft_ref import Apply, HeartbeatTimeout, Message, NodeId, Receive
from spec.chain import Chains
from spec.forms import Step, StepProperty
from spec.judge import Judge
from spec.profiles import PAPER, Profile
from spec.properties import PROPERTIES, StateMachineOrder
from spec.rule import Broken, Rule
from spec.rules import RULES, apply_order
from spec.shadow import Unread, Witnessed

NEVER_SENT = "a message that was not sent"
"""The network may lose, repeat and reorder messages, but it does not forge any."""

_UNSENT = (
    'was never sent (if not every message that is sent has a line, say "unobserved": ["sends"] '
    "in the first line)"
)

BEGINNING = "the initial state"
"""Nothing that Raft leads to."""

WITHIN = "a state within the step"
"""A contradiction between the lines of a trace."""

_STEP_PROPERTIES = tuple(
    item
    for item in PROPERTIES
    if isinstance(item, StepProperty) and not isinstance(item, StateMachineOrder)
)


def judge_trace(
    trace: Trace,
    profile: Profile = PAPER,
    deadline: Deadline | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> TraceVerdict:
    """Hold every step of ``trace`` against rules and properties, up to the first that fails.

    ``on_progress`` is told, now and then, how many steps were judged. When the deadline comes, or
    an interrupt, what follows is in doubt.
    """
    deadline = deadline or Deadline()
    incomplete = frozenset[str]() if trace.applying_seen else frozenset({"applied"})
    matched, last, doubt = 0, None, None
    happening: Happening | None = None
    try:
        hearing = _Hearing(trace, Judge(profile, incomplete=incomplete), Post.of(trace))
        for happening in in_order(trace):
            deadline.check()
            outcome = hearing.hear(happening)
            if isinstance(outcome, Offence):
                return TraceVerdict(trace, profile, matched, last, outcome, doubt)
            doubt = doubt or outcome
            if outcome is not None and outcome.is_final:
                break
            matched, last = matched + 1, happening.end
            if matched % 100 == 0:
                on_progress(matched)
    except KeyboardInterrupt as interrupt:
        if happening is None:
            raise
        doubt = Doubt(happening, deadline.interrupted(interrupt), is_final=True)
    return TraceVerdict(trace, profile, matched, last, None, doubt)


@dataclass(slots=True)
class _Hearing:
    """A trace, as far as it was judged."""

    trace: Trace
    judge: Judge
    post: Post
    chains: Chains = field(default_factory=Chains)
    ledger: Ledger = field(default_factory=Ledger)
    watched: dict[NodeId, WatchedServer] = field(default_factory=dict)
    entered: dict[NodeId, Belief] = field(default_factory=dict)
    """By server: what the ledger knows of it."""
    foresight: Foresight = field(init=False)

    def __post_init__(self) -> None:
        self.foresight = Foresight(self.trace)

    def hear(self, happening: Happening) -> Offence | Doubt | None:
        """The next step; what is wrong with it, if anything is."""
        server, cause = happening.server, happening.cause
        if isinstance(cause, Beyond):
            reason = f"the rules do not cover what happens: {cause.feature}"
            return Doubt(happening, reason, is_final=True)
        if isinstance(cause, Start):
            beliefs = first_beliefs(happening, self.chains)
            self.watched[server] = WatchedServer(server, self.trace.servers, beliefs)
            impossible = next(filter(None, map(contradiction, beliefs)), None)
            if impossible is not None:
                return Offence(happening, BEGINNING, impossible)
            return self._enter(happening)
        if isinstance(cause, Arrived) and not self.post.was_sent(cause):
            return Offence(happening, NEVER_SENT, f"{describe_told(cause.told)} {_UNSENT}")
        event, beliefs = self._witnessed(happening), self.watched[server].beliefs
        doubt = doubts.led_from_outside(happening, self.trace.servers, beliefs)
        doubt = doubt or doubts.hidden(happening, event, beliefs)
        return doubt or self._judge(happening, event)

    def _witnessed(self, happening: Happening) -> Witnessed:
        cause = happening.cause
        assert not isinstance(cause, Start | Beyond)
        if not isinstance(cause, Arrived):
            return cause
        if from_whom(cause.told) == happening.server:
            return HeartbeatTimeout()  # what a server says to itself it does by itself
        message = self.post.opened(cause) or self._taken(happening, cause.told)
        if message is not None:
            return Receive(message)
        kind = cause.told.kind if isinstance(cause.told, Unreadable) else "AppendEntries"
        return Unread(from_whom(cause.told), kind)

    def _taken(self, happening: Happening, told: Told) -> Message | None:
        """A message of which the entries were counted, if the log shows what was taken from it."""
        shown = happening.seen.log
        if not isinstance(told, Counted) or isinstance(shown, UnsetType):
            return None
        logs = {
            self.chains.extended(belief.log.until(shown.start - 1), *shown.entries)
            for belief in self.watched[happening.server].beliefs
        }
        ways = {in_full(told, log) for log in logs}
        is_there = all(log.last_index >= end_of(told) for log in logs)
        return ways.pop() if is_there and len(ways) == 1 else None

    def _judge(self, happening: Happening, event: Witnessed) -> Offence | Doubt | None:
        watched = self.watched[happening.server]
        upcoming, entries = self.foresight.upcoming(happening), self.foresight.entries
        situation = Situation(happening, event, upcoming, entries, self.chains)
        steps = watched.step(situation, self.judge)
        fine = [step for step in steps if not step.broken]
        if not fine:
            return self._in_doubt(situation, steps) or self._offence(situation)
        fine = [step for step in fine if _fits(happening, step)]
        if not fine:
            return Offence(happening, WITHIN, _describe_glimpses(happening))
        self.watched[happening.server] = now = watched.after(fine, upcoming.committed)
        for sending in happening.sent:
            self.post.send(sending, _ways(sending, fine))
        offence = self._breach_of_property(happening, fine) or self._apply(happening, fine)
        offence = offence or self._enter(happening)
        if offence is not None:
            return offence
        if len(now.beliefs) > MOST_WAYS:
            reason = f"too little was seen: the server may be like {len(now.beliefs)} things"
            return Doubt(happening, reason, is_final=True)
        return doubts.undecided(happening, fine)

    def _in_doubt(self, situation: Situation, steps: list[Judged]) -> Doubt | None:
        """Why a step that no rule allows may be allowed all the same."""
        watched = self.watched[situation.server]
        past = None if steps else doubts.of_the_past(situation.happening, watched.beliefs)
        return past or doubts.too_long(situation, watched, self.judge)

    def _offence(self, situation: Situation) -> Offence:
        """What is wrong with a step that no rule allows: as little as may be, as late as may be."""
        happening = situation.happening
        watched = self.watched[happening.server]
        steps = watched.step(situation, self.judge, in_full=True)
        ways = tuple(allowed(watched, situation, self.judge))
        before = tuple(dict.fromkeys(map(describe_belief, watched.beliefs)))
        if not steps:
            return Offence(happening, *_unexplained(happening), before, ways)
        (rule, broken), *_ = min((step.broken for step in steps), key=_gravity)
        return Offence(happening, rule.id, str(broken), before, ways)

    def _breach_of_property(self, happening: Happening, steps: list[Judged]) -> Offence | None:
        """What property a step violates, however it was; a profile tolerates no such thing."""
        verdicts = [_violated(step, applying_seen=self.trace.applying_seen) for step in steps]
        if None in verdicts:
            return None
        violated = verdicts[0]
        assert violated is not None
        return Offence(happening, violated.property, violated.explanation)

    def _apply(self, happening: Happening, steps: list[Judged]) -> Offence | None:
        """What the server hands to its state machine, if it is the same however the step was."""
        first, *others = (step.conduct.outputs for step in steps)
        for output in first:
            if not isinstance(output, Apply) or output.entry is HIDDEN:
                continue
            if all(output in each for each in others):
                violated = self.ledger.apply(happening.server, output.index, output.entry)
                if violated is not None:
                    return Offence(happening, violated.property, violated.explanation)
        return None

    def _enter(self, happening: Happening) -> Offence | None:
        """What the server has become, if that is known, in the ledger."""
        server, beliefs = happening.server, self.watched[happening.server].beliefs
        first, *others = beliefs
        if any(_public(other) != _public(first) for other in others):
            return None
        violated: Violated | None = next(
            self.ledger.enter(server, self.entered.get(server), first), None
        )
        self.entered[server] = first
        if violated is None:
            return None
        return Offence(happening, violated.property, violated.explanation)


def _gravity(broken: Sequence[tuple[Rule, Broken]]) -> tuple[int, int]:
    """How much a step would be against the rules, which stand in the order of Figure 2."""
    return len(broken), -RULES.index(broken[0][0])


def _public(belief: Belief) -> tuple[object, ...]:
    """What the ledger looks at."""
    return belief.log, belief.current_term, belief.role, belief.commit_index


def _ways(sending: Sending, steps: list[Judged]) -> Iterator[Message]:
    """All that a message that was sent may have been; nothing, if that is not known."""
    told = sending.told
    if isinstance(told, Unreadable):
        return
    if isinstance(told, Counted) and any(is_hidden(told, step.after.log) for step in steps):
        return
    yield from (in_full(told, step.after.log) for step in steps)


def _fits(happening: Happening, step: Judged) -> bool:
    return all(was_glimpsed(step.before, each, step.after) for each in happening.glimpses)


def _describe_glimpses(happening: Happening) -> str:
    shown = "; ".join(dict.fromkeys(map(describe_seen, happening.glimpses)))
    return f"no step that Raft allows from the state before passes through {shown}"


def _violated(step: Judged, *, applying_seen: bool) -> Violated | None:
    conduct = step.conduct
    # StateMachineOrder, in the light of what was applied before as far as the trace tells.
    order = apply_order.predicate(conduct) if applying_seen else None
    if order is not None:
        return Violated(StateMachineOrder().name, str(order))
    taken = Step(
        conduct.after.id, conduct.before.state, conduct.event, conduct.after.state, conduct.outputs
    )
    for item in _STEP_PROPERTIES:
        explanation = item.violation(taken)
        if explanation is not None:
            return Violated(item.name, explanation)
    return None


def _unexplained(happening: Happening) -> tuple[str, str]:
    """What is seen of a log is not what any log could be."""
    seen = happening.seen
    shown = replace(NOTHING_SEEN, log=seen.log)
    shown = replace(shown, last_log_index=seen.last_log_index, last_log_term=seen.last_log_term)
    return (
        "the log",
        f"no step that Raft allows from the state before leads to {describe_seen(shown)}",
    )
