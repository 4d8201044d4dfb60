"""The runs that the pytest plugin makes tests of: which there are, and what each comes to.

The plugin (`raft_ref.entry.pytest_plugin`) asks for them from another process, in which the names
of our packages may mean packages of the project under test. Requests and answers are JSON objects,
a line each: first `Options`, answered by `Runs` or `Refusal`; then a `Play` for each test, answered
by a `Result`. What all runs come to together, of however many processes, is asked for by a `Sum`.
"""

from __future__ import annotations

import shlex
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, get_origin

import msgspec
from msgspec import Struct

from model_check.check import NetworkName, Setup
from model_check.commands.account import account_of_failure, describe_failure, describe_finding
from model_check.commands.summary import as_rows, describe_vacuous, reached_rows
from model_check.commands.trial import coverage_rows
from model_check.conformance.coverage import Coverage, describe_shortfalls, shortfalls
from model_check.conformance.explore import ForeignSetup, judged_vacuously, schedule_of
from model_check.conformance.learner import Adapter
from model_check.conformance.plan import SCHEDULE_KINDS, Plan, ScheduleKind, named_runs
from model_check.conformance.play import Player
from model_check.conformance.process import STEP_TIMEOUT, AdapterFailed
from model_check.conformance.schedule import write_schedule
from model_check.conformance.trial import accusation
from model_check.raft import Bounds, RaftAction
from model_check.render import as_mermaid
from model_check.vectors.reading import NoSuite, read_traces
from spec.profiles import PROFILES

# --- the lines -------------------------------------------------------------------------------


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask"):
    """Something that the plugin wants to know."""


class Options(Request, frozen=True, kw_only=True, tag="runs"):
    """The options of pytest, by their names without ``--raft-``."""

    adapter: str
    servers: int
    network: NetworkName
    profile: str
    option: list[str]
    schedules: list[ScheduleKind]
    walks: int
    seed: int
    vectors: str | None


class Runs(Struct, frozen=True, kw_only=True):
    """The runs to play, by their names."""

    names: list[str]


class Refusal(Struct, frozen=True, kw_only=True):
    """Options that are not usable: which, why, and what to do."""

    complaint: str


class Play(Request, frozen=True, kw_only=True, tag="play"):
    """Play the run with this number in `Runs`."""

    number: int


class Sum(Request, frozen=True, kw_only=True, tag="sum"):
    """What all these runs together say of an implementation of which this much was seen."""

    covered: list[Coverage]
    hidden: list[str]


class Summed(Struct, frozen=True, kw_only=True):
    """What they say."""

    text: str
    """What was played and reached, and what could not have been broken."""
    inconclusive: str
    """Why nothing is known although no run accuses anybody; empty if that is not so."""


RunVerdict: TypeAlias = Literal[
    "conforms", "violates", "failed-step", "adapter-failed", "internal-error"
]


