"""A pytest plugin: ``pytest --raft-adapter "COMMAND"`` plays runs on an implementation.

Each is a test. They are those of ``raft-ref conform --schedules``, or with ``--raft-vectors DIR``
the traces that ``raft-ref vectors`` wrote. What fails is shown as by ``conform``, and its run is
written into pytest's cache, for ``raft-ref conform --replay``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from model_check.conformance.explore import ForeignSetup
    from model_check.conformance.finding import Finding
    from model_check.conformance.plan import ScheduleKind
    from model_check.conformance.play import Player
    from model_check.raft import RaftAction

# The rest of this package is imported where it is needed: every pytest of an environment in which
# raft-ref is installed loads this module.

KINDS: tuple[ScheduleKind, ...] = ("mutants", "cover", "random")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("raft-ref", "judging an implementation of Raft (raft-ref)")
    group.addoption(
        "--raft-adapter", metavar="COMMAND", help="Start this adapter, and play runs on it."
    )
    group.addoption(
        "--raft-servers", type=int, default=3, metavar="N", help="In a cluster of so many."
    )
    group.addoption(
        "--raft-network",
        choices=("replayable", "once", "fifo"),
        default="replayable",
        help="On such a network (see raft-ref conform --help).",
    )
    group.addoption(
        "--raft-profile", default="paper", metavar="NAME", help="See raft-ref rules --profiles."
    )
    group.addoption(
        "--raft-option", action="append", default=[], metavar="NAME=VALUE", help="For the adapter."
    )
    group.addoption(
        "--raft-schedules",
        action="append",
        default=[],
        choices=KINDS,
        help="Only runs of this kind; may be given several times.",
    )
    group.addoption(
        "--raft-walks", type=int, default=500, metavar="N", help="How many walks at random."
    )
    group.addoption("--raft-seed", type=int, default=0, metavar="N", help="Which ones.")
    group.addoption(
        "--raft-vectors",
        metavar="DIR",
        help="Play those traces in this directory that are of so many servers (see raft-ref "
        "vectors); other runs only with --raft-schedules.",
    )


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add a test for each run, if there is an adapter."""
    if session.config.getoption("raft_adapter"):
        items += RaftRuns.from_parent(session, name="raft-ref").collect()
    elif session.config.getoption("raft_vectors"):
        raise pytest.UsageError("--raft-vectors belongs to --raft-adapter")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the adapter."""
    player = config.stash.get(_PLAYER, None)
    if player is not None:
        player.close()


_PLAYER: pytest.StashKey[Player] = pytest.StashKey()


def _setup(config: pytest.Config) -> ForeignSetup:
    """What the options say."""
    from model_check.check import Setup
    from model_check.conformance.explore import ForeignSetup
    from model_check.conformance.learner import Adapter
    from model_check.conformance.process import STEP_TIMEOUT
    from model_check.raft import Bounds
    from spec.profiles import PROFILES

    profile = config.getoption("raft_profile")
    if profile not in PROFILES:
        raise pytest.UsageError(f"--raft-profile: no {profile!r}, but {', '.join(PROFILES)}")
    options = [text.partition("=") for text in config.getoption("raft_option")]
    if not all(name and equals for name, equals, _ in options):
        raise pytest.UsageError("--raft-option looks like NAME=VALUE")
    servers = config.getoption("raft_servers")
    try:
        bounds = Bounds(servers=servers)
    except ValueError as error:
        raise pytest.UsageError(f"--raft-servers: {error}") from None
    return ForeignSetup(
        adapter=Adapter(
            command=tuple(shlex.split(config.getoption("raft_adapter"))),
            servers=servers,
            options=tuple(sorted((name, value) for name, _, value in options)),
            step_timeout=STEP_TIMEOUT,
        ),
        space=Setup(bounds=bounds, network=config.getoption("raft_network"), rules=True),
        profile=PROFILES[profile],
    )


class RaftRuns(pytest.Collector):
    """All runs to play."""

    def collect(self) -> list[RaftRun]:
        """A test for each."""
        return [
            RaftRun.from_parent(self, name=name, run=run) for name, run in _named_runs(self.config)
        ]


def _named_runs(config: pytest.Config) -> Iterator[tuple[str, Sequence[RaftAction]]]:
    from model_check.conformance.plan import Plan, named_runs

    kinds, directory = tuple(config.getoption("raft_schedules")), config.getoption("raft_vectors")
    servers = config.getoption("raft_servers")
    if directory is not None:
        yield from _traces(Path(directory), servers)
    if kinds or directory is None:
        plan = Plan(
            kinds=kinds or KINDS,
            walks=config.getoption("raft_walks"),
            seed=config.getoption("raft_seed"),
        )
        yield from named_runs(plan, servers)


def _traces(directory: Path, servers: int) -> Iterator[tuple[str, Sequence[RaftAction]]]:
    """The runs of a written suite that are of so many servers, by the ids of their cases."""
    from model_check.vectors.reading import NoSuite, read_traces

    try:
        traces = [(name, run) for name, count, run in read_traces(directory) if count == servers]
    except NoSuite as error:
        raise pytest.UsageError(f"--raft-vectors: {error}") from None
    if not traces:
        raise pytest.UsageError(f"--raft-vectors: {directory} has no trace of {servers} servers")
    yield from traces


class RaftRun(pytest.Item):
    """One run to play, and to judge."""

    def __init__(self, name: str, parent: pytest.Collector, *, run: Sequence[RaftAction]) -> None:
        super().__init__(name, parent)
        self._run = run

    def runtest(self) -> None:
        """Play it."""
        from model_check.conformance.play import Player
        from model_check.conformance.trial import accusation

        stash = self.config.stash
        if _PLAYER not in stash:
            setup = _setup(self.config)
            stash[_PLAYER] = Player(setup.adapter, setup.space, setup.profile)
        player = stash[_PLAYER]
        if player.play(self._run).finding is not None:
            raise Accused(accusation(player, self._run))

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """What was found, and how to do it again."""
        error = excinfo.value
        if isinstance(error, Accused):
            return self._described(error.finding)
        return f"the adapter failed: {error}"

    def _described(self, finding: Finding) -> str:
        from model_check.commands.account import describe_finding
        from model_check.conformance.explore import schedule_of
        from model_check.conformance.schedule import write_schedule
        from model_check.render import as_mermaid

        setup = _setup(self.config)
        cache = self.config.cache
        assert cache is not None
        path = cache.mkdir("raft-ref") / f"{self.name.replace('[', '-').rstrip(']')}.json"
        path.write_text(write_schedule(schedule_of(setup, finding.run)), "utf-8")
        profile = () if setup.profile.name == "paper" else ("--profile", setup.profile.name)
        replay = ("conform", "--replay", str(path), *profile, "--", *setup.adapter.command)
        return (
            f"{describe_finding(finding)}\n\n{as_mermaid(finding.run)}\n"
            f"to do it again: {shlex.join(('raft-ref', *replay))}"
        )

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it comes from."""
        return "raft-ref", None, self.name


class Accused(Exception):
    """A run accuses the implementation."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.violation.property)
        self.finding = finding
