"""Runs played on implementations: the core, a toy with bugs, adapters that misbehave."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from model_check.check import NetworkName, Setup
from model_check.cli import run
from model_check.commands.account import show_account
from model_check.commands.trial import account_of_trial
from model_check.conformance.explore import ForeignSetup
from model_check.conformance.learner import Adapter
from model_check.conformance.likeness import closest
from model_check.conformance.observed import ForeignMessage
from model_check.conformance.plan import Plan, ScheduleKind
from model_check.conformance.play import Player
from model_check.conformance.process import AdapterFailed
from model_check.conformance.report import trial_report
from model_check.conformance.trial import Trial, accusation, shortened, try_out
from model_check.conformance.walks import BATCH, LENGTH, random_walks
from model_check.counterexample import replay
from model_check.cover import cover
from model_check.deadline import Deadline
from model_check.explore import explore
from model_check.interned import InternedSystem
from model_check.judged import breaches, core_steps
from model_check.mutants import MUTANTS
from model_check.mutants.runs import recorded_runs
from model_check.network import Replayable
from model_check.raft import Bounds, RaftAction, RaftNode, raft_system
from model_check.system import Deliver, Occur, Outcome
from raft_ref import (
    AppendEntries,
    ClientRequest,
    ElectionTimeout,
    Entry,
    Event,
    Message,
    NodeState,
    Output,
    RequestVoteReply,
)
from spec.profiles import PAPER
from tests.deadlines import out_of_time_when
from tests.interrupts import interrupt

HERE = Path(__file__).parent
TOY = (sys.executable, str(HERE / "peers/toy/adapter.py"))
REFERENCE = (sys.executable, str(HERE / "peers/reference/adapter.py"))
MISBEHAVING = (sys.executable, str(HERE / "misbehaving.py"))

RUNS = sum(MUTANTS[name].bounds.servers == 3 for name in recorded_runs())
"""Those of mutants that are played on three servers."""


def setup(
    command: tuple[str, ...], network: NetworkName = "replayable", **options: str
) -> ForeignSetup:
    adapter = Adapter(command=command, servers=3, options=tuple(options.items()), step_timeout=10.0)
    space = Setup(bounds=Bounds(), network=network, max_in_flight=9, rules=True)
    return ForeignSetup(adapter=adapter, space=space)


def attempt(
    command: tuple[str, ...],
    *kinds: ScheduleKind,
    walks: int = BATCH,
    network: NetworkName = "replayable",
    **options: str,
) -> Trial:
    plan = Plan(kinds=kinds, walks=walks, workers=1)
    trial = try_out(setup(command, network, **options), plan)
    path = files("spec").joinpath("schemas/conform_report.schema.json")
    report = json.loads(json.dumps(trial_report(trial)))
    Draft202012Validator(json.loads(path.read_text())).validate(report)
    return trial


# --- what is played ------------------------------------------------------------------------------


class Recording(RaftNode):
    """The core, and what was asked of it."""

    def __init__(self, bounds: Bounds) -> None:
        super().__init__(bounds)
        self.asked: set[tuple[int, NodeState, Event]] = set()

    def step(
        self, node: int, state: NodeState, event: Event
    ) -> Outcome[NodeState, Output, Message]:
        self.asked.add((node, state, event))
        return super().step(node, state, event)

    def names(self) -> set[str]:
        """What was asked, but for the names of servers."""
        return {
            min(
                repr((each.node(at), self.rename(state, each), self.rename(event, each)))
                for each in self.renamings()
            )
            for at, state, event in self.asked
        }


def test_a_cover_takes_every_local_step_and_every_run_of_it_can_happen() -> None:
    bounds = Bounds(values=1, restarts=True)
    explored, covered = Recording(bounds), Recording(bounds)
    explore(InternedSystem(raft_system(explored, Replayable(), ())))
    runs = cover(bounds)
    for each in runs.runs:
        assert replay(raft_system(covered, Replayable(), ()), each).not_enabled is None
    assert covered.names() == explored.names()
    assert runs.steps == len(explored.names())
    assert all(len(one) >= len(other) for one, other in pairwise(runs.runs))


def test_limited_runs_are_not_covered() -> None:
    with pytest.raises(ValueError, match="cannot be covered where a run is limited"):
        cover(Bounds(restarts=True, max_restarts=1))


def test_half_a_cover_is_none() -> None:
    with pytest.raises(KeyboardInterrupt):
        cover(Bounds(values=1), interrupt)


def test_an_interrupt_while_runs_are_made_leaves_something_unplayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_bounds: Bounds, *, deadline: Deadline) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("model_check.cover.cover", interrupted)
    trial = attempt(REFERENCE, "cover", "random")
    assert (trial.verdict, trial.stopped_by) == ("inconclusive", "an interrupt")
    assert trial.progress.steps == 0


def test_walks_are_the_same_for_the_same_seed_and_can_happen() -> None:
    walks = random_walks(3, 7, 0)
    assert walks == random_walks(3, 7, 0)
    assert walks != random_walks(3, 7, 1) != random_walks(3, 8, 1)
    assert len(walks) == BATCH
    assert all(len(walk) == LENGTH for walk in walks)
    assert {type(action) for walk in walks for action in walk} == {Occur, Deliver}


def test_the_runs_of_all_bugs_are_kept() -> None:
    assert set(recorded_runs()) == {each.id for each in MUTANTS.values() if each.kind == "bug"}


@pytest.mark.parametrize("name", recorded_runs())
def test_a_run_that_is_kept_betrays_its_mutant(name: str) -> None:
    mutant = MUTANTS[name]
    system = Setup(bounds=mutant.bounds, properties=mutant.violable, mutant=name).system()
    betraying = replay(system, recorded_runs()[name])
    assert betraying.violation is not None
    assert betraying.violation.property in mutant.expected
    assert len(betraying.moments) == len(recorded_runs()[name])
    breach = next(breaches(betraying.initial, core_steps(betraying.moments)))
    assert breach.rule.id == mutant.breaks


# --- what comes closest --------------------------------------------------------------------------


def sent(kind: str, fields: dict[str, object], payload: str = "") -> ForeignMessage:
    return ForeignMessage(1, 2, kind, json.dumps(fields), payload)


def ballot(*, granted: bool, payload: str = "") -> ForeignMessage:
    return sent("RequestVoteReply", {"term": 2, "vote_granted": granted}, payload)


def test_of_what_was_sent_the_most_like_is_delivered() -> None:
    """In the implementation's first term is 1, and it has an entry of its own."""
    entry = {"term": 2, "command": "v1"}
    append = {"term": 2, "prev_log_index": 1, "prev_log_term": 1, "leader_commit": 0}
    empty = sent("AppendEntries", {**append, "entries": []})
    full = sent("AppendEntries", {**append, "entries": [entry]})
    later = sent("AppendEntries", {**append, "term": 3, "entries": [entry]})
    wanted = AppendEntries(
        source=1, destination=2, term=1, prev_log_index=0, prev_log_term=0,
        entries=(Entry(1, "v1"),), leader_commit=0,
    )  # fmt: skip
    assert closest(wanted, [full, empty, later], 1) == (full, (True, -1))
    assert closest(wanted, [empty, later], 1) == (empty, (False, 0))
    assert closest(wanted, [later, sent("Unheard", {"term": 2})], 1) is None
    reply = RequestVoteReply(source=1, destination=2, term=1, vote_granted=True)
    no, yes = ballot(granted=False), ballot(granted=True)
    assert closest(reply, [no], 1) == (no, (False, 0))
    assert closest(reply, [yes, no], 1) == (yes, (True, 0))


