"""The cluster of a run is ``nodes``: a message to another address is judged, and delivered to
nobody."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from model_check.commands.trial import account_of_trial
from model_check.conformance.observed import ForeignMessage
from model_check.conformance.protocol import ProtocolError
from model_check.conformance.report import conform_report, trial_report
from model_check.conformance.schedule import (
    NetworkPart,
    Schedule,
    parse_schedule,
    write_schedule,
)
from model_check.system import Deliver
from tests.test_conform import MISBEHAVING, SAFE, explore, valid
from tests.test_trial import attempt

WITH_LEARNER = (sys.executable, str(Path(__file__).parent / "with_learner.py"))
NOTE = "messages to S9, not among the nodes of init, were judged and not delivered"


def test_exploration_finds_what_it_finds_without_the_other_address() -> None:
    found = explore(WITH_LEARNER, SAFE)
    assert found.verdict == "conforms"
    assert found.exploration.states == 29_807  # as of the toy alone
    assert found.exploration.notes == [NOTE]
    assert valid(conform_report(found))


def test_any_kind_of_message_may_go_there() -> None:
    found = explore((*MISBEHAVING, "to-others"), SAFE)
    assert NOTE in found.exploration.notes


def test_nothing_arrives_there() -> None:
    message = ForeignMessage(1, 9, "hello", "{}", "")
    text = write_schedule(Schedule(3, {}, NetworkPart(name="once"), "", (Deliver(message),)))
    with pytest.raises(ProtocolError, match="a message to server 9, of 3"):
        parse_schedule(text.encode())


def test_played_servers_may_send_there() -> None:
    trial = attempt(WITH_LEARNER, "random", walks=30)
    assert trial.findings == ()
    assert trial.progress.steps > 100
    assert list(trial.progress.undelivered) == [9]
    assert trial_report(trial)["undelivered"] == {"9": trial.progress.undelivered[9]}
    assert f"note: {NOTE}" in account_of_trial(trial).notes


def test_what_is_said_there_is_judged() -> None:
    trial = attempt((*WITH_LEARNER, "lies"), "random", walks=30)
    assert trial.verdict == "violates"
    (finding, *_) = trial.findings
    assert finding.breach is not None
    assert finding.breach.rule.id == "APPEND-COMMIT"
