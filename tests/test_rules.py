"""The rules: each forbids what it says, and nothing that Raft does."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import spec
from model_check.check import Means, Setup, check
from model_check.cli import run
from model_check.engine import explorer
from model_check.judged import Bench, Obeyed, judged_system
from model_check.mutants.catalogue import name_of
from model_check.network import Replayable
from model_check.raft import Bounds, RaftNode
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    IndexMap,
    Log,
    Message,
    NodeState,
    NotLeader,
    Output,
    Receive,
    RequestVote,
    RequestVoteReply,
    Restart,
    Send,
)
from spec.conduct import Conduct, watch
from spec.proof.guards import WITHOUT_GUARD
from spec.rule import Broken, NotDecidable
from spec.rules import RULES, RULES_BY_ID
from spec.shadow import CARRIED_BY, NO_EVIDENCE, Evidence, Unread, first_evidence
from tests.conducts import (
    BREACHES,
    CANDIDATE,
    LED,
    A,
    B,
    C,
    append,
    server,
    step,
    success,
    vote,
)
from tests.random_conducts import Way


def test_every_rule_has_a_breach_here() -> None:
    assert {rule_id for rule_id, _ in BREACHES} == set(RULES_BY_ID)


@pytest.mark.parametrize(
    ("rule_id", "conduct"),
    BREACHES,
    ids=[f"{rule_id}-{number}" for number, (rule_id, _) in enumerate(BREACHES)],
)
def test_a_breach_is_told_with_what_was_expected_and_seen(rule_id: str, conduct: Conduct) -> None:
    broken = RULES_BY_ID[rule_id].judge(conduct)
    assert isinstance(broken, Broken)
    assert broken.expected != broken.seen
    assert all((broken.conjunct, broken.expected, broken.seen))
    assert str(broken) == f"{broken.conjunct}: expected {broken.expected}, observed {broken.seen}"


def harmless(conduct: Conduct) -> list[Output]:
    """What a server in that state may put out, one of each kind."""
    after, way = (
        conduct.after.state,
        Way(source=1, destination=3, term=conduct.after.state.current_term),
    )
    term = way["term"]
    messages: tuple[Message, ...] = (
        RequestVote(**way, last_log_index=0, last_log_term=0),
        RequestVoteReply(**way, vote_granted=False),
        replace(append(term=term, source=1), destination=3),
        AppendEntriesReply(**way, success=False, match_index=0),
    )
    applied = [Apply(1, entry) for entry in (after.log.entry_at(1),) if entry is not None]
    return [*map(Send, messages), *applied]


PUT_OUT = [(rule_id, conduct) for rule_id, conduct in BREACHES if len(conduct.outputs) == 1]


@pytest.mark.parametrize(
    ("rule_id", "conduct"),
    PUT_OUT,
    ids=[f"{rule_id}-{number}" for number, (rule_id, _) in enumerate(PUT_OUT)],
)
def test_a_breach_is_found_wherever_it_stands_among_what_is_put_out(
    rule_id: str, conduct: Conduct
) -> None:
    rule, (breach,) = RULES_BY_ID[rule_id], conduct.outputs
    expected = rule.judge(conduct)
    around = [
        output
        for output in harmless(conduct)
        if rule.judge(replace(conduct, outputs=(output,))) is None
        # One that is applied says which is next.
        and not (isinstance(output, Apply) and isinstance(breach, Apply))
    ]
    assert len(around) >= 3
    for outputs in ((*around, breach), (breach, *around), (*around, breach, *around)):
        assert rule.judge(replace(conduct, outputs=outputs)) == expected


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_what_cannot_be_observed_is_not_decidable_and_never_obeyed(rule: object) -> None:
    each = next(known for known in RULES if known is rule)
    quiet = step(server(), HeartbeatTimeout(), server())
    assert each.judge(quiet) is None
    for field in each.observes:
        assert each.judge(quiet, frozenset({field, "x"})) == NotDecidable((field,))
    assert each.judge(quiet, frozenset({"x"})) is None


def test_entries_may_come_after_one_that_a_snapshot_covers() -> None:
    """What a snapshot covers is committed, so that nothing in a request can differ from it."""
    before = server()
    held = replace(before, persistent=replace(before.persistent, log=Log((), 2, 1)))
    longer = replace(before, persistent=replace(before.persistent, log=Log((B,), 2, 1)))
    conduct = step(held, append(A, B, prev=(1, 1)), longer)
    assert [rule.id for rule in RULES if rule.judge(conduct) is not None] == []


# --- evidence ------------------------------------------------------------------------------------


def learnt(before: NodeState, event: Event | Message, after: NodeState) -> Evidence:
    return step(before, event, after).after.evidence


def test_evidence_is_of_the_current_term_alone() -> None:
    knows = Evidence(frozenset({2}), IndexMap(((2, 3),)), confirmed=3, claimed=2)
    same = step(server(1), HeartbeatTimeout(), server(1), evidence=knows)
    assert same.after.evidence == knows
    next_term = step(server(1), ElectionTimeout(), server(2), evidence=knows)
    assert next_term.after.evidence == NO_EVIDENCE
    assert learnt(server(2), vote(term=1), server(2)) == NO_EVIDENCE
    assert learnt(server(1), vote(term=1), server(1)) == Evidence(frozenset({2}))


def test_a_request_confirms_what_the_log_then_holds() -> None:
    assert learnt(server(), append(A, B, commit=1), server(log=(A, B))).confirmed == 2
    assert learnt(server(), append(A, B, commit=1), server(log=(A, B))).claimed == 1
    assert learnt(server(), append(A, B), server(log=(A,))).confirmed == 0
    assert learnt(server(log=(A,)), append(prev=(1, 1)), server(log=(A,))).confirmed == 1
    assert learnt(server(log=(A,)), append(prev=(1, 2)), server(log=(A,))).confirmed == 0


def test_acknowledgements_and_grants_count_for_those_who_gave_them() -> None:
    first = step(LED, success(2), LED)
    later = watch(first.after, Receive(success(1)), LED, ())
    assert later.after.evidence.acknowledged == IndexMap(((2, 2),))
    assert learnt(server(1, 1, CANDIDATE), vote(granted=False), server(1, 1, CANDIDATE)) == (
        NO_EVIDENCE
    )


def test_a_request_says_who_leads_also_one_that_is_refused() -> None:
    refused = append(prev=(1, 1), source=3)
    assert learnt(server(), refused, server()).leaders == {3}
    assert learnt(server(2), refused, server(2)) == NO_EVIDENCE
    assert learnt(server(1, 1, CANDIDATE), vote(), LED).leaders == {1}


def test_evidence_of_applying_survives_terms_and_as_far_as_it_must_restarts() -> None:
    applied = step(server(), append(A, B, commit=2), server(log=(A, B), commit=2), Apply(1, A))
    assert applied.after.evidence.of_applying() == Evidence(applied=1, ever_applied=1)
    later = watch(applied.after, ElectionTimeout(), server(2, 1, CANDIDATE, (A, B), 2), ())
    assert later.after.evidence == Evidence(applied=1, ever_applied=1)
    crashed = watch(later.after, Restart(), server(2, 1, log=(A, B)), ())
    assert crashed.after.evidence == Evidence(ever_applied=1)
    again = watch(crashed.after, HeartbeatTimeout(), server(2, 1, log=(A, B)), (Apply(1, A),))
    assert again.after.evidence == Evidence(applied=1, ever_applied=1)


def test_a_server_that_is_first_seen_with_a_log_may_have_applied_it() -> None:
    assert first_evidence(server(log=(A, B))) == Evidence(ever_applied=2)
    assert first_evidence(server()) == NO_EVIDENCE


# --- applying: what is allowed, though it may look odd -------------------------------------------

AB = server(log=(A, B), commit=2)
AFTER_A_CRASH = server(log=(A, B))
"""It knows its log, not what is committed."""
APPLIED_TWO = Evidence(applied=2, ever_applied=2)
SNAPSHOT = replace(AB, persistent=replace(AB.persistent, log=Log((C,), 2, 1)), commit_index=3)

ALLOWED: dict[str, Conduct] = {
    "several entries in a step": step(
        server(), append(A, B, commit=2), AB, Apply(1, A), Apply(2, B)
    ),
    "nothing where the commit index rises": step(server(), append(A, B, commit=2), AB),
    "one entry later, and not all": step(AB, HeartbeatTimeout(), AB, Apply(1, A)),
    "everything again in a restart": step(
        AB, Restart(), AFTER_A_CRASH, Apply(1, A), Apply(2, B), evidence=APPLIED_TWO
    ),
    "everything again after a restart": step(
        AFTER_A_CRASH,
        HeartbeatTimeout(),
        AFTER_A_CRASH,
        Apply(1, A),
        evidence=Evidence(ever_applied=2),
    ),
    "from the middle on, as far as the state machine was saved": step(
        AFTER_A_CRASH,
        HeartbeatTimeout(),
        AFTER_A_CRASH,
        Apply(2, B),
        evidence=Evidence(ever_applied=2),
    ),
    "only what is new, as the state machine is durable": step(
        AB, HeartbeatTimeout(), AB, Apply(2, B), evidence=Evidence(ever_applied=1)
    ),
    "from a snapshot on": step(SNAPSHOT, HeartbeatTimeout(), SNAPSHOT, Apply(3, C)),
    "from a snapshot on, which replaced what was applied last": step(
        SNAPSHOT,
        HeartbeatTimeout(),
        SNAPSHOT,
        Apply(3, C),
        evidence=Evidence(applied=1, ever_applied=1),
    ),
    "an entry that the snapshot taken in the same step has replaced": step(
        AB,
        HeartbeatTimeout(),
        replace(AB, persistent=replace(AB.persistent, log=Log((), 2, 1))),
        Apply(1, A),
        Apply(2, B),
    ),
    "nobody is named": step(server(), ClientRequest("a"), server(), NotLeader(None)),
    "whose request has just been refused is named": step(
        server(), append(prev=(1, 1)), server(), NotLeader(2)
    ),
    "a leader names itself": step(LED, ClientRequest("b"), LED, NotLeader(1)),
    "so does one that has stepped down in its term": step(
        server(vote=1, log=(A,)),
        ClientRequest("b"),
        server(vote=1, log=(A,)),
        NotLeader(1),
        evidence=Evidence(leaders=frozenset({1})),
    ),
}


@pytest.mark.parametrize("conduct", ALLOWED.values(), ids=ALLOWED)
def test_odd_but_allowed(conduct: Conduct) -> None:
    rules = [each for each in RULES if each.group in ("apply", "client")]
    assert [(each.id, each.judge(conduct)) for each in rules if each.judge(conduct)] == []


def test_of_evidence_what_is_named_is_kept_and_nothing_else() -> None:
    unread = frozenset({Unread(2, "Ballot")})
    acknowledged = IndexMap(((2, 3),))
    all_of_it = Evidence(frozenset({2}), acknowledged, 4, 5, frozenset({3}), unread=unread)
    nothing = Evidence()
    for size in range(len(CARRIED_BY) + 1):
        for names in combinations(CARRIED_BY, size):
            kept = all_of_it.only(frozenset(names))
            for name in CARRIED_BY:
                source = all_of_it if name in names else nothing
                assert getattr(kept, name) == getattr(source, name)
            assert kept.unread == (unread if names else frozenset())


def test_evidence_does_not_shrink_in_its_term() -> None:
    """A message that comes late, or again, takes nothing away of what was known."""
    held = server(log=(A, B))
    first = step(held, append(A, B, commit=2), held)
    assert (first.after.evidence.confirmed, first.after.evidence.claimed) == (2, 2)
    later = watch(first.after, Receive(append(A, commit=1)), held, ())
    assert (later.after.evidence.confirmed, later.after.evidence.claimed) == (2, 2)
    further = watch(later.after, Receive(append(A, commit=3)), held, ())
    assert (further.after.evidence.confirmed, further.after.evidence.claimed) == (2, 3)
    one = step(LED, success(1), LED)
    two = watch(one.after, Receive(success(2, source=3)), LED, ())
    assert two.after.evidence.acknowledged == IndexMap(((2, 1), (3, 2)))
    refused = AppendEntriesReply(source=2, destination=1, term=1, success=False, match_index=0)
    assert watch(two.after, Receive(refused), LED, ()).after.evidence == two.after.evidence


# --- the core obeys them -------------------------------------------------------------------------

BOUNDS = [
    Bounds(servers=1, max_term=2, max_log=2, restarts=True),
    Bounds(servers=2, max_term=2, max_log=1, values=1, restarts=True),
    Bounds(servers=2, max_log=2, values=1, max_entries=2),
    Bounds(servers=3, restarts=True),
]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_every_step_of_the_core_obeys_every_rule(bounds: Bounds) -> None:
    found = check(Setup(bounds=bounds, rules=True), means=Means(eager=True, forget=True))
    assert found.exploration.verdict == "holds"
    assert found.exploration.notes == []


@pytest.mark.parametrize("network", ["once", "fifo"])
def test_so_it_does_on_other_networks(network: str) -> None:
    setup = Setup(bounds=Bounds(servers=2, restarts=True), network=network, rules=True)  # type: ignore[arg-type] # one of them
    assert check(setup).exploration.verdict == "holds"


@pytest.mark.slow
def test_so_it_does_in_two_terms_with_restarts() -> None:
    setup = Setup(bounds=Bounds(max_term=2, values=1, restarts=True), rules=True)
    found = check(setup, means=Means(eager=True, forget=True)).exploration
    assert found.verdict == "holds"


def test_both_explorers_see_the_same_with_rules() -> None:
    setup = Setup(bounds=Bounds(servers=2), rules=True)
    ways = Means(engine="reference"), Means(engine="compiled")
    one, other = (check(setup, means=means).exploration for means in ways)
    assert (one.states, one.transitions, one.depth) == (
        other.states,
        other.transitions,
        other.depth,
    )


def never(conduct: Conduct, condition: bool) -> Broken | None:
    return Broken("this", "never", "it was") if condition else None


STRICTER = {
    "TERM-ADOPT": lambda c: never(c, isinstance(c.event, Receive) and not c.keeps_term),
    "VOTE-ONCE": lambda c: never(c, c.votes_for_another),
    "ELECT-QUORUM": lambda c: never(c, c.is_elected and len(c.after.evidence.grants) < 2),
    "FOLLOWER-SPLICE-CONFLICT": lambda c: never(c, c.appended_by is not None),
    "APPEND-TRUTHFUL": lambda c: never(c, any(each.entries for each in c.sent(AppendEntries))),
    "ACK-CONFIRMED": lambda c: never(
        c, any(each.match_index for each in c.sent(AppendEntriesReply))
    ),
    "COMMIT-QUORUM": lambda c: never(c, c.commits_as_leader and len(c.holders(1)) < 3),
    "APPLY-ORDER": lambda c: never(c, any(c.applied)),
    "REDIRECT-LEADER": lambda c: never(c, len(c.after.evidence.leaders) > 0),
    "RESTART-LOG": lambda c: never(c, c.is_restart and c.after.state.log.last_index > 0),
    "MESSAGE-WELL-FORMED": lambda c: never(c, len(c.outputs) > 2),
}
"""By a rule of each group: the same, stricter than Raft."""


def test_a_rule_of_each_group_is_tried_stricter() -> None:
    assert {RULES_BY_ID[rule_id].group for rule_id in STRICTER} == {rule.group for rule in RULES}


@pytest.mark.parametrize("rule_id", STRICTER)
def test_a_rule_that_is_stricter_than_raft_is_broken_by_the_core(rule_id: str) -> None:
    rule = replace(RULES_BY_ID[rule_id], predicate=STRICTER[rule_id])
    bounds = Bounds(values=1, restarts=rule.group == "restart")
    system = judged_system(RaftNode(bounds), Replayable(), [Obeyed(rule, Bench(bounds.servers))])
    found = explorer.explore(system, options=explorer.Options(eager=True))
    assert found.violation is not None
    assert found.violation.property == rule_id


# --- the commands --------------------------------------------------------------------------------


def test_where_a_rule_is_obeyed_exists() -> None:
    for rule in RULES:
        assert name_of(rule.implemented_by).startswith("raft_ref.")
        assert rule.citation
        assert rule.statement.endswith((".", ".)"))


def test_the_table_and_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules"]) == 0
    out = capsys.readouterr().out
    assert all(rule.id in out for rule in RULES)
    assert run(["rules", "--id", "VOTE-ONCE", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    path = Path(str(spec.__file__)).with_name("schemas") / "rules_report.schema.json"
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    (row,) = report["rules"]
    assert row["implemented_by"] == "raft_ref.election.may_grant_vote"
    assert "vote-forgets-voted-for" in row["mutants"]
    assert run(["rules", "--id", "VOTE-TWICE"]) == 2
    assert "there is no rule 'VOTE-TWICE'" in capsys.readouterr().err


def test_what_must_have_happened_before_a_rule_can_be_broken_is_shown_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["rules", "--json", "-"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)["rules"]}
    assert {row["id"]: set(row["exercised_by"]) for row in rows.values()} == {
        rule.id: set(rule.exercised_by) for rule in RULES
    }
    words = "a follower rejected entries: its log lacked prev"
    assert rows["FOLLOWER-PREV-MATCH"]["exercised_by"] == {"rejection": words}
    monkeypatch.setenv("COLUMNS", "60")  # each row is some lines then
    assert run(["rules", "--id", "FOLLOWER-PREV-MATCH", "--id", "TERM-MONOTONIC"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"can be broken once: {words}" in shown
    assert "can be broken once: at any time" in shown


def test_rules_that_the_proof_does_not_assume_are_named_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["rules", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["rules"]
    reasons = {row["id"]: row["not_assumed"] for row in rows}
    assert reasons == {rule.id: WITHOUT_GUARD.get(rule.id) for rule in RULES}
    assert run(["rules"]) == 0
    out = capsys.readouterr().out
    for each, reason in WITHOUT_GUARD.items():
        assert f"not assumed by raft-ref prove: {each}, since {reason}" in out
    assert run(["rules", "--id", "VOTE-ONCE"]) == 0
    assert "not assumed" not in capsys.readouterr().out


def test_the_profiles_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "--profiles"]) == 0
    assert "acknowledges-what-is-committed" in capsys.readouterr().out
    assert run(["rules", "--profiles", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    path = Path(str(spec.__file__)).with_name("schemas") / "rules_report.schema.json"
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    assert report["profiles"]["paper"] == []
    for wrong in (["--id", "VOTE-ONCE"], ["--necessary"], ["--max-seconds", "1"]):
        assert run(["rules", "--profiles", *wrong]) == 2
        assert "does not go with" in capsys.readouterr().err


def test_check_names_the_first_rule_that_a_mutant_breaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["check", "--mutant", "truncate-without-conflict", "--rules"]
    assert run([*arguments, "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["rules"] is True
    assert report["violation"]["property"] == "FOLLOWER-SPLICE-CONFLICT"
    assert run(arguments) == 1
    out = capsys.readouterr().out
    assert "rule         A non-leader removes the first entry that conflicts" in out
    assert f"rules        all {len(RULES)}" in out
