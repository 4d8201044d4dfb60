"""The guarantees of Raft: the five properties of Figure 3, and five auxiliary ones.

Each is one class; its docstring is the paper's sentence. They judge states, events and outputs
only, never how the core came to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from raft_ref.events import Apply, Event, NotLeader, Output, Restart
from raft_ref.types import Entry, Index, Log, NodeId, NodeState, Term
from spec.conduct import becomes_leader, differences, stays_leader
from spec.forms import HistoryProperty, PairProperty, Property, Renaming, Step, StepProperty
from spec.words import entry_text, servers_text

RaftStep: TypeAlias = Step[NodeState, Event, Output]


Leadership: TypeAlias = tuple[Term, NodeId]
"""Who has led which term."""


class ElectionSafety(
    HistoryProperty[NodeState, Event, Output, Leadership, "frozenset[Leadership]"]
):
    """At most one leader can be elected in a given term (§5.2)."""

    exercised_by = frozenset({"contested_election"})
    observes = frozenset({"current_term", "role"})

    def initial(self) -> frozenset[Leadership]:
        """Remember who has led which term."""
        return frozenset()

    def fact(self, step: RaftStep) -> Leadership | None:
        return (
            (step.after.current_term, step.node)
            if becomes_leader(step.before, step.after)
            else None
        )

    def remember(self, memory: frozenset[Leadership], fact: Leadership) -> frozenset[Leadership]:
        return memory | {fact}

    def violation(self, memory: frozenset[Leadership]) -> str | None:
        for term in sorted({term for term, _ in memory}):
            leaders = sorted(leader for led, leader in memory if led == term)
            if len(leaders) > 1:
                return f"term {term} has had more than one leader: {servers_text(leaders)}"
        return None

    def rename(self, memory: frozenset[Leadership], renaming: Renaming) -> frozenset[Leadership]:
        return frozenset((term, renaming.node(leader)) for term, leader in memory)


class LeaderAppendOnly(StepProperty[NodeState, Event, Output]):
    """A leader never overwrites or deletes entries in its log; it only appends new ones (§5.3)."""

    exercised_by = frozenset({"append"})
    observes = frozenset({"current_term", "role", "log"})

    def violation(self, step: RaftStep) -> str | None:
        before, after = step.before, step.after
        if not stays_leader(before, after):
            return None
        index = _first_change(before.log, after.log, until=before.log.last_index)
        if index is None:
            return None
        return (
            f"S{step.node}, the leader of term {after.current_term}, had "
            f"{_entry(before.log, index)} in its log, and now has {_entry(after.log, index)}"
        )


class LogMatching(PairProperty[NodeState, Log]):
    """If two logs contain an entry with the same index and term, then the logs are identical in all
    entries up through the given index (§5.3)."""

    exercised_by = frozenset({"replication"})
    observes = frozenset({"log"})

    def view(self, state: NodeState) -> Log:
        """The log."""
        return state.log

    def violation(self, node: NodeId, log: Log, other: NodeId, other_log: Log) -> str | None:
        first = max(log.snapshot_index, other_log.snapshot_index) + 1
        for index in range(min(log.last_index, other_log.last_index), first - 1, -1):
            if log.term_at(index) == other_log.term_at(index):
                break
        else:
            return None
        for earlier in range(first, index + 1):
            if log.entry_at(earlier) != other_log.entry_at(earlier):
                return (
                    f"S{node} and S{other} both have an entry of term {log.term_at(index)} at "
                    f"index {index}, but S{node} has {_entry(log, earlier)} "
                    f"and S{other} has {_entry(other_log, earlier)}"
                )
        return None


@dataclass(frozen=True, slots=True, order=True)
class CommittedEntry:
    """An entry that some server considered committed, and the earliest term in which one did."""

    index: Index
    entry: Entry
    term: Term


@dataclass(frozen=True, slots=True, order=True)
class Elected:
    """With which log a leader came to power. A leader's log only grows, and by its own entries."""

    term: Term
    log: Log


