"""Playing that could have found nothing says so: it is inconclusive, and says why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from model_check.check import NetworkName
from model_check.cli import run
from model_check.conformance.coverage import Coverage, Shortfall, shortfalls
from model_check.conformance.plan import Plan, ScheduleKind, jobs, runs_of
from model_check.conformance.play import MOST_UNKNOWN, Player
from model_check.conformance.trial import try_out
from model_check.conformance.walks import BATCH
from model_check.mutants import MUTANTS
from model_check.mutants.runs import recorded_runs
from model_check.raft import RaftAction
from model_check.system import Deliver, Occur
from raft_ref import (
    AppendEntries,
    ClientRequest,
    ElectionTimeout,
    RequestVote,
    RequestVoteReply,
)
from spec.milestones import MILESTONES
from spec.profiles import PAPER
from spec.rules import RULES
from spec.shadow import EVIDENCE
from tests.test_trial import REFERENCE, TOY, attempt, setup

HERE = Path(__file__).parent
VACUOUS = (sys.executable, str(HERE / "vacuous.py"))
PREVOTE = (sys.executable, str(HERE / "peers/toy_prevote/adapter.py"))
UNSUPPORTED = (*VACUOUS, "lacks-restart")
"""It declares restarts unsupported, and fails if it is asked for one."""
PLAYED = ("conform", "--schedules", "mutants", "--workers", "1")

EXPLORED = ["conform", "--explore", "--max-log", "0", "--workers", "1"]
NO_LEADER, NO_COMMIT = "no leader was elected", "no entry was committed"
UNSEEN_LEADER = "whether a leader was elected cannot be seen"
UNSEEN_COMMIT = "which entries were committed cannot be seen"


@contextmanager
def playing(command: tuple[str, ...], servers: int = 3, bug: str = "") -> Iterator[Player]:
    one = setup(command, bug=bug) if bug else setup(command)
    bounds = replace(one.space.bounds, servers=servers)
    adapter, space = replace(one.adapter, servers=servers), replace(one.space, bounds=bounds)
    player = Player(adapter, space, PAPER)
    try:
        yield player
    finally:
        player.close()


def found_in(command: tuple[str, ...]) -> tuple[Coverage, tuple[Shortfall, ...]]:
    """What the runs of all bugs come to, none of which accuses the implementation."""
    coverage = Coverage()
    with playing(command) as player:
        for name, actions in recorded_runs().items():
            if MUTANTS[name].bounds.servers == 3:
                played = player.play(actions)
                assert played.finding is None
                coverage.add(played.coverage)
        return coverage, shortfalls(coverage, player.table.hidden)


# --- adapters with which nothing can be found ---------------------------------------------------

SKIPPED = "most deliveries were skipped"


@pytest.mark.parametrize(
    ("how", "lacking", "advice"),
    [
        ("ignores-deliver", [NO_LEADER, NO_COMMIT, SKIPPED], "let deliver hand it to the server"),
        ("misnames", [SKIPPED], "there were messages of the kinds MyAppendEntries"),
        ("supports-nothing", [NO_LEADER, NO_COMMIT, SKIPPED], "cause election_timeout"),
        ("never-times-out", [NO_LEADER, NO_COMMIT, SKIPPED], "let election_timeout begin"),
        ("lacks-election_timeout", [NO_LEADER, NO_COMMIT, SKIPPED], "cause election_timeout"),
        ("lacks-propose", [NO_COMMIT], "let the adapter cause propose"),
        ("hides", [UNSEEN_LEADER, UNSEEN_COMMIT], "let the adapter show current_term and role"),
        ("hides-role", [UNSEEN_LEADER], "let the adapter show role"),
        ("hides-current_term", [UNSEEN_LEADER], "let the adapter show current_term"),
        ("hides-log", [UNSEEN_COMMIT], "let the adapter show log"),
        ("hides-commit_index", [UNSEEN_COMMIT], "let the adapter show commit_index"),
    ],
)
def test_where_nothing_could_be_found_it_is_said(how: str, lacking: list[str], advice: str) -> None:
    _, found = found_in((*VACUOUS, how))
    assert [each.lack.split(" (")[0] for each in found] == lacking
    assert any(advice in each.advice for each in found)


def test_the_toy_itself_is_not_vacuous() -> None:
    assert found_in(VACUOUS)[1] == ()


@pytest.mark.parametrize(
    ("how", "kind", "rule"),
    [
        ("carries-acknowledgements", "Pong", "COMMIT-QUORUM"),
        ("carries-votes", "Slip", "ELECT-QUORUM"),
    ],
)
def test_nobody_is_accused_whose_votes_are_of_an_unknown_kind(
    how: str, kind: str, rule: str
) -> None:
    """They are delivered all the same, and what they allow is not judged."""
    coverage, _ = found_in((*VACUOUS, how))
    assert {"election", "commit"} <= coverage.reached.keys()
    assert coverage.undecided[rule] == (kind,)


@pytest.mark.parametrize("servers", [1, 2])
def test_few_servers_suffice_to_lead_and_to_commit(servers: int) -> None:
    one = setup(REFERENCE)
    small = replace(
        one,
        adapter=replace(one.adapter, servers=servers),
        space=replace(one.space, bounds=replace(one.space.bounds, servers=servers)),
    )
    trial = try_out(small, Plan(kinds=("random",), walks=BATCH, workers=1))
    assert (trial.verdict, trial.shortfalls) == ("conforms", ())


def test_runs_in_which_nobody_can_be_elected_are_inconclusive() -> None:
    few = Coverage(steps=3, sent=Counter({"RequestVote": 2, "RequestVoteReply": 2}))
    assert [each.lack for each in shortfalls(few, frozenset())] == [NO_LEADER, NO_COMMIT]
    assert "play more runs" in shortfalls(few, frozenset())[0].advice
    assert "nothing to play" in shortfalls(Coverage(), frozenset())[0].advice


def test_half_of_the_deliveries_are_enough() -> None:
    reached = {"election": 1, "commit": 2}
    half = Coverage(deliveries=10, deliveries_left_out=5, reached=reached)
    assert shortfalls(half, frozenset()) == ()
    half.add(Coverage(deliveries=1, deliveries_left_out=1, deliveries_gone=1))
    assert shortfalls(half, frozenset()) == ()
    half.add(Coverage(deliveries_left_out=1, reached={"commit": 1}))
    (found,) = shortfalls(half, frozenset())
    assert found.lack.startswith("most deliveries were skipped (6 of 11)")
    assert half.reached == {"election": 1, "commit": 1}


@pytest.mark.parametrize("how", ["supports-nothing", "ignores-deliver"])
def test_an_exploration_in_which_nobody_leads_is_inconclusive(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    outlets = ["--json", str(report), "--html", str(page)]
    assert run([*EXPLORED, *outlets, "--", *VACUOUS, how]) == 4
    out = capsys.readouterr().out
    data = json.loads(report.read_text())
    assert out.startswith("inconclusive: nothing is violated, but no leader was elected")
    assert (data["verdict"], [each["lack"] for each in data["shortfalls"]]) == (
        "inconclusive",
        [NO_LEADER],
    )
    for text in (out, page.read_text()):
        assert "let election_timeout begin an election" in text


def test_an_exploration_of_elections_alone_is_none_the_less_one(tmp_path: Path) -> None:
    """Bounds without entries exclude every commit; that is a bound of the claim, and warned of."""
    report = tmp_path / "report.json"
    assert run([*EXPLORED, "--json", str(report), "--", *TOY]) == 0
    data = json.loads(report.read_text())
    assert (data["shortfalls"], data["vacuous"]["COMMIT-QUORUM"]) == ([], ["commit"])


# --- what is said -------------------------------------------------------------------------------


def test_it_is_said_on_the_terminal_in_the_report_and_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    outlets = ["--json", str(report), "--html", str(page)]
    assert run([*PLAYED, *outlets, "--", *VACUOUS, "ignores-deliver"]) == 4
    out = capsys.readouterr().out
    data, html = json.loads(report.read_text()), page.read_text()
    assert out.startswith("inconclusive: nothing is violated, but no leader was elected; no entry")
    assert data["shortfalls"][0]["lack"] == NO_LEADER
    assert data["reached"]["election"] is None
    assert data["vacuous"]["ELECT-QUORUM"] == ["election"]
    for text in (out, html):
        assert "no leader was elected: no server answered any message" in text
        assert "nothing could have broken" in text
        assert "these runs never reached election" in text
    assert "not reached" in out
    assert "not reached" in html


def test_what_was_reached_does_not_depend_on_the_workers() -> None:
    trials = [try_out(setup(TOY), Plan(kinds=("mutants",), workers=workers)) for workers in (1, 3)]
    one, other = (replace(trial.progress, seconds=0.0) for trial in trials)
    assert one == other
    assert trials[0].vacuous == {
        "FOLLOWER-PREV-MATCH": ("rejection",),
        "REDIRECT-LEADER": ("redirect",),  # the toy never tells a client who leads
    }


def test_what_rules_are_exercised_by_are_milestones() -> None:
    names = {item.name for item in MILESTONES}
    assert all(rule.exercised_by <= names for rule in RULES)


# --- events that an adapter cannot cause --------------------------------------------------------


def test_what_is_unsupported_is_not_played(capsys: pytest.CaptureFixture[str]) -> None:
    trial = attempt(UNSUPPORTED, "mutants", "random", walks=10)
    assert trial.verdict == "conforms"
    assert trial.progress.unsupported["restart"] > 12
    restarts = {rule.id for rule in RULES if rule.group == "restart"}
    assert restarts <= trial.vacuous.keys()
    assert run([*PLAYED, "--", *UNSUPPORTED]) == 0
    out = capsys.readouterr().out
    assert re.search(r"  unsupported  \d+ restart\n", out)
    assert "nothing could have broken RESTART-LOG: these runs never reached restart" in out


def test_an_adapter_fails_where_it_is_asked_for_what_it_declared_unsupported() -> None:
    done = subprocess.run(  # noqa: S603
        UNSUPPORTED,
        input='{"type": "init", "msg_id": 1, "protocol_version": 1, "nodes": [1], "options": {}}\n'
        '{"type": "crash", "msg_id": 2, "node": 1}\n{"type": "restart", "msg_id": 3, "node": 1}\n',
        capture_output=True,
        text=True,
        check=True,
    )
    started, *asked = map(json.loads, done.stdout.splitlines())
    assert started["unsupported"] == ["restart"]
    assert [each["code"] for each in asked] == [13, 13]


@pytest.mark.parametrize("event", ["heartbeat_timeout", "restart"])
def test_no_event_is_needed_but_timeouts_and_commands(event: str) -> None:
    coverage, _ = found_in((*VACUOUS, f"lacks-{event}"))
    assert "election" in coverage.reached
    assert coverage.unsupported.keys() <= {event}


def test_bugs_are_found_without_restarts() -> None:
    trial = attempt(UNSUPPORTED, "mutants", bug="votes-twice")
    assert trial.verdict == "violates"


def test_a_schedule_does_not_play_what_is_unsupported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = tmp_path / "schedule.json"
    buggy = ["--option", "bug=forgets-vote", "--save-schedule", str(schedule)]
    assert run([*PLAYED, *buggy, "--", *TOY]) == 1
    capsys.readouterr()
    assert run(["conform", "--replay", str(schedule), "--", *UNSUPPORTED]) == 0
    out = capsys.readouterr().out
    assert "not reproduced: after 1 actions the next one cannot happen any more: S1 crashes" in out


# --- elections that begin with a pre-vote -------------------------------------------------------


@pytest.mark.parametrize("network", ["replayable", "once", "fifo"])
def test_elections_with_a_pre_vote_complete(network: NetworkName) -> None:
    trial = attempt(PREVOTE, "mutants", "random", walks=20, network=network)
    assert trial.verdict == "conforms"
    wanted = {"election", "contested_election", "commit", "follower_commit", "truncation"}
    assert wanted <= trial.progress.reached.keys()
    assert trial.progress.unknown == ("PreVote", "PreVoteReply")


@pytest.mark.parametrize(
    ("bug", "kinds", "found"),
    [
        ("votes-twice", ("random",), "VOTE-ONCE"),
        ("forgets-vote", ("mutants",), "RESTART-VOTE"),
        ("ignores-logs", ("mutants",), "VOTE-UP-TO-DATE"),
        ("truncates", ("mutants",), "FOLLOWER-SPLICE-CONFLICT"),
        ("commits-alone", ("mutants",), "COMMIT-QUORUM"),
        ("crashes", ("mutants",), None),
        ("prevote-writes-vote", ("mutants",), "VOTE-ONCE"),
    ],
)
def test_bugs_are_found_behind_a_pre_vote(
    bug: str, kinds: tuple[ScheduleKind, ...], found: str | None
) -> None:
    plan = Plan(kinds=kinds, walks=200)
    with playing(PREVOTE, bug=bug) as player:
        runs = (run for job in jobs(plan, 3) for run in runs_of(job, 3))
        finding = next(filter(None, (player.play(run).finding for run in runs)))
    assert finding.is_failure == (found is None)
    assert (finding.breach and finding.breach.rule.id) == found


def test_an_acknowledgement_of_too_much_is_found_behind_a_pre_vote() -> None:
    """S1 has an entry that S2, which leads after it, never had."""
    actions: list[RaftAction] = [
        *elected(1, term=1, voter=2),
        Occur(1, ClientRequest("v1")),
        *elected(2, term=2, voter=3),
        Deliver(
            AppendEntries(
                source=2, destination=1, term=2, prev_log_index=0, prev_log_term=0, entries=(),
                leader_commit=0,
            )
        ),
    ]  # fmt: skip
    with playing(PREVOTE, bug="acknowledges-all") as player:
        finding = player.play(actions).finding
    assert finding is not None
    assert finding.breach is not None
    assert finding.breach.rule.id == "ACK-CONFIRMED"


def elected(candidate: int, term: int, voter: int) -> list[RaftAction]:
    """The core's election of ``candidate``, whose log is empty, by ``voter``."""
    ask = RequestVote(
        source=candidate, destination=voter, term=term, last_log_index=0, last_log_term=0
    )
    answer = RequestVoteReply(source=voter, destination=candidate, term=term, vote_granted=True)
    return [Occur(candidate, ElectionTimeout()), Deliver(ask), Deliver(answer)]


