"""What a server may be like by now, as far as a trace tells; and what it may do next.

If all was seen of a step, there is one thing that the server may be like after it. Of what was not
seen, whatever is possible is considered: a server changes its log by what a message brings, its
vote when it is asked for it, and so on; and of that, what breaks no rule remains. So a trace
conforms if there is a way to tell what was not seen in which no rule is broken.

The commit index is no such choice. Where it was not seen, the highest is taken that the rules allow
and that is not above what is seen next: what a majority holds and the leader says is committed, and
to know that earlier forbids a server nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar, get_args

from msgspec import UNSET, UnsetType

from model_check.traces.happening import (
    NOTHING_SEEN,
    Counted,
    Happening,
    RoleName,
    Seen,
    Unreadable,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Follower,
    Index,
    IndexMap,
    Leader,
    Message,
    NodeId,
    NodeState,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    Restart,
    Role,
    Send,
    Term,
)
from spec.chain import Chain, Chains, SharedLog
from spec.conduct import Conduct, watch
from spec.judge import Judge, single_steps
from spec.rule import Broken, NotDecidable, Rule
from spec.rules import RULES
from spec.shadow import NO_EVIDENCE, Evidence, Shadow, Witnessed

X = TypeVar("X")

MOST_BELIEFS = 512
"""How many things a server may be like before nobody can tell any more."""

BEFORE_THE_TRACE = "what came before the trace"
"""In place of the kind of a message that cannot be read."""

_ROLES: dict[RoleName, Role] = {
    "follower": Follower(),
    "candidate": Candidate(frozenset()),
    "leader": Leader(IndexMap(), IndexMap()),
}


@dataclass(frozen=True, slots=True)
class Belief:
    """What a server may be like."""

    log: Chain
    current_term: Term = 0
    voted_for: NodeId | None = None
    role: RoleName = "follower"
    commit_index: Index = 0
    evidence: Evidence = NO_EVIDENCE

    @property
    def state(self) -> NodeState:
        """The same, as rules look at it."""
        return NodeState(
            persistent=PersistentState(self.current_term, self.voted_for, SharedLog(self.log)),
            role=_ROLES[self.role],
            commit_index=self.commit_index,
            last_applied=self.commit_index,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A step that a server may have taken, and what is wrong with it."""

    before: Belief
    after: Belief
    conduct: Conduct
    broken: tuple[tuple[Rule, Broken], ...]
    undecided: tuple[tuple[Rule, NotDecidable], ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a server."""

    server: NodeId
    servers: frozenset[NodeId]
    beliefs: tuple[Belief, ...]

    def step(
        self, happening: Happening, event: Witnessed, ahead: Index | None, court: Court
    ) -> list[Judged]:
        """All steps that the server may have taken, those included that it should not have.

        ``ahead`` is the commit index that is seen next, before it crashes again.
        """
        steps: list[Judged] = []
        for before in self.beliefs:
            highest = None if ahead is None else max(ahead, before.commit_index)
            steps += (
                court.judge(self, happening, before, event, after)
                for after in _outcomes(self.server, before, happening, event, court.chains)
                if highest is None or after.commit_index <= highest
            )
        return steps

    def after(self, steps: Iterable[Judged]) -> Account:
        """What is known once one of ``steps`` was taken, none of which breaks a rule."""
        highest: dict[Belief, Belief] = {}
        for step in steps:
            after = step.after
            alike = replace(after, commit_index=0)
            if alike not in highest or highest[alike].commit_index < after.commit_index:
                highest[alike] = after
        return replace(self, beliefs=tuple(highest.values()))


@dataclass(slots=True)
class Court:
    """Holds steps against the rules."""

    judgement: Judge
    chains: Chains

    def judge(
        self,
        account: Account,
        happening: Happening,
        before: Belief,
        event: Witnessed,
        after: Belief,
    ) -> Judged:
        """A step that leads from ``before`` to ``after``, with all that is wrong with it."""
        outputs = tuple(_outputs(happening, after.log))
        shadow = Shadow(account.server, account.servers, before.state, before.evidence)
        conduct = watch(shadow, event, after.state, outputs)
        singles = tuple(single_steps(conduct))
        verdicts = [(rule, self.judgement.judge(rule, singles)) for rule in RULES]
        return Judged(
            before,
            replace(after, evidence=conduct.after.evidence),
            conduct,
            tuple((rule, each) for rule, each in verdicts if isinstance(each, Broken)),
            tuple((rule, each) for rule, each in verdicts if isinstance(each, NotDecidable)),
        )


# --- what a step put out --------------------------------------------------------------------------


def _outputs(happening: Happening, log: Chain) -> Iterator[Output]:
    for sending in happening.sent:
        told = sending.told
        is_own = not isinstance(told, Counted) and told.destination == happening.server
        if not isinstance(told, Unreadable) and not is_own:
            yield Send(in_full(told, log))
    for applying in happening.applied:
        if not isinstance(applying.entry, UnsetType):
            yield Apply(applying.index, applying.entry)
        elif (entry := log.entry_at(applying.index)) is not None:
            yield Apply(applying.index, entry)


def in_full(told: Message | Counted, log: Chain) -> Message:
    """A message that was sent by a server with this log."""
    if not isinstance(told, Counted):
        return told
    first = told.rest.prev_log_index
    entries = log.between(first, first + told.count)
    # Where the log does not reach so far, something that it has not stands for what was sent.
    lacking = (Entry(told.rest.term, "?"),) * (told.count - len(entries))
    return replace(told.rest, entries=(*entries, *lacking))


# --- what a server may be like after a step ------------------------------------------------------


def first_beliefs(happening: Happening, chains: Chains) -> tuple[Belief, ...]:
    """What a server may be like at the start of a trace: what was seen, otherwise as at first."""
    seen = happening.seen
    base = chains.beginning() if isinstance(seen.base, UnsetType) else _begun(seen, chains)
    log = base if isinstance(seen.log, UnsetType) else chains.extended(base, *seen.log.entries)
    term = _given(seen.current_term, 0)
    has_a_past = term > 0 or log.last_index > 0
    return (
        Belief(
            log=log,
            current_term=term,
            voted_for=_given(seen.voted_for, None),
            role=_given(seen.role, "follower"),
            commit_index=_given(seen.commit_index, 0),
            evidence=Evidence(unread=frozenset({BEFORE_THE_TRACE} if has_a_past else ())),
        ),
    )


def _begun(seen: Seen, chains: Chains) -> Chain:
    assert not isinstance(seen.base, UnsetType)
    return chains.beginning(seen.base.index, seen.base.term)


def _outcomes(
    server: NodeId, before: Belief, happening: Happening, event: Witnessed, chains: Chains
) -> Iterator[Belief]:
    """All that fits what was seen, if it may possibly be; most of it breaks a rule."""
    seen = happening.seen
    arrived = event.message if isinstance(event, Receive) else None
    terms = _choices(seen.current_term, _terms(before, event, happening))
    roles = _choices(seen.role, get_args(RoleName))
    for term, role in product(terms, roles):
        votes = _choices(seen.voted_for, _votes(server, before, term, arrived))
        logs = tuple(_logs(before, term, role, happening, event, chains))
        for vote, log in product(votes, logs):
            for commit in _choices(seen.commit_index, _commits(before, event, log)):
                yield Belief(log, term, vote, role, commit)


def _choices(seen: X | UnsetType, otherwise: Iterable[X]) -> tuple[X, ...]:
    return tuple(dict.fromkeys(otherwise)) if isinstance(seen, UnsetType) else (seen,)


def _terms(before: Belief, event: Witnessed, happening: Happening) -> Iterator[Term]:
    yield before.current_term
    if isinstance(event, Receive) and event.message.term > before.current_term:
        yield event.message.term
    if isinstance(event, ElectionTimeout):
        yield before.current_term + 1
    for sending in happening.sent:
        told = sending.told
        term = told.rest.term if isinstance(told, Counted) else getattr(told, "term", 0)
        if term > before.current_term:
            yield term


def _votes(
    server: NodeId, before: Belief, term: Term, arrived: Message | None
) -> Iterator[NodeId | None]:
    if term == before.current_term:
        yield before.voted_for
    else:
        yield None
    if isinstance(arrived, RequestVote):
        yield arrived.source
    yield server


def _commits(before: Belief, event: Witnessed, log: Chain) -> Iterator[Index]:
    """Whatever a rule may say is the highest, and what the commit index was."""
    yield before.commit_index
    if isinstance(event, Restart):
        yield 0
    evidence = before.evidence
    known = {evidence.claimed, evidence.confirmed, *evidence.acknowledged.values(), log.last_index}
    match event:
        case Receive(AppendEntries() as request):
            known |= {request.leader_commit, request.prev_log_index + len(request.entries)}
        case Receive(AppendEntriesReply() as reply):
            known.add(reply.match_index)
    yield from (index for index in known if before.commit_index < index <= log.last_index)


def was_glimpsed(before: Belief, glimpse: Seen, after: Belief) -> bool:
    """Whether a server may have looked so within a step: each field as before, or as after.

    But for the term: that changes first, and the vote of another term is forgotten with it.
    """
    is_same = before.current_term == after.current_term
    vote = before.voted_for if is_same else None
    commits = range(before.commit_index, after.commit_index + 1)
    return (
        glimpse.current_term in (UNSET, after.current_term)
        and glimpse.voted_for in (UNSET, vote, after.voted_for)
        and glimpse.role in (UNSET, before.role, after.role)
        and (isinstance(glimpse.commit_index, UnsetType) or glimpse.commit_index in commits)
    )


# --- logs ----------------------------------------------------------------------------------------


def _logs(
    before: Belief,
    term: Term,
    role: RoleName,
    happening: Happening,
    event: Witnessed,
    chains: Chains,
) -> Iterator[Chain]:
    """The logs that fit what was seen."""
    seen = happening.seen
    if not isinstance(seen.log, UnsetType):
        yield chains.extended(before.log.until(seen.log.start - 1), *seen.log.entries)
        return
    for log in dict.fromkeys(possible_logs(before, term, role, happening, event, chains)):
        is_long = seen.last_log_index in (log.last_index, _unset(seen.last_log_index))
        if is_long and seen.last_log_term in (log.last_term, _unset(seen.last_log_term)):
            yield log


def _unset(value: object) -> object:
    """Itself, if nothing was seen; something that equals nothing, otherwise."""
    return value if isinstance(value, UnsetType) else object()


def possible_logs(
    before: Belief,
    term: Term,
    role: RoleName,
    happening: Happening,
    event: Witnessed,
    chains: Chains,
) -> Iterator[Chain]:
    """Logs that a server may have after a step, whatever was seen of them."""
    yield before.log
    if role == "leader":
        for count in _growths(before, happening, event):
            entries = _new_entries(before.log, count, term, happening, event)
            yield chains.extended(before.log, *entries)
    elif isinstance(event, Receive) and isinstance(event.message, AppendEntries):
        yield from _merged(before.log, event.message, chains)


def _merged(log: Chain, request: AppendEntries, chains: Chains) -> Iterator[Chain]:
    """``log`` with some of the entries of ``request``: what follows them is kept, or not."""
    kept = log.until(request.prev_log_index)
    known = kept.last_index - request.prev_log_index  # more than none where a snapshot hides them
    if known < 0:
        return
    yield kept
    for entry in request.entries[known:]:
        kept = chains.extended(kept, entry)
        yield log if log.until(kept.last_index) is kept else kept
        yield kept


def _growths(before: Belief, happening: Happening, event: Witnessed) -> Iterator[int]:
    """By how many entries a leader's log may have grown."""
    last = before.log.last_index
    if isinstance(event, ClientRequest):
        yield 1
    if not isinstance(happening.seen.last_log_index, UnsetType):
        yield happening.seen.last_log_index - last
    ends = [end for sending in happening.sent if (end := _end(sending.told)) is not None]
    yield max(ends, default=last) - last


def _end(told: object) -> Index | None:
    """Up to where a request reaches."""
    match told:
        case Counted(rest, count):
            return rest.prev_log_index + count
        case AppendEntries():
            return told.prev_log_index + len(told.entries)
    return None


def _new_entries(
    log: Chain, count: int, term: Term, happening: Happening, event: Witnessed
) -> Iterator[Entry]:
    """So many entries of a leader: those it sends, if they were seen, or that a client asks for."""
    sent: dict[Index, Entry] = {}
    for sending in happening.sent:
        if isinstance(sending.told, AppendEntries):
            sent |= dict(enumerate(sending.told.entries, start=sending.told.prev_log_index + 1))
    for number in range(count):
        index = log.last_index + 1 + number
        asked = event.command if isinstance(event, ClientRequest) and number == 0 else ""
        yield sent.get(index, Entry(term, asked))


# --- in words ------------------------------------------------------------------------------------


def allowed(account: Account, happening: Happening, event: Witnessed, court: Court) -> list[str]:
    """What the rules would have allowed the server to become, sentence by sentence."""
    blind = replace(happening, seen=NOTHING_SEEN, sent=(), applied=())
    fine = [step for step in account.step(blind, event, None, court) if not step.broken]
    best = account.after(fine).beliefs
    words = [
        _change(before, after)
        for before in account.beliefs
        for after in best
        if any(step.before is before and step.after == after for step in fine)
    ]
    return list(dict.fromkeys(words))


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
    added = ", ".join(str(entry) for entry in after.between(kept, after.last_index))
    removed = before.last_index - kept
    parts = [f"without what follows {kept}"] if removed else []
    parts += [f"with {added} at {kept + 1}"] if added else []
    return "the log " + " and ".join(parts)


def _given(value: X | UnsetType, otherwise: X) -> X:
    return otherwise if isinstance(value, UnsetType) else value
