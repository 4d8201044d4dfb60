"""``raft-ref conform --replay``: whether a schedule leads where it led."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from model_check.check import Setup
from model_check.commands.account import account_of_replay, show_replay
from model_check.commands.outlets import Outlets
from model_check.conformance.explore import ForeignSetup, Judgement
from model_check.conformance.learner import Adapter
from model_check.conformance.protocol import ProtocolError
from model_check.conformance.redo import redo
from model_check.conformance.report import conform_replay_report
from model_check.conformance.schedule import Schedule, parse_schedule
from model_check.raft import Bounds


def redo_and_show(path: Path, given: ForeignSetup, outlets: Outlets) -> Judgement | None:
    """Do the schedule in ``path`` again; the verdict, if it still leads to a finding.

    Raises:
        AdapterFailed: if the adapter is at fault.
        click.ClickException: if there is no schedule.
    """
    schedule = _read_schedule(path)
    redone = redo(_setup_of(schedule, given), schedule)
    account = account_of_replay(redone)
    outlets.report(partial(conform_replay_report, redone), account)
    if not outlets.says_json:
        show_replay(account, outlets.rendering)
    return redone.verdict


def _read_schedule(path: Path) -> Schedule:
    try:
        return parse_schedule(path.read_bytes())
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}") from None
    except ProtocolError as error:
        raise click.ClickException(f"{path} is no schedule: {error}") from None


def _setup_of(schedule: Schedule, given: ForeignSetup) -> ForeignSetup:
    """What a schedule is to be done on: the options given override its own."""
    network, adapter, space = schedule.network, given.adapter, given.space
    return ForeignSetup(
        adapter=Adapter(
            command=adapter.command,
            servers=schedule.servers,
            options=tuple(sorted({**schedule.options, **dict(adapter.options)}.items())),
            step_timeout=adapter.step_timeout,
        ),
        space=Setup(
            bounds=Bounds(servers=schedule.servers),
            network=network.name,
            max_in_flight=network.max_in_flight,
            loss=network.loss,
            properties=space.properties,
            rules=space.rules,
        ),
        profile=given.profile,
    )
