"""What a judge makes of messages that he cannot read, of several steps at once, of departures."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from raft_ref import (
    Candidate,
    ElectionTimeout,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Message,
    NodeState,
    Output,
)
from spec.conduct import Conduct, watch
from spec.judge import Judge, single_steps
from spec.profiles import PROFILES, Profile
from spec.rule import Broken, NotDecidable, Rule
from spec.rules import RULES, RULES_BY_ID
from spec.shadow import Evidence, Shadow, Unread
from tests.conducts import (
    BREACHES,
    CANDIDATE,
    A,
    B,
    C,
    append,
    request_vote,
    server,
    step,
    success,
    vote,
)

EVERYTHING = Evidence(
    grants=frozenset({1, 2, 3}),
    acknowledged=IndexMap(((1, 9), (2, 9), (3, 9))),
    confirmed=9,
    claimed=9,
)


@pytest.mark.parametrize(
    ("rule_id", "conduct"),
    BREACHES,
    ids=[f"{rule_id}-{number}" for number, (rule_id, _) in enumerate(BREACHES)],
)
def test_only_the_evidence_that_a_rule_names_may_allow_what_it_forbids(
    rule_id: str, conduct: Conduct
) -> None:
    rule, after = RULES_BY_ID[rule_id], conduct.after
    own = after.evidence.only(rule.allowed_by)
    others = {
        name: getattr(EVERYTHING, name)
        for name in ("grants", "acknowledged", "confirmed", "claimed")
        if name not in rule.allowed_by
    }
    for evidence in (own, replace(own, **others)):
        assert isinstance(
            rule.judge(replace(conduct, after=replace(after, evidence=evidence))), Broken
        )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_after_a_message_that_cannot_be_read_a_breach_may_be_none(rule: Rule) -> None:
    """Only where a message may have allowed it; what is obeyed stays obeyed."""
    breach = next(conduct for rule_id, conduct in BREACHES if rule_id == rule.id)
    unread = replace(breach.after.evidence, unread=frozenset({"Ballot"}))
    blind = replace(breach, after=replace(breach.after, evidence=unread))
    verdict = rule.judge(blind)
    assert verdict == NotDecidable(("Ballot",)) if rule.allowed_by else isinstance(verdict, Broken)
    quiet = step(server(), HeartbeatTimeout(), server())
    assert rule.judge(replace(quiet, after=replace(quiet.after, evidence=unread))) is None


def test_messages_that_cannot_be_read_are_remembered_as_long_as_the_term() -> None:
    shadow = Shadow(1, frozenset({1, 2, 3}), server())
    conduct = watch(shadow, Unread("Ballot"), server(), ())
    assert conduct.after.evidence == Evidence(unread=frozenset({"Ballot"}))
    later = watch(
        conduct.after, ElectionTimeout(), server(2, 1, role=Candidate(frozenset({1}))), ()
    )
    assert later.after.evidence == Evidence()


# --- several steps at once -----------------------------------------------------------------------


def at_once(after: NodeState, *outputs: Output | Message) -> list[str]:
    """The rules that are broken by a candidate that becomes ``after`` by a second vote."""
    conduct = step(server(1, 1, CANDIDATE), vote(source=2), after, *outputs)
    single = tuple(single_steps(conduct))
    return [rule.id for rule in RULES if isinstance(Judge().judge(rule, single), Broken)]


def test_a_new_leader_may_at_once_append_an_entry_of_its_own() -> None:
    leader = Leader(IndexMap(), IndexMap())
    assert at_once(server(1, 1, role=leader, log=(A,)), append(A, source=1)) == []
    assert at_once(server(1, 1, role=leader, log=(C,))) == ["LEADER-ENTRY-TERM"]
    assert at_once(server(1, 1, role=leader, log=(A,), commit=1)) == ["COMMIT-QUORUM"]
    assert at_once(server(1, 1, role=leader, log=(A,)), append(C, source=1)) != []


# --- profiles ------------------------------------------------------------------------------------


TOLERATED = {
    "acknowledges-what-is-committed": (
        step(
            server(2, log=(A,), commit=1),
            append(term=2),
            server(2, log=(A,), commit=1),
            success(1, term=2, source=1),
        ),
        step(
            server(2, log=(A,)),
            append(term=2),
            server(2, log=(A,)),
            success(1, term=2, source=1),
        ),
    ),
    "truncates-what-matches": (
        step(server(log=(A, B)), append(A), server(log=(A,))),
        step(server(log=(A, B)), append(A), server(log=())),
    ),
    "starts-in-term-0": (
        step(server(), HeartbeatTimeout(), server(), request_vote(last=(1, 0), source=1)),
        step(server(), HeartbeatTimeout(), server(), request_vote(last=(0, 1), source=1)),
    ),
}
"""By departure: a step that it tolerates, and one that breaks the same rule otherwise."""


def test_every_departure_is_tried() -> None:
    departures = {each.id for profile in PROFILES.values() for each in profile.departures}
    assert departures == set(TOLERATED)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_profile_tolerates_its_departures_and_nothing_else(profile: Profile) -> None:
    own = {each.id: each.rule for each in profile.departures}
    rules = {each.id: each.rule for p in PROFILES.values() for each in p.departures}
    for name, (tolerated, forbidden) in TOLERATED.items():
        rule = rules[name]
        assert isinstance(Judge().judge(rule, [tolerated]), Broken), name
        is_broken = isinstance(Judge(profile).judge(rule, [tolerated]), Broken)
        assert is_broken == (name not in own), name
        assert isinstance(Judge(profile).judge(rule, [forbidden]), Broken), name


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_profile_is_the_same_in_another_process(profile: Profile) -> None:
    assert pickle.loads(pickle.dumps(profile)) == profile  # noqa: S301 - our own
