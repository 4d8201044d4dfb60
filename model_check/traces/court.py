"""What a server may be like by now, as far as a trace tells; and what it may do next.

If all was seen of a step, there is one thing that the server may be like after it. Of what was not
seen, whatever is possible is considered: a server changes its log by what a message brings, its
vote when it is asked for it, and so on; and of that, what breaks no rule remains. So a trace
conforms if there is a way to tell what was not seen in which no rule is broken.

The commit index is hardly such a choice. Where it was not seen, the highest is taken that the
rules allow and that is not above what is seen next: what a majority holds and the leader says is
committed, and to know that earlier forbids a server nothing. Only where nobody can judge whether
something was committed (before the trace began, something may have arrived), it may be so or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from msgspec import UNSET, UnsetType

from model_check.render import describe_entries
from model_check.traces.belief import BEFORE_THE_TRACE, Belief
from model_check.traces.foresight import Upcoming
from model_check.traces.happening import NOTHING_SEEN, Counted, Happening, Unreadable
from model_check.traces.outcomes import Situation, outcomes
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Entry,
    Index,
    Message,
    NodeId,
    NotLeader,
    Output,
    RequestVote,
    RequestVoteReply,
    Restart,
    Send,
)
from spec.chain import Chain
from spec.conduct import Conduct, watch
from spec.judge import Judge, single_steps
from spec.rule import Broken, NotDecidable, Rule
from spec.rules import RULES
from spec.shadow import Shadow
from spec.words import describe_undecidable

HIDDEN = Entry(0, "?")
"""Stands for an applied entry whose content a snapshot hides; it equals no other entry."""

MOST_WAYS = 512
"""How many things a server may be like before nobody can tell any more."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A step that a server may have taken, and what is wrong with it."""

    before: Belief
    after: Belief
    conduct: Conduct
    broken: tuple[tuple[Rule, Broken], ...]
    undecided: tuple[tuple[Rule, NotDecidable], ...]


@dataclass(frozen=True, slots=True)
class WatchedServer:
    """What is known of a server."""

    server: NodeId
    servers: frozenset[NodeId]
    beliefs: tuple[Belief, ...]

    def step(self, situation: Situation, judge: Judge, *, in_full: bool = False) -> list[Judged]:
        """All steps that the server may have taken, those included that it should not have.

        Of what is wrong with these, the first is named, or ``in_full`` all.
        """
        return [
            self._judged(situation, before, after, judge, in_full)
            for before in self.beliefs
            for after in outcomes(situation, before)
        ]

    def _judged(
        self, situation: Situation, before: Belief, after: Belief, judge: Judge, in_full: bool
    ) -> Judged:
        outputs = tuple(_outputs(situation.happening, after))
        evidence = before.evidence
        if "applied" in judge.incomplete and isinstance(situation.event, Restart):
            # It may have applied unseen all that it considered committed.
            applied = max(evidence.ever_applied, before.commit_index)
            evidence = replace(evidence, ever_applied=applied)
        shadow = Shadow(self.server, self.servers, before.state, evidence)
        conduct = watch(shadow, situation.event, after.state, outputs)
        broken: list[tuple[Rule, Broken]] = []
        undecided: list[tuple[Rule, NotDecidable]] = []
        singles = tuple(single_steps(conduct))
        for rule in RULES:
            verdict = judge.judge(rule, singles)
            if isinstance(verdict, NotDecidable):
                undecided.append((rule, verdict))
            elif isinstance(verdict, Broken):
                broken.append((rule, verdict))
                if not in_full:
                    break
        after = replace(
            after,
            evidence=conduct.after.evidence,
            left_open=before.left_open or next(map(_reason, undecided), None),
            is_guessed=situation.happening.seen.commit_index is UNSET
            and (_is_commit_open(undecided) or _keeps_guess(before, after)),
        )
        return Judged(before, after, conduct, tuple(broken), tuple(undecided))

    def after(self, steps: Iterable[Judged], needed: Index = 0) -> WatchedServer:
        """What is known once one of ``steps`` was taken, none of which breaks a rule.

        Of what differs in the commit index alone, that is the highest, as far as it can be judged;
        and besides, one that nobody can judge, if that is not above what is ``needed`` next.
        """
        best: dict[Belief, Belief] = {}
        for belief in (step.after for step in steps):
            alike = replace(belief, commit_index=0, left_open=None)
            if alike not in best or _rank(best[alike], needed) < _rank(belief, needed):
                best[alike] = belief
        judged = {key: belief for key, belief in best.items() if not belief.is_guessed}
        return replace(
            self,
            beliefs=tuple(
                belief
                for key, belief in best.items()
                if not _is_idle_guess(belief, judged.get(replace(key, is_guessed=False)), needed)
            ),
        )


def _rank(belief: Belief, needed: Index) -> tuple[Index, bool]:
    commit_index = belief.commit_index
    is_too_high = belief.is_guessed and commit_index > needed
    return -commit_index if is_too_high else commit_index, belief.left_open is None


def _is_idle_guess(belief: Belief, judged: Belief | None, needed: Index) -> bool:
    """Whether a commit index that nobody can judge is of no use: for ``judged`` is as high."""
    if not belief.is_guessed or judged is None:
        return False
    return not judged.commit_index < belief.commit_index <= needed


def _is_commit_open(undecided: Iterable[tuple[Rule, NotDecidable]]) -> bool:
    return any(rule.group == "commit" for rule, _ in undecided)


