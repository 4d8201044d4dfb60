"""The rules held against implementations that are explored: the core, a toy with bugs, its runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from model_check.check import Means, Setup, explore_system
from model_check.cli import run
from model_check.commands.conformance import account_of_conformance
from model_check.conformance import explore as exploring
from model_check.conformance import witness
from model_check.conformance.confirm import confirm as do_again
from model_check.conformance.explore import Conformance, ForeignSetup, conform
from model_check.conformance.learner import Adapter, Learner
from model_check.conformance.node import ForeignNode, ForeignReplay
from model_check.conformance.observed import ObservedState
from model_check.conformance.report import conform_report
from model_check.conformance.suspicion import Suspicion, hear
from model_check.conformance.table import Table
from model_check.conformance.witness import follow_up
from model_check.explore import UNLIMITED, Budget
from model_check.raft import Bounds
from raft_ref import Restart
from spec.judge import Judge
from spec.profiles import ETCD, PAPER, Profile
from spec.rule import Broken
from spec.rules import RULES, RULES_BY_ID
from tests.deadlines import out_of_time_when

HERE = Path(__file__).parent
TOY = (sys.executable, str(HERE / "peers/toy/adapter.py"))
REFERENCE = (sys.executable, str(HERE / "peers/reference/adapter.py"))

ONE_TERM = Bounds(values=1, max_log=1)
TWO_TERMS = Bounds(max_term=2, values=1, heartbeats=False, only_timeout=(1, 3))
RESTARTS = Bounds(max_log=0, restarts=True, max_restarts=1)
TWO_ENTRIES = Bounds(max_log=2, values=1, only_timeout=(1,), max_heartbeats=1)
HEARTBEAT = Bounds(max_term=2, values=1, max_heartbeats=1)


def adapter(command: tuple[str, ...], **options: str) -> Adapter:
    return Adapter(command=command, servers=3, options=tuple(options.items()), step_timeout=10.0)


def explore(
    command: tuple[str, ...],
    bounds: Bounds,
    *,
    properties: tuple[str, ...] | None = None,
    profile: Profile = PAPER,
    budget: Budget = UNLIMITED,
    **options: str,
) -> Conformance:
    space = Setup(bounds=bounds, rules=True)
    if properties is not None:
        space = replace(space, properties=properties)
    setup = ForeignSetup(adapter=adapter(command, **options), space=space, profile=profile)
    result = conform(setup, budget, Means(eager=True))
    path = files("spec").joinpath("schemas/conform_report.schema.json")
    report = json.loads(json.dumps(conform_report(result)))
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    return result


def found(result: Conformance) -> list[tuple[str, str | None]]:
    """What each finding violates, and the first rule that is broken on the way."""
    return [
        (each.violation.property, None if each.breach is None else each.breach.rule.id)
        for each in result.findings
    ]


@pytest.mark.parametrize("command", [TOY, REFERENCE], ids=["toy", "core"])
@pytest.mark.parametrize(
    "bounds",
    [ONE_TERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (RESTARTS, TWO_TERMS))],
)
def test_what_obeys_the_rules_is_not_accused(command: tuple[str, ...], bounds: Bounds) -> None:
    result = explore(command, bounds)
    assert result.verdict == "conforms"
    assert result.steps_judged >= result.adapter_calls
    assert (result.findings, result.unresolved, result.suspected) == ((), (), ())
    assert result.unjudged == {}


@pytest.mark.parametrize(
    ("bug", "bounds", "violated", "broken"),
    [
        ("votes-twice", ONE_TERM, "VoteOncePerTerm", "VOTE-ONCE"),
        ("forgets-vote", RESTARTS, "VoteOncePerTerm", "RESTART-VOTE"),
        ("ignores-logs", TWO_TERMS, "LeaderCompleteness", "VOTE-UP-TO-DATE"),
        ("truncates", TWO_ENTRIES, "CommitStability", "FOLLOWER-SPLICE-CONFLICT"),
        ("commits-alone", HEARTBEAT, "LeaderCompleteness", "COMMIT-QUORUM"),
    ],
)
def test_the_first_rule_broken_is_the_diagnosis(
    bug: str, bounds: Bounds, violated: str, broken: str
) -> None:
    result = explore(TOY, bounds, bug=bug)
    assert result.verdict == "violates"
    assert found(result)[0] == (violated, broken)


@pytest.mark.slow
def test_a_rule_is_broken_before_anything_is_lost() -> None:
    """Nothing is lost within these bounds; what comes of it is found beyond them."""
    result = explore(TOY, HEARTBEAT, bug="acknowledges-all")
    assert result.exploration.verdict == "holds"
    assert result.verdict == "violates"
    assert found(result)[:2] == [
        ("LeaderCompleteness", "ACK-CONFIRMED"),
        ("ACK-CONFIRMED", "ACK-CONFIRMED"),
    ]


def test_what_comes_of_a_broken_rule_is_found_beyond_the_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within one term nothing is lost by it; the shortest run in which something is, has two."""
    confirmed: list[ForeignReplay] = []

    def confirm(
        adapter: Adapter, table: Table, run: ForeignReplay, check: Callable[[], None]
    ) -> None:
        confirmed.append(run)
        do_again(adapter, table, run, check)

    monkeypatch.setattr(exploring, "confirm", confirm)
    result = explore(TOY, ONE_TERM, bug="ignores-logs")
    assert (result.exploration.verdict, result.verdict) == ("holds", "violates")
    assert found(result) == [
        ("LeaderCompleteness", "VOTE-UP-TO-DATE"),
        ("VOTE-UP-TO-DATE", "VOTE-UP-TO-DATE"),
    ]
    assert [len(each.run.moments) for each in result.findings] == [9, 6]
    assert len(confirmed) == 2
    assert all(each.run in confirmed for each in result.findings), "each is done again"