def test_a_pre_vote_that_counts_old_answers_breaks_no_rule_of_figure_2() -> None:
    trial = attempt(PREVOTE, "mutants", bug="prevote-stale-grants")
    assert (trial.verdict, trial.shortfalls) == ("conforms", ())


def test_a_pre_vote_of_five_servers_asks_as_many_as_it_takes() -> None:
    with playing(PREVOTE, servers=5) as player:
        played = player.play([Occur(1, ElectionTimeout())])
    assert played.coverage.sent["RequestVote"] == 4
    assert played.coverage.sent["PreVoteReply"] >= 2


def test_terms_rise_with_the_candidates_of_the_core() -> None:
    """Two timeouts of S1: the core is in term 2, and so is who asks before it is a candidate."""
    with playing(PREVOTE) as player:
        run_of_core: list[RaftAction] = [Occur(1, ElectionTimeout())] * 2
        state = player.play(run_of_core).run.last[0]
    assert state.current_term == 2


def test_messages_to_and_fro_without_end_are_not_waited_for(tmp_path: Path) -> None:
    """A toy whose pre-votes are answered by further questions for ever."""
    source = Path(PREVOTE[1]).read_text()
    answer = 'self.send(m["from"], "preanswer", next=m["next"], grant=grant)'
    assert answer in source
    endless = 'self.send(m["from"], "preask", next=m["next"] + 1, last=self.last())'
    path = tmp_path / "adapter.py"
    path.write_text(source.replace(answer, endless))
    with playing((sys.executable, str(path))) as player:
        played = player.play([Occur(1, ElectionTimeout())])
    assert len(played.run.moments) == 1 + MOST_UNKNOWN * 3
    assert played.finding is None


