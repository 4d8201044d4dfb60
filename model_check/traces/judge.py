"""A trace, judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from msgspec import UnsetType

from model_check.traces.belief import Belief, first_beliefs, was_glimpsed
from model_check.traces.court import (
    MOST_WAYS,
    Judged,
    WatchedServer,
    allowed,
    describe_belief,
    in_full,
)
from model_check.traces.happening import (
    NOTHING_SEEN,
    Arrived,
    Beyond,
    Happening,
    Place,
    Sending,
    Start,
    Trace,
    Unreadable,
    from_whom,
)
from model_check.traces.ledger import Ledger, Violated
from model_check.traces.outcomes import Situation
from model_check.traces.post import Post, in_order
from model_check.traces.words import describe_seen, describe_told
from raft_ref import Apply, HeartbeatTimeout, Message, NodeId, Receive, Restart
from spec.chain import Chains
from spec.forms import Step, StepProperty
from spec.judge import Judge
from spec.profiles import PAPER, Profile
from spec.properties import PROPERTIES
from spec.shadow import Unread, Witnessed

TraceJudgement: TypeAlias = Literal["conforms", "violates", "inconclusive"]

NEVER_SENT = "what arrives was sent"
"""What no server owes, but the network: it may lose, repeat and reorder, but it does not forge."""

_UNSENT = (
    'was never sent (if not every message that is sent has its line, say "unobserved": ["sends"] '
    "in the first one)"
)

WITHIN = "what is seen within the step"
"""A contradiction between the lines of a trace."""

_STEP_PROPERTIES = tuple(item for item in PROPERTIES if isinstance(item, StepProperty))


@dataclass(frozen=True)
class Offence:
    """Where a trace departs from Raft."""

    happening: Happening
    """The step that Raft does not allow."""
    name: str
    """The rule that it breaks, the property that it violates, or what else is not so."""
    explanation: str
    before: tuple[str, ...] = ()
    """What the server may have been like before."""
    allowed: tuple[str, ...] = ()
    """What the server might have become instead."""


@dataclass(frozen=True)
class Doubt:
    """Where nobody can tell any more."""

    happening: Happening
    reason: str
    is_final: bool
    """Whether nothing can be said of what follows, either."""


@dataclass(frozen=True)
class TraceVerdict:
    """What is to be said of a trace."""

    trace: Trace
    profile: Profile
    matched: int
    """How many of its steps, from the first on, Raft allows."""
    last: Place | None
    """Where the last of these ends."""
    offence: Offence | None = None
    doubt: Doubt | None = None

    @property
    def verdict(self) -> TraceJudgement:
        """In a word."""
        if self.offence is not None:
            return "violates"
        return "conforms" if self.doubt is None else "inconclusive"


def judge_trace(
    trace: Trace,
    profile: Profile = PAPER,
    max_seconds: float | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> TraceVerdict:
    """Hold every step of ``trace`` against rules and properties, up to the first that fails.

    ``on_progress`` is told, now and then, how many steps were judged.
    """
    started = time.monotonic()
    hearing = _Hearing(trace, Judge(profile), Post.of(trace))
    matched, last, doubt = 0, None, None
    for happening in in_order(trace):
        outcome = hearing.hear(happening)
        if isinstance(outcome, Offence):
            return TraceVerdict(trace, profile, matched, last, outcome, doubt)
        doubt = doubt or outcome
        if outcome is not None and outcome.is_final:
            break
        matched, last = matched + 1, happening.end
        if matched % 100 == 0:
            on_progress(matched)
            if max_seconds is not None and time.monotonic() - started > max_seconds:
                doubt = Doubt(happening, f"the budget of {max_seconds:g} seconds", is_final=True)
                break
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
    ahead: dict[Place, int | None] = field(init=False)

    def __post_init__(self) -> None:
        self.ahead = _commits_ahead(self.trace)

    def hear(self, happening: Happening) -> Offence | Doubt | None:
        """The next step; what is wrong with it, if anything is."""
        server, cause = happening.server, happening.cause
        if isinstance(cause, Beyond):
            reason = f"the rules do not cover what happens: {cause.feature}"
            return Doubt(happening, reason, is_final=True)
        if isinstance(cause, Start):
            beliefs = first_beliefs(happening, self.chains)
            self.watched[server] = WatchedServer(server, self.trace.servers, beliefs)
            return self._enter(happening)
        if isinstance(cause, Arrived) and not self.post.was_sent(cause):
            return Offence(happening, NEVER_SENT, f"{describe_told(cause.told)} {_UNSENT}")
        return self._judge(happening, self._witnessed(happening))

    def _witnessed(self, happening: Happening) -> Witnessed:
        cause = happening.cause
        assert not isinstance(cause, Start | Beyond)
        if not isinstance(cause, Arrived):
            return cause
        if from_whom(cause.told) == happening.server:
            return HeartbeatTimeout()  # what a server says to itself it does by itself
        message = self.post.opened(cause)
        if message is not None:
            return Receive(message)
        kind = cause.told.kind if isinstance(cause.told, Unreadable) else "AppendEntries"
        return Unread(kind)

    def _judge(self, happening: Happening, event: Witnessed) -> Offence | Doubt | None:
        watched = self.watched[happening.server]
        situation = Situation(happening, event, self.ahead[happening.place], self.chains)
        steps = watched.step(situation, self.judge)
        fine = [step for step in steps if not step.broken]
        if not fine:
            return self._offence(situation, steps)
        fine = [step for step in fine if _fits(happening, step)]
        if not fine:
            return Offence(happening, WITHIN, _describe_glimpses(happening))
        self.watched[happening.server] = now = watched.after(fine)
        for sending in happening.sent:
            self.post.send(sending, _ways(sending, fine))
        offence = _breach_of_property(happening, fine) or self._apply(happening, fine)
        offence = offence or self._enter(happening)
        if offence is not None:
            return offence
        if len(now.beliefs) > MOST_WAYS:
            reason = f"too little was seen: the server may be like {len(now.beliefs)} things"
            return Doubt(happening, reason, is_final=True)
        return _undecided(happening, fine)

    def _offence(self, situation: Situation, steps: list[Judged]) -> Offence:
        """What is wrong with a step that no rule allows."""
        happening = situation.happening
        watched = self.watched[happening.server]
        ways = tuple(allowed(watched, situation, self.judge))
        before = tuple(dict.fromkeys(map(describe_belief, watched.beliefs)))
        if not steps:
            return Offence(happening, *_unexplained(happening), before, ways)
        rule, broken = min(steps, key=lambda step: len(step.broken)).broken[0]
        return Offence(happening, rule.id, str(broken), before, ways)

    def _apply(self, happening: Happening, steps: list[Judged]) -> Offence | None:
        """What the server hands to its state machine, if it is the same however the step was."""
        first, *others = (step.conduct.outputs for step in steps)
        for output in first:
            if isinstance(output, Apply) and all(output in each for each in others):
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


def _public(belief: Belief) -> tuple[object, ...]:
    """What the ledger looks at."""
    return belief.log, belief.current_term, belief.role, belief.commit_index


def _ways(sending: Sending, steps: list[Judged]) -> Iterator[Message]:
    """All that a message that was sent may have been."""
    told = sending.told
    if not isinstance(told, Unreadable):
        yield from (in_full(told, step.after.log) for step in steps)


def _fits(happening: Happening, step: Judged) -> bool:
    return all(was_glimpsed(step.before, each, step.after) for each in happening.glimpses)


def _describe_glimpses(happening: Happening) -> str:
    shown = "; ".join(dict.fromkeys(map(describe_seen, happening.glimpses)))
    return f"no step that Raft allows leads from what was seen before by way of {shown}"


def _breach_of_property(happening: Happening, steps: list[Judged]) -> Offence | None:
    """What property a step violates, however it was; a profile tolerates no such thing."""
    verdicts = [_violated(step) for step in steps]
    if None in verdicts:
        return None
    violated = verdicts[0]
    assert violated is not None
    return Offence(happening, violated.property, violated.explanation)


def _violated(step: Judged) -> Violated | None:
    conduct = step.conduct
    taken = Step(
        conduct.after.id, conduct.before.state, conduct.event, conduct.after.state, conduct.outputs
    )
    for item in _STEP_PROPERTIES:
        explanation = item.violation(taken)
        if explanation is not None:
            return Violated(item.name, explanation)
    return None


def _undecided(happening: Happening, steps: list[Judged]) -> Doubt | None:
    """What nobody can tell of a step, however it was."""
    if not all(step.undecided for step in steps):
        return None
    rule, verdict = steps[0].undecided[0]
    reason = f"{rule.id} cannot be judged for want of {', '.join(verdict.unobserved)}"
    return Doubt(happening, reason, is_final=False)


def _unexplained(happening: Happening) -> tuple[str, str]:
    """What is seen of a log is not what any log could be."""
    seen = happening.seen
    shown = replace(NOTHING_SEEN, log=seen.log)
    shown = replace(shown, last_log_index=seen.last_log_index, last_log_term=seen.last_log_term)
    return "the log", f"nothing that may have happened leads to {describe_seen(shown)}"


def _commits_ahead(trace: Trace) -> dict[Place, int | None]:
    """By happening: which commit index of the server is seen next, before it crashes."""
    ahead: dict[Place, int | None] = {}
    upcoming: dict[NodeId, int] = {}
    for happening in reversed(trace.happenings):
        seen = happening.seen.commit_index
        if not isinstance(seen, UnsetType):
            upcoming[happening.server] = seen
        ahead[happening.place] = upcoming.get(happening.server)
        if isinstance(happening.cause, Restart):
            upcoming.pop(happening.server, None)
    return ahead
