"""What one server owes in every step, whatever the rest of the cluster does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_ref import (
    Appended,
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    Config,
    ElectionTimeout,
    Entry,
    Follower,
    IndexMap,
    Leader,
    Log,
    Message,
    NodeState,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
    Restart,
    Send,
    Transition,
    commit,
    step,
)
from tests.situations import (
    Situation,
    anything,
    configured,
    leader_of,
    leaders,
    overwritten,
    received,
    sent,
)

# --- terms and votes ---------------------------------------------------------------------------


@given(anything())
def test_the_term_never_falls(situation: Situation) -> None:
    _, state, _ = situation
    assert step(*situation).state.current_term >= state.current_term


@given(received())
def test_a_higher_term_is_adopted_and_a_lower_one_is_not(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    after = step(config, state, Receive(message)).state
    assert after.current_term == max(state.current_term, message.term)
    if message.term > state.current_term:
        assert isinstance(after.role, Follower)


@given(received(Leader))
def test_a_leader_that_steps_down_gets_an_election_timer(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    later = replace(message, term=message.term + state.current_term)
    assert ResetElectionTimer() in step(config, state, Receive(later)).outputs


@given(anything())
def test_a_vote_lasts_as_long_as_its_term(situation: Situation) -> None:
    _, state, _ = situation
    after = step(*situation).state
    if after.current_term == state.current_term and state.voted_for is not None:
        assert after.voted_for == state.voted_for


@given(received(of=[RequestVote]))
def test_votes_are_granted_exactly_as_the_paper_says(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    if not isinstance(message, RequestVote):
        return
    vote = state.voted_for if message.term == state.current_term else None
    theirs = (message.last_log_term, message.last_log_index)
    expected = (
        message.term >= state.current_term
        and vote in (None, message.source)
        and theirs >= (state.log.last_term, state.log.last_index)
    )
    transition = step(config, state, Receive(message))
    (reply,) = sent(transition)
    assert isinstance(reply, RequestVoteReply)
    assert reply.vote_granted == expected
    steps_down = isinstance(state.role, Leader) and message.term > state.current_term
    assert (ResetElectionTimer() in transition.outputs) == (expected or steps_down)


@given(configured(Follower, Candidate, min_servers=2))
def test_an_election_asks_everyone_with_the_own_vote_cast(
    situation: tuple[Config, NodeState],
) -> None:
    config, state = situation
    transition = step(config, state, ElectionTimeout())
    after = transition.state
    assert after.current_term == state.current_term + 1
    assert after.role == Candidate(frozenset({config.id}))
    assert transition.outputs[0] == ResetElectionTimer()
    assert [message.destination for message in sent(transition)] == list(config.peers)
    assert all(
        isinstance(message, RequestVote)
        and (message.last_log_index, message.last_log_term)
        == (state.log.last_index, state.log.last_term)
        for message in sent(transition)
    )


@given(received(Candidate) | received(Candidate, of=[RequestVoteReply]))
def test_only_a_majority_of_the_own_term_makes_a_leader(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    assert isinstance(state.role, Candidate)
    votes = state.role.votes_granted
    if (
        isinstance(message, RequestVoteReply)
        and message.vote_granted
        and message.term == state.current_term
    ):
        votes |= {message.source}
    after = step(config, state, Receive(message)).state
    assert isinstance(after.role, Leader) == (2 * len(votes) > len(config.servers))
    if isinstance(after.role, Candidate):
        assert after.role.votes_granted == votes


# --- logs --------------------------------------------------------------------------------------


@given(anything(Leader))
def test_a_leader_only_appends(situation: Situation) -> None:
    _, state, event = situation
    after = step(*situation).state
    if isinstance(after.role, Leader):
        count = len(state.log.entries)
        assert after.log.entries[:count] == state.log.entries
        assert len(after.log.entries) - count == isinstance(event, ClientRequest)


@given(received() | overwritten())
def test_a_log_keeps_all_that_does_not_conflict(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    old, new = state.log, step(config, state, Receive(message)).state.log
    assert (new.snapshot_index, new.snapshot_term) == (old.snapshot_index, old.snapshot_term)
    if new.entries[: len(old.entries)] == old.entries:
        return
    assert isinstance(message, AppendEntries)
    conflict = next(
        index
        for index, entry in enumerate(message.entries, start=message.prev_log_index + 1)
        if old.term_at(index) not in (None, entry.term)
    )
    assert new.between(0, conflict - 1) == old.between(0, conflict - 1)
    assert new.last_index == message.prev_log_index + len(message.entries)


@given(received(Follower, Candidate, of=[AppendEntries]) | overwritten())
def test_an_acknowledgement_confirms_what_the_log_holds(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    transition = step(config, state, Receive(message))
    for reply in sent(transition):
        if isinstance(reply, AppendEntriesReply) and reply.success:
            assert isinstance(message, AppendEntries)
            assert reply.match_index == message.prev_log_index + len(message.entries)
            assert reply.match_index <= transition.state.log.last_index
            for index, entry in enumerate(message.entries, start=message.prev_log_index + 1):
                if index > state.log.snapshot_index:
                    assert transition.state.log.term_at(index) == entry.term


# --- what is promised and applied --------------------------------------------------------------


@given(anything())
def test_outputs_promise_only_what_is_persistent(situation: Situation) -> None:
    config, _, event = situation
    transition = step(*situation)
    persistent = transition.state.persistent
    for output in transition.outputs:
        if isinstance(output, Send):
            assert output.message.term == persistent.current_term
        match output:
            case Send(RequestVoteReply(vote_granted=True) as message):
                assert persistent.voted_for == message.destination
            case Send(RequestVote()):
                assert persistent.voted_for == config.id
            case Send(AppendEntriesReply() as message):
                assert message.match_index <= persistent.log.last_index
            case Send(AppendEntries() as message):
                until = message.prev_log_index + len(message.entries)
                assert message.entries == persistent.log.between(message.prev_log_index, until)
            case Appended(index, term):
                assert isinstance(event, ClientRequest)
                entry = persistent.log.entry_at(index)
                assert entry is not None
                assert (entry.term, entry.command) == (term, event.command)
                assert (index, term) == (persistent.log.last_index, persistent.current_term)
            case _:
                pass


@given(anything())
def test_the_commit_index_falls_in_a_restart_alone(situation: Situation) -> None:
    _, state, event = situation
    after = step(*situation).state
    if isinstance(event, Restart):
        assert after.commit_index == state.log.snapshot_index
    else:
        assert after.commit_index >= state.commit_index


@given(anything())
def test_what_becomes_committed_is_applied_once_and_in_order(situation: Situation) -> None:
    _, state, event = situation
    transition = step(*situation)
    after = transition.state
    applied = [output for output in transition.outputs if isinstance(output, Apply)]
    assert after.last_applied == after.commit_index
    if isinstance(event, Restart):
        assert applied == []
        return
    assert applied == [
        Apply(index, after.log.entries[index - after.log.snapshot_index - 1])
        for index in range(state.last_applied + 1, after.last_applied + 1)
    ]


@given(received(Follower, Candidate, of=[AppendEntries]) | overwritten())
def test_a_follower_commits_what_the_leader_has_and_it_has_confirmed(
    situation: tuple[Config, NodeState, Message],
) -> None:
    config, state, message = situation
    transition = step(config, state, Receive(message))
    confirmed = [
        min(message.leader_commit, reply.match_index)
        for reply in sent(transition)
        if isinstance(reply, AppendEntriesReply)
        and reply.success
        and isinstance(message, AppendEntries)
    ]
    assert transition.state.commit_index == max(state.commit_index, *confirmed, 0)


@given(leaders(), st.data())
def test_a_leader_commits_up_to_the_last_entry_that_may_be_counted(
    situation: tuple[Config, NodeState], data: st.DataObject
) -> None:
    config, state = situation
    leader, last = leader_of(state), state.log.last_index
    commit_index = data.draw(st.integers(state.log.snapshot_index, last))
    state = replace(state, commit_index=commit_index)
    counted = [
        index
        for index in range(commit_index + 1, last + 1)
        if commit.may_commit_by_counting(config, state, leader, index)
    ]
    assert commit.leader_commit_index(config, state, leader) == max(counted, default=commit_index)


def test_few_of_many_uncommitted_entries_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(id=1, servers=frozenset({1, 2, 3}))
    log = Log(tuple(Entry(2, str(number)) for number in range(10_000)))
    match_index = IndexMap(((2, 9_000), (3, 1_000)))
    leader = Leader(IndexMap.uniform((2, 3), 10_001), match_index)
    state = NodeState(PersistentState(2, 1, log), leader, 100, 100)
    looked_at: list[int] = []

    def has_majority(config: Config, leader: Leader, index: int) -> bool:
        looked_at.append(index)
        return count(config, leader, index)

    count = commit.has_majority
    monkeypatch.setattr(commit, "has_majority", has_majority)
    assert commit.leader_commit_index(config, state, leader) == 9_000
    assert len(looked_at) < 20


# --- restarts ----------------------------------------------------------------------------------


@given(configured())
def test_restart_keeps_the_persistent_state_alone(situation: tuple[Config, NodeState]) -> None:
    config, state = situation
    restarted = step(config, state, Restart())
    assert restarted == step(config, NodeState(state.persistent), Restart())
    assert restarted.state.persistent == state.persistent
    assert restarted.state.role == Follower()
    assert restarted.outputs == ()


@given(configured())
def test_restart_is_idempotent(situation: tuple[Config, NodeState]) -> None:
    config, state = situation
    restarted = step(config, state, Restart()).state
    assert step(config, restarted, Restart()) == Transition(restarted)
