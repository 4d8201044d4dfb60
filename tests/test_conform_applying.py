"""Implementations judged by what their servers apply, and by whom they name to clients."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_check.check import Setup
from model_check.cli import run
from model_check.conformance.explore import ForeignSetup, unjudged
from model_check.conformance.learner import Adapter
from model_check.conformance.play import Player
from model_check.conformance.protocol import (
    AppliedPart,
    HeartbeatTimeoutOk,
    InitialState,
    InitOk,
    ProposeOk,
    ProtocolError,
    Report,
    ResetOk,
    StatePart,
)
from model_check.conformance.table import LearntStep, Table
from model_check.mutants.runs import recorded_runs
from model_check.raft import Bounds
from raft_ref import Apply, Entry
from spec.profiles import PAPER

HERE = Path(__file__).parent
TOY = HERE / "peers" / "toy" / "adapter.py"
FAULTY = HERE / "peers" / "reference" / "faulty.py"
RUNS = ("log-applied-in-restart", "last-entry-applied-again", "vote-named-as-leader")
"""The bugs whose runs are played."""


@contextmanager
def playing(adapter: Path, **options: str) -> Iterator[tuple[ForeignSetup, Player]]:
    command = (sys.executable, str(adapter))
    setup = ForeignSetup(
        adapter=Adapter(
            command=command, servers=3, options=tuple(options.items()), step_timeout=60.0
        ),
        space=Setup(bounds=Bounds(), rules=True),
    )
    player = Player(setup.adapter, setup.space, PAPER)
    try:
        yield setup, player
    finally:
        player.close()


def rules_broken(player: Player) -> set[str]:
    """The rules that are broken first in these runs."""
    played = [player.play(recorded_runs()[name]) for name in RUNS]
    assert all(each.run.moments for each in played)
    return {each.breach.rule.id for each in played if each.breach is not None}


@pytest.mark.parametrize(
    ("adapter", "options", "rules"),
    [
        (TOY, {"bug": "applies-uncommitted"}, {"APPLY-COMMITTED"}),
        (TOY, {}, set()),
        (FAULTY, {"fault": "skips"}, {"APPLY-ORDER"}),
        (FAULTY, {"fault": "twice"}, {"APPLY-ORDER"}),
        (FAULTY, {"fault": "names-vote"}, {"REDIRECT-LEADER"}),
        (FAULTY, {"fault": "late"}, set()),
    ],
    ids=["toy", "toy-right", "skips", "twice", "names-vote", "late"],
)
def test_what_servers_apply_and_tell_clients_is_judged(
    adapter: Path, options: dict[str, str], rules: set[str]
) -> None:
    with playing(adapter, **options) as (_, player):
        assert rules_broken(player) == rules


@pytest.mark.parametrize(
    ("adapter", "fault", "verdict"),
    [(FAULTY, "names-former", "violates"), (FAULTY, "", "conforms")],
    ids=["former leader", "leader of the term"],
)
def test_a_client_asks_who_leads_at_the_end_of_a_run(
    adapter: Path, fault: str, verdict: str, tmp_path: Path
) -> None:
    """In runs of the core clients ask leaders, so no redirection would be heard of."""
    report = tmp_path / "report.json"
    options = ["--schedules", "mutants", "--workers", "1", "--json", str(report)]
    run(["conform", *options, "--option", f"fault={fault}", "--", sys.executable, str(adapter)])
    data = json.loads(report.read_text())
    assert data["verdict"] == verdict
    assert data["reached"]["redirect"] is not None
    assert "REDIRECT-LEADER" not in data["vacuous"]
    assert [each["property"] for each in data["findings"]] == ["REDIRECT-LEADER"] * (fault != "")


UNJUDGED = {"APPLY-COMMITTED": "applied", "APPLY-ORDER": "applied", "REDIRECT-LEADER": "redirect"}


@pytest.mark.parametrize(
    ("reports", "fault"),
    [("", "twice"), ("applied", "names-vote"), ("redirect", "skips"), ("applied,redirect", "late")],
)
def test_what_an_adapter_does_not_report_is_not_judged(reports: str, fault: str) -> None:
    """Nor is it accused of what it does wrong unseen."""
    with playing(FAULTY, reports=reports, fault=fault) as (setup, player):
        assert rules_broken(player) == set()
        assert unjudged(setup.space, player.table.hidden) == {
            rule: (name,) for rule, name in UNJUDGED.items() if name not in reports.split(",")
        }


@pytest.mark.slow
def test_the_command_says_what_comes_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--explore", "--values", "1", "--restarts", "--max-restarts", "1", "--eager"]
    arguments += ["--only-timeout", "1", "--no-heartbeats", "--property", "LogMatching"]
    bug = ["--option", "bug=applies-uncommitted", "--json", "-"]
    assert run(["conform", *arguments, *bug, "--", sys.executable, str(TOY)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "violates"
    assert "APPLY-COMMITTED" in str(report["findings"])
    assert report["unjudged"] == {}


# --- the protocol --------------------------------------------------------------------------------

STATE = StatePart(current_term=1, voted_for=None, role="follower", log=[], commit_index=0)
FIRST = AppliedPart(index=1, term=1, command="a")


def table(*reports: Report) -> Table:
    states = [InitialState(node=1, state=STATE, fingerprint="f")]
    init = InitOk(
        in_reply_to=1,
        name="x",
        unobservable=[],
        unsupported=[],
        reports=list(reports),
        states=states,
    )
    return Table(init, {})


def told(kind: Any = HeartbeatTimeoutOk, **fields: Any) -> Any:
    return kind(in_reply_to=2, messages=[], state=STATE, fingerprint="f", **fields)


def test_what_is_applied_is_read() -> None:
    step = table("applied").read(1, told(applied=[FIRST]))
    assert step.applied == (Apply(1, Entry(1, "a")),)
    assert table("redirect").read(1, told(ProposeOk, redirect=1)).redirect == 1


def test_a_reset_applies_nothing() -> None:
    assert table("applied").read(1, told(ResetOk)) == LearntStep(table().initial[0])


@pytest.mark.parametrize(
    ("reports", "reply", "complaint"),
    [
        ((), told(applied=[]), "'applied', which init_ok did not name in reports"),
        (("applied",), told(), "lacks the field 'applied', which init_ok named in reports"),
        ((), told(ProposeOk, redirect=None), "'redirect', which init_ok did not name"),
        (("redirect",), told(ProposeOk), "lacks the field 'redirect'"),
    ],
)
def test_a_reply_has_what_init_said(
    reports: tuple[Report, ...], reply: Any, complaint: str
) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        table(*reports).read(1, reply)
