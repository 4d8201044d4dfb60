"""What a judge makes of messages that he cannot read, of several steps at once, of departures."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from model_check.judged import Docket
from model_check.renaming import rename_evidence
from raft_ref import (
    Apply,
    Candidate,
    ElectionTimeout,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Message,
    NodeState,
    Output,
    Send,
)
from spec.conduct import Conduct, becomes_leader, stays_leader, watch
from spec.forms import Renaming, Step
from spec.judge import Judge, single_steps
from spec.profiles import PROFILES, Profile
from spec.rule import Broken, NotDecidable, Rule
from spec.rules import RULES, RULES_BY_ID
from spec.shadow import EVIDENCE, OF_APPLYING, Evidence, Shadow, Unread
from tests.conducts import (
    BREACHES,
    CANDIDATE,
    LEADER,
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
    leaders=frozenset({1, 2, 3}),
    applied=9,
    ever_applied=9,
)


@pytest.mark.parametrize(
    ("rule_id", "conduct"),
    BREACHES,
    ids=[f"{rule_id}-{number}" for number, (rule_id, _) in enumerate(BREACHES)],
)
def test_only_the_evidence_that_a_rule_names_may_allow_what_it_forbids(
    rule_id: str, conduct: Conduct
) -> None:
    rule = RULES_BY_ID[rule_id]
    others = {
        name: getattr(EVERYTHING, name)
        for name in EVIDENCE | OF_APPLYING
        if name not in rule.allowed_by
    }

    def with_evidence(shadow: Shadow, evidence: Evidence) -> Shadow:
        return replace(shadow, evidence=evidence)

    for more in ({}, others):
        before, after = (
            with_evidence(each, replace(each.evidence.only(rule.allowed_by), **more))
            for each in (conduct.before, conduct.after)
        )
        assert isinstance(rule.judge(replace(conduct, before=before, after=after)), Broken)


def having_read(conduct: Conduct, *unread: Unread) -> Conduct:
    """``conduct`` after messages that could not be read."""
    evidence = replace(conduct.after.evidence, unread=frozenset(unread))
    return replace(conduct, after=replace(conduct.after, evidence=evidence))


BALLOT = Unread(2, "Ballot")
ALLOWED = [rule for rule in RULES if rule.allowed_by & EVIDENCE]
ASKED = [rule for rule in RULES if "arrival" in rule.allowed_by]


def breach_of(rule: Rule) -> Conduct:
    """A step that breaks ``rule``, and that further messages may have allowed."""
    if rule.id == "COMMIT-CURRENT-TERM":  # had the last entry been acknowledged, too
        leader = server(2, 1, LEADER, (A, C))
        return step(leader, success(1, term=2), replace(leader, commit_index=1))
    return next(conduct for rule_id, conduct in BREACHES if rule_id == rule.id)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_after_messages_that_cannot_be_read_a_breach_may_be_none(rule: Rule) -> None:
    """Only where a message may have allowed it; what is obeyed stays obeyed."""
    breach = breach_of(rule)
    blind = having_read(breach, Unread(None, "Ballot"))
    undecided = NotDecidable(("Ballot",))
    assert (
        rule.judge(blind) == undecided if rule in ALLOWED else isinstance(rule.judge(blind), Broken)
    )
    quiet = step(server(), HeartbeatTimeout(), server())
    assert rule.judge(having_read(quiet, Unread(None, "Ballot"))) is None


@pytest.mark.parametrize("rule", ASKED, ids=lambda rule: rule.id)
def test_only_the_message_that_arrives_may_allow_what_one_that_arrives_allows(rule: Rule) -> None:
    breach = replace(breach_of(rule), event=HeartbeatTimeout())
    assert isinstance(rule.judge(having_read(breach, BALLOT)), Broken)
    assert rule.judge(replace(breach, event=BALLOT)) == NotDecidable(("Ballot",))


def test_where_evidence_is_incomplete_a_breach_may_be_none() -> None:
    rule = RULES_BY_ID["APPLY-ORDER"]
    for breach in (conduct for rule_id, conduct in BREACHES if rule_id == rule.id):
        assert rule.judge(breach, incomplete=frozenset({"applied"})) == NotDecidable(("applied",))
        assert isinstance(rule.judge(breach, incomplete=frozenset({"grants"})), Broken)


def test_messages_that_cannot_be_read_are_remembered_as_long_as_the_term() -> None:
    shadow = Shadow(1, frozenset({1, 2, 3}), server())
    conduct = watch(shadow, BALLOT, server(), ())
    assert conduct.after.evidence == Evidence(unread=frozenset({BALLOT}))
    later = watch(
        conduct.after, ElectionTimeout(), server(2, 1, role=Candidate(frozenset({1}))), ()
    )
    assert later.after.evidence == Evidence()


def test_what_makes_a_candidate_brings_no_vote_of_its_term() -> None:
    """A vote of the new term is given when the candidate asks for it, not before."""
    before = Shadow(1, frozenset({1, 2, 3}), server(1))
    assert watch(before, BALLOT, server(2, 1, CANDIDATE), ()).after.evidence == Evidence()
    follower = watch(before, BALLOT, server(2), ())
    assert follower.after.evidence == Evidence(unread=frozenset({BALLOT}))


FIVE = frozenset({1, 2, 3, 4, 5})


def elected(*unread: Unread, grants: frozenset[int] = frozenset()) -> Conduct:
    """A candidate of five comes to lead by its own timer, with these votes of others."""
    shadow = Shadow(1, FIVE, server(1, 1, CANDIDATE), Evidence(grants, unread=frozenset(unread)))
    return watch(shadow, HeartbeatTimeout(), server(1, 1, Leader(IndexMap(), IndexMap())), ())


@pytest.mark.parametrize(
    ("conduct", "is_decided"),
    [
        (elected(BALLOT), True),
        (elected(BALLOT, Unread(2, "Slip")), True),
        (elected(BALLOT, Unread(3, "Ballot")), False),
        (elected(BALLOT, grants=frozenset({3})), False),
        (elected(BALLOT, grants=frozenset({2})), True),
        (elected(BALLOT, Unread(9, "Ballot")), True),
        (elected(Unread(None, "Ballot")), False),
        (elected(Unread(2, "AppendEntries"), Unread(3, "AppendEntriesReply")), True),
    ],
)
def test_each_sender_can_have_given_one_vote(conduct: Conduct, is_decided: bool) -> None:
    verdict = RULES_BY_ID["ELECT-QUORUM"].judge(conduct)
    assert isinstance(verdict, Broken if is_decided else NotDecidable)


def test_an_acknowledgement_reaches_no_further_than_the_log() -> None:
    leader = server(1, 1, Leader(IndexMap(), IndexMap()), log=(A, A))
    shadow = Shadow(1, FIVE, leader, Evidence(unread=frozenset({BALLOT, Unread(3, "Ballot")})))
    rule = RULES_BY_ID["COMMIT-QUORUM"]
    conduct = watch(shadow, HeartbeatTimeout(), replace(leader, commit_index=2), ())
    assert isinstance(rule.judge(conduct), NotDecidable)
    alone = having_read(conduct, BALLOT)
    assert isinstance(rule.judge(alone), Broken)
    assert isinstance(rule.judge(conduct, read=frozenset({"AppendEntriesReply"})), Broken)


@pytest.mark.parametrize(
    ("rule_id", "kind"),
    [
        ("ELECT-QUORUM", "RequestVoteReply"),
        ("COMMIT-QUORUM", "AppendEntriesReply"),
        ("COMMIT-CURRENT-TERM", "AppendEntriesReply"),
    ],
)
def test_what_is_reported_by_its_kind_comes_in_no_other(rule_id: str, kind: str) -> None:
    rule = RULES_BY_ID[rule_id]
    everybody = [Unread(source, "Ballot") for source in (1, 2, 3)]
    blind = having_read(breach_of(rule), *everybody)
    others = {"RequestVote", "RequestVoteReply", "AppendEntries", "AppendEntriesReply"} - {kind}
    assert isinstance(rule.judge(blind, read=frozenset({kind})), Broken)
    assert isinstance(rule.judge(blind, read=frozenset(others)), NotDecidable)
    itself = having_read(blind, *everybody, *(Unread(source, kind) for source in (1, 2, 3)))
    assert isinstance(rule.judge(itself, read=frozenset({kind})), NotDecidable)


@pytest.mark.parametrize("granted", [True, False])
def test_votes_are_known_to_be_reported_once_one_was(granted: bool) -> None:
    """In the run: S1 leads after messages that cannot be read, with nobody's vote."""
    candidate = server(1, 1, CANDIDATE)
    docket = Docket((candidate, server(1), server(1)))
    reply = Send(vote(source=2, granted=granted))
    list(docket.hear(Step(2, server(1), HeartbeatTimeout(), server(1, 1), (reply,))))
    for source in (2, 3):
        ballot = Unread(source, "Ballot")
        assert not list(docket.hear(Step(1, candidate, ballot, candidate, ())))
    leader = server(1, 1, Leader(IndexMap(), IndexMap()))
    broken = [
        rule.id for rule, _ in docket.hear(Step(1, candidate, HeartbeatTimeout(), leader, ()))
    ]
    assert broken == (["ELECT-QUORUM"] if granted else [])
    assert docket.undecided.get("ELECT-QUORUM") == (None if granted else ("Ballot",))