@dataclass(frozen=True, slots=True)
class Reign:
    """What `LeaderCompleteness` remembers: all that was ever committed, and all elections.

    As a fact, what one step adds to that.
    """

    committed: frozenset[CommittedEntry] = frozenset()
    elected: frozenset[Elected] = frozenset()


class LeaderCompleteness(HistoryProperty[NodeState, Event, Output, Reign, Reign]):
    """If a log entry is committed in a given term, then that entry will be present in the logs of
    the leaders for all higher-numbered terms (§5.4).

    Checked both ways, since a leader of an old term may commit when a later one is already elected.
    """

    exercised_by = frozenset({"commit", "election_with_entries"})
    observes = frozenset({"current_term", "role", "log", "commit_index"})

    def initial(self) -> Reign:
        """Remember nothing yet."""
        return Reign()

    def fact(self, step: RaftStep) -> Reign | None:
        before, after = step.before, step.after
        committed = frozenset(
            CommittedEntry(index, entry, after.current_term)
            for index in range(before.commit_index + 1, after.commit_index + 1)
            if (entry := after.log.entry_at(index)) is not None
        )
        elected = (
            {Elected(after.current_term, after.log)}
            if becomes_leader(step.before, step.after)
            else ()
        )
        return Reign(committed, frozenset(elected)) if committed or elected else None

    def remember(self, memory: Reign, fact: Reign) -> Reign:
        committed = memory.committed
        for entry in fact.committed:
            committed = _commit(committed, entry)
        return Reign(committed, memory.elected | fact.elected)

    def violation(self, memory: Reign) -> str | None:
        for committed in sorted(memory.committed):
            for elected in sorted(memory.elected):
                if elected.term > committed.term and _lacks(elected.log, committed):
                    return (
                        f"{_shown(committed.index, committed.entry)} was committed in term "
                        f"{committed.term}, but the leader of term {elected.term} was elected "
                        f"with {_entry(elected.log, committed.index)}"
                    )
        return None

    def rename(self, memory: Reign, renaming: Renaming) -> Reign:
        return Reign(
            frozenset(
                CommittedEntry(known.index, rename_entry(known.entry, renaming), known.term)
                for known in memory.committed
            ),
            frozenset(
                Elected(leader.term, rename_log(leader.log, renaming)) for leader in memory.elected
            ),
        )


Applied: TypeAlias = frozenset[tuple[Index, Entry]]
"""What was applied to a state machine, and where."""


class StateMachineSafety(HistoryProperty[NodeState, Event, Output, Applied, Applied]):
    """If a server has applied a log entry at a given index to its state machine, no other server
    will ever apply a different log entry for the same index (§5.4.3)."""

    # An entry that a server considers committed counts as applied: it may apply it at any moment.
    exercised_by = frozenset({"follower_commit"})
    observes = frozenset({"log", "commit_index"})
    observes_instead = frozenset({"applied"})

    def initial(self) -> Applied:
        """Remember what was ever applied, and where."""
        return frozenset()

    def fact(self, step: RaftStep) -> Applied | None:
        before, after = step.before, step.after
        applied = {
            (output.index, output.entry) for output in step.outputs if isinstance(output, Apply)
        }
        applied.update(
            (index, entry)
            for index in range(before.commit_index + 1, after.commit_index + 1)
            if (entry := after.log.entry_at(index)) is not None
        )
        return frozenset(applied) or None

    def remember(self, memory: Applied, fact: Applied) -> Applied:
        return memory | fact

    def violation(self, memory: Applied) -> str | None:
        applied: dict[Index, Entry] = {}
        for index, entry in sorted(memory):
            if applied.setdefault(index, entry) != entry:
                return (
                    f"two different entries were applied at index {index}: "
                    f"{entry_text(applied[index])} and {entry_text(entry)}"
                )
        return None

    def rename(self, memory: Applied, renaming: Renaming) -> Applied:
        return frozenset((index, rename_entry(entry, renaming)) for index, entry in memory)


