"""What a server ignores, refuses or merely answers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from model_check.strategies import (
    commands,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Candidate,
    ClientRequest,
    Command,
    Config,
    ElectionTimeout,
    Event,
    Follower,
    HeartbeatTimeout,
    Leader,
    Message,
    NodeState,
    NotLeader,
    Receive,
    RequestVoteReply,
    ResetElectionTimer,
    Send,
    Term,
    Transition,
    step,
)
from tests.situations import (
    configured,
    leader_of,
    leaders,
    overwritten,
    received,
    sent,
)


def is_ignored(config: Config, state: NodeState, event: Event) -> bool:
    return step(config, state, event) == Transition(state, ())


def of_term(message: RequestVoteReply | AppendEntriesReply, term: Term) -> Message:
    """The reply in another term, without a hint: that may be of a later one."""
    if isinstance(message, AppendEntriesReply):
        message = replace(message, hint=None)
    return replace(message, term=term)


@given(received(of=[RequestVoteReply, AppendEntriesReply]))
def test_replies_of_an_older_term_are_ignored(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    if isinstance(message, RequestVoteReply | AppendEntriesReply):
        older = of_term(message, 1)
        newer = replace(state, persistent=replace(state.persistent, current_term=7))
        assert is_ignored(config, newer, Receive(older))


@given(received(Follower, of=[RequestVoteReply, AppendEntriesReply]))
def test_a_follower_ignores_replies_of_its_term(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    if isinstance(message, RequestVoteReply | AppendEntriesReply) and state.current_term > 0:
        assert is_ignored(config, state, Receive(of_term(message, state.current_term)))


@given(received(Leader, of=[RequestVoteReply, AppendEntries]))
def test_a_leader_ignores_votes_and_requests_of_its_term(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    if isinstance(message, RequestVoteReply | AppendEntries):
        same_term = message.term == state.current_term
        assert not same_term or is_ignored(config, state, Receive(message))


@given(configured(Candidate), st.data())
def test_a_vote_counts_once_and_a_denial_not_at_all(
    situation: tuple[Config, NodeState], data: st.DataObject
) -> None:
    config, state = situation
    assert isinstance(state.role, Candidate)
    source = data.draw(st.sampled_from(config.peers))
    known = source in state.role.votes_granted
    reply = RequestVoteReply(
        source=source, destination=config.id, term=state.current_term, vote_granted=known
    )
    assert is_ignored(config, state, Receive(reply))


@given(leaders(), st.data())
def test_a_leader_ignores_answers_that_are_no_news(
    situation: tuple[Config, NodeState], data: st.DataObject
) -> None:
    config, state = situation
    leader = leader_of(state)
    peer = data.draw(st.sampled_from(config.peers))
    known = leader.match_index[peer]
    reply = AppendEntriesReply(
        source=peer, destination=config.id, term=state.current_term, success=True, match_index=known
    )
    assert is_ignored(config, state, Receive(reply))
    too_much = replace(reply, match_index=state.log.last_index + 1)
    assert is_ignored(config, state, Receive(too_much))
    caught_up = replace(leader, next_index=leader.next_index.with_index(peer, known + 1))
    rejection = replace(reply, success=False, match_index=0)
    assert is_ignored(config, replace(state, role=caught_up), Receive(rejection))


@given(leaders(), st.data())
def test_a_leader_follows_up_on_answers_that_are_news(
    situation: tuple[Config, NodeState], data: st.DataObject
) -> None:
    config, state = situation
    leader = leader_of(state)
    peer = data.draw(st.sampled_from(config.peers))
    known, next_index = leader.match_index[peer], leader.next_index[peer]
    match_index = data.draw(st.integers(0, state.log.last_index))
    reply = AppendEntriesReply(
        source=peer,
        destination=config.id,
        term=state.current_term,
        success=True,
        match_index=match_index,
    )
    acknowledged = step(config, state, Receive(reply))
    after = leader_of(acknowledged.state)
    assert after.match_index[peer] == max(known, match_index)
    assert after.next_index[peer] == max(next_index, match_index + 1)
    lacks_more = after.next_index[peer] <= state.log.last_index
    assert len(sent(acknowledged)) == (match_index > known and lacks_more)
    rejected = step(config, state, Receive(replace(reply, success=False, match_index=0)))
    # Neither what is acknowledged nor what a snapshot covers is sent again.
    backs_off = next_index - 1 > max(known, state.log.snapshot_index)
    assert leader_of(rejected.state).next_index[peer] == next_index - backs_off
    assert len(sent(rejected)) == backs_off


@given(configured(Leader))
def test_a_leader_has_no_election_timer(situation: tuple[Config, NodeState]) -> None:
    assert is_ignored(*situation, ElectionTimeout())


@given(configured(Leader))
def test_a_leaders_heartbeat_changes_nothing_and_reaches_everyone(
    situation: tuple[Config, NodeState],
) -> None:
    config, state = situation
    transition = step(config, state, HeartbeatTimeout())
    assert transition.state == state
    assert [message.destination for message in sent(transition)] == list(config.peers)
    for message in sent(transition):
        assert isinstance(message, AppendEntries)
        assert message.leader_commit == state.commit_index
        next_index = leader_of(state).next_index[message.destination]
        assert message.prev_log_index == max(next_index - 1, state.log.snapshot_index)
        lacking = state.log.last_index - message.prev_log_index
        assert len(message.entries) == min(lacking, config.max_entries_per_append)


@given(configured(Follower, Candidate))
def test_who_does_not_lead_has_no_heartbeat(situation: tuple[Config, NodeState]) -> None:
    assert is_ignored(*situation, HeartbeatTimeout())


@given(configured(Follower, Candidate), commands())
def test_who_does_not_lead_names_who_does(
    situation: tuple[Config, NodeState], command: Command
) -> None:
    config, state = situation
    leader = state.role.leader if isinstance(state.role, Follower) else None
    expected = Transition(state, (NotLeader(leader),))
    assert step(config, state, ClientRequest(command)) == expected


@given(received(Follower, Candidate, of=[AppendEntries]))
def test_requests_of_an_older_term_are_answered_with_no(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    if not isinstance(message, AppendEntries):
        return
    state = replace(state, persistent=replace(state.persistent, current_term=7))
    transition = step(config, state, Receive(message))
    (reply,) = sent(transition)
    assert transition == Transition(state, (Send(reply),))
    assert isinstance(reply, AppendEntriesReply)
    assert (reply.success, reply.destination) == (False, message.source)


@given(received(Follower, Candidate, of=[AppendEntries]) | overwritten())
def test_a_request_of_the_current_leader_is_accepted_where_the_logs_meet(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    if not isinstance(message, AppendEntries) or message.term < state.current_term:
        return
    transition = step(config, state, Receive(message))
    (reply,) = sent(transition)
    assert isinstance(reply, AppendEntriesReply)
    log, index = state.log, message.prev_log_index
    terms = {log.snapshot_index: log.snapshot_term} | {
        index: entry.term for index, entry in enumerate(log.entries, start=log.snapshot_index + 1)
    }
    # What the base covers is committed, so it is where the logs meet anyway.
    expected = index < log.snapshot_index or terms.get(index) == message.prev_log_term
    assert reply.success == expected
    assert transition.state.role == Follower(message.source)
    assert transition.outputs[0] == ResetElectionTimer()
