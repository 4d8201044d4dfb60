"""``raft-ref cluster torture``: its plan, its proxies, and that nothing passes unseen."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from random import Random

import pytest
from jsonschema import Draft202012Validator

from model_check.cli import run
from model_check.cluster.questions import overall
from model_check.cluster.report import never_happened
from model_check.cluster.tortured import judgements
from raft_ref import Entry, Log
from raft_ref.cluster.commands import as_entry, as_text
from raft_ref.cluster.history import Operation
from raft_ref.cluster.processes import HOST
from raft_ref.cluster.replies import Count, Done, Value
from raft_ref.cluster.settings import Address
from raft_ref.cluster.simulation.weather import CALM, Weather
from raft_ref.cluster.torture.network import Conditions, Link
from raft_ref.cluster.torture.plan import plan
from raft_ref.cluster.torture.run import Outcome, Scale
from raft_ref.cluster.torture.tally import Tally
from raft_ref.cluster.transport import read_frame
from raft_ref.cluster.wire import LENGTH_SIZE
from tests.screen import read_back, run_in_terminal

# --- the plan --------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_plan() -> None:
    assert plan(1, (1, 2, 3), 60, 1) == plan(1, (1, 2, 3), 60, 1) != plan(2, (1, 2, 3), 60, 1)
    assert all(0 < each.at < 60 for each in plan(1, (1, 2, 3), 60, 1))


def test_a_quarter_of_an_hour_has_enough_of_everything() -> None:
    counts = Counter(type(each.fault).__name__ for each in Scale(seconds=900, seed=1).plan())
    assert len(counts) == 6
    assert counts["Kill"] > 100 < counts["Partition"]


def test_a_server_alone_has_no_network_to_lose() -> None:
    kinds = {type(each.fault).__name__ for each in Scale(servers=1).plan()}
    assert kinds == {"Kill", "Pause"}


# --- the proxies -----------------------------------------------------------------------------

HELLOS = [b"hello", b"proof"]
FRAMES = [b"%d" % number for number in range(200)]


def through_a_link(
    weather: Weather, during: Callable[[Conditions, Link], None] = lambda _conditions, _link: None
) -> tuple[list[bytes], Tally]:
    """What arrives of a greeting and all frames; ``during`` is called after the greeting."""
    conditions = Conditions(Random(1), Tally(), weather)  # noqa: S311
    return asyncio.run(_through_a_link(conditions, during)), conditions.tally


async def _through_a_link(
    conditions: Conditions, during: Callable[[Conditions, Link], None]
) -> list[bytes]:
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heard.append(await read_frame(reader))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    link = Link((1, 2), conditions)
    async with await asyncio.start_server(hear, HOST, 0) as server:
        link.target = Address(*server.sockets[0].getsockname())
        _, writer = await asyncio.open_connection(*await link.start())
        writer.write(b"".join(map(_framed, HELLOS)))
        async with asyncio.timeout(10):
            while len(heard) < len(HELLOS):
                await asyncio.sleep(0.01)
        during(conditions, link)
        writer.write(b"".join(map(_framed, FRAMES)))
        await asyncio.sleep(0.3)
        writer.close()
        await link.stop()
    return heard


def _framed(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH_SIZE, "big") + content


def test_when_it_is_calm_all_arrive_once() -> None:
    heard, tally = through_a_link(CALM)
    assert heard[:2] == HELLOS
    assert sorted(heard[2:]) == sorted(FRAMES)
    assert (tally.messages, tally.lost, tally.repeated) == (200, 0, 0)


def test_frames_are_lost_repeated_and_overtaken() -> None:
    heard, tally = through_a_link(Weather(loss=0.3, repetition=0.3, delay=0.02))
    assert len(heard) - 2 == tally.messages - tally.lost + tally.repeated
    assert set(heard) <= {*HELLOS, *FRAMES}
    assert heard[2:] != sorted(heard[2:], key=int)
    assert min(tally.lost, tally.repeated, tally.reordered, tally.delayed) > 5


def test_nothing_gets_through_a_link_that_is_cut_and_all_through_the_other_way() -> None:
    cut, tally = through_a_link(CALM, lambda here, _: here.cuts.append(frozenset({(1, 2)})))
    assert cut == HELLOS
    assert tally.lost == 200
    other, _ = through_a_link(CALM, lambda here, _: here.cuts.append(frozenset({(2, 1)})))
    assert len(other) == 202


def test_a_reset_breaks_the_connection() -> None:
    heard, tally = through_a_link(CALM, lambda _, link: link.reset())
    assert heard == HELLOS
    assert tally.resets == 1


# --- the verdicts ----------------------------------------------------------------------------

SET = (b"SET", b"k", b"1.1")
GET = (b"GET", b"k")
INCR = (b"INCR", b"counter.2")
LOG = Log((Entry(1, as_entry([as_text(SET), as_text(GET)])),))
FINE = Outcome(
    operations=[
        Operation(1, SET, 0, 1, Done()),
        Operation(1, GET, 2, 3, Value(b"1.1")),
        Operation(2, INCR, 0, 1, Count(1)),
    ],
    tally=Tally(),
    terms=[1],
    given_up={},
    unsettled=None,
    committed=1,
    logs={1: LOG, 2: LOG},
)
OTHER_LOG = Log((Entry(1, as_entry([as_text(GET)])),))
TRACE = b'{"format": "raft-ref", "version": 1, "servers": [1, 2]}\n'
START = b'{"event": "start", "server": 1}\n{"event": "start", "server": 2}\n'
FORGED = (
    b'{"event": "receive", "server": 1, "message": {"from": 2, "to": 1, "kind": '
    b'"RequestVoteReply", "fields": {"term": 0, "vote_granted": true}}}\n'
)

WRONG: dict[str, tuple[Outcome, bytes, str]] = {
    "given up": (replace(FINE, given_up={2: "damaged"}), START, "S2 ended by itself: damaged"),
    "unsettled": (replace(FINE, unsettled="answers: not within 60 s"), START, "not within 60 s"),
    "diverged": (replace(FINE, logs={1: LOG, 2: OTHER_LOG}), START, "committed differs"),
    "lost": (replace(FINE, logs={1: OTHER_LOG, 2: OTHER_LOG}), START, "k 1.1 is not in the log"),
    "counted twice": (
        replace(FINE, operations=[Operation(2, INCR, 0, 1, Count(2))]),
        START,
        "call 1 of client 2 got",
    ),
    "stale": (
        replace(FINE, operations=[*FINE.operations, Operation(3, GET, 4, 5, Value(None))]),
        START,
        "no order of its operations explains",
    ),
    "against the rules": (FINE, START + FORGED, "was never sent"),
}


def test_what_is_fine_holds(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_bytes(TRACE + START)
    assert overall(list(judgements(FINE, [trace]))) == "holds"


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_seen(wrong: str, tmp_path: Path) -> None:
    outcome, lines, complaint = WRONG[wrong]
    trace = tmp_path / "trace"
    trace.write_bytes(TRACE + lines)
    judged = list(judgements(outcome, [trace]))
    assert overall(judged) == "violated"
    assert any(each.answer == "violated" and complaint in each.reason for each in judged)


def test_what_never_happened_is_said() -> None:
    assert "kills" in never_happened(FINE, Scale())
    assert never_happened(replace(FINE, tally=Tally(1, 1, 1)), Scale(servers=1)) == []


# --- all of it -------------------------------------------------------------------------------


def test_a_short_torture_holds_and_its_files_are_judged_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seconds", "4", "--seed", "1", "--dir", str(tmp_path), "--json", "-"]
    assert run(["cluster", "torture", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    schema = json.loads((files("spec") / "schemas" / "torture_report.schema.json").read_text())
    Draft202012Validator(schema).validate(report)
    assert report["operations"]["ok"] > 0
    assert report["never_happened"] != []
    assert run(["linearizable", str(tmp_path / "history.ndjson")]) == 0
    assert run(["trace", *map(str, sorted(tmp_path.glob("server-*/trace.ndjson")))]) == 0


def test_a_directory_in_use_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster", "torture", "--dir", "/"]) == 2
    assert "/ is not empty" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("servers", "seconds"), [(3, 150), (5, 90), (1, 30)])
def test_a_longer_torture_holds(
    servers: int, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--nodes", str(servers), "--seconds", str(seconds)]
    assert run(["cluster", "torture", *arguments]) == 0
    assert "warning" not in capsys.readouterr().out


# --- what is shown -------------------------------------------------------------------------------

JUDGING = """
import sys, time
from pathlib import Path
import click
from model_check.cluster.questions import Judgement
from model_check.commands import cluster_torture
from raft_ref.cluster.torture.run import Scale

def slowly(_outcome, _traces):
    for number in range(3):
        time.sleep(0.2)  # the spinner turns ten times a second
        yield Judgement(f"question {number}", "holds", "so it is")

cluster_torture.judgements = slowly
for each in cluster_torture._judging(None, Path(sys.argv[1]), Scale()):
    click.echo("\\n".join(cluster_torture._told(each)))
"""


def test_nothing_is_left_of_the_spinner(tmp_path: Path) -> None:
    command = [sys.executable, "-c", JUDGING, str(tmp_path)]
    told = [f"holds: question {number}: so it is" for number in range(3)]
    code, written = run_in_terminal(command)
    assert (code, [line for line in read_back(written) if line]) == (0, told)
    assert "judging" in written
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.stdout.splitlines(), done.stderr) == (told, "")