class Result(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    verdict: RunVerdict
    text: str = ""
    """What was found, for people."""
    schedule: str = ""
    """The run to do again, as `raft-ref conform --replay` reads it; empty if there is none."""
    replay_options: list[str] = []
    """What to give to `raft-ref conform` beside that."""
    covered: Coverage | None = None
    hidden: list[str] = []
    """What the adapter does not show."""


# --- the work --------------------------------------------------------------------------------


def serve(requests: Iterable[bytes], answers: BinaryIO) -> None:
    """Answer every request, until there is none any more."""
    lines = iter(requests)
    judged: _Judged | None = None
    try:
        first = msgspec.json.decode(next(lines), type=Options | Sum, dec_hook=_counter)
        if isinstance(first, Sum):
            _write(answers, summed(first))
            return
        try:
            judged = _Judged(first)
        except _NotUsable as error:
            _write(answers, Refusal(complaint=str(error)))
            return
        _write(answers, Runs(names=[name for name, _ in judged.runs]))
        for line in lines:
            _write(answers, judged.play(msgspec.json.decode(line, type=Play).number))
    except KeyboardInterrupt:
        return  # the plugin hears of it, too
    finally:
        if judged is not None:
            judged.close()


def _counter(kind: type, counted: dict[str, int]) -> Counter[str]:
    """What `msgspec` does not know how to read."""
    assert get_origin(kind) is Counter or kind is Counter
    return Counter(counted)


def _write(answers: BinaryIO, answer: Struct) -> None:
    answers.write(msgspec.json.encode(answer) + b"\n")
    answers.flush()


class _NotUsable(Exception):
    """An option is not usable: why."""


class _Judged:
    """An implementation, and the runs to play on it.

    Raises:
        _NotUsable: if the options make no sense.
    """

    def __init__(self, options: Options) -> None:
        self._setup = _setup(options)
        self.runs = list(_named_runs(options))
        self._player: Player | None = None

    def close(self) -> None:
        """End the adapter."""
        if self._player is not None:
            self._player.close()

    def play(self, number: int) -> Result:
        """What the run of this number comes to."""
        try:
            return self._played(self.runs[number][1])
        except AdapterFailed as failed:
            text = describe_failure(account_of_failure(self._setup, failed))
            return Result(verdict="adapter-failed", text=text)
        except Exception:  # a defect of this very program, which must not look like a finding
            return Result(verdict="internal-error", text=traceback.format_exc())

    def _played(self, run: Sequence[RaftAction]) -> Result:
        setup = self._setup
        if self._player is None:
            self._player = Player(setup.adapter, setup.space, setup.profile, asks_for_leader=True)
        played = self._player.play(run)
        if played.finding is None:
            return Result(
                verdict="conforms",
                covered=played.coverage,
                hidden=sorted(self._player.table.hidden),
            )
        finding = accusation(self._player, run)
        profile = setup.profile.name
        return Result(
            verdict="failed-step" if finding.is_failure else "violates",
            text=f"{describe_finding(finding)}\n\n{as_mermaid(finding.run)}",
            schedule=write_schedule(schedule_of(setup, finding.run)),
            replay_options=[
                *(() if profile == "paper" else ("--profile", profile)),
                "--",
                *setup.adapter.command,
            ],
        )


def summed(asked: Sum) -> Summed:
    """What runs that accuse nobody say together, in the words of ``raft-ref conform``."""
    coverage, hidden = Coverage(), frozenset(asked.hidden)
    for each in asked.covered:
        coverage.add(each)
    lacking = shortfalls(coverage, hidden)
    vacuous = judged_vacuously(Setup(bounds=Bounds(), rules=True), hidden, coverage.reached)
    return Summed(
        text="\n".join(
            [
                *as_rows((*coverage_rows(coverage), *reached_rows(coverage.reached))),
                *(f"note: {each}" for each in lacking),
                *describe_vacuous(vacuous, "these runs"),
            ]
        ),
        inconclusive=describe_shortfalls(lacking) if lacking else "",
    )


def _setup(options: Options) -> ForeignSetup:
    if options.profile not in PROFILES:
        raise _NotUsable(f"--raft-profile: no {options.profile!r}, but {', '.join(PROFILES)}")
    pairs = [text.partition("=") for text in options.option]
    if not all(name and equals for name, equals, _ in pairs):
        raise _NotUsable("--raft-option looks like NAME=VALUE")
    try:
        command = tuple(shlex.split(options.adapter))
    except ValueError as error:
        raise _NotUsable(f"--raft-adapter: {error}: {options.adapter}") from None
    if not command:
        raise _NotUsable("--raft-adapter: no command")
    try:
        bounds = Bounds(servers=options.servers)
    except ValueError as error:
        raise _NotUsable(f"--raft-servers: {error}") from None
    return ForeignSetup(
        adapter=Adapter(
            command=command,
            servers=options.servers,
            options=tuple(sorted((name, value) for name, _, value in pairs)),
            step_timeout=STEP_TIMEOUT,
        ),
        space=Setup(bounds=bounds, network=options.network, rules=True),
        profile=PROFILES[options.profile],
    )


def _named_runs(options: Options) -> Iterator[tuple[str, Sequence[RaftAction]]]:
    if options.vectors is not None:
        yield from _traces(Path(options.vectors), options.servers)
    if options.schedules or options.vectors is None:
        kinds = tuple(options.schedules) or SCHEDULE_KINDS
        plan = Plan(kinds=kinds, walks=options.walks, seed=options.seed)
        yield from named_runs(plan, options.servers)


def _traces(directory: Path, servers: int) -> Iterator[tuple[str, Sequence[RaftAction]]]:
    """The runs of a written suite that are of so many servers, by the ids of their cases."""
    try:
        traces = [(name, run) for name, count, run in read_traces(directory) if count == servers]
    except NoSuite as error:
        raise _NotUsable(f"--raft-vectors: {error}") from None
    if not traces:
        raise _NotUsable(f"--raft-vectors: {directory} has no trace of {servers} servers")
    yield from traces
