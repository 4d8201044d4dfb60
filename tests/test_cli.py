"""`raft-ref` as its users run it: what goes to which stream, and with which exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from jsonschema import Draft202012Validator

import spec
from model_check.cli import run
from model_check.explore import COMPILING, Budget
from tests import broken_cores
from tests.deadlines import out_of_time_when

SMALL = ["check", "--servers", "2", "--restarts"]
LARGER = ["check", "--servers", "3", "--restarts"]


class Outcome:
    """A command line that was run."""

    def __init__(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        self.code = run(arguments)
        captured = capsys.readouterr()
        self.out, self.err = captured.out, captured.err

    def report(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.out)
        return data


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A core that forgets its vote in a restart."""
    with pytest.MonkeyPatch.context() as patch:
        broken_cores.forget_vote_in_restart(patch)
        yield


def valid(data: object, schema: str) -> bool:
    path = Path(str(spec.__file__)).with_name("schemas") / schema
    Draft202012Validator(json.loads(path.read_text())).validate(data)
    return True


# --- what it finds ---------------------------------------------------------------------------


def test_a_complete_exploration_holds(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(SMALL, capsys)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("holds: everything within the bounds was explored")
    assert "285 states, 2,374 transitions" in outcome.out
    assert "2 servers, terms to 1, logs to 1, 2 values" in outcome.out


def test_the_report_says_the_same_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    report = Outcome([*SMALL, "--json", "-"], capsys).report()
    assert valid(report, "check_report.schema.json")
    assert (report["verdict"], report["states"], report["transitions"]) == ("holds", 285, 2374)
    assert report["bounds"] == {
        "servers": 2,
        "max_term": 1,
        "max_log": 1,
        "values": 2,
        "max_entries": 1,
        "conflict_hints": False,
        "window": None,
        "restarts": True,
        "heartbeats": True,
        "redirects": False,
        "only_timeout": [],
        "max_election_timeouts": None,
        "max_heartbeats": None,
        "max_client_requests": None,
        "max_restarts": None,
        "script": [],
    }
    assert report["violation"] is None
    assert (report["reached"]["election"], report["reached"]["split_vote"]) == (3, None)


def test_the_same_command_twice_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [Outcome([*SMALL, "--json", "-"], capsys).report() for _ in range(2)]
    for report in reports:
        del report["seconds"], report["memory_bytes"]
    assert reports[0] == reports[1]


def test_what_held_only_because_nothing_could_break_it_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [*SMALL, "--max-log", "0", "--property", "CommitStability"]
    outcome = Outcome(arguments, capsys)
    assert "warning: nothing could have broken CommitStability" in outcome.out
    assert "never reached commit" in outcome.out
    report = Outcome([*arguments, "--json", "-"], capsys).report()
    assert report["vacuous"] == {"CommitStability": ["commit"]}


def test_bounds_are_not_said_to_lack_what_was_not_explored(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Outcome([*SMALL, "--max-states", "2"], capsys).out
    assert "what was explored so far never reached commit" in out
    assert "these bounds" not in out


def test_a_property_that_could_have_been_broken_is_not_warned_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "warning" not in Outcome([*SMALL, "--property", "CommitStability"], capsys).out


@pytest.mark.parametrize(
    ("budget", "stopped_by"),
    [
        (["--max-states", "50"], "the budget of 50 states"),
        (["--max-states", "50", "--engine", "reference"], "the budget of 50 states"),
        (["--servers", "3", "--max-memory", "0.001"], "the budget of 0.001 GiB of memory"),
        (
            ["--servers", "3", "--max-seconds", "1e-9"],
            "the budget of 1e-09 seconds, while computing the renamings",
        ),
    ],
)
def test_a_budget_that_runs_out_is_inconclusive(
    budget: list[str], stopped_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome([*SMALL, *budget], capsys)
    assert outcome.code == 4
    assert outcome.out.startswith(f"inconclusive: stopped by {stopped_by}")
    report = Outcome([*SMALL, *budget, "--json", "-"], capsys).report()
    assert valid(report, "check_report.schema.json")
    assert (report["verdict"], report["stopped_by"]) == ("inconclusive", stopped_by)


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        (["--network", "once"], {}),
        (["--network", "fifo"], {"max_in_flight": 2, "loss": True}),
        (
            ["--network", "fifo", "--max-in-flight", "1", "--no-loss"],
            {"max_in_flight": 1, "loss": False},
        ),
    ],
)
def test_every_network_holds_and_reports_its_bounds(
    options: list[str], bounds: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    report = Outcome([*SMALL, *options, "--json", "-"], capsys).report()
    assert valid(report, "check_report.schema.json")
    assert (report["verdict"], report["network"]) == ("holds", options[1])
    assert bounds.items() <= report["bounds"].items()


@pytest.mark.parametrize(
    ("options", "figures"),
    [
        (["--engine", "reference"], ("reference", 285, 1, 1, False)),
        (["--no-symmetry", "--workers", "1"], ("compiled", 285, 1, 1, False)),
        (["--symmetry", "--workers", "2"], ("compiled", 83, 4, 2, False)),
        (["--eager", "--workers", "1"], ("compiled", 42, 4, 1, True)),
    ],
)
def test_the_report_says_how_it_was_explored(
    options: list[str],
    figures: tuple[str, int, int, int, bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Outcome([*SMALL, *options, "--json", "-"], capsys).report()
    assert valid(report, "check_report.schema.json")
    named = ("engine", "orbits", "renamings", "workers", "reduced")
    assert tuple(report[name] for name in named) == figures
    assert report["core_calls"] == 184
    assert report["verdict"] == "holds"


def test_progress_is_not_shown_where_there_is_no_terminal() -> None:
    command = [sys.executable, "-m", "model_check", *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    # Compiling is announced, piped or not; whether it is needed depends on what ran before.
    said = [line for line in done.stderr.splitlines() if line != COMPILING]
    assert (done.returncode, said) == (0, [])


def test_progress_is_shown_on_a_terminal_and_an_interrupt_leaves_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "model_check", "check", "--max-term", "9", "--json", str(path)]
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=its_end, env=os.environ | {"TERM": "xterm"}
    )
    os.close(its_end)
    shown = b""
    while b"depth 5:" not in shown:
        shown += os.read(terminal, 4096)
    assert b"to expand" in shown
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    os.close(terminal)
    assert process.returncode == 4
    assert out.startswith(b"inconclusive: stopped by an interrupt, with ")
    report = json.loads(path.read_text())
    assert valid(report, "check_report.schema.json")
    assert (report["verdict"], report["stopped_by"]) == ("inconclusive", "an interrupt")
    assert report["states"] > report["frontier"] > 0


def test_a_full_disk_is_told_in_a_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "model_check", *SMALL],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "raft-ref: cannot go on: [Errno 28] No space left on device\n"


# --- counterexamples -------------------------------------------------------------------------


@pytest.mark.usefixtures("broken")
def test_a_counterexample_is_shown_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(SMALL, capsys)
    assert outcome.code == 1
    assert outcome.out.startswith("violated: VoteOncePerTerm after 2 actions: S1 had voted for S1")
    rows = [line for line in outcome.out.splitlines() if line.startswith("│")]
    assert "S1 times out" in rows[0]
    assert "role: follower → candidate" in rows[0]
    assert "to S2: RequestVote(term=1" in rows[0]
    assert "S1 crashes and restarts" in rows[3]
    assert "voted_for: S1 → none" in rows[4]


@pytest.mark.usefixtures("broken")
def test_a_counterexample_is_shown_as_a_diagram(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Outcome([*LARGER, "--property", "ElectionSafety", "--show", "mermaid"], capsys)
    assert shown.err.startswith("violated: ElectionSafety after")
    diagram = shown.out
    assert diagram.splitlines()[:5] == [
        "sequenceDiagram",
        "    participant S1",
        "    participant S2",
        "    participant S3",
        "    Note over S1: S1 times out<br/>role: follower → candidate"
        "<br/>current_term: 0 → 1<br/>voted_for: none → S1",
    ]
    assert "    S1->>S2: RequestVote(term=1, last_log_index=0, last_log_term=0)" in diagram
    assert (
        "Note over S1,S3: ElectionSafety is violated: term 1 has had more than one leader"
        in diagram
    )


def run_pasted(test: str) -> None:
    """Run the one test function in the source text ``test``."""
    names: dict[str, Any] = {}
    exec(compile(test, "pasted", "exec"), names)  # noqa: S102 - it is meant to be run
    (function,) = (value for name, value in names.items() if name.startswith("test_"))
    function()


def test_a_counterexample_can_be_pasted_as_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        broken_cores.forget_vote_in_restart(patch)
        arguments = [*LARGER, "--property", "ElectionSafety", "--show", "pytest"]
        test = Outcome(arguments, capsys).out
        assert "def test_election_safety() -> None:" in test
        with pytest.raises(AssertionError):
            run_pasted(test)
    run_pasted(test)


def test_a_test_that_is_written_to_a_file_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = ["--property", "ElectionSafety", "--mutant", "vote-not-persisted", "--restarts"]
    file = tmp_path / "test_it.py"
    file.write_text(Outcome(["check", *some, "--show", "pytest"], capsys).out)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "1 failed" in done.stdout) == (1, True)
    assert "is None" in done.stdout


@pytest.mark.parametrize("show", ["mermaid", "pytest"])
def test_where_nothing_is_found_standard_output_is_empty(
    show: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome([*SMALL, "--show", show], capsys)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("holds: ")


def test_two_cannot_have_standard_output_for_themselves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = Outcome([*SMALL, "--show", "pytest", "--json", "-"], capsys)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--json - does not go with --show pytest: write the report to a file" in outcome.err


def test_a_step_that_fails_is_a_counterexample(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_cores.divide_by_zero_on_commit(monkeypatch)
    outcome = Outcome([*SMALL, "--network", "fifo"], capsys)
    assert outcome.code == 1
    assert outcome.out.startswith("violated: Totality after 9 actions: ZeroDivisionError")
    assert "fails: ZeroDivisionError" in outcome.out


# --- replay ----------------------------------------------------------------------------------


@pytest.fixture
def counterexample(tmp_path: Path, broken: None, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "report.json"
    assert Outcome([*SMALL, "--json", str(path)], capsys).code == 1
    assert valid(json.loads(path.read_text()), "check_report.schema.json")
    return path


def test_a_violation_is_replayed(counterexample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(["check", "--replay", str(counterexample)], capsys)
    assert outcome.code == 1
    assert outcome.out.startswith("violated: VoteOncePerTerm")
    replayed = Outcome(["check", "--replay", str(counterexample), "--json", "-"], capsys).report()
    assert valid(replayed, "replay_report.schema.json")
    assert (replayed["verdict"], replayed["actions_taken"]) == ("violated", 2)


def test_a_violation_that_was_mended_is_not_reproduced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    with pytest.MonkeyPatch.context() as patch:
        broken_cores.forget_vote_in_restart(patch)
        Outcome([*LARGER, "--property", "ElectionSafety", "--json", str(path)], capsys)
    outcome = Outcome(["check", "--replay", str(path)], capsys)
    assert outcome.code == 0
    assert outcome.out.startswith("not reproduced: after ")
    assert "the next one cannot happen any more: S" in outcome.out
    replayed = Outcome(["check", "--replay", str(path), "--json", "-"], capsys).report()
    assert valid(replayed, "replay_report.schema.json")
    assert replayed["verdict"] == "not_reproduced"


# --- the state graph -------------------------------------------------------------------------


def test_the_state_graph_is_written_as_graphml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.graphml"
    assert Outcome([*SMALL, "--graph", str(path)], capsys).code == 0
    graph = nx.read_graphml(path)
    assert (len(graph), graph.number_of_edges()) == (285, 2374)
    assert graph.nodes["0"]["S1"] == "follower, term 0, voted for none, log [], commit 0"
    assert max(data["depth"] for _, data in graph.nodes(data=True)) == 11
    assert "S1 times out" in {data["action"] for *_, data in graph.edges(data=True)}


def test_the_state_graph_is_written_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.json"
    assert Outcome([*SMALL, "--graph", str(path)], capsys).code == 0
    graph = nx.node_link_graph(json.loads(path.read_text()), edges="edges")
    assert (len(graph), graph.number_of_edges()) == (285, 2374)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the parser that pydot uses
def test_the_state_graph_is_written_as_dot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.dot"
    assert (
        Outcome(["check", "--servers", "1", "--restarts", "--graph", str(path)], capsys).code == 0
    )
    graph = nx.nx_pydot.read_dot(path)
    # By hand: follower; leader with nothing, v1 or v2; these three restarted. Edges: 2 (timeout,
    # restart) + 4 (heartbeat, v1, v2, restart) + 2 * 2 (heartbeat, restart) + 3 (restart).
    assert len([node for node in graph if node.isdigit()]) == 7
    assert graph.number_of_edges() == 13


def test_a_graph_that_is_too_large_is_refused_before_anything_is_explored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explore(*_: object) -> None:
        raise AssertionError("it explores")

    monkeypatch.setattr("model_check.graph.GRAPH_LIMIT", 100)
    monkeypatch.setattr("model_check.commands.check.check", explore)
    path = tmp_path / "graph.json"
    outcome = Outcome([*SMALL, "--graph", str(path)], capsys)
    assert (outcome.code, outcome.out) == (2, "")
    assert "the state graph has more than 100 states; choose smaller bounds" in outcome.err
    assert not path.exists()


def test_a_graph_does_not_change_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_cores.forget_vote_in_restart(monkeypatch)
    path = tmp_path / "graph.json"
    limits = ["--max-log", "0", "--max-restarts", "1"]
    outcome = Outcome(["check", "--restarts", *limits, "--graph", str(path)], capsys)
    assert outcome.code == 1
    assert outcome.out.startswith("violated")
    assert path.exists()


def test_a_graph_takes_no_longer_than_there_is_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Budget(deadline=out_of_time_when("writing the state graph"))
    monkeypatch.setattr("model_check.commands.check.budget_from", lambda _: late)
    outcome = Outcome(["check", "--graph", str(tmp_path / "graph.json")], capsys)
    assert (outcome.code, outcome.out) == (4, "")
    reason = "the budget of 1 seconds, while writing the state graph"
    assert outcome.err.strip() == f"raft-ref: inconclusive: stopped by {reason}"


# --- bad input: one line that says what to do, exit code 2, nothing lost ----------------------

NOT_A_REPORT = "is not a report of a check to replay"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bogus"], "No such option"),
        (["bogus"], "No such command 'bogus'"),
        (["check", "--bogus"], "No such option"),
        (["check", "--servers", "0"], "0 is not in the range x>=1"),
        (["check", "--servers", "three"], "'three' is not a valid integer range"),
        (["check", "--max-term", "-1"], "-1 is not in the range x>=0"),
        (["check", "--max-log", "-1"], "-1 is not in the range x>=0"),
        (["check", "--values", "0"], "0 is not in the range x>=1"),
        (["check", "--max-states", "0"], "0 is not in the range x>=1"),
        (["check", "--max-seconds", "0"], "0.0 is not in the range x>0"),
        (["check", "--max-seconds", "nan"], "nan is no finite number"),
        (["check", "--network", "udp"], "'udp' is not one of 'replayable', 'once', 'fifo'"),
        (["check", "--engine", "warp"], "'warp' is not one of"),
        (["check", "--property", "Liveness"], "'Liveness' is not one of 'ElectionSafety'"),
        (["check", "--max-in-flight", "3"], "--max-in-flight belongs to --network fifo"),
        (["check", "--no-loss"], "--loss/--no-loss belongs to --network fifo"),
        (
            ["check", "--engine", "reference", "--workers", "2"],
            "--workers belongs to --engine comp",
        ),
        (["check", "--engine", "reference", "--symmetry"], "--symmetry/--no-symmetry belongs to"),
        (["check", "--engine", "reference", "--eager"], "--eager/--no-eager belongs to --engine"),
        (
            ["check", "--network", "once", "--eager"],
            "--eager/--no-eager belongs to --network replayable",
        ),
        (["check", "--workers", "0"], "0 is not in the range 1<=x<=64"),
        (["check", "--max-memory", "0"], "0.0 is not in the range x>0"),
        (["check", "--graph", "graph.png"], "must end in .graphml, .dot, .json"),
        (["check", "--json", "/nowhere/report.json"], "cannot write /nowhere/report.json: No such"),
        (["check", "--graph", "/nowhere/graph.dot"], "cannot write /nowhere/graph.dot: No such"),
        (["check", "--json", "/"], "is a directory"),
        (["check", "--replay", "/nowhere.json"], "cannot read /nowhere.json: No such file"),
        (["check", "--replay", "report.json", "--servers", "3"], "--servers does not go with"),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(arguments, capsys)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "at $: [] is not of type 'object'"),
        (b"{}", "is a required property"),
        (b'{"schema_version": 2}', "at $"),
    ],
)
def test_what_is_no_report_is_not_replayed(
    content: bytes, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    outcome = Outcome(["check", "--replay", str(path)], capsys)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (["violation"], None, "it reports no violation"),
        (["bounds", "servers"], 0, "at $.bounds.servers: 0 is less than the minimum"),
        (["bounds", "loss"], "yes", "at $.bounds.loss"),
        (["properties"], ["Liveness"], "no property 'Liveness'"),
        (["network"], "udp", "at $.network"),
        (["violation", "actions", 0, "event"], {}, "in $.violation.actions[0]: at $.type"),
        (["violation", "actions", 0, "node"], 9, "there is no server 9"),
        (["violation", "actions", 0], {"action": "jump"}, "at $.violation.actions[0]"),
    ],
)
def test_a_report_that_was_tampered_with_is_not_replayed(
    path: list[Any],
    value: object,
    complaint: str,
    counterexample: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = json.loads(counterexample.read_text())
    place = report
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    counterexample.write_text(json.dumps(report))
    outcome = Outcome(["check", "--replay", str(counterexample)], capsys)
    assert outcome.code == 2
    assert NOT_A_REPORT in outcome.err
    assert complaint in outcome.err


def test_an_earlier_report_is_not_lost_to_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_text("precious")
    arguments = [*SMALL, "--json", str(path), "--graph", "/nowhere/graph.dot"]
    assert Outcome(arguments, capsys).code == 2
    assert path.read_text() == "precious"


# --- the rest --------------------------------------------------------------------------------


def test_without_arguments_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome([], capsys)
    assert outcome.code == 0
    assert "Exit codes:" in outcome.out
    assert "check" in outcome.out


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["check", "-h"]])
def test_help_tells_the_exit_codes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(arguments, capsys)
    assert outcome.code == 0
    assert "Exit codes: 0" in outcome.out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert Outcome(["--version"], capsys).out.startswith("raft-ref ")