class MonotonicTerm(StepProperty[NodeState, Event, Output]):
    """A server's current term increases monotonically, across restarts too (§5.1, Figure 2)."""

    exercised_by = frozenset({"stale_message"})
    observes = frozenset({"current_term"})

    def violation(self, step: RaftStep) -> str | None:
        if step.after.current_term >= step.before.current_term:
            return None
        return (
            f"the term of S{step.node} fell from {step.before.current_term} "
            f"to {step.after.current_term}"
        )


class VoteOncePerTerm(StepProperty[NodeState, Event, Output]):
    """Each server will vote for at most one candidate in a given term (§5.2).

    A vote once recorded stays recorded for the rest of the term, across restarts too. Losing it is
    reported at once, before it is given a second time; since no term ever comes back
    (`MonotonicTerm`), single steps tell the whole history.
    """

    exercised_by = frozenset({"contested_election"})
    observes = frozenset({"current_term", "voted_for"})

    def violation(self, step: RaftStep) -> str | None:
        before, after = step.before, step.after
        same_term = before.current_term == after.current_term
        if not same_term or before.voted_for in (None, after.voted_for):
            return None
        now = (
            "has no record of that vote"
            if after.voted_for is None
            else f"has voted for S{after.voted_for}"
        )
        return (
            f"S{step.node} had voted for S{before.voted_for} in term {before.current_term}, "
            f"and now {now}"
        )


class CommitStability(StepProperty[NodeState, Event, Output]):
    """Committed entries never change, and a server's commit index never decreases, except in a
    restart, since it is volatile (§5.3, Figure 2)."""

    exercised_by = frozenset({"commit"})
    observes = frozenset({"log", "commit_index"})

    def violation(self, step: RaftStep) -> str | None:
        before, after = step.before, step.after
        index = _first_change(before.log, after.log, until=before.commit_index)
        if index is not None:
            return (
                f"S{step.node} had committed {_entry(before.log, index)}, "
                f"and now has {_entry(after.log, index)}"
            )
        if after.commit_index < before.commit_index and not isinstance(step.event, Restart):
            return (
                f"the commit index of S{step.node} fell from {before.commit_index} "
                f"to {after.commit_index}"
            )
        return None


class StateMachineOrder(StepProperty[NodeState, Event, Output]):
    """Every state machine processes the same sequence of commands: a server applies the entries of
    its log in the order of their indexes, each once between two restarts, and leaves none out
    (§2, §5.3; Figure 2, All servers)."""

    # ``last_applied`` tells of all earlier steps, as long as each moves it to what it applies: so a
    # step that leaves it behind, and would apply an entry again, is a violation, too.
    exercised_by = frozenset({"apply"})
    observes = frozenset({"log", "last_applied", "applied"})

    def violation(self, step: RaftStep) -> str | None:
        is_restart = isinstance(step.event, Restart)
        last, snapshot = step.before.last_applied, step.after.log.snapshot_index
        earliest, latest = (1 if is_restart else last + 1), max(last, snapshot) + 1
        now = None if is_restart else last
        for output in step.outputs:
            if not isinstance(output, Apply):
                continue
            if not earliest <= output.index <= latest:
                return (
                    f"S{step.node} had applied the entries up to {last}, and then applies "
                    f"{_shown(output.index, output.entry)}"
                )
            now = output.index
            earliest = latest = now + 1
        if now is None:
            is_known = step.after.last_applied <= max(last, snapshot)
        else:
            is_known = step.after.last_applied in (now, max(now, snapshot))
        if is_known:
            return None
        applied = last if now is None else now
        return (
            f"S{step.node} has applied the entries up to {applied}, but will go on after "
            f"{step.after.last_applied}"
        )


@dataclass(frozen=True, slots=True)
class Redirections:
    """What `ClientRedirection` remembers: who has led which term, and who was wrongly said to.

    As a fact, who comes to lead, and who is said to.
    """

    led: frozenset[Leadership] = frozenset()
    named: frozenset[Leadership] = frozenset()


