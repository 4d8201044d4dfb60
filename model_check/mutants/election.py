"""Bugs in voting and elections (§5.2, §5.4.1), as mutants."""

from __future__ import annotations

from dataclasses import dataclass, replace

from model_check.mutants.mutant import NO_REPORT, mutant
from model_check.raft import Bounds
from raft_ref import (
    Candidate,
    Config,
    Event,
    Follower,
    Index,
    Log,
    NodeId,
    NodeState,
    Receive,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
    Send,
    Term,
    election,
    node,
    replication,
)
from raft_ref.events import Transition
from raft_ref.wellformed import check_message

VOTER = "RequestVote RPC, receiver implementation, rule 2 (§5.2, §5.4)"
CANDIDATE = "Candidates: votes received from a majority of servers (§5.2)"
ONE_TERM = Bounds(max_log=0)
TWO_TERMS = Bounds(max_term=2, max_log=0)
LONG_TAIL = Bounds(
    max_term=3,
    max_log=2,
    values=1,
    only_timeout=(1, 2),
    heartbeats=False,
    max_election_timeouts=3,
    max_client_requests=3,
)


_STEP = node.step
_BECOME_LEADER = election.become_leader


# --- the voter ---------------------------------------------------------------------------------


@mutant(
    election.may_grant_vote,
    rule=VOTER,
    breaks="VOTE-ONCE",
    seen_in=("PySyncObj before 73efa16", "djjonno/kerala#18"),
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def vote_forgets_voted_for(state: NodeState, request: RequestVote) -> bool:
    """A voter does not look at whom it has voted for in this term.

    Two candidates of one term both get its vote, and with it a majority.
    """
    return request.term == state.current_term and election.is_up_to_date(
        state.log, request.last_log_index, request.last_log_term
    )


@mutant(
    election.may_grant_vote,
    rule=VOTER,
    breaks="VOTE-ONCE",
    seen_in="willemt/raft before fe60545 (there it was server 0: `0 < voted_for`)",
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def vote_for_first_server_forgotten(state: NodeState, request: RequestVote) -> bool:
    """A vote for the server with the lowest number counts as none: its number means "nobody".

    The voter gives it a second time, to somebody else.
    """
    return (
        request.term == state.current_term
        and state.voted_for in (None, 1, request.source)
        and election.is_up_to_date(state.log, request.last_log_index, request.last_log_term)
    )


@mutant(
    election.handle_request_vote,
    rule="Persistent state: votedFor",
    breaks="VOTE-TRUTHFUL",
    seen_in="PySyncObj before 73efa16",
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def vote_not_recorded(config: Config, state: NodeState, request: RequestVote) -> Transition:
    """A voter grants its vote without writing down that it has.

    The next candidate of the term gets it, too.
    """
    granted = election.may_grant_vote(state, request)
    reply = RequestVoteReply(
        source=config.id,
        destination=request.source,
        term=state.current_term,
        vote_granted=granted,
    )
    return Transition(state, (Send(reply),))


@mutant(
    election.is_up_to_date,
    rule="RequestVote RPC, receiver implementation, rule 2: up-to-date (§5.4.1)",
    breaks="VOTE-UP-TO-DATE",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, values=1, max_client_requests=1),
    expected="LeaderCompleteness",
)
def vote_without_log_check(log: Log, last_log_index: Index, last_log_term: Term) -> bool:
    """A voter votes for whoever asks first, whatever is in the logs.

    A server that missed a committed entry becomes leader, and will overwrite it.
    """
    return True


@mutant(
    election.is_up_to_date,
    rule="RequestVote RPC, receiver implementation, rule 2: up-to-date (§5.4.1)",
    breaks="VOTE-UP-TO-DATE",
    seen_in="willemt/raft before 1ce89f2",
    bounds=LONG_TAIL,
    expected="LeaderCompleteness",
    eager=True,
)
def up_to_date_by_index_only(log: Log, last_log_index: Index, last_log_term: Term) -> bool:
    """The longer log counts as the more up-to-date one, whatever the terms of its entries.

    A deposed leader with a long tail that nobody else has beats servers that hold what was
    committed since.
    """
    return last_log_index >= log.last_index


@mutant(
    election.is_up_to_date,
    rule="RequestVote RPC, receiver implementation, rule 2: up-to-date (§5.4.1)",
    breaks="VOTE-UP-TO-DATE",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, max_log=2, values=1, max_election_timeouts=2),
    expected="LeaderCompleteness",
    eager=True,
)
def up_to_date_by_term_only(log: Log, last_log_index: Index, last_log_term: Term) -> bool:
    """Logs that end in the same term count as equally up-to-date, however long they are.

    A server that has the first entry of a term but not the second beats those that have both.
    """
    return last_log_term >= log.last_term


@mutant(
    election.is_up_to_date,
    rule="RequestVote RPC, receiver implementation, rule 2: up-to-date (§5.4.1)",
    breaks="VOTE-UP-TO-DATE",
    seen_in=NO_REPORT,
    bounds=LONG_TAIL,
    expected="LeaderCompleteness",
    eager=True,
)
def up_to_date_by_index_first(log: Log, last_log_index: Index, last_log_term: Term) -> bool:
    """Length is compared first, and terms only where lengths are equal.

    As in `up-to-date-by-index-only`, a long tail that nobody else has wins.
    """
    return (last_log_index, last_log_term) >= (log.last_index, log.last_term)


@mutant(
    election.may_grant_vote,
    rule="RequestVote RPC, receiver implementation, rule 2: up-to-date (§5.4.1)",
    breaks="VOTE-UP-TO-DATE",
    seen_in="microsoft/CCF#589, mended in #1641",
    bounds=Bounds(max_term=2, values=1),
    expected="LeaderCompleteness",
)
def up_to_date_with_committed(state: NodeState, request: RequestVote) -> bool:
    """A voter compares the candidate's log with what it knows to be committed, not with its log.

    Of what is committed, a follower knows only later. Until then it votes for servers that lack it.
    """
    committed = state.commit_index
    return (
        request.term == state.current_term
        and state.voted_for in (None, request.source)
        and (request.last_log_term, request.last_log_index)
        >= (state.log.term_at(committed) or 0, committed)
    )


@mutant(
    election.may_grant_vote,
    rule=VOTER,
    breaks="VOTE-ONCE",
    seen_in=NO_REPORT,
    bounds=Bounds(
        max_term=3, values=1, only_timeout=(1, 2), heartbeats=False, max_election_timeouts=4
    ),
    expected="ElectionSafety",
    eager=True,
)
def vote_moves_to_longer_log(state: NodeState, request: RequestVote) -> bool:
    """A voter that has voted votes again if a better candidate comes along.

    Both may have counted the vote.
    """
    last_log = request.last_log_term, request.last_log_index
    own = state.log.last_term, state.log.last_index
    may_vote = state.voted_for in (None, request.source) or last_log > own
    return request.term == state.current_term and may_vote and last_log >= own


@mutant(
    election.handle_request_vote,
    rule="RequestVote RPC, receiver implementation, rule 1 (§5.1)",
    breaks="VOTE-REQUESTED",
    seen_in="ktoso/akka-raft#55",
    bounds=Bounds(
        servers=5, max_term=2, max_log=0, only_timeout=(1, 2, 3), max_election_timeouts=3
    ),
    expected="ElectionSafety",
    eager=True,
)
def vote_granted_to_older_term(
    config: Config, state: NodeState, request: RequestVote
) -> Transition:
    """A voter grants its vote to a candidate of an older term than its own, in that older term.

    That it has voted in the older term before it no longer knows. With three servers the vote that
    is given twice is already the second candidate's, so it takes five.
    """
    vote_is_free = state.voted_for in (None, request.source)
    granted = vote_is_free and election.is_up_to_date(
        state.log, request.last_log_index, request.last_log_term
    )
    if granted:
        state = replace(state, persistent=replace(state.persistent, voted_for=request.source))
    reply = RequestVoteReply(
        source=config.id,
        destination=request.source,
        term=request.term,
        vote_granted=granted,
    )
    return Transition(state, (ResetElectionTimer(), Send(reply)))


@mutant(
    replication.follow,
    rule="Persistent state: votedFor",
    breaks="VOTE-ONCE",
    seen_in=(
        "ktoso/akka-raft#56",
        "xnnyygn/xraft#29",
        "willemt/raft before bdabd1d; there of candidates alone",
    ),
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def vote_cleared_by_append(state: NodeState, leader: NodeId) -> NodeState:
    """A server that hears from the leader of its term forgets whom it voted for.

    So it votes for another candidate of the same term, whose request was on its way.
    """
    persistent = replace(state.persistent, voted_for=None)
    return replace(state, persistent=persistent, role=Follower(leader))


# --- terms -------------------------------------------------------------------------------------


@mutant(
    node.step,
    rule="All servers: if a term T > currentTerm, set currentTerm = T (§5.1)",
    breaks="VOTE-ONCE",
    seen_in=NO_REPORT,
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def equal_term_adopted(config: Config, state: NodeState, event: Event) -> Transition:
    """A request of the own term, too, makes a follower of a server and clears its vote.

    A `>=` where a `>` is meant. Whoever asks gets the vote, one after the other.
    """
    match event:
        case Receive(RequestVote(term=term)) if term == state.current_term:
            persistent = replace(state.persistent, voted_for=None)
            state = replace(state, persistent=persistent, role=Follower())
    return _STEP(config, state, event)


@mutant(
    election.adopt_term,
    rule="All servers: if a term T > currentTerm, set currentTerm = T (§5.1)",
    breaks="TERM-MONOTONIC",
    seen_in="pyraftlog 3.0.0 takes over lower terms from what it receives",
    bounds=TWO_TERMS,
    expected="ElectionSafety",
)
def lower_term_adopted(state: NodeState, term: Term) -> Transition:
    """A server takes over the term of whatever it receives, lower ones too.

    An old term comes back, and with it a vote that was already given in it.
    """
    if term == state.current_term:
        return Transition(state)
    persistent = replace(state.persistent, current_term=term, voted_for=None)
    return Transition(replace(state, persistent=persistent, role=Follower()))


@mutant(
    election.adopt_term,
    rule="All servers: if a term T > currentTerm, convert to follower (§5.1)",
    breaks="TERM-STEP-DOWN",
    seen_in=NO_REPORT,
    bounds=TWO_TERMS,
    expected="ElectionSafety",
)
def leader_takes_its_office_along(state: NodeState, term: Term) -> Transition:
    """A leader that learns of a higher term adopts it, and goes on as leader.

    Nobody elected it in that term, and somebody else may be.
    """
    if term <= state.current_term:
        return Transition(state)
    persistent = replace(state.persistent, current_term=term, voted_for=None)
    role = Follower() if isinstance(state.role, Candidate) else state.role
    return Transition(replace(state, persistent=persistent, role=role))


def _step_without_adopting(config: Config, state: NodeState, event: Event) -> Transition:
    """The core's step, but that a RequestVote of a higher term does not raise the own one."""
    match event:
        case Receive(RequestVote() as message):
            check_message(message, receiver=config.id, known=config.servers)
            return node.receive(config, state, message)
        case _:
            return _STEP(config, state, event)


@mutant(
    election.handle_request_vote,
    rule="All servers: if a term T > currentTerm, set currentTerm = T (§5.1)",
    breaks="VOTE-TRUTHFUL",
    seen_in=NO_REPORT,
    bounds=TWO_TERMS,
    expected="ElectionSafety",
    also=((node.step, _step_without_adopting),),
)
def vote_term_not_adopted(config: Config, state: NodeState, request: RequestVote) -> Transition:
    """A voter grants its vote in a higher term, but stays in its own.

    It has nowhere to write down that vote, so it grants it again. Had it, it would still
    acknowledge entries of the old leader, which the new one lacks.
    """
    granted = (
        request.term >= state.current_term
        and (state.voted_for in (None, request.source) or request.term > state.current_term)
        and election.is_up_to_date(state.log, request.last_log_index, request.last_log_term)
    )
    if granted and request.term == state.current_term:
        state = replace(state, persistent=replace(state.persistent, voted_for=request.source))
    reply = RequestVoteReply(
        source=config.id, destination=request.source, term=request.term, vote_granted=granted
    )
    return Transition(state, (Send(reply),))


# --- the candidate -----------------------------------------------------------------------------


def _requests(config: Config, state: NodeState) -> tuple[RequestVote, ...]:
    """What a candidate asks everyone."""
    return tuple(
        RequestVote(
            source=config.id,
            destination=peer,
            term=state.current_term,
            last_log_index=state.log.last_index,
            last_log_term=state.log.last_term,
        )
        for peer in config.peers
    )


def _stand(
    config: Config, state: NodeState, requests: tuple[RequestVote, ...], votes: frozenset[NodeId]
) -> Transition:
    """A candidate that has ``votes`` and sends ``requests``."""
    counted = election.count_votes(config, state, votes)
    return Transition(counted.state, (*map(Send, requests), *counted.outputs))


@mutant(
    election.start_election,
    rule="Candidates: vote for self (§5.2)",
    breaks="VOTE-SELF",
    seen_in=("PySyncObj before e68bfa9", "xnnyygn/xraft#44"),
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def self_vote_not_recorded(config: Config, state: NodeState) -> Transition:
    """A candidate counts its own vote, and does not write down that it has given it.

    So it gives it to another candidate of the same term as well.
    """
    term = state.current_term + 1
    persistent = replace(state.persistent, current_term=term, voted_for=None)
    state = replace(state, persistent=persistent)
    return _stand(config, state, _requests(config, state), frozenset({config.id}))


@mutant(
    election.start_election,
    rule="Candidates: increment currentTerm (§5.2)",
    breaks="VOTE-ONCE",
    seen_in=NO_REPORT,
    bounds=TWO_TERMS,
    expected="ElectionSafety",
)
def candidacy_in_the_same_term(config: Config, state: NodeState) -> Transition:
    """A server that times out stands for election in the term in which it is, if there was one.

    If it has voted in it, it votes again, for itself.
    """
    term = max(state.current_term, 1)
    persistent = replace(state.persistent, current_term=term, voted_for=config.id)
    state = replace(state, persistent=persistent)
    return _stand(config, state, _requests(config, state), frozenset({config.id}))


@mutant(
    election.start_election,
    rule=CANDIDATE,
    breaks="ELECT-QUORUM",
    seen_in="etcd before 8edd37a, there for pre-votes",
    bounds=Bounds(servers=5, max_term=2, max_log=0, only_timeout=(1, 2), max_election_timeouts=3),
    expected="ElectionSafety",
    eager=True,
)
def votes_kept_for_next_candidacy(config: Config, state: NodeState) -> Transition:
    """A candidate that times out starts its next candidacy with the votes of the last one.

    With three servers one vote more is a majority anyway, so it takes five.
    """
    earlier = state.role.votes_granted if isinstance(state.role, Candidate) else frozenset()
    term = state.current_term + 1
    persistent = replace(state.persistent, current_term=term, voted_for=config.id)
    state = replace(state, persistent=persistent)
    return _stand(config, state, _requests(config, state), earlier | {config.id})


@mutant(
    election.start_election,
    rule="RequestVote RPC: lastLogIndex, lastLogTerm (§5.4.1)",
    breaks="VOTE-REQUEST-TRUTHFUL",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, values=1),
    expected="LeaderCompleteness",
)
def request_overstates_log(config: Config, state: NodeState) -> Transition:
    """A candidate claims the term that it stands in as that of its last entry.

    So its log seems more up-to-date than everyone's.
    """
    term = state.current_term + 1
    persistent = replace(state.persistent, current_term=term, voted_for=config.id)
    state = replace(state, persistent=persistent)
    requests = tuple(
        replace(request, last_log_index=state.log.last_index + 1, last_log_term=term)
        for request in _requests(config, state)
    )
    return _stand(config, state, requests, frozenset({config.id}))


@mutant(
    election.handle_request_vote_reply,
    rule="RequestVote RPC: term, for the candidate to update itself (§5.1)",
    breaks="ELECT-QUORUM",
    seen_in=(
        "xnnyygn/xraft#33 (SandTable's Xraft#1)",
        "willemt/raft before b754309",
        "ktoso/akka-raft#46",
        "raftos 0.2.6",
    ),
    bounds=TWO_TERMS,
    expected="ElectionSafety",
)
def stale_vote_counted(config: Config, state: NodeState, reply: RequestVoteReply) -> Transition:
    """A candidate counts a vote that it was given in an earlier term.

    The voter is free to vote for another in the new term, and does.
    """
    if not isinstance(state.role, Candidate) or not reply.vote_granted:
        return Transition(state)
    return election.count_votes(config, state, state.role.votes_granted | {reply.source})


@mutant(
    election.handle_request_vote_reply,
    rule="RequestVote RPC: voteGranted, true means candidate received vote",
    breaks="ELECT-QUORUM",
    seen_in=NO_REPORT,
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def refusal_counted_as_vote(
    config: Config, state: NodeState, reply: RequestVoteReply
) -> Transition:
    """A candidate counts every reply to its request as a vote, refusals too.

    Whoever refuses has mostly voted for another.
    """
    if not isinstance(state.role, Candidate) or reply.term != state.current_term:
        return Transition(state)
    return election.count_votes(config, state, state.role.votes_granted | {reply.source})


@dataclass(frozen=True, slots=True)
class _Counting(Candidate):
    """A candidate that counts votes, but does not know whose they are."""

    count: int = 1


def _count_to_majority(
    config: Config, state: NodeState, votes_granted: frozenset[NodeId]
) -> Transition:
    count = state.role.count + 1 if isinstance(state.role, _Counting) else 1
    if 2 * count > len(config.servers):
        return election.become_leader(config, state)
    return Transition(replace(state, role=_Counting(votes_granted, count)))


@mutant(
    election.handle_request_vote_reply,
    rule=CANDIDATE,
    breaks="ELECT-QUORUM",
    seen_in=("ktoso/akka-raft#45", "xnnyygn/xraft#27", "p-org/coyote-samples#8"),
    bounds=Bounds(servers=5, max_term=1, max_log=0, only_timeout=(1, 2), max_election_timeouts=2),
    expected="ElectionSafety",
    also=((election.count_votes, _count_to_majority),),
    eager=True,
)
def duplicate_vote_counted(config: Config, state: NodeState, reply: RequestVoteReply) -> Transition:
    """A candidate keeps a number of votes, not whose they are: a reply that arrives twice is two.

    With three servers one vote besides its own is a majority, so it takes five.
    """
    if (
        not isinstance(state.role, Candidate)
        or reply.term != state.current_term
        or not reply.vote_granted
    ):
        return Transition(state)
    return election.count_votes(config, state, state.role.votes_granted | {reply.source})


@mutant(
    election.count_votes,
    rule=CANDIDATE,
    breaks="ELECT-QUORUM",
    seen_in=("leifdb#73", "rapid-relayer#38", "pyraftlog 3.0.0"),
    bounds=Bounds(servers=4, max_log=0, only_timeout=(1, 2)),
    expected="ElectionSafety",
)
def quorum_is_half(
    config: Config, state: NodeState, votes_granted: frozenset[NodeId]
) -> Transition:
    """Half of the servers count as a majority.

    Of four servers, two pairs elect a leader each.
    """
    if 2 * len(votes_granted) >= len(config.servers):
        return election.become_leader(config, state)
    return Transition(replace(state, role=Candidate(votes_granted)))


@mutant(
    election.count_votes,
    rule=CANDIDATE,
    breaks="ELECT-QUORUM",
    seen_in="async-raft#143 (there for reads): the majority of those one is connected to",
    bounds=Bounds(servers=5, max_log=0, only_timeout=(1, 2)),
    expected="ElectionSafety",
    eager=True,
)
def quorum_of_three(
    config: Config, state: NodeState, votes_granted: frozenset[NodeId]
) -> Transition:
    """Two votes elect a leader, however many servers there are: the majority of three.

    Of five servers, two pairs elect a leader each.
    """
    if len(votes_granted) >= 2:
        return election.become_leader(config, state)
    return Transition(replace(state, role=Candidate(votes_granted)))


@mutant(
    election.become_leader,
    rule="Persistent state: votedFor",
    breaks="VOTE-ONCE",
    seen_in="willemt/raft before daa93cb",
    bounds=ONE_TERM,
    expected="ElectionSafety",
)
def vote_cleared_on_becoming_leader(config: Config, state: NodeState) -> Transition:
    """A new leader forgets that it voted for itself.

    It grants the vote to the other candidate of its term.
    """
    transition = _BECOME_LEADER(config, state)
    persistent = replace(transition.state.persistent, voted_for=None)
    return replace(transition, state=replace(transition.state, persistent=persistent))


@mutant(
    election.become_leader,
    rule="Leaders: append-only (Figure 3, §5.3)",
    breaks="LEADER-APPEND-ONLY",
    seen_in=NO_REPORT,
    bounds=Bounds(max_term=2, values=1),
    expected="LeaderCompleteness",
)
def new_leader_drops_uncommitted(config: Config, state: NodeState) -> Transition:
    """A new leader removes from its log what it does not know to be committed.

    It may well be: nobody has told it yet.
    """
    log = state.log.truncate_from(state.commit_index + 1)
    state = replace(state, persistent=replace(state.persistent, log=log))
    return _BECOME_LEADER(config, state)
