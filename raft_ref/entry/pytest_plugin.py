"""A pytest plugin: ``pytest --raft-adapter "COMMAND"`` plays runs on an implementation.

Each is a test. They are those of ``raft-ref conform --schedules``, or with ``--raft-vectors DIR``
the traces that ``raft-ref vectors`` wrote. What fails is shown as by ``conform``, and its run is
written into pytest's cache, for ``raft-ref conform --replay``. At the end it is said what all runs
together reached. If all were played, none accuses anybody, and they could have found nothing
(nobody was elected, nothing was committed, most deliveries were skipped), the session fails.

Every pytest of an environment in which raft-ref is installed loads this module. It imports nothing
of the checker: a process of its own judges (see `raft_ref.entry`), if there is an adapter.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from raft_ref.entry.cli import EXIT_INTERNAL, this_version
from raft_ref.entry.judge import command

KINDS = ("mutants", "cover", "random")
VERDICT = "raft_ref_verdict"
"""The property of a test (in JUnit's file, too) that says what came of its run."""
INTERNAL_ERROR = "internal-error"
COVERED = "raft_ref_covered"
"""The attribute of a test's report, in every process, that says what its run reached, as JSON."""


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


def pytest_configure(config: pytest.Config) -> None:
    """See to the exit code, if there is an adapter."""
    if config.getoption("raft_adapter"):
        config.pluginmanager.register(_Session(config), "raft-ref session")


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note that not all runs are to be played."""
    for item in items:
        if isinstance(item, RaftRun):
            item.config.stash[_IS_SELECTION] = True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Tell what a run has reached, to whichever process counts it."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if isinstance(item, RaftRun) and report.when == "call" and item.covered is not None:
        setattr(report, COVERED, json.dumps(item.covered))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process that judges, and the adapter."""
    judge = config.stash.get(_JUDGE, None)
    if judge is not None:
        judge.close()


class RaftRuns(pytest.Collector):
    """All runs to play."""

    def collect(self) -> list[RaftRun]:
        """A test for each.

        Raises:
            pytest.UsageError: if an option makes no sense.
        """
        judge = self.config.stash[_JUDGE] = Judge()
        options = {
            name: self.config.getoption(f"raft_{name}")
            for name in (
                *("adapter", "servers", "network", "profile", "option"),
                *("schedules", "walks", "seed", "vectors"),
            )
        }
        answer = judge.ask({"ask": "runs", **options})
        if "complaint" in answer:
            raise pytest.UsageError(answer["complaint"])
        if "names" not in answer:
            pytest.exit(_internal_error(answer["text"]), EXIT_INTERNAL)
        return [
            RaftRun.from_parent(self, name=name, number=number, judge=judge)
            for number, name in enumerate(answer["names"])
        ]


class RaftRun(pytest.Item):
    """One run to play, and to judge."""

    def __init__(self, name: str, parent: pytest.Collector, *, number: int, judge: Judge) -> None:
        super().__init__(name, parent)
        self._number = number
        self._judge = judge
        self.covered: dict[str, Any] | None = None
        """What its run has reached, once it was played and accuses nobody."""

    def runtest(self) -> None:
        """Play it; skip it, if no run can be judged any more."""
        if self._judge.ended_by:
            pytest.skip(f"not played, since {self._judge.ended_by}")
        answer = self._judge.ask({"ask": "play", "number": self._number})
        verdict = answer["verdict"]
        self.user_properties.append((VERDICT, verdict))
        if verdict == "adapter-failed":
            self._judge.ended_by = f"the adapter failed in {self.name}"
        if verdict == INTERNAL_ERROR:
            self._judge.ended_by = f"of an internal error of raft-ref in {self.name}"
        if answer.get("covered") is not None:
            is_selection = self.config.stash.get(_IS_SELECTION, False)
            covered = {name: answer[name] for name in ("covered", "hidden")}
            self.covered = {**covered, "is_selection": is_selection}
        if verdict != "conforms":
            raise NotConforming(self._described(answer))

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """What was found, and how to do it again."""
        return str(excinfo.value)

    def _described(self, answer: dict[str, Any]) -> str:
        text: str = answer["text"]
        if answer["verdict"] == INTERNAL_ERROR:
            return _internal_error(text)
        if not answer["schedule"]:
            return text
        try:
            path = self._write(answer["schedule"])
        except OSError as error:
            return f"{text}\nthe run could not be written: {error}\n{answer['schedule']}"
        replay = ("raft-ref", "conform", "--replay", str(path), *answer["replay_options"])
        return f"{text}\nto do it again: {shlex.join(replay)}"

    def _write(self, schedule: str) -> Path:
        """Write it into pytest's cache, or where there is none, beside other temporary files.

        Raises:
            OSError: if nothing can be written.
        """
        name = f"{self.name.replace('[', '-').rstrip(']')}.json"
        cache: pytest.Cache | None = getattr(self.config, "cache", None)
        if cache is not None:
            try:
                path = cache.mkdir("raft-ref") / name
                path.write_text(schedule, "utf-8")
            except OSError:  # such as a directory that is only for reading
                pass
            else:
                return path
        path = Path(tempfile.mkdtemp(prefix="raft-ref-")) / name
        path.write_text(schedule, "utf-8")
        return path

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it comes from."""
        return "raft-ref", None, self.name


def _internal_error(text: str) -> str:
    return (
        f"{text}\ninternal error: a defect of raft-ref, which says nothing of the adapter. Please "
        f"report it with all of this: {this_version()}"
    )


class NotConforming(Exception):
    """A run did not end as it should: everything there is to say of it."""


class Judge:
    """The process that judges, and what is asked of it; see `model_check.pytest_runs`."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
        )
        self.ended_by = ""
        """Why no more runs are to be played; empty while they are."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to ``request``; an internal error, if the process is no more."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = b""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        text = f"{said}\nthe process that judges ended with exit code {code}"
        return {"verdict": INTERNAL_ERROR, "text": text}

    def close(self) -> None:
        """End the process; it ends the adapter."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()


