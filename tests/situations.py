"""Situations of one server for property tests, and what makes a state consistent."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from hypothesis import strategies as st

from model_check.strategies import (
    MESSAGE_TYPES,
    ROLE_TYPES,
    RoleType,
    configs,
    events,
    events_at,
    messages,
    messages_to,
    node_states,
)
from raft_ref import (
    AppendEntries,
    Candidate,
    Config,
    Event,
    Follower,
    Leader,
    Message,
    NodeState,
    Receive,
    Send,
    Transition,
)

# --- situations ------------------------------------------------------------------------------

Situation = tuple[Config, NodeState, Event]


@st.composite
def configured(draw: st.DrawFn, *among: RoleType, min_servers: int = 1) -> tuple[Config, NodeState]:
    if Candidate in among:
        min_servers = max(min_servers, 2)
    config = draw(configs(min_servers=min_servers))
    return config, draw(node_states(config, among=among or ROLE_TYPES))


@st.composite
def anything(draw: st.DrawFn, *among: RoleType) -> Situation:
    """A consistent state and any well-formed event, possible in a real cluster or not."""
    config, state = draw(configured(*among))
    return config, state, draw(events(config) | events_at(config, state))


@st.composite
def plausible(draw: st.DrawFn, *among: RoleType) -> Situation:
    """A consistent state and an event that contradicts nothing committed."""
    config, state = draw(configured(*among))
    requests = messages_to(config, state, among=[AppendEntries])
    return config, state, draw(events_at(config, state) | st.builds(Receive, requests))


@st.composite
def received(
    draw: st.DrawFn, *among: RoleType, of: Collection[type[Message]] = MESSAGE_TYPES
) -> tuple[Config, NodeState, Message]:
    """A consistent state and any well-formed message, of the types ``of``."""
    config, state = draw(configured(*among, min_servers=2))
    return config, state, draw(messages(config, among=of) | messages_to(config, state, among=of))


@st.composite
def overwritten(draw: st.DrawFn) -> tuple[Config, NodeState, Message]:
    """A state with entries not committed, and a request that bears on it."""
    config, state = draw(configured(Follower, Candidate, min_servers=2))
    base = state.log.snapshot_index
    state = replace(state, commit_index=base, last_applied=base)
    return config, state, draw(messages_to(config, state, among=[AppendEntries]))


def leaders() -> st.SearchStrategy[tuple[Config, NodeState]]:
    return configured(Leader, min_servers=2)


def leader_of(state: NodeState) -> Leader:
    assert isinstance(state.role, Leader)
    return state.role


def sent(transition: Transition) -> list[Message]:
    return [output.message for output in transition.outputs if isinstance(output, Send)]


# --- consistency -----------------------------------------------------------------------------

# These three rest on what is committed being so everywhere. One server cannot see that, so a
# well-formed message that no real cluster produces can break them; and nothing else.
RESTS_ON_THE_CLUSTER = {
    "the log reaches what is committed",
    "terms never fall from the log's base on",
    "a leader has committed what it counts as held by a majority, and no more of its term",
}


def broken_clauses(config: Config, state: NodeState) -> set[str]:
    """What is inconsistent about a state. Written from the paper, not from the core."""
    return {name for name, holds in clauses(config, state) if not holds}


def clauses(config: Config, state: NodeState) -> Iterator[tuple[str, bool]]:
    log, term, vote = state.log, state.current_term, state.voted_for
    terms = [entry.term for entry in log.entries]
    peers = config.servers - {config.id}
    yield (
        "the log's base is (0, 0) or positive",
        (log.snapshot_index, log.snapshot_term) == (0, 0)
        or (log.snapshot_index > 0 and log.snapshot_term > 0),
    )
    yield "terms in the log never fall, from 1", terms == sorted(terms) and min([*terms, 1]) >= 1
    yield (
        "terms never fall from the log's base on",
        all(log.snapshot_term <= entry_term for entry_term in terms),
    )
    yield "no term in the log is in the future", max([*terms, log.snapshot_term, 0]) <= term
    yield "votes are for servers", vote is None or vote in config.servers
    yield "no votes in term 0", term > 0 or (term == 0 and vote is None)
    yield "all that is committed is applied", state.last_applied == state.commit_index
    yield "the log's base is committed", state.commit_index >= log.snapshot_index
    yield "the log reaches what is committed", state.commit_index <= log.last_index
    match state.role:
        case Follower(leader):
            yield "a known leader is another server", leader is None or leader in peers
            yield "no leader in term 0", term > 0 or leader is None
        case Candidate(votes):
            yield "a candidate has its own vote", vote == config.id and config.id in votes
            yield "nobody has led a candidate's term", log.last_term < term
            yield "a candidate's votes are of servers", votes <= config.servers
            yield "a candidate's votes are no majority", 2 * len(votes) <= len(config.servers)
        case Leader(next_index, match_index):
            yield "a leader has its own vote", vote == config.id
            yield "a leader tracks its peers", set(next_index) == set(match_index) == peers
            yield (
                "0 <= match_index < next_index <= last_index + 1",
                all(
                    0 <= match_index[peer] < next_index[peer] <= log.last_index + 1
                    for peer in peers
                ),
            )
            yield (
                "a leader has committed what it counts as held by a majority, and no more of its "
                "term",
                all(
                    (index <= state.commit_index)
                    == (
                        2 * sum(match >= index for match in [index, *match_index.values()])
                        > len(config.servers)
                    )
                    for index, entry_term in enumerate(terms, start=log.snapshot_index + 1)
                    if entry_term == term
                ),
            )