def test_what_could_not_be_read_is_renamed_with_its_sender() -> None:
    evidence = Evidence(unread=frozenset({BALLOT, Unread(None, "Ballot")}))
    renamed = rename_evidence(evidence, Renaming((3, 1, 2)))
    assert renamed.unread == {Unread(1, "Ballot"), Unread(None, "Ballot")}


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


def led_on(servers: frozenset[int], after: NodeState) -> list[str]:
    """The rules that are broken by a leader of term 1 whose election timer fires."""
    leader = server(1, 1, Leader(IndexMap(), IndexMap()), log=(A,), commit=1)
    conduct = watch(Shadow(1, servers, leader), ElectionTimeout(), after, ())
    single = tuple(single_steps(conduct))
    return [rule.id for rule in RULES if isinstance(Judge().judge(rule, single), Broken)]


def test_a_leader_of_an_earlier_term_becomes_leader_of_a_new_one() -> None:
    leads, again = server(1, 1, LEADER), server(2, 1, LEADER)
    assert becomes_leader(leads, again)
    assert not becomes_leader(leads, leads)
    assert not becomes_leader(leads, server(2, 1, CANDIDATE))
    assert becomes_leader(server(1, 1, CANDIDATE), leads)
    assert becomes_leader(server(1), leads)  # in one step, where it is a majority by itself
    assert stays_leader(leads, leads)
    assert not stays_leader(leads, again)
    won = watch(Shadow(1, frozenset({1}), leads), ElectionTimeout(), again, ())
    assert won.becomes_leader
    assert not won.is_elected, "ELECT-QUORUM leaves it to TERM-STEP-DOWN"


