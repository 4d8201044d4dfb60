"""Hypothesis strategies for every public type of `raft_ref`, to property-test a Raft of your own.

Needs the extra ``strategies``. A strategy takes the `Config` of the server it is about:

    @given(st.data())
    def test_my_raft(data):
        config = data.draw(configs())
        state, event = data.draw(situations(config))
        assert my_step(config, state, event) == step(config, state, event)

Terms, indexes and lengths are small unless told otherwise, so that values often agree, conflict or
are just one apart: that is where Raft's rules bite. Server numbers include 0, which is falsy. No
strategy filters; all shrink to followers, short logs and early terms.

A state is *consistent* if `raft_ref.step` can be in it, as far as one server can tell:

- the log starts after a base that is ``(0, 0)``, or a positive index and term; from there terms
  never fall; the last is at most ``current_term``;
- votes exist from term 1 on, and only for servers of the cluster; the same goes for a follower's
  leader, which is another server;
- a candidate or leader has voted for itself; a candidate's votes contain its own and are no
  majority, and its log has nothing of its term yet: nobody has led it;
- a leader has for each peer ``0 <= match_index < next_index <= last_index + 1``; of its own term's
  entries it has committed exactly those that it knows a majority to hold;
- ``last_applied == commit_index``, which lies between the log's base and its last index.

`step` keeps a state consistent under all events of `events_at`. Under those of `events`, some of
which contradict what the server has committed, it does not and need not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias, assert_never

from raft_ref import (
    Appended,
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    Command,
    Config,
    ConflictHint,
    ElectionTimeout,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    Index,
    IndexMap,
    Leader,
    Log,
    Message,
    NodeId,
    NodeState,
    NotLeader,
    Output,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    ResetElectionTimer,
    Restart,
    Role,
    Send,
    Term,
    Transition,
)

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "model_check.strategies needs hypothesis: pip install raft-ref[strategies]"
    ) from error

MAX_TERM: Term = 5
"""The highest term, unless told otherwise."""
MAX_LENGTH = 5
"""The most entries in a log or message, and the highest index of a log's base."""

RoleType: TypeAlias = type[Follower] | type[Candidate] | type[Leader]
ROLE_TYPES: tuple[RoleType, ...] = (Follower, Candidate, Leader)
MESSAGE_TYPES: tuple[type[Message], ...] = (
    RequestVoteReply,
    AppendEntriesReply,
    RequestVote,
    AppendEntries,
)

# --- what a server is and holds ----------------------------------------------------------------


@st.composite
def configs(draw: st.DrawFn, *, min_servers: int = 1, max_servers: int = 5) -> Config:
    """Configurations of ``min_servers`` to ``max_servers``, numbered from 0 on, with gaps."""
    numbers = st.sampled_from(range(2 * max_servers))
    servers = draw(st.frozensets(numbers, min_size=min_servers, max_size=max_servers))
    return Config(
        id=draw(st.sampled_from(sorted(servers))),
        servers=servers,
        max_entries_per_append=draw(st.integers(1, 3)),
    )


@lru_cache
def commands() -> st.SearchStrategy[Command]:
    """Commands: any Unicode text without surrogates, and often one of the same two."""
    return st.sampled_from(["a", "b"]) | st.text(max_size=8)


@lru_cache
def entries(*, min_term: Term = 1, max_term: Term = MAX_TERM) -> st.SearchStrategy[Entry]:
    """Log entries of terms from ``min_term`` to ``max_term``."""
    return st.builds(Entry, st.integers(min_term, max_term), commands())


@lru_cache
@st.composite
def logs(
    draw: st.DrawFn,
    *,
    max_length: int = MAX_LENGTH,
    max_term: Term = MAX_TERM,
    snapshots: bool = True,
) -> Log:
    """Logs whose terms never fall, after a snapshot's base or from index 1 on.

    With ``max_term`` 0, only the empty log; without ``snapshots``, no base.
    """
    base_index, base_term = 0, 0
    if snapshots and max_term > 0 and draw(st.booleans()):
        base_index = draw(st.integers(1, max_length))
        base_term = draw(st.integers(1, max_term))
    return Log(draw(_runs_of_entries(base_term, max_term, max_length)), base_index, base_term)