def test_a_rule_that_was_not_looked_into_is_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploring, "MOST_BREACHES", 0)
    result = explore(TOY, ONE_TERM, bug="ignores-logs")
    assert (result.findings, result.suspected) == ((), ("VOTE-UP-TO-DATE",))
    assert result.verdict == "inconclusive"
    said = account_of_conformance(result).otherwise
    assert said.endswith("VOTE-UP-TO-DATE may be broken, which was not looked into")


def test_a_diagnosis_is_no_finding_of_its_own() -> None:
    result = explore(TOY, Bounds(values=1, max_log=0), bug="votes-twice")
    assert found(result) == [("VoteOncePerTerm", "VOTE-ONCE")]


def test_it_conforms_only_if_nothing_is_left_open() -> None:
    result = explore(TOY, Bounds(values=1, max_log=0))
    assert result.verdict == "conforms"
    rule, broken = RULES_BY_ID["VOTE-SELF"], Broken("x", "y", "z")
    suspicion = Suspicion(rule, 1, ObservedState(), Restart(), broken)
    unresolved = witness.Testimony(suspicion, None, "the budget of 2 states")
    assert replace(result, unresolved=(unresolved,)).verdict == "inconclusive"
    unfinished = replace(result.exploration, verdict="inconclusive")
    assert replace(result, exploration=unfinished).verdict == "inconclusive"


@pytest.mark.parametrize("phase", ["holding what was learnt", "doing again what was learnt"])
def test_what_was_not_looked_at_in_time_is_not_known(phase: str) -> None:
    """Though all states were explored, and none of them violates anything."""
    late = Budget(deadline=out_of_time_when(phase))
    result = explore(TOY, Bounds(values=1, max_log=0), budget=late)
    assert (result.findings, result.verdict) == ((), "inconclusive")


