"""Each property sees each way in which it can be broken, and says so; and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from model_check.watch import PropertyWatch
from raft_ref import (
    Apply,
    Candidate,
    ElectionTimeout,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Log,
    NodeState,
    Output,
    PersistentState,
    Restart,
    Role,
)
from spec.forms import F, H, HistoryProperty, Property, Step
from spec.properties import (
    PROPERTIES,
    CommitStability,
    ElectionSafety,
    LeaderAppendOnly,
    LeaderCompleteness,
    LogMatching,
    MonotonicTerm,
    RaftStep,
    StateMachineSafety,
    VoteOncePerTerm,
)

LEADER = Leader(IndexMap(((2, 1),)), IndexMap(((2, 0),)))
X1, Y1, X2, Y2 = Entry(1, "x"), Entry(1, "y"), Entry(2, "x"), Entry(2, "y")


def state(
    term: int,
    log: Sequence[Entry] = (),
    role: Role = Follower(),  # noqa: B008 - immutable
    *,
    voted_for: int | None = None,
    commit: int = 0,
) -> NodeState:
    persistent = PersistentState(term, voted_for, Log(tuple(log)))
    return NodeState(persistent, role, commit_index=commit, last_applied=commit)


def step(
    node: int,
    before: NodeState,
    after: NodeState,
    *outputs: Output,
    event: Event = HeartbeatTimeout(),  # noqa: B008 - immutable
) -> RaftStep:
    return Step(node, before, event, after, outputs)


def history(item: HistoryProperty[NodeState, Event, Output, F, H], *steps: RaftStep) -> str | None:
    memory = item.initial()
    for one in steps:
        fact = item.fact(one)
        memory = memory if fact is None else item.remember(memory, fact)
    return item.violation(memory)


def elected(node: int, term: int, log: Sequence[Entry] = ()) -> RaftStep:
    candidate = state(term, log, Candidate(frozenset({node})))
    return step(node, candidate, state(term, log, LEADER))


def committed(node: int, term: int, log: Sequence[Entry], until: int) -> RaftStep:
    return step(node, state(term, log), state(term, log, commit=until))


# --- Election Safety -------------------------------------------------------------------------


def test_one_leader_a_term_is_safe() -> None:
    assert history(ElectionSafety(), elected(1, 1), elected(2, 2), elected(1, 3)) is None
    assert history(ElectionSafety(), elected(1, 1), elected(1, 1)) is None


def test_two_leaders_of_a_term_are_not_though_the_first_has_crashed() -> None:
    crashed = step(1, state(1, role=LEADER), state(1), event=Restart())
    seen = history(ElectionSafety(), elected(1, 1), crashed, elected(3, 1))
    assert seen == "term 1 has had more than one leader: S1, S3"


def test_a_leader_that_leads_another_term_at_once_has_been_elected_again() -> None:
    """Though it never stopped to lead: a term has one leader, however one comes to lead it."""
    goes_on = step(1, state(1, role=LEADER), state(2, role=LEADER))
    assert history(ElectionSafety(), elected(1, 1), goes_on) is None
    seen = history(ElectionSafety(), elected(1, 1), goes_on, elected(3, 2))
    assert seen == "term 2 has had more than one leader: S1, S3"


def test_a_leader_that_stays_one_is_not_elected_again() -> None:
    """Nor are its entries those with which it was elected."""
    leads = step(1, state(1, [X1], LEADER), state(1, [X1, Y1], LEADER))
    assert ElectionSafety().fact(leads) is None
    assert LeaderCompleteness().fact(leads) is None


# --- Leader Append-Only ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "explanation"),
    [
        ([X1], [X1, Y1], None),
        ([X1], [X1], None),
        ([X1, X1], [X1], "had 'x' of term 1 at index 2 in its log, and now has nothing at index 2"),
        ([X1, X1], [Y1, X1], "had 'x' of term 1 at index 1 in its log, and now has 'y' of term 1"),
    ],
)
def test_a_leader_only_appends(
    before: list[Entry], after: list[Entry], explanation: str | None
) -> None:
    seen = LeaderAppendOnly().violation(step(1, state(1, before, LEADER), state(1, after, LEADER)))
    assert (explanation or "") in (seen or "")
    assert (seen is None) == (explanation is None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (state(1, [X1], LEADER), state(2, [])),
        (state(1, [X1]), state(1, [])),
        (state(1, [X1], LEADER), state(2, [], LEADER)),
    ],
)
def test_who_is_no_leader_any_more_may_truncate(before: NodeState, after: NodeState) -> None:
    assert LeaderAppendOnly().violation(step(1, before, after)) is None


# --- Log Matching ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "other", "explanation"),
    [
        ([X1, X2], [X1, X2, Y2], None),
        ([X1], [Entry(2, "x")], None),
        ([X1, X1], [X1, Y2], None),
        (
            [X1],
            [Y1],
            "both have an entry of term 1 at index 1, but S1 has 'x' of term 1 at index 1 and S2",
        ),
        (
            [X1, Entry(3, "x")],
            [X2, Entry(3, "x")],
            "both have an entry of term 3 at index 2, but S1 has 'x'",
        ),
    ],
)
def test_logs_match(log: list[Entry], other: list[Entry], explanation: str | None) -> None:
    one_way = LogMatching().violation(1, Log(tuple(log)), 2, Log(tuple(other)))
    assert (explanation or "") in (one_way or "")
    other_way = LogMatching().violation(2, Log(tuple(other)), 1, Log(tuple(log)))
    assert (one_way is None) == (other_way is None) == (explanation is None)


def test_logs_are_compared_where_neither_has_a_snapshot() -> None:
    compacted = Log((X2,), 1, 1)
    assert LogMatching().violation(1, compacted, 2, Log((X1, X2))) is None
    assert LogMatching().violation(1, compacted, 2, Log((X1, Y2))) is not None


# --- Leader Completeness ---------------------------------------------------------------------


def test_a_later_leader_that_has_the_entry_is_complete() -> None:
    assert history(LeaderCompleteness(), committed(1, 1, [X1], 1), elected(2, 2, [X1])) is None


def test_a_later_leader_that_lacks_the_entry_is_not() -> None:
    seen = history(LeaderCompleteness(), committed(1, 1, [X1], 1), elected(2, 2, []))
    assert seen == (
        "'x' of term 1 at index 1 was committed in term 1, "
        "but the leader of term 2 was elected with nothing at index 1"
    )


def test_it_counts_though_who_committed_has_crashed() -> None:
    crash = step(1, state(1, [X1], commit=1), state(1, [X1]), event=Restart())
    steps = (committed(1, 1, [X1], 1), crash, elected(2, 2, [Y1]))
    assert history(LeaderCompleteness(), *steps) is not None


def test_it_counts_though_an_old_leader_commits_after_the_later_one_was_elected() -> None:
    steps = (elected(2, 2, []), committed(1, 1, [X1], 1))
    assert history(LeaderCompleteness(), *steps) is not None


def test_a_leader_of_the_same_or_an_earlier_term_need_not_have_the_entry() -> None:
    steps = (committed(1, 2, [X1], 1), elected(2, 2, []), elected(3, 1, []))
    assert history(LeaderCompleteness(), *steps) is None


def test_the_earliest_term_in_which_an_entry_was_committed_counts() -> None:
    steps = (committed(1, 3, [X1], 1), committed(2, 1, [X1], 1), elected(3, 2, []))
    assert history(LeaderCompleteness(), *steps) is not None
    steps = (committed(2, 1, [X1], 1), committed(1, 3, [X1], 1), elected(3, 2, []))
    assert history(LeaderCompleteness(), *steps) is not None


def test_what_a_leader_appends_after_its_election_does_not_help() -> None:
    append = step(2, state(2, [], LEADER), state(2, [X2], LEADER))
    steps = (elected(2, 2, []), append, committed(1, 1, [X1], 1))
    assert history(LeaderCompleteness(), *steps) is not None


def test_what_a_snapshot_covers_a_leader_has() -> None:
    for start, is_complete in ((1, True), (2, True), (0, False)):
        log = Log((), start, start)
        candidate = NodeState(PersistentState(3, 2, log), Candidate(frozenset({2})))
        leads = step(2, candidate, NodeState(PersistentState(3, 2, log), LEADER))
        seen = history(LeaderCompleteness(), committed(1, 1, [X1], 1), leads)
        assert (seen is None) == is_complete


def test_a_leader_that_leads_another_term_at_once_must_have_the_entry_too() -> None:
    goes_on = step(2, state(1, [], LEADER), state(2, [], LEADER))
    assert history(LeaderCompleteness(), committed(1, 1, [X1], 1), goes_on) is not None


def test_an_entry_is_remembered_once_with_the_earliest_term_in_which_it_was_committed() -> None:
    """Whatever else was: what is remembered more than that makes more states of the same."""
    item = LeaderCompleteness()
    steps = [committed(1, term, [X1, Y1], until) for until in (1, 2) for term in (3, 1, 2)]
    memory = item.initial()
    for one in steps:
        fact = item.fact(one)
        assert fact is not None
        memory = item.remember(memory, fact)
    known = sorted(memory.committed)
    assert [(each.index, each.entry, each.term) for each in known] == [(1, X1, 1), (2, Y1, 1)]


@pytest.mark.parametrize("log", [[X1], [X1, X2], [Y1, X2]])
def test_every_entry_that_was_committed_counts_and_every_leader(log: list[Entry]) -> None:
    """Two are committed at once, and two leaders elected after that; one of them lacks one."""
    steps = (committed(1, 1, [X1, Y1], 2), elected(2, 2, log), elected(3, 3, [X1, Y1, X2]))
    assert history(LeaderCompleteness(), *steps) is not None
    steps = (committed(1, 1, [X1, Y1], 2), elected(2, 2, [X1, Y1]), elected(3, 3, log))
    assert history(LeaderCompleteness(), *steps) is not None
    steps = (committed(1, 1, [X1], 1), committed(1, 1, [X1, Y1], 2), elected(3, 3, log))
    assert history(LeaderCompleteness(), *steps) is not None


# --- State Machine Safety --------------------------------------------------------------------


def applied(node: int, index: int, entry: Entry) -> RaftStep:
    return step(node, state(2), state(2), Apply(index, entry))


def test_servers_may_apply_the_same_entries() -> None:
    steps = (applied(1, 1, X1), applied(1, 2, Y1), applied(2, 1, X1), applied(1, 1, X1))
    assert history(StateMachineSafety(), *steps) is None


@pytest.mark.parametrize("other", [Y1, X2])
@pytest.mark.parametrize("server", [1, 2])
def test_no_server_may_apply_another_entry_at_an_index(server: int, other: Entry) -> None:
    seen = history(StateMachineSafety(), applied(1, 1, X1), applied(server, 1, other))
    assert seen is not None
    assert "applied at index 1: 'x' of term 1 and" in seen


def test_every_entry_that_is_applied_counts() -> None:
    two = step(1, state(2), state(2), Apply(1, X1), Apply(2, Y1))
    assert history(StateMachineSafety(), two, applied(2, 1, X1), applied(2, 2, X1)) is not None
    assert history(StateMachineSafety(), two, applied(2, 1, Y1), applied(2, 2, Y1)) is not None


# --- what they rest on -----------------------------------------------------------------------


def test_terms_do_not_fall() -> None:
    assert MonotonicTerm().violation(step(1, state(1), state(1))) is None
    assert MonotonicTerm().violation(step(1, state(1), state(3))) is None
    fallen = step(1, state(2), state(1), event=Restart())
    assert MonotonicTerm().violation(fallen) == "the term of S1 fell from 2 to 1"


@pytest.mark.parametrize(
    ("before", "after", "explanation"),
    [
        (state(1), state(1, voted_for=2), None),
        (state(1, voted_for=2), state(1, voted_for=2), None),
        (state(1, voted_for=2), state(2), None),
        (state(1, voted_for=2), state(2, voted_for=3), None),
        (state(1, voted_for=2), state(1, voted_for=3), "and now has voted for S3"),
        (state(1, voted_for=2), state(1), "and now has no record of that vote"),
    ],
)
def test_a_vote_stays_for_the_term(
    before: NodeState, after: NodeState, explanation: str | None
) -> None:
    seen = VoteOncePerTerm().violation(step(1, before, after, event=Restart()))
    assert (explanation or "") in (seen or "")
    assert (seen is None) == (explanation is None)


@pytest.mark.parametrize(
    ("before", "after", "event", "explanation"),
    [
        (state(1, [X1], commit=1), state(1, [X1, Y1], commit=1), ElectionTimeout(), None),
        (state(1, [X1, Y1], commit=1), state(2, [X1], commit=1), ElectionTimeout(), None),
        (state(1, [X1], commit=1), state(1, [X1], commit=0), Restart(), None),
        (
            state(1, [X1], commit=1),
            state(1, [X1], commit=0),
            ElectionTimeout(),
            "the commit index of S1 fell from 1 to 0",
        ),
        (
            state(1, [X1], commit=1),
            state(2, [Y2], commit=1),
            ElectionTimeout(),
            "S1 had committed 'x' of term 1 at index 1, and now has 'y' of term 2 at index 1",
        ),
        (
            state(1, [X1], commit=1),
            state(1, [], commit=0),
            Restart(),
            "S1 had committed 'x' of term 1 at index 1, and now has nothing at index 1",
        ),
    ],
)
def test_what_is_committed_stays(
    before: NodeState, after: NodeState, event: Event, explanation: str | None
) -> None:
    assert CommitStability().violation(step(1, before, after, event=event)) == explanation


# --- all of them -----------------------------------------------------------------------------


def test_every_property_has_a_statement_that_cites_the_paper() -> None:
    for item in PROPERTIES:
        assert "§" in item.statement


def test_a_property_of_no_known_form_is_refused() -> None:
    class Strange(Property):
        """Neither of steps, nor of pairs, nor of history."""

    with pytest.raises(TypeError, match="Strange has none of the forms"):
        PropertyWatch([Strange()])