def test_of_what_is_equally_like_the_latest_is_delivered() -> None:
    one, other = ballot(granted=True, payload="a"), ballot(granted=True, payload="b")
    reply = RequestVoteReply(source=1, destination=2, term=2, vote_granted=True)
    assert closest(reply, [one, other], 0) == (other, (True, 0))


def test_what_the_core_does_the_core_behind_an_adapter_does() -> None:
    player = Player(setup(REFERENCE).adapter, setup(REFERENCE).space, PAPER)
    try:
        for run_of_core in cover(Bounds(values=1)).runs:
            played = player.play(run_of_core)
            assert (played.coverage.left_out, played.finding) == (0, None)
            assert len(played.run.moments) == len(run_of_core)
    finally:
        player.close()


def test_a_message_that_is_behind_others_waits_for_them_or_they_are_lost() -> None:
    """On links that keep the order; two timeouts of S1, and S2 is to get the second request."""
    actions: list[RaftAction] = [
        Occur(1, ElectionTimeout()),
        Occur(1, ElectionTimeout()),
    ]
    player = Player(setup(TOY, "fifo").adapter, setup(TOY, "fifo").space, PAPER)
    try:
        before = player.play(actions).run
        second = before.moments[1].outcome
        assert second is not None
        (to_second,) = (each for each in second.messages if each.destination == 2)
        wanted = player.play([*actions, *_request_of_term(2)]).run.moments
        assert [type(moment.action).__name__ for moment in wanted] == [
            "Occur", "Occur", "Lose", "Deliver",
        ]  # fmt: skip
        assert wanted[-1].action == Deliver(to_second)
    finally:
        player.close()


