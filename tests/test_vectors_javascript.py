"""The example runner, in JavaScript: what it says of a small Raft beside it, and of broken ones."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from model_check.cli import run

HERE = Path(__file__).with_name("vectors")
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
]


class Failure(NamedTuple):
    """A case that failed, as the runner shows it."""

    case: str
    what: str
    flags: list[str]
    rules: list[str]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("vectors")
    some = ["--servers", "2", "--max-term", "1", "--json", str(directory / "report.json")]
    assert run(["vectors", "--out", str(directory), *some]) == 0
    return directory


def judge(suite: Path, implementation: Path) -> tuple[int, list[Failure], str]:
    """What the runner says: exit code, failures, and its last line."""
    command = [str(NODE), str(HERE / "runner.mjs"), str(suite), str(implementation)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert not done.stderr
    *lines, last = done.stdout.splitlines()
    return done.returncode, list(failures(lines)), last


def failures(lines: list[str]) -> Iterator[Failure]:
    for first, flags, rules in zip(*[iter(lines)] * 3, strict=True):
        case, _, what = first.partition(": ")
        yield Failure(
            case,
            what,
            flags.removeprefix("  flags ").split(", "),
            rules.removeprefix("  rules ").split(", "),
        )


def changed(line: str, other: str, directory: Path) -> Path:
    """The Raft in JavaScript with one line changed."""
    text = (HERE / "raft.mjs").read_text("utf-8")
    assert text.count(line) == 1
    path = directory / "raft.mjs"
    path.write_text(text.replace(line, other), "utf-8")
    return path


def test_a_raft_in_javascript_passes_every_case(suite: Path) -> None:
    code, failed, last = judge(suite, HERE / "raft.mjs")
    assert (code, failed) == (0, [])
    assert last.endswith(": 0 failures")
    assert not last.startswith("0 steps")


@pytest.mark.parametrize(
    ("line", "broken", "flag", "rule"),
    [
        (
            "const isFree = [null, request.source].includes(this.disk.voted_for);",
            "const isFree = true;",
            "vote-forgets-voted-for",
            "VOTE-ONCE",
        ),
        (
            "return term > lastTerm || (term === lastTerm && index >= this.lastIndex);",
            "return true;",
            "vote-without-log-check",
            "VOTE-UP-TO-DATE",
        ),
        (
            "return term > lastTerm || (term === lastTerm && index >= this.lastIndex);",
            "return index >= this.lastIndex;",
            "up-to-date-by-index-only",
            "VOTE-UP-TO-DATE",
        ),
        (
            "this.state = { persistent: this.disk,",
            "this.disk.voted_for = null; this.state = { persistent: this.disk,",
            "vote-not-persisted",
            "RESTART-VOTE",
        ),
        (
            "if (this.termAt(index) === this.term && this.isMajority(holders.length + 1)) {",
            "if (this.isMajority(holders.length + 1)) {",
            "commit-old-term-by-counting",
            "COMMIT-CURRENT-TERM",
        ),
        (
            "if (this.termAt(prev) !== prevTerm) return reply(false, 0);",
            "if (prev > this.lastIndex) return reply(false, 0);",
            "prev-log-term-not-checked",
            "FOLLOWER-PREV-MATCH",
        ),
        (
            "if (conflict < 0) return;",
            "if (conflict < 0) return void (this.disk.log.entries.length = prev + entries.length);",
            "truncate-without-conflict",
            "FOLLOWER-SPLICE-CONFLICT",
        ),
        (
            "return 2 * count > this.config.servers.length;",
            "return 2 * count >= this.config.servers.length;",
            "quorum-is-half",
            "ELECT-QUORUM",
        ),
    ],
)
def test_a_broken_one_is_told_which_bug_it_looks_like(
    line: str, broken: str, flag: str, rule: str, suite: Path, tmp_path: Path
) -> None:
    code, failed, _ = judge(suite, changed(line, broken, tmp_path))
    assert code == 1
    forbidden = [each for each in failed if each.what == "forbidden"]
    assert any(flag in each.flags and rule in each.rules for each in forbidden)
    assert any(each.case.startswith("trace-") and flag in each.flags for each in failed)


def test_one_that_waits_for_the_next_heartbeat_is_different_but_not_forbidden(
    suite: Path, tmp_path: Path
) -> None:
    eager = "if (isNews && next[source] <= this.lastIndex) this.sendEntries(source);"
    code, failed, _ = judge(suite, changed(eager, "", tmp_path))
    assert code == 1
    assert all(each.what.startswith("different") for each in failed)