def _keeps_guess(before: Belief, after: Belief) -> bool:
    """Whether a commit index is no better known than before: what is judged stands by itself."""
    return before.is_guessed and after.commit_index <= before.commit_index


def _reason(undecided: tuple[Rule, NotDecidable]) -> str:
    rule, verdict = undecided
    if "applied" in verdict.unobserved:
        return (
            f"{rule.id} cannot be judged, since lines of the events apply, start and restart may "
            'be missing; if none is, say "complete": ["apply", "start"] in the first line'
        )
    others = [each for each in verdict.unobserved if each != BEFORE_THE_TRACE]
    reasons = [describe_undecidable(others, rule.observes)] if others else []
    if BEFORE_THE_TRACE in verdict.unobserved:
        reasons.append(f"{BEFORE_THE_TRACE} may have allowed the step")
    return f"{rule.id} cannot be judged, since {', and '.join(reasons)}"


# --- what a step put out --------------------------------------------------------------------------


def _outputs(happening: Happening, after: Belief) -> Iterator[Output]:
    log = after.log
    hidden_until = min(log.beginning.last_index, after.commit_index)
    for sending in happening.sent:
        told = sending.told
        is_own = not isinstance(told, Counted) and told.destination == happening.server
        if not isinstance(told, Unreadable) and not is_own:
            yield Send(_as_known(told, log))
    for applying in happening.applied:
        index, shown = applying.index, applying.entry
        own = log.entry_at(index) or Entry(log.last_term, "?")
        if index <= hidden_until:
            own = HIDDEN
        yield Apply(index, own if isinstance(shown, UnsetType) else shown)
    yield from (NotLeader(each.leader) for each in happening.redirected)


def _as_known(told: Message | Counted, log: Chain) -> Message:
    """A message that was sent by a server with this log, without what a snapshot hides of that.

    A trace may begin with a log of which it does not tell the entries; these may be sent.
    """
    beginning = log.beginning
    match told:
        case Counted(rest, count) if is_hidden(told, log):
            left = max(0, rest.prev_log_index + count - beginning.last_index)
            rest = replace(
                rest, prev_log_index=beginning.last_index, prev_log_term=beginning.last_term
            )
            return in_full(Counted(rest, left), log)
        case AppendEntries(entries=entries) if is_hidden(told, log):
            number = beginning.last_index - told.prev_log_index
            term = entries[number - 1].term if number <= len(entries) else beginning.last_term
            return replace(
                told,
                prev_log_index=beginning.last_index,
                prev_log_term=term,
                entries=entries[number:],
            )
    return in_full(told, log)


def is_hidden(told: Message | Counted, log: Chain) -> bool:
    """Whether a snapshot hides, in this log, what a request says of entries."""
    match told:
        case AppendEntries(prev_log_index=index) | Counted(AppendEntries(prev_log_index=index)):
            return 0 < log.beginning.last_index > index
        case RequestVote() | RequestVoteReply() | AppendEntriesReply():
            return False
        case _:
            assert_never(told)


def in_full(told: Message | Counted, log: Chain) -> Message:
    """A message that was sent by a server with this log."""
    if not isinstance(told, Counted):
        return told
    first = told.rest.prev_log_index
    entries = log.between(first, first + told.count)
    # Where the log does not reach so far, something that it has not stands for what was sent.
    lacking = (Entry(told.rest.term, "?"),) * (told.count - len(entries))
    return replace(told.rest, entries=(*entries, *lacking))


# --- in words ------------------------------------------------------------------------------------


def allowed(watched: WatchedServer, situation: Situation, judge: Judge) -> list[str]:
    """What the rules would have allowed the server to become, sentence by sentence."""
    blind = replace(situation.happening, seen=NOTHING_SEEN, sent=(), applied=(), redirected=())
    steps = watched.step(replace(situation, happening=blind, upcoming=Upcoming()), judge)
    fine = [step for step in steps if not step.broken]
    best = watched.after(fine).beliefs
    words = [
        _change(before, after)
        for before in watched.beliefs
        for after in best
        if any(step.before is before and step.after == after for step in fine)
    ]
    return list(dict.fromkeys(words))


def describe_belief(belief: Belief) -> str:
    """What a server may be like."""
    vote = "nobody" if belief.voted_for is None else f"S{belief.voted_for}"
    end = f"of term {belief.log.last_term}" if belief.log.last_index else "so empty"
    return (
        f"term {belief.current_term}, a vote for {vote}, {belief.role}, commit index "
        f"{belief.commit_index}, a log up to {belief.log.last_index}, {end}"
    )


def _change(before: Belief, after: Belief) -> str:
    """How ``after`` differs from ``before``."""
    parts = []
    if after.current_term != before.current_term:
        parts.append(f"term {after.current_term}")
    if after.voted_for != before.voted_for:
        vote = after.voted_for
        parts.append("no vote" if vote is None else f"a vote for S{vote}")
    if after.role != before.role:
        parts.append(after.role)
    if after.log is not before.log:
        parts.append(_change_of_log(before.log, after.log))
    if after.commit_index != before.commit_index:
        parts.append(f"commit index up to {after.commit_index}")
    return ", ".join(parts) or "no change"


def _change_of_log(before: Chain, after: Chain) -> str:
    kept = before.meeting(after)
    added = after.between(kept, after.last_index)
    return f"a log with {describe_entries(added)} from {kept + 1} on"
