"""The cluster under a simulated clock, network and disk."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from model_check.cli import run
from model_check.cluster import simulated
from model_check.cluster.simulated import judgements
from model_check.commands import cluster_simulate
from raft_ref import Log, NodeState
from raft_ref.cluster.driver import Driver
from raft_ref.cluster.frames import Frame
from raft_ref.cluster.replies import Count
from raft_ref.cluster.server import Batch, Input, Server
from raft_ref.cluster.simulation import Outcome, Scale, Weather, simulate
from raft_ref.cluster.simulation.host import Host
from raft_ref.cluster.wire import LENGTH_SIZE, decode_frame, encode_frame
from raft_ref.types import NodeId
from tests.cluster_bugs import BUGS, ECHO, Bug


def problems(outcome: Outcome, *, judges_traces: bool = True) -> Iterator[str]:
    """All that is not as it should be."""
    for each in judgements(outcome, judges_traces=judges_traces):
        if each.answer != "holds":
            yield each.reason


@pytest.mark.parametrize("seed", range(5))
def test_whatever_goes_wrong_nothing_is_lost_stale_or_against_the_rules(seed: int) -> None:
    assert list(problems(simulate(seed))) == []


@pytest.mark.parametrize("servers", [1, 2, 5])
def test_clusters_of_other_sizes(servers: int) -> None:
    assert list(problems(simulate(1, Scale(servers=servers, seconds=2)))) == []


def test_many_runs_hold_in_which_much_happens() -> None:
    outcomes = [simulate(seed) for seed in range(100, 115)]
    assert [problem for each in outcomes for problem in problems(each, judges_traces=False)] == []
    metrics = [outcome.metrics for outcome in outcomes]
    assert sum(each.crashes for each in metrics) > 5
    assert sum(each.partitions for each in metrics) > 5
    assert sum(each.pauses for each in metrics) > 2
    assert sum(each.lost for each in metrics) > 20
    assert sum(each.repeated for each in metrics) > 20
    certainties = [each.certainty for outcome in outcomes for each in outcome.history]
    assert certainties.count("ok") > 200
    assert certainties.count("unknown") > 20
    assert certainties.count("failed") > 0


def test_the_same_seed_is_the_same_run_to_the_byte() -> None:
    once, again, other = simulate(3), simulate(3), simulate(4)
    assert (once.traces, once.history) == (again.traces, again.history)
    assert once.traces != other.traces


def first_changed(states: Mapping[int, NodeState], **changes: object) -> dict[int, NodeState]:
    return {**states, 1: replace(states[1], **changes)}  # type: ignore[arg-type] # of its fields


def without_its_last_entry(outcome: Outcome) -> dict[int, NodeState]:
    persistent = outcome.states[1].persistent
    shorter = replace(persistent, log=Log(persistent.log.entries[:-1]))
    return first_changed(outcome.states, persistent=shorter)


WRONG: dict[str, Callable[[Outcome], Outcome]] = {
    "the logs differ in the end": lambda it: replace(it, states=without_its_last_entry(it)),
    "the commit indexes differ in the end": lambda it: replace(
        it, states=first_changed(it.states, commit_index=0)
    ),
    "the stores differ in the end": lambda it: replace(it, stores={**it.stores, 1: {}}),
    "no order of its operations explains": lambda it: replace(
        it, stores={n: {} for n in it.stores}
    ),
    "call 1 of client": lambda it: replace(
        it, history=tuple(each for each in it.history if each.reply != Count(1))
    ),
}
"""By what is said of it: what may have come of a run."""


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_with_a_run_is_seen(said: str) -> None:
    outcome = WRONG[said](simulate(2))
    assert any(said in problem for problem in problems(outcome, judges_traces=False))


class OnTheWire(Driver):
    """Every frame goes through the bytes that it is on a real network."""

    def _release(self, batch: Batch) -> None:
        sends = tuple((to, self._through_bytes(to, frame)) for to, frame in batch.sends)
        super()._release(replace(batch, sends=sends))

    def _through_bytes(self, destination: NodeId, frame: Frame) -> Frame:
        assert isinstance(self._outlet, Host)
        config = self._outlet.config
        content = encode_frame(frame)[LENGTH_SIZE:]
        return decode_frame(content, replace(config, id=destination), config.id, 0)


def test_the_wire_makes_no_difference() -> None:
    plain, wired = simulate(2), simulate(2, new_driver=OnTheWire)
    assert plain.history == wired.history
    assert plain.traces == wired.traces


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_bug_of_the_shell_is_noticed_and_only_with_the_bug(bug: Bug) -> None:
    seed = next(seed for seed in range(bug.since, bug.since + 30) if is_noticed(bug, seed))
    assert list(problems(simulate(seed, bug.scale))) == []


def is_noticed(bug: Bug, seed: int) -> bool:
    found = problems(bug.simulate(seed), judges_traces=bug.shows_in_traces)
    return any(re.search(bug.shows, problem) for problem in found)


# --- the command -----------------------------------------------------------------------------


def simulated_by_command(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, object]]:
    code = run(["cluster", "simulate", *arguments, "--json", "-"])
    report: dict[str, object] = json.loads(capsys.readouterr().out)
    schema = json.loads((files("spec") / "schemas" / "simulation_report.schema.json").read_text())
    Draft202012Validator(schema).validate(report)
    return code, report


def test_runs_hold_however_many_are_done_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--runs", "25", "--seed", "7", "--traces-every", "20"]
    code, alone = simulated_by_command([*arguments, "--jobs", "1"], capsys)
    assert (code, alone["verdict"], alone["runs"], alone["traces_judged"]) == (0, "holds", 25, 2)
    _, together = simulated_by_command([*arguments, "--jobs", "2"], capsys)
    assert {**alone, "seconds": 0} == {**together, "seconds": 0}


def test_an_interrupt_ends_it_at_once_and_leaves_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    scale = ["--runs", "40", "--seconds", "20000", "--jobs", "2"]
    command = [sys.executable, "-m", "model_check", "cluster", "simulate", *scale]
    terminal, its_end = pty.openpty()
    with subprocess.Popen(  # noqa: S603
        [*command, "--json", str(path)],
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
        env=os.environ | {"TERM": "xterm"},
    ) as process:
        os.close(its_end)
        shown = b""
        while b"simulating" not in shown:
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        try:
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    os.close(terminal)
    assert process.returncode == 4
    assert out.startswith("inconclusive: stopped by an interrupt after 0 of 40 runs\n")
    report = json.loads(path.read_text())
    assert (report["verdict"], report["interrupted"]) == ("inconclusive", True)


def test_what_never_happened_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster", "simulate", "--runs", "1", "--seconds", "0.1", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "holds: 1 runs, of the seeds from 0 to 0" in out
    assert "never happened: crashes" in out


def test_a_run_that_is_wrong_is_named_kept_and_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = BUGS["answers before commit"]

    def simulate_with_bug(seed: int, scale: Scale) -> Outcome:
        return simulate(seed, scale, bug.new_server, bug.new_driver)

    monkeypatch.setattr(simulated, "simulate", simulate_with_bug)
    monkeypatch.setattr(cluster_simulate, "simulate", simulate_with_bug)
    arguments = ["cluster", "simulate", "--jobs", "1", "--traces-every", "99"]
    kept = [*("--seed", str(bug.since)), *("--dir", str(tmp_path / "kept"))]
    assert run([*arguments, *kept]) == 1
    first = capsys.readouterr()
    found = re.search(r"violated: seed (\d+): the history is linearizable: .*", first.out)
    assert found is not None
    assert f"seed {found[1]} are in {tmp_path / 'kept'}" in first.err
    assert run(["linearizable", str(tmp_path / "kept" / "history.ndjson")]) == 1
    assert run(["trace", *map(str, sorted((tmp_path / "kept").glob("server-*/trace.ndjson")))]) == 0
    capsys.readouterr()
    assert run([*arguments, "--runs", "1", "--seed", found[1], "--dir", str(tmp_path / "2")]) == 1
    assert found[0] in capsys.readouterr().out


class Fails(Server):
    """A server with an error that shows on some day."""

    def handle(self, now: float, inputs: Iterable[Input]) -> Batch:
        if self.state.current_term == 3:
            raise ValueError("no such term")
        return super().handle(now, inputs)


def test_a_server_that_fails_has_given_up() -> None:
    outcome = next(
        outcome for seed in range(9) if (outcome := simulate(seed, Scale(), Fails)).given_up
    )
    failed = next(each for each in judgements(outcome) if each.answer == "violated")
    assert failed.question == "no server gives up"
    assert failed.reason.endswith("ended by itself: ValueError: no such term")
    assert "in handle" in "".join(failed.details)


@pytest.mark.slow
@pytest.mark.parametrize(
    "scale",
    [
        Scale(),
        Scale(servers=5, clients=5),
        Scale(seconds=20, clients=6, session_clients=3),
        Scale(fault_interval=0.2, weather=Weather(loss=0.15, repetition=0.15, delay=0.03)),
        ECHO,
    ],
)
def test_thousands_of_runs_hold(scale: Scale) -> None:
    for seed in range(1000):
        outcome = simulate(seed, scale)
        assert list(problems(outcome, judges_traces=seed % 10 == 0)) == [], f"seed {seed}"