def _request_of_term(term: int) -> list[RaftAction]:
    node = RaftNode(Bounds(max_term=term))
    outcome = node.step(1, node.initial(1), ElectionTimeout())
    for _ in range(term - 1):
        outcome = node.step(1, outcome.state, ElectionTimeout())
    return [Deliver(message) for message in outcome.messages if message.destination == 2]


# --- what is found -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [TOY, REFERENCE], ids=["toy", "core"])
def test_nobody_is_accused_of_not_being_our_core(command: tuple[str, ...]) -> None:
    trial = attempt(command, "mutants", "random", walks=20)
    assert trial.verdict == "conforms"
    progress = trial.progress
    assert (progress.runs["mutants"], progress.runs["random"]) == (RUNS, 20)
    assert progress.left_out < progress.actions / 30
    assert progress.steps > progress.actions - progress.left_out - 20


@pytest.mark.parametrize(
    ("bug", "found"),
    [
        ("votes-twice", ("VoteOncePerTerm", "VOTE-ONCE")),
        ("forgets-vote", ("VoteOncePerTerm", "RESTART-VOTE")),
        ("ignores-logs", ("LeaderCompleteness", "VOTE-UP-TO-DATE")),
        ("commits-alone", ("LeaderCompleteness", "COMMIT-QUORUM")),
        ("crashes", ("Totality", None)),
    ],
)
def test_every_bug_of_the_toy_is_found(bug: str, found: tuple[str, str | None]) -> None:
    trial = attempt(TOY, "mutants", bug=bug)
    assert trial.verdict == ("failed-step" if bug == "crashes" else "violates")
    first = trial.findings[0]
    assert (first.violation.property, first.breach and first.breach.rule.id) == found
    assert len(first.run.moments) <= 12


def test_one_diagram_is_all_that_standard_output_has(capsys: pytest.CaptureFixture[str]) -> None:
    trial = attempt(TOY, "mutants", bug="ignores-logs")
    assert len(trial.findings) == 2
    show_account(account_of_trial(trial), "mermaid")
    shown = capsys.readouterr()
    assert shown.out.startswith("sequenceDiagram\n")
    assert shown.err.startswith("violates: LeaderCompleteness")
    assert (shown.out.count("sequenceDiagram"), shown.err.count("sequenceDiagram")) == (1, 1)
    assert "LeaderCompleteness is violated" in shown.out
    assert "VOTE-UP-TO-DATE is violated" in shown.err


def test_what_is_found_does_not_depend_on_the_workers() -> None:
    trials = [
        try_out(setup(TOY, bug="truncates"), Plan(kinds=("mutants",), workers=workers))
        for workers in (1, 3)
    ]
    one, other = (trial.findings for trial in trials)
    assert one[-1] == other[-1]
    # To what comes of it there are several shortest runs; which one several threads find is open.
    lengths = [[len(each.run.moments) for each in findings] for findings in (one, other)]
    assert lengths[0] == lengths[1]
    assert [each.violation.property for each in one] == [each.violation.property for each in other]
    assert trials[0].progress.runs == trials[1].progress.runs


def test_what_is_not_needed_is_left_out() -> None:
    requests: tuple[RaftAction, ...] = tuple(
        Occur(1, ClientRequest(str(number))) for number in range(20)
    )
    needed = {requests[3], requests[17]}
    assert set(shortened(requests, lambda rest: needed <= set(rest))) == needed
    assert shortened(requests[:3], lambda _: True) == ()


def test_an_adapter_at_fault_is_told_so_whoever_notices() -> None:
    for fault in ("lacks-a-field", "not-json"):
        with pytest.raises(AdapterFailed):
            attempt((*MISBEHAVING, fault), "mutants")


