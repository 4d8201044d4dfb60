"""Leader election (§5.2) and its restriction to candidates with an up-to-date log (§5.4.1)."""

from __future__ import annotations

from dataclasses import replace

from raft_ref import replication
from raft_ref.events import Output, ResetElectionTimer, Send, Transition
from raft_ref.messages import RequestVote, RequestVoteReply
from raft_ref.types import (
    Candidate,
    Config,
    Follower,
    Index,
    IndexMap,
    Leader,
    Log,
    NodeId,
    NodeState,
    Term,
)


def adopt_term(state: NodeState, term: Term) -> Transition:
    """Figure 2, All servers: on a term ``T > currentTerm``, set ``currentTerm = T`` and become a
    follower (§5.1). The new term's vote has not been given yet.

    A leader that steps down needs an election timer again.
    """
    if term <= state.current_term:
        return Transition(state)
    follower = replace(
        state,
        persistent=replace(state.persistent, current_term=term, voted_for=None),
        role=Follower(),
    )
    was_leader = isinstance(state.role, Leader)
    return Transition(follower, (ResetElectionTimer(),) if was_leader else ())


# --- on a candidate --------------------------------------------------------------------------


def handle_election_timeout(config: Config, state: NodeState) -> Transition:
    """Figure 2, Followers and Candidates: if the election timeout elapses, start an election.

    Ignored by a leader, which has no election timer.
    """
    if isinstance(state.role, Leader):
        return Transition(state)
    return start_election(config, state)


def start_election(config: Config, state: NodeState) -> Transition:
    """Figure 2, Candidates: increment ``currentTerm``, vote for self, reset the election timer,
    send RequestVote to all other servers (§5.2)."""
    state = replace(
        state,
        persistent=replace(
            state.persistent, current_term=state.current_term + 1, voted_for=config.id
        ),
    )
    requests = tuple(
        Send(
            RequestVote(
                source=config.id,
                destination=peer,
                term=state.current_term,
                last_log_index=state.log.last_index,
                last_log_term=state.log.last_term,
            )
        )
        for peer in config.peers
    )
    counted = count_votes(config, state, frozenset({config.id}))
    return Transition(counted.state, (ResetElectionTimer(), *requests, *counted.outputs))


def handle_request_vote_reply(
    config: Config, state: NodeState, reply: RequestVoteReply
) -> Transition:
    """Count a vote granted in this candidacy (§5.2); one of an older term was for an older one."""
    if (
        not isinstance(state.role, Candidate)
        or reply.term != state.current_term
        or not reply.vote_granted
    ):
        return Transition(state)
    return count_votes(config, state, state.role.votes_granted | {reply.source})


def count_votes(config: Config, state: NodeState, votes_granted: frozenset[NodeId]) -> Transition:
    """Figure 2, Candidates: if votes were received from a majority of servers, become leader."""
    if config.is_majority(votes_granted):
        return become_leader(config, state)
    return Transition(replace(state, role=Candidate(votes_granted)))


def become_leader(config: Config, state: NodeState) -> Transition:
    """Figure 2, Leaders: reinitialize ``nextIndex[]`` and ``matchIndex[]``, and send heartbeats to
    all, to establish authority and prevent new elections (§5.2, §5.3)."""
    leader = Leader(
        next_index=IndexMap.uniform(config.peers, state.log.last_index + 1),
        match_index=IndexMap.uniform(config.peers, 0),
    )
    state = replace(state, role=leader)
    requests = replication.requests_to_all(config, state, leader)
    return replication.send(config, state, leader, requests)


# --- on a voter ------------------------------------------------------------------------------


def handle_request_vote(config: Config, state: NodeState, request: RequestVote) -> Transition:
    """Figure 2, RequestVote RPC, receiver implementation, rules 1 and 2 (§5.2, §5.4)."""
    granted = may_grant_vote(state, request)
    if granted:
        state = replace(state, persistent=replace(state.persistent, voted_for=request.source))
    timer: tuple[Output, ...] = (ResetElectionTimer(),) if granted else ()
    reply = RequestVoteReply(
        source=config.id,
        destination=request.source,
        term=state.current_term,
        vote_granted=granted,
    )
    return Transition(state, (*timer, Send(reply)))


def may_grant_vote(state: NodeState, request: RequestVote) -> bool:
    """Rule 1: not in an old term. Rule 2: ``votedFor`` is null or the candidate, and the
    candidate's log is at least as up-to-date as the receiver's."""
    return (
        request.term == state.current_term
        and state.voted_for in (None, request.source)
        and is_up_to_date(state.log, request.last_log_index, request.last_log_term)
    )


def is_up_to_date(log: Log, last_log_index: Index, last_log_term: Term) -> bool:
    """Whether a log that ends so is at least as up-to-date as ``log`` (§5.4.1).

    The later term of the last entry wins; with equal terms, the longer log.
    """
    return (last_log_term, last_log_index) >= (log.last_term, log.last_index)
