"""`raft_ref.step` as a function: pure, total, and it keeps states consistent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_check.strategies import (
    configs,
    events,
    malformed_messages,
    persistent_states,
    roles,
    transitions,
)
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Config,
    ConflictHint,
    Entry,
    MalformedEvent,
    Message,
    NodeState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Transition,
    step,
)
from raft_ref.codec import dumps
from raft_ref.wellformed import check_message
from tests.situations import (
    RESTS_ON_THE_CLUSTER,
    Situation,
    anything,
    broken_clauses,
    configured,
    plausible,
    received,
    sent,
)


@given(configured())
def test_generated_states_are_consistent(situation: tuple[Config, NodeState]) -> None:
    assert broken_clauses(*situation) == set()


@given(st.data())
def test_generated_parts_fit_together_to_consistent_states(data: st.DataObject) -> None:
    config = data.draw(configs())
    persistent = data.draw(persistent_states(config))
    base = persistent.log.snapshot_index
    state = NodeState(persistent, data.draw(roles(config, persistent)), base, base)
    assert broken_clauses(config, state) <= RESTS_ON_THE_CLUSTER - {
        "terms never fall from the log's base on"
    }
    transition = data.draw(transitions(config))
    assert broken_clauses(config, transition.state) == set()


@given(configs())
def test_the_initial_state_is_consistent(config: Config) -> None:
    assert broken_clauses(config, NodeState()) == set()


@given(plausible())
def test_step_keeps_states_consistent(situation: Situation) -> None:
    config, state, event = situation
    assert broken_clauses(config, step(config, state, event).state) == set()


@given(st.data())
def test_no_sequence_of_well_formed_events_breaks_what_one_server_sees(data: st.DataObject) -> None:
    config, state = data.draw(configured())
    for event in data.draw(st.lists(events(config), max_size=12)):
        state = step(config, state, event).state
        assert broken_clauses(config, state) <= RESTS_ON_THE_CLUSTER


# --- the function ------------------------------------------------------------------------------


@given(anything())
def test_step_is_pure(situation: Situation) -> None:
    before = [dumps(value) for value in situation]
    assert step(*situation) == step(*situation)
    assert [dumps(value) for value in situation] == before


@given(anything())
def test_step_is_total(situation: Situation) -> None:
    assert isinstance(step(*situation), Transition)


@given(st.data())
def test_malformed_messages_are_refused_with_malformed_event(data: st.DataObject) -> None:
    config, state = data.draw(configured())
    with pytest.raises(MalformedEvent):
        step(config, state, Receive(data.draw(malformed_messages(config))))


VOTE = RequestVote(source=2, destination=1, term=3, last_log_index=1, last_log_term=3)
APPEND = AppendEntries(
    source=2,
    destination=1,
    term=3,
    prev_log_index=1,
    prev_log_term=2,
    entries=(Entry(2, "a"), Entry(3, "b")),
    leader_commit=0,
)
GRANTED = RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)
MATCHED = AppendEntriesReply(source=2, destination=1, term=1, success=True, match_index=0)
REJECTED = replace(MATCHED, success=False, term=3)
HINTED = replace(REJECTED, hint=ConflictHint(1, 3))
SHORTER = replace(REJECTED, hint=ConflictHint(1, None))


@pytest.mark.parametrize("message", [VOTE, APPEND, GRANTED, MATCHED, HINTED, SHORTER])
def test_messages_at_the_edge_of_well_formed_are_accepted(message: Message) -> None:
    check_message(message, receiver=1, known=frozenset({1, 2, 3}))


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (replace(GRANTED, source=1), "source"),
        (replace(GRANTED, source=4), "source"),
        (replace(GRANTED, destination=3), "destination"),
        (replace(GRANTED, term=0), "term"),
        (replace(VOTE, last_log_index=-1), "last_log_index"),
        (replace(VOTE, last_log_index=0), "last_log_term"),
        (replace(VOTE, last_log_term=0), "last_log_term"),
        (replace(VOTE, last_log_term=4), "last_log_term"),
        (replace(APPEND, prev_log_index=-1), "prev_log_index"),
        (replace(APPEND, prev_log_index=0), "prev_log_term"),
        (replace(APPEND, prev_log_term=0), "prev_log_term"),
        (replace(APPEND, prev_log_term=4, entries=()), "prev_log_term"),
        (replace(APPEND, entries=APPEND.entries[::-1]), "entries"),
        (replace(APPEND, entries=(Entry(1, ""),)), "entries"),
        (replace(APPEND, entries=(Entry(4, ""),)), "entries"),
        (replace(APPEND, prev_log_index=0, prev_log_term=0, entries=(Entry(0, ""),)), "entries"),
        (replace(APPEND, leader_commit=-1), "leader_commit"),
        (replace(MATCHED, match_index=-1), "match_index"),
        (replace(MATCHED, success=False, match_index=1), "match_index"),
        (replace(MATCHED, hint=ConflictHint(1, 1)), "hint"),
        (replace(REJECTED, hint=ConflictHint(0, None)), "hint.index"),
        (replace(REJECTED, hint=ConflictHint(1, 0)), "hint.term"),
        (replace(REJECTED, hint=ConflictHint(1, 4)), "hint.term"),
    ],
)
def test_messages_just_beyond_are_refused_by_name(message: Message, field: str) -> None:
    config = Config(id=1, servers=frozenset({1, 2, 3}))
    with pytest.raises(MalformedEvent, match=f"^{field} "):
        step(config, NodeState(), Receive(message))


@given(received())
def test_generated_messages_are_well_formed(situation: tuple[Config, NodeState, Message]) -> None:
    config, _, message = situation
    check_message(message, receiver=config.id, known=config.servers)


@given(plausible())
def test_what_a_server_sends_its_receiver_accepts(situation: Situation) -> None:
    config, *_ = situation
    for message in sent(step(*situation)):
        assert message.source == config.id
        check_message(message, receiver=message.destination, known=config.servers)


@given(anything())
def test_a_request_carries_no_more_entries_than_allowed(situation: Situation) -> None:
    config, *_ = situation
    for message in sent(step(*situation)):
        if isinstance(message, AppendEntries):
            assert len(message.entries) <= config.max_entries_per_append
