"""The commands of README.md do what stands there, as they are written there, in a clone.

Seconds, and what follows from them, are not compared; nor is what README.md leaves out, with
``...`` or by leaving a line out. What takes over 20 seconds is slow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from model_check.deadline import Deadline
from model_check.engine import prepared

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
TAKES_LONG = ("raft-ref conform -- ", "raft-ref cluster ")
ELSEWHERE = "raft-ref cluster torture "
"""Takes a quarter of an hour, and comes out otherwise each time: see .ci/slow."""
BREAKS_A_RULE = "Make `is_up_to_date` in `raft_ref/election.py` return `True`:\n"


class Shown(NamedTuple):
    """A command, and what README.md shows of its output."""

    command: str
    lines: tuple[str, ...]


def shown(text: str) -> list[Shown]:
    """All that stands in blocks, after a dollar sign."""
    found = []
    for block in re.findall(r"^```\n(\$ .*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", " ").partition("\n")
            lines = tuple(line for line in output.splitlines() if line.strip())
            found.append(Shown(" ".join(command.split()), lines))
    return found


SHOWN = shown(README)
(BROKEN,) = shown(README.partition(BREAKS_A_RULE)[2].partition("\n\nExit codes")[0])
FIRST, SECOND = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)

TIMING = re.compile(r"([\d,.]+ (?:s\b|states/s|workers?\b|runs a minute))")


def pattern(line: str) -> str:
    """What a line of README.md looks like where it is run."""
    parts = []
    for part in TIMING.split(collapsed(line)):
        if TIMING.fullmatch(part):
            unit = part.partition(" ")[2].removesuffix("s") if "worker" in part else None
            parts.append(rf"[\d,.]+ {f'{unit}s?' if unit else re.escape(part.partition(' ')[2])}")
        else:
            parts.append(re.escape(part).replace(r"\.\.\.", ".*?"))
    return "".join(parts)


def collapsed(text: str) -> str:
    """Without what is a matter of width."""
    return " ".join(text.replace("┃", "│").split())


def differences(lines: tuple[str, ...], output: str) -> list[str]:
    """The lines of which there is nothing like in what is left of the output."""
    position, missing, text = 0, [], collapsed(output)
    for line in lines:
        match = re.compile(pattern(line)).search(text, position)
        if match is None:
            missing.append(line)
        else:
            position = match.end()
    return missing


# --- a clone -------------------------------------------------------------------------------------


def cloned(target: Path) -> Path:
    """What is or would be committed."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        pytest.skip("this is no clone")
    for name in done.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def without_a_venv(target: Path) -> dict[str, str]:
    """An environment in which ``raft-ref`` is that of the clone, its explorer compiled already."""
    prepared.prepare(Deadline())
    shutil.copytree(prepared.directory(), target / "model_check/engine/__pycache__")
    script = target / ".venv/bin/raft-ref"
    script.parent.mkdir(parents=True)
    path = f"import sys; sys.path.insert(0, {str(target)!r})"
    main = f"{path}; from model_check.cli import main; main()"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{main}" "$@"\n')
    script.chmod(0o755)
    return with_path(script.parent, Path(sys.executable).parent)


def with_path(*directories: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return kept | {"PATH": os.pathsep.join([*map(str, directories), os.environ["PATH"]])}


def run(command: str, clone: Path, environment: dict[str, str]) -> str:
    """The output of a command, as a shell runs it there."""
    done = subprocess.run(  # noqa: S602 - as it is written
        command,
        shell=True,
        executable="/bin/bash",
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def break_the_rule(clone: Path) -> None:
    """As README.md says."""
    path = clone / "raft_ref/election.py"
    source = path.read_text("utf-8")
    body = re.compile(
        r"(^def is_up_to_date\(.*?\n    return ).*?(?=\n(?:\n\n|\Z))", re.MULTILINE | re.DOTALL
    )
    broken, count = body.subn(r"\g<1>True", source)
    assert count == 1
    path.write_text(broken, "utf-8")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    target = cloned(tmp_path_factory.mktemp("clone"))
    return target, without_a_venv(target)


# --- the commands --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(each, marks=[pytest.mark.slow] * each.command.startswith(TAKES_LONG))
        for each in SHOWN
        if each != BROKEN and not each.command.startswith(ELSEWHERE)
    ],
    ids=lambda each: each.command,
)
def test_a_command_shows_what_stands_there(
    command: Shown, clone: tuple[Path, dict[str, str]]
) -> None:
    output = run(command.command, *clone)
    assert differences(command.lines, output) == [], output


def test_a_broken_rule_is_seen(tmp_path: Path) -> None:
    environment = without_a_venv(cloned(tmp_path))
    break_the_rule(tmp_path)
    output = run(BROKEN.command, tmp_path, environment)
    assert BROKEN.lines[0].startswith("violated: LeaderCompleteness")
    assert differences(BROKEN.lines, output) == [], output


@pytest.mark.slow
def test_a_broken_rule_is_seen_after_the_first_command(tmp_path: Path) -> None:
    """As a reader does it who knows nothing else: with the environment of the first command."""
    environment = with_path(cloned(tmp_path) / ".venv/bin")
    assert run(FIRST, tmp_path, environment).startswith("holds: ")
    break_the_rule(tmp_path)
    output = run(BROKEN.command, tmp_path, environment)
    assert differences(BROKEN.lines, output) == [], output


def test_both_first_commands_install_what_can_be_edited() -> None:
    assert "install -q -e ." in FIRST
    assert "install -q -e '.[dev]'" in SECOND


def test_the_core_is_used_as_it_says(clone: tuple[Path, dict[str, str]]) -> None:
    directory, environment = clone
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    script = directory / "used.py"
    script.write_text(code + "print(transition.state.current_term, len(transition.outputs))\n")
    assert run(f"PYTHONPATH=. python3 {script.name}", directory, environment) == "1 3\n"


def test_what_takes_too_long_for_this_is_run_elsewhere() -> None:
    (command,) = (each.command for each in SHOWN if each.command.startswith(ELSEWHERE))
    assert command in (ROOT / ".ci/slow").read_text("utf-8")


# --- the comparison itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "output", "is_alike"),
    [
        (
            "  explored  4 states, in 1.0 s (4 states/s)",
            "explored 4 states, in 2 s (2 states/s)",
            True,
        ),
        ("  explored  40 states, in 1.0 s", "explored 41 states, in 1.0 s", False),
        ("  by  compiled engine, 2 workers, ...", "by compiled engine, 1 worker, 7 calls", True),
        ("  by  compiled engine, 2 workers, ...", "by reference engine, 1 worker", False),
        ("  reached  election (3), ...", "reached election (4), append (3)", False),
    ],
)
def test_figures_are_compared_and_seconds_are_not(line: str, output: str, is_alike: bool) -> None:
    assert (differences((line,), output) == []) == is_alike


def test_lines_are_compared_in_their_order() -> None:
    assert differences(("one", "two"), "zero one and two") == []
    assert differences(("one", "two"), "two one") == ["two"]


def test_there_are_commands_to_run() -> None:
    assert len(SHOWN) >= 9
    assert SHOWN[0].command == "raft-ref check --restarts"