_JUDGE: pytest.StashKey[Judge] = pytest.StashKey()


_IS_SELECTION: pytest.StashKey[bool] = pytest.StashKey()
"""Whether some runs of this session were deselected."""


class _Session:
    """What all runs of a session come to, in whichever processes they were played."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_worker = hasattr(config, "workerinput")
        self._is_internal_error = False
        self._covered: list[dict[str, Any]] = []
        self._summed: dict[str, Any] = {}

    @property
    def _is_selection(self) -> bool:
        return any(each["is_selection"] for each in self._covered)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See whether there was an internal error, and what was reached."""
        if (VERDICT, INTERNAL_ERROR) in map(tuple, report.user_properties):
            self._is_internal_error = True
        covered = getattr(report, COVERED, None)
        if covered is not None:
            self._covered.append(json.loads(covered))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make the exit code say that there was an internal error, or that nothing is known."""
        if self._is_internal_error:
            session.exitstatus = EXIT_INTERNAL
        elif self._covered and not self._is_worker:
            self._summed = self._sum()
            is_known = not self._summed.get("inconclusive") or self._is_selection
            if self._summed.get("verdict") == INTERNAL_ERROR:
                session.exitstatus = EXIT_INTERNAL
            elif session.exitstatus == pytest.ExitCode.OK and not is_known:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _sum(self) -> dict[str, Any]:
        judge = Judge()
        try:
            return judge.ask(
                {
                    "ask": "sum",
                    "covered": [each["covered"] for each in self._covered],
                    "hidden": self._covered[0]["hidden"],
                }
            )
        finally:
            judge.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was reached, and what nothing could have broken."""
        if not self._summed:
            return
        terminalreporter.section("raft-ref")
        terminalreporter.write_line(f"{len(self._covered)} runs that accuse nobody")
        terminalreporter.write_line(self._summed["text"])
        if self._summed.get("inconclusive"):
            consequence = (
                "of a selection of the runs this is no failure"
                if self._is_selection
                else "so the session fails, though no test does"
            )
            terminalreporter.write_line(
                f"inconclusive: {self._summed['inconclusive']} ({consequence})", red=True
            )
