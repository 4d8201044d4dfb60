"""Bugs in applying committed entries (§5.3), and in telling clients who leads (§8), as mutants."""

from __future__ import annotations

from dataclasses import replace

from model_check.mutants.mutant import NO_REPORT, mutant
from model_check.raft import Bounds
from raft_ref import (
    Apply,
    Config,
    Event,
    NodeId,
    NodeState,
    Restart,
    Transition,
    commit,
    node,
    replication,
)

APPLYING = "All servers: if commitIndex > lastApplied, apply log[lastApplied] (§5.3)"
TWO_AT_ONCE = Bounds(max_log=2, values=1, max_entries=2)


@mutant(
    commit.apply_committed,
    rule=APPLYING,
    breaks="APPLY-ORDER",
    seen_in=NO_REPORT,
    bounds=Bounds(max_log=2, values=1),
    expected="StateMachineOrder",
)
def last_entry_applied_again(state: NodeState) -> Transition:
    """A server applies the last entry that it has applied once more, along with the next ones.

    A command that is not idempotent has its effect twice, and the state machines differ.
    """
    entries = state.log.between(state.last_applied - 1, state.commit_index)
    first = max(state.last_applied, 1)
    is_new = state.commit_index > state.last_applied
    return Transition(
        replace(state, last_applied=max(state.last_applied, state.commit_index)),
        tuple(Apply(index, entry) for index, entry in enumerate(entries, start=first) if is_new),
    )


@mutant(
    commit.apply_committed,
    rule=APPLYING,
    breaks="APPLY-ORDER",
    seen_in=NO_REPORT,
    bounds=TWO_AT_ONCE,
    expected="StateMachineOrder",
)
def only_newest_entry_applied(state: NodeState) -> Transition:
    """A server applies the entry at its commit index, and forgets those that were committed along
    with it.

    Whoever learns of two commits at once skips one; the state machines differ.
    """
    entries = state.log.between(state.commit_index - 1, state.commit_index)
    is_new = state.commit_index > state.last_applied
    return Transition(
        replace(state, last_applied=max(state.last_applied, state.commit_index)),
        tuple(Apply(state.commit_index, entry) for entry in entries if is_new),
    )


@mutant(
    commit.apply_committed,
    rule=APPLYING,
    breaks="APPLY-ORDER",
    seen_in=NO_REPORT,
    bounds=TWO_AT_ONCE,
    expected="StateMachineOrder",
)
def newest_entry_applied_first(state: NodeState) -> Transition:
    """A server applies what was committed at once in another order.

    Commands that do not commute lead to different states.
    """
    entries = state.log.between(state.last_applied, state.commit_index)
    first = state.last_applied + 1
    applied = [Apply(index, entry) for index, entry in enumerate(entries, start=first)]
    after = replace(state, last_applied=state.last_applied + len(entries))
    return Transition(after, tuple(reversed(applied)))


_STEP = node.step


@mutant(
    node.step,
    rule=APPLYING,
    breaks="APPLY-COMMITTED",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, values=1, restarts=True, max_restarts=1),
    expected="StateMachineSafety",
    eager=True,
)
def log_applied_in_restart(config: Config, state: NodeState, event: Event) -> Transition:
    """A server that restarts builds its state machine of all entries in its log, committed or not.

    What was never committed may yet be replaced; the state machine keeps it.
    """
    transition = _STEP(config, state, event)
    if not isinstance(event, Restart):
        return transition
    entries = enumerate(state.log.entries, start=state.log.snapshot_index + 1)
    restarted = replace(transition.state, last_applied=state.log.last_index)
    return Transition(restarted, tuple(Apply(index, entry) for index, entry in entries))


@mutant(
    commit.apply_committed,
    rule=APPLYING,
    breaks="APPLY-COMMITTED",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, values=1),
    expected="StateMachineSafety",
    eager=True,
)
def applied_before_committed(state: NodeState) -> Transition:
    """A server applies what is in its log, committed or not.

    If another leader replaces the entry, another is applied elsewhere at the same index.
    """
    entries = state.log.between(state.last_applied, state.log.last_index)
    first = state.last_applied + 1
    return Transition(
        replace(state, last_applied=state.last_applied + len(entries)),
        tuple(Apply(index, entry) for index, entry in enumerate(entries, start=first)),
    )


@mutant(
    replication.known_leader,
    rule="Client interaction: the server supplies the most recent leader it has heard from (§8)",
    breaks="REDIRECT-LEADER",
    seen_in=NO_REPORT,
    bounds=Bounds(max_log=0, redirects=True),
    expected="ClientRedirection",
)
def vote_named_as_leader(state: NodeState) -> NodeId | None:
    """A server names to clients whom it has voted for.

    That may be a candidate that never wins.
    """
    return state.voted_for
