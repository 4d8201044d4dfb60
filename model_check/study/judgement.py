"""The page of what came of judging an implementation: verdict, grounds, and every finding."""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_check.commands.account import Account
from model_check.commands.summary import statement_of
from model_check.conformance.explore import JUDGED_AS_RULES, ForeignSetup, schedule_of
from model_check.conformance.finding import Finding
from model_check.conformance.process import STEP_TIMEOUT
from model_check.conformance.protocol import StateField
from model_check.conformance.schedule import write_schedule
from model_check.render import Row, describe_role, rows_of, server_name
from model_check.study.diagram import Diagram, alarms_of, diagram
from model_check.study.environment import describe_log, environment
from raft_ref import NodeState
from spec.profiles import PAPER
from spec.properties import WITHOUT_REDIRECTS
from spec.words import describe_undecidable


def write_judgement(account: Account, path: Path) -> None:
    """Write ``account`` to ``path`` as a page that needs nothing else: no network, no scripts.

    Raises:
        OSError: if it cannot be written.
    """
    shown = [_shown(account, number) for number, _ in enumerate(account.findings, start=1)]
    template = environment().get_template("judgement.html.j2")
    page = template.render(
        account=account,
        shown=shown,
        rows=[row for row in account.rows if row[1]],
        describe_undecidable=describe_undecidable,
    )
    # A command line may be of any bytes, and none of them is a reason to have no page.
    path.write_text(page, "utf-8", errors="backslashreplace")


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action of a run, as a row."""

    number: int
    row: Row
    then: str
    """What the server showed after it."""
    alarms: tuple[str, ...]
    """What is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class ShownFinding:
    """A finding, and all that is shown of it."""

    number: int
    finding: Finding
    statement: str
    """What is violated says this."""
    diagram: Diagram
    actions: tuple[Action, ...]
    last: tuple[NodeState, ...]
    schedule: str
    file: str
    """What to call the schedule."""
    again: str
    """The command that does it again."""

    @property
    def is_breach_alone(self) -> bool:
        """Whether what is violated is the rule that is broken first, and nothing besides."""
        breach = self.finding.breach
        return breach is not None and breach.rule.id == self.finding.violation.property

    @property
    def link(self) -> str:
        """The schedule itself, as an address."""
        return f"data:application/json;base64,{b64encode(self.schedule.encode()).decode()}"


def _shown(account: Account, number: int) -> ShownFinding:
    finding, file = account.findings[number - 1], f"schedule-{number}.json"
    run = finding.run
    return ShownFinding(
        number=number,
        finding=finding,
        statement=statement_of(finding.violation.property),
        diagram=diagram(run, alarms_of(run, finding.breach)),
        actions=tuple(_actions(finding, account.hidden)),
        last=run.last,
        schedule=write_schedule(schedule_of(account.setup, run)),
        file=file,
        again=shlex.join(_again(account.setup, file)),
    )


def _actions(finding: Finding, hidden: frozenset[str]) -> Iterator[Action]:
    run, alarms = finding.run, alarms_of(finding.run, finding.breach)
    for number, (moment, row) in enumerate(zip(run.moments, rows_of(run), strict=True), start=1):
        then = "" if moment.outcome is None else _then(moment.outcome.state, hidden)
        yield Action(number=number, row=row, then=then, alarms=alarms.get(number, ()))


def _then(state: NodeState, hidden: frozenset[str]) -> str:
    shown: dict[StateField, str] = {
        "role": describe_role(state.role),
        "current_term": f"term {state.current_term}",
        "voted_for": f"voted for {server_name(state.voted_for)}",
        "log": f"log {describe_log(state.log)}",
        "commit_index": f"commit {state.commit_index}",
    }
    return ", ".join(text for field, text in shown.items() if field not in hidden)


def _again(setup: ForeignSetup, file: str) -> Iterator[str]:
    """The words of the command; what stands in the schedule need not be said."""
    space, adapter = setup.space, setup.adapter
    yield from ("raft-ref", "conform", "--replay", file)
    if set(space.properties) != set(WITHOUT_REDIRECTS) - JUDGED_AS_RULES:
        for name in space.properties:
            yield from ("--property", name)
    if not space.rules:
        yield "--no-rules"
    if setup.profile.name != PAPER.name:
        yield from ("--profile", setup.profile.name)
    if adapter.step_timeout != STEP_TIMEOUT:
        yield from ("--step-timeout", f"{adapter.step_timeout:g}")
    yield from ("--", *adapter.command)