def test_what_a_profile_tolerates_is_no_breach_but_a_property_is_a_property() -> None:
    """A profile that tolerates everything hides nothing that is lost."""
    everything = Profile(
        "everything",
        tuple(
            replace(ETCD.departures[0], rule=rule, tolerates=lambda _: True)
            for rule in RULES_BY_ID.values()
        ),
    )
    result = explore(TOY, TWO_TERMS, profile=everything, bug="ignores-logs")
    assert result.verdict == "violates"
    assert found(result)[0] == ("LeaderCompleteness", None)
    assert explore(TOY, RESTARTS, profile=everything, properties=("LogMatching",)).findings == ()


def test_a_suspicion_with_nothing_in_it_is_dropped_and_one_too_hard_stays() -> None:
    with Learner(adapter(TOY), 1) as learner:
        space = Setup(bounds=ONE_TERM)
        node = ForeignNode(learner, ONE_TERM)

        def look(budget: Budget) -> object:
            event = next(iter(node.events(1, node.initial(1))))
            rule = RULES_BY_ID["VOTE-SELF"]
            suspicion = Suspicion(rule, 1, node.initial(1), event, Broken("x", "y", "z"))
            return follow_up(
                suspicion,
                node,
                space,
                Judge(),
                lambda system, _=None: explore_system(system, budget, Means()),
            )

        innocent, unknown = look(UNLIMITED), look(Budget(max_states=2))
        assert (innocent.run, innocent.stopped_by) == (None, None)  # type: ignore[attr-defined]
        assert unknown.stopped_by == "the budget of 2 states"  # type: ignore[attr-defined]


def test_a_message_that_cannot_be_read_may_have_allowed_what_is_forbidden(tmp_path: Path) -> None:
    """The toy's votes, called otherwise: then nobody can say whether a leader was elected."""
    text = Path(TOY[1]).read_text()
    assert '"RequestVoteReply"' in text
    renamed = tmp_path / "adapter.py"
    renamed.write_text(text.replace('"RequestVoteReply"', '"Ballot"'))
    result = explore((sys.executable, str(renamed)), ONE_TERM)
    assert result.verdict == "conforms"
    assert result.unjudged["ELECT-QUORUM"] == ("Ballot",)
    assert "VOTE-REQUESTED" not in result.unjudged


def test_the_command_says_which_rule_is_broken_and_replays_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = tmp_path / "schedule.json"
    space = ["--max-log", "0", "--restarts", "--max-restarts", "1", "--property", "LogMatching"]
    saved = ["--save-schedule", str(schedule), "--option", "bug=forgets-vote"]
    assert run(["conform", "--explore", *space, *saved, "--", *TOY]) == 1
    out = capsys.readouterr().out
    assert "violates: RESTART-VOTE after 2 actions" in out
    assert "A restart keeps the vote." in out
    assert f"rules        all {len(RULES)}, on" in out
    again = ["conform", "--replay", str(schedule), "--property", "LogMatching"]
    assert run([*again, "--json", "-", "--", *TOY]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["finding"]["first_breach"]["rule"] == "RESTART-VOTE"
    assert report["finding"]["depth"] == 2
    assert run([*again, "--no-rules", "--", *TOY]) == 0
    capsys.readouterr()
    assert run(["conform", "--explore", "--no-rules", *space, *saved[2:], "--", *TOY]) == 1
    out = capsys.readouterr().out
    assert out.startswith("failed-step")  # what the toy itself makes of two leaders
    assert "RESTART-VOTE" not in out


def test_everything_that_was_learnt_is_judged_once_for_each_light() -> None:
    with Learner(adapter(TOY), 1) as learner:
        node = ForeignNode(learner, ONE_TERM)
        assert hear(node, learner.table, Judge()).steps == 0
        node.step(1, node.initial(1), next(iter(node.events(1, node.initial(1)))))
        hearing = hear(node, learner.table, Judge())
        lights = {rule.allowed_by for rule in RULES_BY_ID.values()}
        assert hearing.steps == len(lights)
        assert (hearing.suspicions, hearing.undecided) == ([], {})
