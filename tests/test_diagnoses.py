"""Diagnoses: whatever breaks a rule or a property, the text tells what was allowed from what was
observed, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    Candidate,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Log,
    MalformedEvent,
    Message,
    NodeState,
    NotLeader,
    PersistentState,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Send,
)
from raft_ref.wellformed import check_contents
from spec import words
from spec.conduct import Conduct, watch
from spec.forms import HistoryProperty, PairProperty, Property, Step, StepProperty
from spec.properties import PROPERTIES, RaftStep
from spec.rules import RULES
from spec.shadow import Evidence, Shadow
from spec.words import describe_undecidable
from tests.conducts import BREACHES

SERVERS = st.integers(1, 5)
"""Some of which have no vote."""
NUMBERS = st.integers(0, 3)
ODD_NUMBERS = st.integers(-1, 3)
ENTRIES = st.builds(Entry, NUMBERS, st.sampled_from(["a", "b", "", "it's", "two\nlines"]))
SOME_ENTRIES = st.lists(ENTRIES, max_size=3).map(tuple)
LOGS = st.builds(Log, SOME_ENTRIES, NUMBERS, NUMBERS) | st.builds(Log, SOME_ENTRIES)
ROLES = st.sampled_from([Follower(), Candidate(frozenset()), Leader(IndexMap(), IndexMap())])
STATES = st.builds(
    NodeState,
    st.builds(PersistentState, NUMBERS, st.none() | SERVERS, LOGS),
    ROLES,
    commit_index=st.integers(0, 5),
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        RequestVote,
        source=SERVERS,
        destination=SERVERS,
        term=NUMBERS,
        last_log_index=ODD_NUMBERS,
        last_log_term=NUMBERS,
    ),
    st.builds(
        RequestVoteReply,
        source=SERVERS,
        destination=SERVERS,
        term=NUMBERS,
        vote_granted=st.booleans(),
    ),
    st.builds(
        AppendEntries,
        source=SERVERS,
        destination=SERVERS,
        term=NUMBERS,
        prev_log_index=ODD_NUMBERS,
        prev_log_term=NUMBERS,
        entries=SOME_ENTRIES,
        leader_commit=ODD_NUMBERS,
    ),
    st.builds(
        AppendEntriesReply,
        source=SERVERS,
        destination=SERVERS,
        term=NUMBERS,
        success=st.booleans(),
        match_index=ODD_NUMBERS,
    ),
)
OUTPUTS = st.one_of(
    MESSAGES.map(Send),
    st.builds(Apply, st.integers(1, 5), ENTRIES),
    st.builds(NotLeader, st.none() | SERVERS),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.sampled_from([ElectionTimeout(), HeartbeatTimeout(), ClientRequest("a"), Restart()]),
    MESSAGES.map(Receive),
)
KNOWN = st.builds(
    Evidence,
    grants=st.frozensets(SERVERS),
    acknowledged=st.dictionaries(SERVERS, NUMBERS).map(
        lambda known: IndexMap(tuple(sorted(known.items())))
    ),
    confirmed=NUMBERS,
    claimed=NUMBERS,
    leaders=st.frozensets(SERVERS),
    applied=NUMBERS,
    ever_applied=NUMBERS,
)


@st.composite
def conducts(draw: st.DrawFn) -> Conduct:
    """Steps of any kind; often only one part of the state changes."""
    before, after = draw(STATES), draw(STATES)
    if draw(st.booleans()):
        after = NodeState(
            PersistentState(
                draw(st.sampled_from([before.current_term, after.current_term])),
                draw(st.sampled_from([before.voted_for, after.voted_for])),
                draw(st.sampled_from([before.log, after.log])),
            ),
            draw(st.sampled_from([before.role, after.role])),
            draw(st.sampled_from([before.commit_index, after.commit_index])),
        )
    voters = draw(st.frozensets(st.integers(1, 4), min_size=1))
    shadow = Shadow(draw(SERVERS), voters, before, draw(KNOWN))
    outputs = tuple(draw(st.lists(OUTPUTS, max_size=2)))
    return watch(shadow, draw(EVENTS), after, outputs)


REPR = re.compile(r"None|<|\w\(|\w=|frozenset|expected at (most|least) no")


def assert_reads_well(text: str) -> None:
    """One line of prose, without what only Python writes."""
    prose = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", text)
    assert REPR.search(prose) is None, text
    assert "\n" not in text
    assert text == text.strip()
    assert text


def assert_rules_are_told(conduct: Conduct) -> None:
    for rule in RULES:
        broken = rule.predicate(conduct)
        if broken is not None:
            assert_reads_well(str(broken))
            assert broken.expected != broken.seen, rule.id


@given(conducts())
@settings(max_examples=400, deadline=None)
def test_however_a_rule_is_broken_its_diagnosis_reads_well(conduct: Conduct) -> None:
    assert_rules_are_told(conduct)


@pytest.mark.parametrize("conduct", [conduct for _, conduct in BREACHES])
def test_a_breach_of_every_rule_reads_well(conduct: Conduct) -> None:
    assert_rules_are_told(conduct)


def refusal(message: Message) -> MalformedEvent | None:
    try:
        check_contents(message)
    except MalformedEvent as error:
        return error
    return None


@given(MESSAGES)
def test_what_is_wrong_with_a_message_is_told_field_by_field(message: Message) -> None:
    error = refusal(message)
    if error is not None:
        assert_reads_well(str(error))
        assert error.allowed != error.found


STEPS = st.builds(
    Step,
    st.integers(1, 3),
    STATES,
    EVENTS,
    STATES,
    st.lists(
        st.builds(Apply, st.integers(1, 3), ENTRIES) | st.builds(NotLeader, st.none() | SERVERS),
        max_size=3,
    ).map(tuple),
)


def violations(item: Property, steps: list[RaftStep]) -> list[str]:
    """All that a property says of these steps."""
    return [text for text in _verdicts(item, steps) if text is not None]


def _verdicts(item: Property, steps: list[RaftStep]) -> Iterator[str | None]:
    match item:
        case StepProperty():
            yield from (item.violation(step) for step in steps)
        case PairProperty():
            views = [item.view(step.after) for step in steps]
            yield from (item.violation(1, one, 2, other) for one in views for other in views)
        case HistoryProperty():
            memory = item.initial()
            for step in steps:
                fact = item.fact(step)
                memory = memory if fact is None else item.remember(memory, fact)
                yield item.violation(memory)
        case _:
            raise AssertionError(item)


@pytest.mark.parametrize("item", PROPERTIES, ids=lambda item: item.name)
def test_however_a_property_is_violated_its_explanation_reads_well(item: Property) -> None:
    told: list[str] = []

    @given(st.lists(STEPS, min_size=2, max_size=4))
    @settings(max_examples=250, deadline=None, database=None, derandomize=True)
    def explain(steps: list[RaftStep]) -> None:
        for text in violations(item, steps):
            assert_reads_well(text)
            told.append(text)

    explain()
    assert told, "no step violated it"


Shown: TypeAlias = tuple[Callable[..., str], st.SearchStrategy[tuple[Any, ...]]]
SHOWN: list[Shown] = [
    (words.servers_text, st.tuples(st.frozensets(SERVERS))),
    (words.role_text, st.tuples(ROLES)),
    (words.entry_text, st.tuples(st.none() | ENTRIES)),
    (words.position_text, st.tuples(ODD_NUMBERS, ODD_NUMBERS)),
    (words.term_text, st.tuples(st.none() | ODD_NUMBERS)),
]


@pytest.mark.parametrize(("shown", "values"), SHOWN, ids=lambda each: getattr(each, "__name__", ""))
@given(data=st.data())
@settings(max_examples=50)
def test_values_that_differ_are_shown_differently(
    data: st.DataObject, shown: Callable[..., str], values: st.SearchStrategy[tuple[Any, ...]]
) -> None:
    one, other = data.draw(values), data.draw(values)
    assert (shown(*one) == shown(*other)) == (one == other)
    assert_reads_well(shown(*one))


def test_why_a_rule_was_not_judged_names_hidden_fields_and_unknown_messages_apart() -> None:
    fields = frozenset({"voted_for"})
    assert describe_undecidable(["voted_for"], fields) == "voted_for cannot be observed"
    assert describe_undecidable(["PreVoteReply"], fields) == (
        "messages of the unknown kind PreVoteReply may have allowed the step"
    )
    assert describe_undecidable(["A", "voted_for", "B"], fields) == (
        "voted_for cannot be observed, and messages of the unknown kinds A, B may have allowed "
        "the step"
    )