def index_maps(
    servers: Collection[NodeId], *, min_index: Index = 0, max_index: Index = MAX_LENGTH
) -> st.SearchStrategy[IndexMap]:
    """Maps with an index from ``min_index`` to ``max_index`` for each of ``servers``."""
    indexes = st.tuples(*(st.integers(min_index, max_index) for _ in servers))
    return indexes.map(lambda drawn: IndexMap(tuple(zip(sorted(servers), drawn, strict=True))))


@st.composite
def persistent_states(
    draw: st.DrawFn,
    config: Config,
    *,
    max_term: Term = MAX_TERM,
    max_length: int = MAX_LENGTH,
) -> PersistentState:
    """The persistent part of consistent states."""
    return draw(_persistent_states(config, Follower, max_term, max_length))


@st.composite
def _persistent_states(
    draw: st.DrawFn, config: Config, kind: RoleType, max_term: Term, max_length: int
) -> PersistentState:
    """What a server in the role ``kind`` may hold."""
    term = draw(st.integers(0 if kind is Follower else 1, max_term))
    log = draw(logs(max_length=max_length, max_term=term - 1 if kind is Candidate else term))
    # A server's own vote is the one that lets it have other roles, so it should not be rare.
    vote = st.none() | st.just(config.id) | st.sampled_from(sorted(config.servers))
    if kind is not Follower:
        vote = st.just(config.id)
    return PersistentState(term, draw(vote) if term > 0 else None, log)


def roles(config: Config, persistent: PersistentState) -> st.SearchStrategy[Role]:
    """The roles that a server may have together with ``persistent``."""
    kinds: list[RoleType] = [Follower]
    if persistent.voted_for == config.id:
        kinds = _role_types(config)
        if persistent.log.last_term == persistent.current_term:
            kinds = [kind for kind in kinds if kind is not Candidate]
    return st.sampled_from(kinds).flatmap(lambda kind: _roles(config, persistent, kind))


@st.composite
def node_states(
    draw: st.DrawFn,
    config: Config,
    *,
    among: Collection[RoleType] = ROLE_TYPES,
    max_term: Term = MAX_TERM,
    max_length: int = MAX_LENGTH,
) -> NodeState:
    """Consistent states of servers in one of the roles ``among``.

    Raises:
        ValueError: if the cluster can have none of them. Only a cluster of one, which has no
            candidates, can lack a role.
    """
    kinds = [kind for kind in _role_types(config) if kind in among]
    if not kinds:
        raise ValueError(f"a cluster of {len(config.servers)} has no server in a role among these")
    kind = draw(st.sampled_from(kinds))
    persistent = draw(_persistent_states(config, kind, max_term, max_length))
    role = draw(_roles(config, persistent, kind))
    committed = draw(st.integers(*_committable(config, persistent, role)))
    return NodeState(persistent, role, commit_index=committed, last_applied=committed)


def _role_types(config: Config) -> list[RoleType]:
    """The roles that exist in this cluster: alone, a candidate has its majority at once."""
    return [kind for kind in ROLE_TYPES if kind is not Candidate or len(config.servers) > 1]


