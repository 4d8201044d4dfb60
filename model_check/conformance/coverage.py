"""How much of what was to be played was played, what came to pass in it, and what did not.

That nothing is violated says little where nobody ever led, where nothing was ever committed, or
where most deliveries were skipped: then playing is inconclusive, and says why. An exploration is
inconclusive where nobody led. Its bounds may exclude every commit, so there the lack of one is only
warned about, as whatever else the bounds leave out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, get_args

from model_check.conformance.protocol import EventName
from raft_ref import Message, NodeId

KINDS_OF_FIGURE_2 = frozenset(each.__name__ for each in get_args(Message))

Undecided: TypeAlias = dict[str, tuple[str, ...]]
"""By rule: for want of what it could not be judged in some step."""


@dataclass(kw_only=True)
class Coverage:
    """Of one run, or of many together."""

    actions: int = 0
    """Actions of the core that were to be played."""
    left_out: int = 0
    """Those skipped because no message in flight matched."""
    deliveries: int = 0
    """Those actions that deliver a message."""
    deliveries_left_out: int = 0
    """Deliveries skipped because no message in flight matched."""
    deliveries_gone: int = 0
    """Those of them that a message matched which is not in flight any more: the network has lost
    it, or has delivered it before."""
    steps: int = 0
    """Steps of the servers, all of them judged."""
    unsupported: Counter[EventName] = field(default_factory=Counter)
    """Events that were not played because the adapter cannot cause them, by name."""
    sent: Counter[str] = field(default_factory=Counter)
    """Messages that the servers sent, by kind."""
    undelivered: Counter[NodeId] = field(default_factory=Counter)
    """Messages to addresses that are none of the nodes, by address: nobody gets them."""
    reached: dict[str, int] = field(default_factory=dict)
    """Each milestone reached, with the fewest actions of a run to it."""
    undecided: Undecided = field(default_factory=dict)

    def add(self, other: Coverage) -> None:
        """Count what was done elsewhere, too."""
        self.actions += other.actions
        self.left_out += other.left_out
        self.deliveries += other.deliveries
        self.deliveries_left_out += other.deliveries_left_out
        self.deliveries_gone += other.deliveries_gone
        self.steps += other.steps
        self.unsupported.update(other.unsupported)
        self.sent.update(other.sent)
        self.undelivered.update(other.undelivered)
        for milestone, actions in other.reached.items():
            self.reached[milestone] = min(actions, self.reached.get(milestone, actions))
        for rule, lacking in other.undecided.items():
            known = self.undecided.get(rule, ())
            self.undecided[rule] = tuple(sorted({*known, *lacking}))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The kinds of the messages sent that are none of Figure 2's."""
        return tuple(sorted(self.sent.keys() - KINDS_OF_FIGURE_2))


class Shortfall(NamedTuple):
    """Why it says little that nothing was violated."""

    lack: str
    """What did not happen."""
    advice: str
    """Why, as far as it is known, and what to do."""

    def __str__(self) -> str:
        return f"{self.lack}: {self.advice}"


MORE = "play more runs (--schedules, --walks)"
NAMES = "give messages the paper's names where they mean the same (spec/adapter_protocol.md)"

NO_LEADER = "no leader was elected"
WHY_NO_RUN_ELECTS = (
    "let election_timeout begin an election and deliver hand every message to the server; or widen "
    "the bounds, such as --max-term and --max-election-timeouts"
)
NO_ANSWER = "no server answered any message: let deliver hand it to the server"


def describe_shortfalls(found: Iterable[Shortfall]) -> str:
    """Why the result is inconclusive, in a sentence."""
    return f"nothing is violated, but {'; '.join(each.lack for each in found)}"


def shortfalls(cover: Coverage, hidden: frozenset[str]) -> tuple[Shortfall, ...]:
    """All that makes playing inconclusive, if anything does."""
    return tuple(each for each in _shortfalls(cover, hidden) if each is not None)


def _shortfalls(cover: Coverage, hidden: frozenset[str]) -> Iterator[Shortfall | None]:
    has_led = "election" in cover.reached
    yield _unseen("whether a leader was elected cannot be seen", {"current_term", "role"} & hidden)
    if not has_led and "role" not in hidden:
        yield Shortfall(NO_LEADER, _why_nobody_led(cover))
    yield _unseen("which entries were committed cannot be seen", {"log", "commit_index"} & hidden)
    has_committed = not cover.reached.keys().isdisjoint({"commit", "follower_commit"})
    if not has_committed and "commit_index" not in hidden:
        yield Shortfall("no entry was committed", _why_nothing_was_committed(cover, has_led))
    unmatched = cover.deliveries_left_out - cover.deliveries_gone
    if 2 * unmatched > cover.deliveries:
        figures = f"{unmatched:,} of {cover.deliveries:,}"
        lack = f"most deliveries were skipped ({figures}): no message matched"
        yield Shortfall(lack, _why_no_message_matched(cover))


def exploration_shortfalls(
    reached: Collection[str], hidden: frozenset[str]
) -> tuple[Shortfall, ...]:
    """All that makes an exploration to the end of its bounds inconclusive, if anything does.

    Where the role or the term is hidden, no bounds are explored to their end.
    """
    if "election" in reached or not hidden.isdisjoint({"current_term", "role"}):
        return ()
    return (Shortfall(NO_LEADER, WHY_NO_RUN_ELECTS),)


def _unseen(lack: str, fields: Iterable[str]) -> Shortfall | None:
    names = " and ".join(sorted(fields))
    return Shortfall(lack, f"let the adapter show {names}") if names else None


def _why_nobody_led(cover: Coverage) -> str:
    if cover.unsupported["election_timeout"]:
        return "let the adapter cause election_timeout, which it declares unsupported"
    if not cover.steps:
        return f"there was nothing to play: {MORE}"
    if not cover.sent:
        return f"no server sent a message: let election_timeout begin an election, or {MORE}"
    if "RequestVote" not in cover.sent:
        return _misnamed("RequestVote", cover)
    if "RequestVoteReply" not in cover.sent:
        return _misnamed("RequestVoteReply", cover) if cover.unknown else NO_ANSWER
    return f"nobody won the votes of a majority: {MORE}"


def _why_nothing_was_committed(cover: Coverage, has_led: bool) -> str:
    if not has_led:
        return "see above"
    if cover.unsupported["propose"]:
        return "let the adapter cause propose, which it declares unsupported"
    if "append" not in cover.reached:
        return f"no leader appended a command: let propose hand it over, or {MORE}"
    for kind in ("AppendEntries", "AppendEntriesReply"):
        if cover.sent and kind not in cover.sent:
            return _misnamed(kind, cover)
    return f"no entry was acknowledged by a majority: {MORE}"


def _why_no_message_matched(cover: Coverage) -> str:
    if cover.unsupported["election_timeout"]:
        return "let the adapter cause election_timeout, which it declares unsupported"
    if not {"RequestVoteReply", "AppendEntriesReply"} & cover.sent.keys() and not cover.unknown:
        return NO_ANSWER
    if cover.unknown:
        return f"there were messages of the kinds {', '.join(cover.unknown)}; {NAMES}"
    return (
        "a message matches if it is of the same kind and term, between the same servers: see that "
        "these are reported as they are; or explore instead (--explore)"
    )


def _misnamed(kind: str, cover: Coverage) -> str:
    if not cover.unknown:
        return f"no server sent a message of the kind {kind}; {MORE}"
    return (
        f"no server sent a message of the kind {kind}, but of the kinds "
        f"{', '.join(cover.unknown)}; {NAMES}"
    )
