"""Exploring what stands behind an adapter: the core, a toy with bugs, adapters that misbehave.

Those of real implementations stand in `test_peers.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from model_check.check import FASTEST, EngineName, Means, NetworkName, Setup, check
from model_check.cli import run
from model_check.conformance import confirm
from model_check.conformance.difference import difference
from model_check.conformance.explore import Conformance, ForeignSetup, conform
from model_check.conformance.learner import Adapter
from model_check.conformance.observed import ForeignMessage, ObservedState
from model_check.conformance.process import AdapterFailed
from model_check.conformance.report import conform_report
from model_check.conformance.table import LearntStep, TableError
from model_check.raft import Bounds
from model_check.render_pytest import Redoing, as_foreign_pytest
from model_check.system import Violation
from raft_ref import Entry, IndexMap, Leader, Log, PersistentState

HERE = Path(__file__).parent
REFERENCE = (sys.executable, str(HERE / "peers/reference/adapter.py"))
TOY = (sys.executable, str(HERE / "peers/toy/adapter.py"))
MISBEHAVING = (sys.executable, str(HERE / "misbehaving.py"))


def explore(
    command: tuple[str, ...],
    bounds: Bounds,
    *,
    network: NetworkName = "replayable",
    means: Means = FASTEST,
    table: Path | None = None,
    step_timeout: float = 10.0,
    **options: str,
) -> Conformance:
    adapter = Adapter(
        command=command,
        servers=bounds.servers,
        options=tuple(options.items()),
        step_timeout=step_timeout,
    )
    setup = ForeignSetup(adapter=adapter, space=Setup(bounds=bounds, network=network))
    return conform(setup, means=means, table=table)


def valid(report: object) -> bool:
    path = files("spec").joinpath("schemas/conform_report.schema.json")
    Draft202012Validator(json.loads(path.read_text())).validate(json.loads(json.dumps(report)))
    return True


# --- the core itself -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["compiled", pytest.param("reference", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("bounds", "network"),
    [
        (Bounds(servers=2, restarts=True), "replayable"),
        (Bounds(servers=3, max_log=0), "replayable"),
        (Bounds(servers=2, max_log=2, values=1, max_restarts=1, restarts=True), "fifo"),
        (Bounds(servers=2, max_term=2, max_log=0), "once"),
    ],
)
def test_the_core_behind_an_adapter_is_what_it_is_without(
    bounds: Bounds, network: NetworkName, engine: EngineName
) -> None:
    directly = check(Setup(bounds=bounds, network=network), means=Means(engine=engine)).exploration
    result = explore(REFERENCE, bounds, network=network, means=Means(engine=engine))
    found = result.exploration
    assert result.verdict == "conforms"
    figures = (directly.states, directly.transitions, directly.depth, directly.reached)
    assert (found.states, found.transitions, found.depth, found.reached) == figures
    assert result.adapter_calls == found.core_calls == directly.core_calls
    assert (result.unjudged, result.vacuous.keys() & {"ElectionSafety"}) == ({}, set())


# --- the toy ---------------------------------------------------------------------------------


SAFE = Bounds(values=1, max_log=1)
TWO_TERMS = Bounds(max_term=2, values=1, heartbeats=False, only_timeout=(1, 3))
RESTARTS = Bounds(max_log=0, restarts=True, max_restarts=1)
TWO_ENTRIES = Bounds(max_log=2, values=1, only_timeout=(1,), max_heartbeats=1)
HEARTBEAT = Bounds(max_term=2, values=1, max_heartbeats=1)


def test_the_toy_conforms() -> None:
    result = explore(TOY, SAFE)
    assert result.verdict == "conforms"
    assert result.exploration.states == 29_807
    assert valid(conform_report(result))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "bounds", "broken"),
    [
        ("votes-twice", SAFE, "VoteOncePerTerm"),
        ("forgets-vote", RESTARTS, "VoteOncePerTerm"),
        ("ignores-logs", TWO_TERMS, "LeaderCompleteness"),
        ("commits-alone", HEARTBEAT, "LeaderCompleteness"),
        ("truncates", TWO_ENTRIES, "CommitStability"),
    ],
)
def test_every_bug_of_the_toy_is_found(bug: str, bounds: Bounds, broken: str) -> None:
    result = explore(TOY, bounds, means=Means(eager=True), bug=bug)
    assert result.verdict == "violates"
    violation = result.findings[0].violation
    assert violation is not None
    assert violation.property == broken
    assert valid(conform_report(result))


def test_a_failed_step_is_a_finding_and_exploration_goes_on() -> None:
    result = explore(TOY, TWO_TERMS, means=Means(eager=True), bug="crashes")
    assert result.verdict == "failed-step"
    assert result.exploration.verdict == "holds"
    (run,) = result.findings
    assert run.violation is not None
    assert "the log conflicts" in run.violation.explanation
    assert valid(conform_report(result))


# --- adapters that misbehave -----------------------------------------------------------------


COUNTING = Bounds(servers=3, max_term=2, max_log=0)


def misbehave(fault: str, *more: str, step_timeout: float = 10.0) -> Conformance:
    return explore((*MISBEHAVING, fault, *more), COUNTING, step_timeout=step_timeout)


def test_it_is_explored_to_the_end_when_it_behaves() -> None:
    """Its servers only count, and never lead, so nothing could have gone wrong."""
    result = misbehave("")
    assert (result.exploration.verdict, result.exploration.states) == ("holds", 3**3)
    assert result.verdict == "inconclusive"
    assert [each.lack for each in result.shortfalls] == ["no leader was elected"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("lacks-a-field", "lacks the field 'commit_index'"),
        ("wrong-type", "Expected `int`, got `str`"),
        ("huge", "Expected `int` <= 9007199254740991"),
        ("unknown-field", "unknown field `currentTerm`"),
        ("lacks-a-server", "must give the states of [1, 2, 3]"),
        ("same-fingerprint", "have the same fingerprint"),
        ("chance", "does not do the same again"),
        ("forged", "sent a message from server"),
        ("to-itself", "sent a message to itself"),
        ("not-its-fields", "missing required field `last_log_index`"),
        ("fields-no-object", "Expected `object`, got `array`"),
        ("error-10", "error 10: not today"),
        ("not-json", "JSON is malformed"),
        ("half-a-line", "malformed|truncated"),
        ("not-utf-8", "utf-8|Invalid"),
        ("another-request", "a reply to request"),
        ("another-type", "Invalid value 'reset_done'|_done"),
        ("twice", "a reply to request"),
        ("nested", "malformed|recursion|Expected `object`"),
    ],
)
def test_an_adapter_at_fault_is_told_so(fault: str, reason: str) -> None:
    with pytest.raises(AdapterFailed, match=reason.replace("[", r"\[").replace("]", r"\]")):
        misbehave(fault)


def test_an_adapter_at_fault_is_shown_what_was_sent_and_how_that_was_answered() -> None:
    with pytest.raises(AdapterFailed) as failed:
        misbehave("chance")
    request, reply = json.loads(failed.value.request), json.loads(failed.value.reply)
    assert (request["type"], reply["type"]) == ("election_timeout", "election_timeout_ok")
    assert request["msg_id"] == reply["in_reply_to"]
    fingerprint = reply["fingerprint"]
    assert f': fingerprint: "{fingerprint}", before: "1 ' in failed.value.reason


def test_an_adapter_that_ends_on_a_reset_is_at_fault() -> None:
    with pytest.raises(AdapterFailed, match="exit code 3, at a reset of server") as failed:
        misbehave("ends-on-reset")
    assert json.loads(failed.value.request)["type"] == "reset"


@pytest.mark.parametrize("fault", ["prints", "prints-a-number", "logs-json", "not-json"])
def test_an_adapter_that_prints_is_told_where_that_belongs(fault: str) -> None:
    with pytest.raises(AdapterFailed) as failed:
        misbehave(fault)
    assert "standard output is the protocol" in failed.value.reason
    assert "debug output, belongs on standard error" in failed.value.reason


@pytest.mark.parametrize("fault", ["lacks-a-field", "wrong-type", "twice", "another-type"])
def test_one_that_replies_badly_is_told_that_alone(fault: str) -> None:
    with pytest.raises(AdapterFailed) as failed:
        misbehave(fault)
    assert "standard output" not in failed.value.reason


def test_quotes_around_the_whole_command_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command(["conform", "--", "python3 adapter.py --fast"], capsys)
    assert code == 3
    assert out.startswith("adapter-failed: cannot start python3 adapter.py --fast: No such file")
    assert "write -- python3 adapter.py --fast, without quotes" in out
    code, out, _ = command(["conform", "--", "adapter.py"], capsys)
    assert (code, "the quotes make" in out) == (3, False)
    # A file may have a space in its name, and even then lack permission, or an interpreter.
    spaced = tmp_path / "my adapter"
    spaced.write_text("")
    code, out, _ = command(["conform", "--", str(spaced)], capsys)
    assert (code, "Permission denied" in out, "the quotes make" in out) == (3, True, False)
    spaced.write_text("#!/nowhere/python\n")
    spaced.chmod(0o755)
    code, out, _ = command(["conform", "--", str(spaced)], capsys)
    assert (code, "the quotes make" in out) == (3, False)


STATE = ObservedState(
    PersistentState(log=Log((Entry(1, "v1"), Entry(1, "v2")))), fingerprint="x" * 100
)
MESSAGE = ForeignMessage(1, 2, "hello", '{"is": true}', "p")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            LearntStep(
                replace(
                    STATE, persistent=PersistentState(log=Log((Entry(1, "v1"), Entry(2, "v2"))))
                )
            ),
            "state.log[1].term: 2, before: 1; messages[0]: nothing, before: "
            '{"to": 2, "kind": "hello", "fields": {"is": true}, "payload": "p"}',
        ),
        (
            LearntStep(STATE, (replace(MESSAGE, fields='{"is": 1}'),)),
            "messages[0].fields.is: 1, before: true",
        ),
        (
            LearntStep(replace(STATE, fingerprint="x" * 90 + "y"), (MESSAGE,)),
            f'fingerprint: from character 71 on "{"x" * 20}y", before: "{"x" * 30}"',
        ),
        (
            LearntStep(
                replace(
                    STATE, role=Leader(IndexMap(), IndexMap()), persistent=PersistentState(1, 2)
                )
            ),
            "state.current_term: 1, before: 0; state.voted_for: 2, before: null; "
            'state.role: "leader", before: "follower"; and 3 more fields',
        ),
    ],
)
def test_two_outcomes_are_told_apart_by_the_paths_of_their_fields(
    now: LearntStep, words: str
) -> None:
    assert difference(LearntStep(STATE, (MESSAGE,)), now) == words


def test_an_adapter_that_does_not_start_is_told_so() -> None:
    with pytest.raises(AdapterFailed, match="cannot start nobody: No such file"):
        explore(("nobody",), COUNTING)
    with pytest.raises(AdapterFailed, match="exit code 0, at init"):
        explore(("true",), COUNTING)
    with pytest.raises(AdapterFailed, match=r"no answer in 0\.3 s, at init"):
        misbehave("silent", step_timeout=0.3)


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("dies", "the process was killed by SIGKILL"),
        ("exits", "the process ended with exit code 3"),
        ("hangs", "no answer in 1 s"),
        ("error-13", "not today"),
        ("closes-stdout", "the process closed its standard output"),
    ],
)
def test_a_server_that_fails_each_time_is_a_finding(fault: str, how: str) -> None:
    result = misbehave(fault, step_timeout=1.0)
    assert result.verdict == "failed-step"
    (finding,) = result.findings
    assert (finding.violation.property, len(finding.run.moments)) == ("Totality", 2)
    assert finding.violation.explanation.startswith(how)
    assert fault != "dies" or "about to die" in finding.violation.explanation


def test_a_server_that_fails_once_is_the_adapters_fault(tmp_path: Path) -> None:
    with pytest.raises(AdapterFailed, match="did not when a fresh process did the same"):
        misbehave("dies-once", str(tmp_path / "died"))


def test_an_adapter_that_hides_state_is_told_where_two_histories_parted() -> None:
    with pytest.raises(
        AdapterFailed, match="the adapter hides state: two histories of server"
    ) as at:
        misbehave("hides-state")
    assert "times out" in at.value.reason
    assert "receives hello() from" in at.value.reason


def test_failures_that_come_again_are_the_same_if_they_are_of_one_kind() -> None:
    """A process may say more of it the second time; but not that something else is wrong."""
    assert confirm._is_same("exit status 1\nat line 3", "exit status 1\nat line 4")
    assert not confirm._is_same("exit status 1", "no answer in 1 s")


def test_what_cannot_be_observed_is_not_judged() -> None:
    result = misbehave("hides-votes")
    assert (result.exploration.verdict, result.findings) == ("holds", ())
    assert result.unjudged == {"VoteOncePerTerm": ("voted_for",)}
    assert valid(conform_report(result))


# --- tables ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_learnt_is_used_again(tmp_path: Path) -> None:
    table = tmp_path / "table"
    first = explore(TOY, SAFE, table=table)
    again = explore(TOY, SAFE, table=table)
    assert first.adapter_calls > 0
    assert again.adapter_calls == 0
    assert again.exploration.states == first.exploration.states
    larger = explore(TOY, Bounds(values=1, max_log=1, restarts=True, max_restarts=1), table=table)
    assert 0 < larger.adapter_calls < larger.exploration.core_calls


def test_failures_are_kept_too(tmp_path: Path) -> None:
    table = tmp_path / "table"
    for calls in (True, False):
        result = explore(TOY, TWO_TERMS, means=Means(eager=True), table=table, bug="crashes")
        assert result.verdict == "failed-step"
        assert (result.adapter_calls > 0) == calls


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "table"
    explore(TOY, SAFE, table=table)
    with pytest.raises(TableError, match="learnt with another options"):
        explore(TOY, SAFE, table=table, bug="crashes")
    with pytest.raises(TableError, match="learnt with another adapter"):
        explore(REFERENCE, SAFE, table=table)
    table.write_text("no table at all, but long enough to be looked at as one" * 40)
    with pytest.raises(TableError, match="is not a table of steps"):
        explore(TOY, SAFE, table=table)


# --- the command -----------------------------------------------------------------------------


BUGGY = ["conform", "--explore", "--option", "bug=votes-twice", "--values", "1"]


def command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_conforms(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["conform", "--explore", "--max-log", "0", "--", *TOY]
    code, out, err = command(arguments, capsys)
    assert (code, err) == (0, "")
    assert out.startswith("conforms: everything within the bounds was explored")
    assert "judged       toy" in out


@pytest.mark.parametrize(
    ("show", "shown"),
    [
        ("table", "S3 receives RequestVote(term=1"),
        ("mermaid", "S1->>S2: RequestVote(term=1"),
        ("pytest", "def test_vote_once_per_term(tmp_path"),
    ],
)
def test_the_command_shows_what_it_found(
    show: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = command([*BUGGY, "--show", show, "--", *TOY], capsys)
    assert code == 1
    verdict = out if show == "table" else err
    assert verdict.startswith("violates: VoteOncePerTerm after 4 actions")
    assert show == "table" or "VoteOncePerTerm after" not in out
    for word in shown.split():
        assert word.strip("S123") in out


def test_a_schedule_is_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule = tmp_path / "schedule.json"
    command([*BUGGY, "--save-schedule", str(schedule), "--", *TOY], capsys)
    data = json.loads(schedule.read_text())
    path = files("spec").joinpath("schemas/schedule.schema.json")
    Draft202012Validator(json.loads(path.read_text())).validate(data)
    replay = ["conform", "--replay", str(schedule)]
    code, out, _ = command([*replay, "--", *TOY], capsys)
    assert (code, out.split(":")[:2]) == (1, ["violates", " VoteOncePerTerm after 4 actions"])
    code, out, _ = command([*replay, "--json", "-", "--", *TOY], capsys)
    assert json.loads(out)["finding"]["property"] == "VoteOncePerTerm"
    # The bug switched off, the same messages are sent, but no vote is given twice.
    code, out, _ = command([*replay, "--option", "bug=crashes", "--", *TOY], capsys)
    assert (code, out) == (0, "not reproduced: all 4 actions, and nothing is violated\n")


def run_pytest_on(text: str, directory: Path) -> tuple[int, str]:
    """What pytest makes of a file with ``text``, where nothing was put on the PATH for it."""
    (directory / "test_it.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=directory,
        env={**os.environ, "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_pytest_it_shows_is_a_file_that_fails_as_it_should(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, test, _ = command([*BUGGY, "--show", "pytest", "--", *TOY], capsys)
    code, out = run_pytest_on(test, tmp_path)
    assert (code, "1 failed" in out) == (1, True)
    assert "violates: VoteOncePerTerm" in out


STAND_IN = """#!/bin/sh
[ "$1 $2 $4 $5 $6" = "conform --replay --profile etcd --" ] || exit 9
exit "$(cat "$3")"
"""
"""For raft-ref: a schedule is the exit code."""


def test_several_runs_are_one_file_of_several_tests(tmp_path: Path) -> None:
    stand_in = tmp_path / "raft-ref"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    died = 'the process ended:\n  """\\N{no name} \0 \x1b[31mpanic"""'
    runs = [
        Redoing(Violation("VOTE-ONCE", "S1: two votes"), "0", "etcd"),
        Redoing(Violation("VoteOnce", died), "1", "etcd"),
        Redoing(Violation("Totality", died), "0", "etcd"),
    ]
    text = as_foreign_pytest(runs, ("an", "adapter"))
    code, out = run_pytest_on(
        text.replace("os.path.dirname(sys.executable)", repr(str(tmp_path))), tmp_path
    )
    assert (code, "1 failed, 2 passed" in out) == (1, True)
    assert "test_vote_once_2" in out


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--explore", "--replay", "x", "--", *TOY], 2, "--replay does not go with --explore"),
        (["--explore", "--walks", "9", "--", *TOY], 2, "--walks does not go with --explore"),
        (["--max-term", "2", "--", *TOY], 2, "--max-term belongs to --explore"),
        (["--explore"], 2, "Missing argument 'COMMAND"),
        (["--explore", "--only-timeout", "4", "--", *TOY], 2, "there is no server 4"),
        (["--explore", "--only-timeout", "x", "--", *TOY], 2, "no list of servers"),
        (["--explore", "--script", "timeout 4", "--", *TOY], 2, "script: there is no server 4"),
        (["--explore", "--max-restarts", "1", "--", *TOY], 2, "belongs to --restarts"),
        (["--explore", "--option", "bug", "--", *TOY], 2, "looks like NAME=VALUE"),
        (["--replay", "/nowhere", "--", *TOY], 2, "cannot read /nowhere"),
        (["--replay", str(HERE / "toys.py"), "--", *TOY], 2, "is no schedule: Expected `object`"),
        (["--replay", "x", "--max-term", "2", "--", *TOY], 2, "does not go with --replay"),
        (["--explore", "--option", "bug=no", "--", *TOY], 3, "error 10 at init: bug must be one"),
        (["--explore", "--", *MISBEHAVING, "huge"], 3, "adapter-failed: Expected `int` <="),
        (["--explore", "--", *MISBEHAVING, "hides-terms"], 4, "inconclusive: stopped by current_t"),
        (["--explore", "--max-states", "9", "--", *TOY], 4, "inconclusive: stopped by the budget"),
    ],
)
def test_what_does_not_work_is_said(
    arguments: list[str], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = command(["conform", *arguments], capsys)
    assert found == code
    assert complaint in out + err
    assert "Traceback" not in err


def test_an_adapter_at_fault_is_reported_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["conform", "--explore", "--json", "-", "--", *MISBEHAVING, "twice"]
    code, out, err = command(arguments, capsys)
    report = json.loads(out)
    assert (code, report["verdict"]) == (3, "adapter-failed")
    assert "a reply to request" in report["reason"]
    assert report["request"].startswith('{"type":')
    assert err.startswith("adapter-failed")
    assert valid(report)
