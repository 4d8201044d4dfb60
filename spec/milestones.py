"""What a run of Raft should have seen before its verdict says much.

"Election Safety holds" is worth little if no two candidates ever competed. An exploration reports
which of these milestones it reached, and each property names the ones without which nothing could
have broken it.
"""

from __future__ import annotations

from typing import TypeAlias

from raft_ref.events import (
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    NotLeader,
    Output,
    Receive,
    Restart,
    Send,
)
from raft_ref.messages import AppendEntries, AppendEntriesReply, RequestVote, RequestVoteReply
from raft_ref.types import Candidate, Follower, Leader, NodeState
from spec.conduct import becomes_leader
from spec.forms import Milestone
from spec.properties import RaftStep

RaftMilestone: TypeAlias = Milestone[NodeState, Event, Output]


def _election(step: RaftStep) -> bool:
    return becomes_leader(step.before, step.after)


def _refused_a_vote(step: RaftStep) -> bool:
    """Whether the step answers a RequestVote of the server's own term with a refusal."""
    match step.event:
        case Receive(RequestVote(term=term)) if term == step.after.current_term:
            return any(
                isinstance(output, Send)
                and isinstance(output.message, RequestVoteReply)
                and not output.message.vote_granted
                for output in step.outputs
            )
        case _:
            return False


def _contested_election(step: RaftStep) -> bool:
    return _refused_a_vote(step) and step.after.voted_for is not None


def _vote_refused_for_log(step: RaftStep) -> bool:
    return _refused_a_vote(step) and step.after.voted_for is None


def _split_vote(step: RaftStep) -> bool:
    return isinstance(step.event, ElectionTimeout) and isinstance(step.before.role, Candidate)


def _leader_change(step: RaftStep) -> bool:
    match step.event:
        case Receive(AppendEntries(term=term)):
            return isinstance(step.before.role, Leader) and term > step.before.current_term
        case _:
            return False


def _election_with_entries(step: RaftStep) -> bool:
    return _election(step) and bool(step.before.log.entries)


def _append(step: RaftStep) -> bool:
    is_request = isinstance(step.event, ClientRequest)
    return is_request and step.after.log.last_index > step.before.log.last_index


def _replication(step: RaftStep) -> bool:
    held = step.before.log.entries
    return isinstance(step.after.role, Follower) and any(
        entry not in held for entry in step.after.log.entries
    )


def _rejection(step: RaftStep) -> bool:
    match step.event:
        case Receive(AppendEntries(term=term)) if term == step.after.current_term:
            return any(
                isinstance(output, Send)
                and isinstance(output.message, AppendEntriesReply)
                and not output.message.success
                for output in step.outputs
            )
        case _:
            return False


def _truncation(step: RaftStep) -> bool:
    held = step.before.log.entries
    return step.after.log.entries[: len(held)] != held


def _commit(step: RaftStep) -> bool:
    is_leader = isinstance(step.after.role, Leader)
    return is_leader and step.after.commit_index > step.before.commit_index


def _follower_commit(step: RaftStep) -> bool:
    is_follower = isinstance(step.after.role, Follower)
    return is_follower and step.after.commit_index > step.before.commit_index


def _commit_of_older_term(step: RaftStep) -> bool:
    term = step.after.log.term_at(step.before.commit_index + 1)
    return _commit(step) and term is not None and term < step.after.current_term


def _apply(step: RaftStep) -> bool:
    return any(isinstance(output, Apply) for output in step.outputs)


def _redirect(step: RaftStep) -> bool:
    return any(
        isinstance(output, NotLeader) and output.leader is not None for output in step.outputs
    )


def _stale_message(step: RaftStep) -> bool:
    match step.event:
        case Receive(message):
            return message.term < step.before.current_term
        case _:
            return False


def _restart_in_a_term(step: RaftStep) -> bool:
    return isinstance(step.event, Restart) and step.before.current_term > 0


def _restart_with_vote(step: RaftStep) -> bool:
    return isinstance(step.event, Restart) and step.before.voted_for is not None


def _restart_with_entries(step: RaftStep) -> bool:
    return isinstance(step.event, Restart) and bool(step.before.log.entries)


def _restart_of_leader(step: RaftStep) -> bool:
    return isinstance(step.event, Restart) and isinstance(step.before.role, Leader)


def _restart_after_commit(step: RaftStep) -> bool:
    return isinstance(step.event, Restart) and step.before.commit_index > 0


def _skipped_by_hint(step: RaftStep) -> bool:
    match step.event, step.before.role, step.after.role:
        case Receive(AppendEntriesReply(source=peer)), Leader() as before, Leader() as after:
            return after.next_index[peer] < before.next_index[peer] - 1
        case _:
            return False


def _pipelined(step: RaftStep) -> bool:
    before, after = step.before.role, step.after.role
    return (
        isinstance(before, Leader)
        and isinstance(after, Leader)
        and any(
            after.next_index[peer] > before.next_index[peer] > before.match_index[peer] + 1
            and after.match_index[peer] == before.match_index[peer]
            for peer in after.next_index
        )
    )


MILESTONES: tuple[RaftMilestone, ...] = (
    Milestone("election", "a candidate became leader", _election),
    Milestone("contested_election", "a rival candidate was refused a vote", _contested_election),
    Milestone("split_vote", "a candidate timed out and tried again", _split_vote),
    Milestone("leader_change", "a leader heard from a later leader", _leader_change),
    Milestone("append", "a leader appended a client's command", _append),
    Milestone("replication", "a follower stored an entry", _replication),
    Milestone("rejection", "a follower rejected entries: its log lacked prev", _rejection),
    Milestone("truncation", "a follower removed conflicting entries", _truncation),
    Milestone("commit", "a leader committed", _commit),
    Milestone("follower_commit", "a follower learnt of a commit", _follower_commit),
    Milestone("apply", "a server applied an entry", _apply),
    Milestone("redirect", "a server named a leader to a client", _redirect),
    Milestone("commit_of_older_term", "an older term's entry was committed", _commit_of_older_term),
    Milestone("election_with_entries", "a leader was elected with entries", _election_with_entries),
    Milestone("vote_refused_for_log", "a vote was refused for the log", _vote_refused_for_log),
    Milestone("stale_message", "a message of an old term arrived", _stale_message),
    Milestone("restart_with_vote", "a server restarted that had voted", _restart_with_vote),
    Milestone("restart_in_a_term", "a server restarted in a term above 0", _restart_in_a_term),
    Milestone("restart_with_entries", "a server restarted that had entries", _restart_with_entries),
    Milestone("restart_of_leader", "a leader restarted", _restart_of_leader),
    Milestone("restart_after_commit", "a server restarted after a commit", _restart_after_commit),
)
"""In the order in which a run tends to reach them."""

SKIPPED_BY_HINT: RaftMilestone = Milestone(
    "skipped_by_hint", "a hint let a leader skip an index", _skipped_by_hint
)
"""For runs with `raft_ref.extensions.conflict_hints`."""

PIPELINED: RaftMilestone = Milestone(
    "pipelined", "a leader sent entries after others that are not acknowledged", _pipelined
)
"""For runs with `raft_ref.extensions.pipelining`."""

DESCRIPTIONS = {each.name: each.description for each in (*MILESTONES, SKIPPED_BY_HINT, PIPELINED)}
"""By name: what happened then, in words."""