def test_an_adapter_that_ends_on_a_reset_is_at_fault(capsys: pytest.CaptureFixture[str]) -> None:
    some = ["conform", "--schedules", "random", "--walks", "20", "--workers", "1", "--json", "-"]
    assert run([*some, "--", *MISBEHAVING, "ends-on-reset"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["reason"] == "the process ended with exit code 3, at a reset of server 1"
    assert json.loads(report["request"])["type"] == "reset"
    assert report["reply"] == ""


@pytest.mark.parametrize(
    ("fault", "reason", "answer"),
    [
        ("ends-between-runs", "the process ended with exit code 3, at a reset of server 1", None),
        (
            "resets-half",
            "a reset of server 1 does not lead back to how it started: "
            "state.current_term: 1, before: 0",
            "reset_ok",
        ),
    ],
)
def test_the_next_run_does_not_begin_where_the_adapter_is_at_fault(
    fault: str, reason: str, answer: str | None
) -> None:
    player = Player(setup((*MISBEHAVING, fault)).adapter, Setup(bounds=Bounds()), PAPER)
    player.again([Occur(1, ElectionTimeout())])  # exactly this, and nothing that is in flight
    with pytest.raises(AdapterFailed) as failed:
        player.play([])
    player.close()
    request, reply = json.loads(failed.value.request), json.loads(failed.value.reply or "{}")
    assert failed.value.reason == reason
    assert (request["type"], request["node"], reply.get("type")) == ("reset", 1, answer)
    assert reply.get("in_reply_to", request["msg_id"]) == request["msg_id"]


def test_a_violation_that_does_not_come_again_is_the_adapters_fault() -> None:
    player = Player(setup(TOY).adapter, setup(TOY).space, PAPER)
    with pytest.raises(AdapterFailed, match="nothing is violated any more"):
        accusation(player, [Occur(1, ElectionTimeout())])
    player.close()


def test_a_violation_of_one_process_alone_is_the_adapters_fault(tmp_path: Path) -> None:
    command = (*MISBEHAVING, "falls-in-the-first-process", str(tmp_path / "was"))
    player = Player(setup(command).adapter, setup(command).space, PAPER)
    with pytest.raises(AdapterFailed, match="something else on a fresh process") as failed:
        accusation(player, [Occur(1, ElectionTimeout()), Occur(1, ElectionTimeout())])
    player.close()
    assert failed.value.reason.endswith(
        "MonotonicTerm was violated before; action 3 (S1 times out): "
        "state.current_term: 2, before: 0"
    )


def test_a_budget_that_runs_out_is_inconclusive() -> None:
    plan = Plan(kinds=("mutants", "random"), walks=10_000, workers=1)
    trial = try_out(setup(TOY), plan, deadline=out_of_time_when("playing runs"))
    reason = "the budget of 1 seconds, while playing runs"
    assert (trial.verdict, trial.stopped_by) == ("inconclusive", reason)
    assert trial.progress.steps == 0


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = ["conform", "--schedules", "mutants", "--workers", "1"]
    assert run([*some, "--", *TOY]) == 0
    out = capsys.readouterr().out
    assert out.startswith("conforms: no run that was played violates anything")
    assert f"{RUNS} mutants" in out
    schedule = tmp_path / "schedule.json"
    buggy = ["--option", "bug=forgets-vote", "--save-schedule", str(schedule)]
    assert run([*some, *buggy, "--json", "-", "--", *TOY]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["command"] == "conform --schedules"
    assert report["findings"][0]["first_breach"]["rule"] == "RESTART-VOTE"
    assert run(["conform", "--replay", str(schedule), "--", *TOY]) == 1
    assert "RESTART-VOTE" in capsys.readouterr().out
    assert run([*some, "--", *MISBEHAVING, "not-json"]) == 3
    assert "adapter-failed" in capsys.readouterr().out


def test_findings_are_annotations_for_github(capsys: pytest.CaptureFixture[str]) -> None:
    some = ["conform", "--schedules", "mutants", "--workers", "1", "--github"]
    assert run([*some, "--", *TOY]) == 0
    assert "::" not in capsys.readouterr().out
    assert run([*some, "--option", "bug=forgets-vote", "--", *TOY]) == 1
    (line,) = (each for each in capsys.readouterr().out.splitlines() if each.startswith("::"))
    assert line.startswith("::error title=raft-ref violates::VoteOncePerTerm after 2 actions: ")
    assert "%0A  broken first RESTART-VOTE by action 2" in line