def test_a_server_alone_may_lead_one_term_after_the_other_and_append_at_once() -> None:
    """A server that is a majority by itself wins any election that it begins."""
    leads = Leader(IndexMap(), IndexMap())
    alone, again = frozenset({1}), server(2, 1, leads, log=(A, C), commit=2)
    assert led_on(alone, server(2, 1, leads, log=(A,), commit=1)) == []
    assert led_on(alone, again) == []
    assert led_on(alone, server(2, 1, leads, log=(A, B), commit=1)) == ["LEADER-ENTRY-TERM"]
    assert "TERM-STEP-DOWN" in led_on(frozenset({1, 2, 3}), again)


def test_a_server_alone_may_be_elected_append_commit_and_apply_at_once() -> None:
    leader = Leader(IndexMap(), IndexMap())
    before = Shadow(1, frozenset({1}), server(0))
    after = server(1, 1, role=leader, log=(A,), commit=1)
    for applied, broken in [((A,), []), ((A, A), ["APPLY-COMMITTED", "APPLY-ORDER"])]:
        outputs = tuple(Apply(index, entry) for index, entry in enumerate(applied, start=1))
        single = tuple(single_steps(watch(before, ElectionTimeout(), after, outputs)))
        found = [rule.id for rule in RULES if isinstance(Judge().judge(rule, single), Broken)]
        assert found == broken[:1] if len(outputs) > 1 else found == broken


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