class ClientRedirection(HistoryProperty[NodeState, Event, Output, Redirections, Redirections]):
    """A server that names a leader to a client names one of its current term (§5.1, §8)."""

    exercised_by = frozenset({"redirect"})
    observes = frozenset({"current_term", "role", "redirect"})

    def initial(self) -> Redirections:
        """Remember nothing yet."""
        return Redirections()

    def fact(self, step: RaftStep) -> Redirections | None:
        term = step.after.current_term
        led = {(term, step.node)} if becomes_leader(step.before, step.after) else ()
        named = (
            (term, output.leader)
            for output in step.outputs
            if isinstance(output, NotLeader) and output.leader is not None
        )
        fact = Redirections(frozenset(led), frozenset(named))
        return None if fact == Redirections() else fact

    def remember(self, memory: Redirections, fact: Redirections) -> Redirections:
        led = memory.led | fact.led
        return Redirections(led, memory.named | (fact.named - led))

    def violation(self, memory: Redirections) -> str | None:
        for term, leader in sorted(memory.named):
            return f"S{leader} was named to a client as the leader of term {term}, and was not"
        return None

    def rename(self, memory: Redirections, renaming: Renaming) -> Redirections:
        def renamed(leaderships: frozenset[Leadership]) -> frozenset[Leadership]:
            return frozenset((term, renaming.node(leader)) for term, leader in leaderships)

        return Redirections(renamed(memory.led), renamed(memory.named))


PROPERTIES: tuple[Property, ...] = (
    ElectionSafety(),
    LeaderAppendOnly(),
    LogMatching(),
    LeaderCompleteness(),
    StateMachineSafety(),
    MonotonicTerm(),
    VoteOncePerTerm(),
    CommitStability(),
    StateMachineOrder(),
    ClientRedirection(),
)
"""All of them, those of Figure 3 first and in its order."""

PROPERTY_NAMES = tuple(item.name for item in PROPERTIES)
WITHOUT_REDIRECTS = tuple(
    item.name for item in PROPERTIES if not isinstance(item, ClientRedirection)
)
"""Those that do not depend on what a server answers to a client that asks the wrong one."""
FIGURE_3 = PROPERTY_NAMES[:5]
"""What Raft guarantees. The others are auxiliary: they are violated earlier."""


def rename_entry(entry: Entry, renaming: Renaming) -> Entry:
    """``entry`` with its command under another name."""
    return replace(entry, command=renaming.value(entry.command))


def rename_log(log: Log, renaming: Renaming) -> Log:
    """``log`` with its commands under other names."""
    entries = tuple(rename_entry(entry, renaming) for entry in log.entries)
    return replace(log, entries=entries)


def _first_change(before: Log, after: Log, *, until: Index) -> Index | None:
    """First index up to ``until`` at which ``after`` no longer holds the entry ``before`` held."""
    return next(differences(before, after, until), None)


def _commit(committed: frozenset[CommittedEntry], new: CommittedEntry) -> frozenset[CommittedEntry]:
    """``committed`` with ``new``, or with the earlier commitment of the same entry."""
    for known in committed:
        if (known.index, known.entry) == (new.index, new.entry):
            return committed if known.term <= new.term else committed - {known} | {new}
    return committed | {new}


def _lacks(log: Log, committed: CommittedEntry) -> bool:
    """Whether ``log`` does not hold the entry (what a snapshot covers, it holds)."""
    in_snapshot = committed.index <= log.snapshot_index
    return not in_snapshot and log.entry_at(committed.index) != committed.entry


def _entry(log: Log, index: Index) -> str:
    return _shown(index, log.entry_at(index))


def _shown(index: Index, entry: Entry | None) -> str:
    if entry is None:
        return f"nothing at index {index}"
    return f"{entry_text(entry)} at index {index}"