@st.composite
def _roles(draw: st.DrawFn, config: Config, persistent: PersistentState, kind: RoleType) -> Role:
    if kind is Candidate:
        others = st.sampled_from(config.peers)
        return Candidate(
            draw(st.frozensets(others, max_size=len(config.servers) // 2 - 1)) | {config.id}
        )
    if kind is Leader:
        last_index = persistent.log.last_index
        next_index = draw(index_maps(config.peers, min_index=1, max_index=last_index + 1))
        matches = [(peer, draw(st.integers(0, next_index[peer] - 1))) for peer in config.peers]
        return Leader(next_index=next_index, match_index=IndexMap(tuple(matches)))
    if persistent.current_term == 0:
        return Follower()
    return Follower(draw(st.none() | st.sampled_from(config.peers))) if config.peers else Follower()


def _committable(config: Config, persistent: PersistentState, role: Role) -> tuple[Index, Index]:
    """The least and the greatest commit index that fit the rest of a consistent state."""
    log = persistent.log
    if not isinstance(role, Leader):
        return log.snapshot_index, log.last_index
    own = [
        index
        for index in range(log.snapshot_index + 1, log.last_index + 1)
        if log.term_at(index) == persistent.current_term
    ]
    counted = [
        index
        for index in own
        if 2 * (1 + sum(match >= index for match in role.match_index.values()))
        > len(config.servers)
    ]
    if counted:
        return counted[-1], counted[-1]
    return log.snapshot_index, own[0] - 1 if own else log.last_index


@lru_cache
def _runs_of_entries(
    after: Term, max_term: Term, max_length: int
) -> st.SearchStrategy[tuple[Entry, ...]]:
    """Entries that can stand after one of term ``after``: their terms never fall."""
    if max(after, 1) > max_term:
        return st.just(())
    unordered = st.lists(entries(min_term=max(after, 1), max_term=max_term), max_size=max_length)
    return unordered.map(lambda drawn: tuple(sorted(drawn, key=lambda entry: entry.term)))


# --- what can happen to it ---------------------------------------------------------------------


def messages(
    config: Config,
    *,
    among: Collection[type[Message]] = MESSAGE_TYPES,
    max_term: Term = MAX_TERM,
    max_length: int = MAX_LENGTH,
) -> st.SearchStrategy[Message]:
    """Messages well formed for this receiver: `raft_ref.step` accepts them in every state.

    They are of the types ``among``. They may contradict what the server has committed; those of
    `messages_to` do not. Nothing, if the server is alone.
    """
    if not config.peers:
        return st.nothing()
    sources, destination = st.sampled_from(config.peers), st.just(config.id)
    return _messages(sources, destination, max_term, max_length, among=among)


@st.composite
def malformed_messages(
    draw: st.DrawFn, config: Config, *, max_term: Term = MAX_TERM, max_length: int = MAX_LENGTH
) -> Message:
    """Messages that `raft_ref.step` refuses with `MalformedEvent` in every state.

    Each would be well formed but for one fault.
    """
    if not config.peers:
        # Who is alone gets no message from anyone, however well formed.
        stranger = st.sampled_from([config.id - 1, config.id, config.id + 1])
        return draw(_messages(stranger, st.just(config.id), max_term, max_length))
    message = draw(messages(config, max_term=max_term, max_length=max_length))
    return draw(draw(st.sampled_from(_faults(config, message))))


def messages_to(
    config: Config, state: NodeState, *, among: Collection[type[Message]] = MESSAGE_TYPES
) -> st.SearchStrategy[Message]:
    """Well-formed messages that bear on a consistent ``state`` and contradict nothing committed.

    Terms and indexes are near the server's own. An AppendEntries of its term or a later one comes
    from a log that holds all that the server has committed. Nothing, if the server is alone.
    """
    return _messages_to(config, state, among) if config.peers else st.nothing()


def events(
    config: Config, *, max_term: Term = MAX_TERM, max_length: int = MAX_LENGTH
) -> st.SearchStrategy[Event]:
    """Events; their messages are those of `messages`."""
    return _events(messages(config, max_term=max_term, max_length=max_length))


def events_at(config: Config, state: NodeState) -> st.SearchStrategy[Event]:
    """Events that bear on a consistent ``state`` and leave it consistent; see `messages_to`."""
    return _events(messages_to(config, state))


@st.composite
def situations(
    draw: st.DrawFn, config: Config, *, among: Collection[RoleType] = ROLE_TYPES
) -> tuple[NodeState, Event]:
    """A consistent state, and an event that bears on it; see `node_states` and `events_at`."""
    state = draw(node_states(config, among=among))
    return state, draw(events_at(config, state))


@st.composite
def _events(draw: st.DrawFn, received: st.SearchStrategy[Message]) -> Event:
    # The more there is to choose from, the more often.
    bare: list[Event] = [ElectionTimeout(), HeartbeatTimeout(), Restart()]
    choice = draw(st.integers(0, 4 if received.is_empty else 14))
    if choice < 3:
        return bare[choice]
    return ClientRequest(draw(commands())) if choice < 5 else Receive(draw(received))


@st.composite
def _messages_to(
    draw: st.DrawFn, config: Config, state: NodeState, among: Collection[type[Message]]
) -> Message:
    current = state.current_term
    term = draw(st.just(max(current, 1)) | st.integers(max(current - 1, 1), max(current, 1) + 1))
    sources, destination = st.sampled_from(config.peers), st.just(config.id)
    message = draw(_messages(sources, destination, term, MAX_LENGTH, term, among))
    last_index = state.log.last_index
    match message:
        case RequestVote():
            positions = st.integers(0, last_index + 1).flatmap(lambda at: _positions(term, at))
            if state.log.last_term <= term:
                positions = st.just((last_index, state.log.last_term)) | positions
            index, index_term = draw(positions)
            return replace(message, last_log_index=index, last_log_term=index_term)
        case AppendEntriesReply(success=True):
            return replace(message, match_index=draw(st.integers(0, last_index + 1)))
        case AppendEntries() if term >= current:
            return draw(_appends_from_a_log_like(state, message))
        case RequestVoteReply() | AppendEntries() | AppendEntriesReply():
            return message
        case _:
            assert_never(message)


@st.composite
def _messages(
    draw: st.DrawFn,
    sources: st.SearchStrategy[NodeId],
    destinations: st.SearchStrategy[NodeId],
    max_term: Term,
    max_length: int,
    min_term: Term = 1,
    among: Collection[type[Message]] = MESSAGE_TYPES,
) -> Message:
    """Messages that are well formed but for their source and destination, perhaps."""
    kind = draw(st.sampled_from([kind for kind in MESSAGE_TYPES if kind in among]))
    source, destination = draw(sources), draw(destinations)
    term = draw(st.integers(min_term, max_term))
    if kind is RequestVoteReply:
        granted = draw(st.booleans())
        return RequestVoteReply(
            source=source, destination=destination, term=term, vote_granted=granted
        )
    if kind is AppendEntriesReply:
        success = draw(st.booleans())
        return AppendEntriesReply(
            source=source,
            destination=destination,
            term=term,
            success=success,
            match_index=draw(st.integers(0, 2 * max_length)) if success else 0,
            hint=None if success else draw(st.none() | _hints(term, max_length)),
        )
    index, index_term = draw(_positions(term, draw(st.integers(0, 2 * max_length))))
    if kind is RequestVote:
        return RequestVote(
            source=source,
            destination=destination,
            term=term,
            last_log_index=index,
            last_log_term=index_term,
        )
    return AppendEntries(
        source=source,
        destination=destination,
        term=term,
        prev_log_index=index,
        prev_log_term=index_term,
        entries=draw(_runs_of_entries(index_term, term, max_length)),
        leader_commit=draw(st.integers(0, 2 * max_length)),
    )


@lru_cache
def _hints(max_term: Term, max_length: int) -> st.SearchStrategy[ConflictHint]:
    terms = st.none() | st.integers(1, max_term)
    return st.builds(ConflictHint, st.integers(1, 2 * max_length), terms)


@lru_cache
def _positions(max_term: Term, index: Index) -> st.SearchStrategy[tuple[Index, Term]]:
    """``index`` with the term of an entry that can be there; before the log, 0."""
    return st.tuples(st.just(index), st.integers(1, max_term) if index > 0 else st.just(0))


@st.composite
def _appends_from_a_log_like(
    draw: st.DrawFn, state: NodeState, message: AppendEntries
) -> AppendEntries:
    """``message`` with entries from a log that holds all that ``state`` has committed."""
    log = state.log
    held = draw(st.integers(state.commit_index, log.last_index))
    kept = log.between(log.snapshot_index, held)
    after = kept[-1].term if kept else log.snapshot_term
    covered: tuple[Entry, ...] = ()
    if log.snapshot_index > 0:
        # What the receiver's snapshot covers, the sender may still hold and send.
        terms = st.lists(
            st.integers(1, log.snapshot_term),
            min_size=log.snapshot_index - 1,
            max_size=log.snapshot_index - 1,
        )
        covered = tuple(
            Entry(term, draw(commands())) for term in [*sorted(draw(terms)), log.snapshot_term]
        )
    # The sender's own entry, where the receiver may have an older one: the likeliest conflict.
    own = st.builds(lambda command: (Entry(message.term, command),), commands())
    new = draw(own | _runs_of_entries(after, message.term, MAX_LENGTH))
    sender = Log(covered + kept + new)
    prev_log_index = draw(st.just(held) | st.integers(0, sender.last_index))
    until = draw(st.just(sender.last_index) | st.integers(prev_log_index, sender.last_index))
    return replace(
        message,
        prev_log_index=prev_log_index,
        prev_log_term=sender.term_at(prev_log_index) or 0,
        entries=sender.between(prev_log_index, until),
        leader_commit=draw(st.integers(0, sender.last_index + 1)),
    )


def _faults(config: Config, message: Message) -> list[st.SearchStrategy[Message]]:
    """Each way to spoil one thing in a well-formed ``message``."""
    negative = st.integers(max_value=-1)
    outsiders = st.integers(min_value=max(config.servers) + 1) | negative
    elsewhere = st.sampled_from(config.peers) | outsiders
    faults = [
        (st.just(config.id) | outsiders).map(lambda source: replace(message, source=source)),
        elsewhere.map(lambda destination: replace(message, destination=destination)),
        st.integers(max_value=0).map(lambda term: replace(message, term=term)),
    ]
    match message:
        case RequestVote():
            faults += [
                position.map(
                    lambda drawn: replace(message, last_log_index=drawn[0], last_log_term=drawn[1])
                )
                for position in _bad_positions(message.term)
            ]
        case AppendEntries():
            faults += [
                position.map(
                    lambda drawn: replace(message, prev_log_index=drawn[0], prev_log_term=drawn[1])
                )
                for position in _bad_positions(message.term)
            ]
            faults += [
                run.map(lambda drawn: replace(message, entries=drawn)) for run in _bad_runs(message)
            ]
            faults.append(negative.map(lambda index: replace(message, leader_commit=index)))
        case AppendEntriesReply():
            index = negative if message.success else st.integers(min_value=1) | negative
            faults.append(index.map(lambda drawn: replace(message, match_index=drawn)))
            faults.append(_bad_hints(message).map(lambda drawn: replace(message, hint=drawn)))
        case RequestVoteReply():
            pass  # nothing in it can be wrong
        case _:
            assert_never(message)
    return faults


def _bad_positions(term: Term) -> list[st.SearchStrategy[tuple[Index, Term]]]:
    """Positions that no log of a server at ``term`` has, one kind of fault each."""
    indexes = st.integers(1, 2 * MAX_LENGTH)
    wrong_terms = st.integers(max_value=0) | st.integers(min_value=term + 1)
    somewhere = st.integers(min_value=1) | st.integers(max_value=-1)
    return [
        st.tuples(st.integers(max_value=-1), st.integers(0, term)),
        st.tuples(st.just(0), somewhere),
        st.tuples(indexes, wrong_terms),
    ]


def _bad_hints(message: AppendEntriesReply) -> st.SearchStrategy[ConflictHint]:
    """Hints that this reply cannot carry: any, if it is no rejection."""
    if message.success:
        return _hints(message.term, MAX_LENGTH)
    too_low = st.integers(max_value=0)
    return st.builds(ConflictHint, too_low, st.none()) | st.builds(
        ConflictHint, st.integers(1, MAX_LENGTH), too_low | st.integers(min_value=message.term + 1)
    )


def _bad_runs(message: AppendEntries) -> list[st.SearchStrategy[tuple[Entry, ...]]]:
    """Entries that cannot all be of ``message``'s sender, one kind of fault each."""
    good, first = message.entries, max(message.prev_log_term, 1)
    too_early = st.builds(Entry, st.integers(max_value=first - 1), commands())
    too_late = st.builds(Entry, st.integers(min_value=message.term + 1), commands())
    return [
        too_early.map(lambda entry: (entry, *good)),
        # At the end, so that terms fall if there are others, and are too low if not.
        too_early.map(lambda entry: (*good, entry)),
        too_late.map(lambda entry: (*good, entry)),
        too_late.map(lambda entry: (entry, *good)),
    ]


# --- what it leads to --------------------------------------------------------------------------


def outputs(
    config: Config, *, max_term: Term = MAX_TERM, max_length: int = MAX_LENGTH
) -> st.SearchStrategy[Output]:
    """Outputs of this server; what it sends is well formed for its receiver."""
    choices: list[st.SearchStrategy[Output]] = [
        st.just(ResetElectionTimer()),
        st.just(NotLeader(None)),
        st.builds(Appended, st.integers(1, 2 * max_length), st.integers(1, max_term)),
        st.builds(Apply, st.integers(1, 2 * max_length), entries(max_term=max_term)),
    ]
    if config.peers:
        peers = st.sampled_from(config.peers)
        choices.append(st.builds(NotLeader, peers))
        choices.append(st.builds(Send, _messages(st.just(config.id), peers, max_term, max_length)))
    return st.one_of(choices)


def transitions(
    config: Config, *, max_term: Term = MAX_TERM, max_length: int = MAX_LENGTH
) -> st.SearchStrategy[Transition]:
    """Transitions to a consistent state, with outputs that need not have to do with it."""
    return st.builds(
        Transition,
        node_states(config, max_term=max_term, max_length=max_length),
        st.lists(outputs(config, max_term=max_term, max_length=max_length), max_size=3).map(tuple),
    )
