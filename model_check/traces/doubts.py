"""Where nobody can tell any more whether Raft allows a step, or what a server is like after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from msgspec import UNSET, UnsetType

from model_check.traces.belief import Belief
from model_check.traces.court import Judged, WatchedServer
from model_check.traces.foresight import ends_of
from model_check.traces.happening import Arrived, Counted, Happening
from model_check.traces.outcomes import MOST_GROWTH, Situation
from model_check.traces.verdict import Doubt
from raft_ref import AppendEntries, NodeId, Receive
from spec.judge import Judge
from spec.shadow import Unread, Witnessed


def hidden(happening: Happening, event: Witnessed, beliefs: Iterable[Belief]) -> Doubt | None:
    """Why nobody can tell any more what a server is like, if what has arrived makes it so."""
    match happening.cause, event:
        case Arrived(Counted(rest)), Unread() if happening.seen.log is UNSET:
            reason = (
                f"which entries S{rest.source} has sent nobody tells: log them, or the lines of "
                "who sends them"
            )
            return Doubt(happening, reason, is_final=True)
        case _, Receive(AppendEntries() as request):
            if any(_rewrites_past(belief, request) for belief in beliefs):
                reason = "a request replaces entries from before the trace, which it does not show"
                return Doubt(happening, reason, is_final=True)
        case _:
            pass  # nothing else hides entries
    return None


def led_from_outside(
    happening: Happening, servers: frozenset[NodeId], beliefs: Iterable[Belief]
) -> Doubt | None:
    """Why nobody can tell any more who has a vote, if a server without one leads.

    It may be right to follow it: a server takes requests of a leader that is not in its own
    configuration (§6). But no such server was elected by a majority of ``servers``.
    """
    match happening.cause:
        case Arrived(Counted(request)) | Arrived(AppendEntries() as request):
            if request.source in servers:
                return None
        case _:
            return None
    if all(request.term < belief.current_term for belief in beliefs):
        return None  # whoever led that term, leads no more
    reason = (
        f"S{request.source}, which has no vote, leads term {request.term}; the rules do not cover "
        "membership changes"
    )
    return Doubt(happening, reason, is_final=True)


def of_the_past(happening: Happening, beliefs: Iterable[Belief]) -> Doubt | None:
    """Why nobody can tell what a log has become, if the trace does not show it there."""
    seen = happening.seen
    ends = [seen.last_log_index]
    if not isinstance(seen.log, UnsetType):
        ends.append(seen.log.start - 1)
    least = min((end for end in ends if not isinstance(end, UnsetType)), default=None)
    if least is None or any(least >= each.log.beginning.last_index for each in beliefs):
        return None
    reason = "what is seen of the log is from before the trace"
    return Doubt(happening, reason, is_final=True)


def too_long(situation: Situation, watched: WatchedServer, judge: Judge) -> Doubt | None:
    """Why nobody looks how a log has come to be so long, if a leader may have appended all that."""
    happening = situation.happening
    longest = max(belief.log.last_index for belief in watched.beliefs)
    if max(ends_of(happening)) <= longest + MOST_GROWTH:
        return None
    seen = replace(
        happening.seen, log=UNSET, last_log_index=UNSET, last_log_term=UNSET, commit_index=UNSET
    )
    shorter = replace(happening, seen=seen, sent=(), applied=())
    steps = watched.step(replace(situation, happening=shorter), judge)
    leads = any(step.after.role == "leader" and not step.broken for step in steps)
    has_led = any(watched.server in belief.evidence.leaders for belief in watched.beliefs)
    if not (leads or has_led):
        return None
    reason = f"a leader may have appended more than {MOST_GROWTH:,} entries that it does not show"
    return Doubt(happening, reason, is_final=True)


def _rewrites_past(belief: Belief, request: AppendEntries) -> bool:
    """Whether a request has another entry than the last of those that the trace does not show."""
    beginning = belief.log.beginning
    number = beginning.last_index - request.prev_log_index - 1
    is_known = 0 <= number < len(request.entries) and request.term >= belief.current_term
    return is_known and request.entries[number].term != beginning.last_term


def undecided(happening: Happening, steps: Sequence[Judged]) -> Doubt | None:
    """What nobody can tell of a step, or of those that led to it, however they were."""
    reasons = [step.after.left_open for step in steps]
    reason = reasons[0]
    return None if reason is None or None in reasons else Doubt(happening, reason, is_final=False)