def test_what_was_delivered_is_delivered_again_only_if_it_was_sent_again() -> None:
    """On a network that never forgets."""
    votes: list[RaftAction] = [
        Deliver(RequestVote(source=2, destination=1, term=9, last_log_index=0, last_log_term=0))
    ] * 2
    with playing(PREVOTE) as player:
        moments = player.play([Occur(1, ElectionTimeout()), *votes]).run.moments
    delivered = [each.action for each in moments if isinstance(each.action, Deliver)]
    assert len(delivered) == len(set(delivered)) > 0


def test_what_a_network_has_delivered_is_no_message_that_was_never_sent() -> None:
    trial = attempt(TOY, "random", walks=30, network="once")
    cover = trial.progress
    assert trial.verdict == "conforms"
    assert cover.deliveries_gone > cover.deliveries / 4
    assert cover.deliveries_left_out - cover.deliveries_gone < cover.deliveries / 4


def test_evidence_is_of_a_term_that_is_seen() -> None:
    """Or else whoever hides the term is accused of having got no votes."""
    assert all("current_term" in rule.observes for rule in RULES if rule.allowed_by & EVIDENCE)


def test_the_core_sends_nothing_that_is_unknown() -> None:
    coverage, found = found_in(REFERENCE)
    assert (coverage.unknown, coverage.undecided, found) == ((), {}, ())
