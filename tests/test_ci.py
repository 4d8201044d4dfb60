"""The steps of continuous integration that take long are parts, and every slow test is in one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
SLOW = ROOT / ".ci/slow"
SCRIPT = SLOW.read_text()
MOST_MINUTES = 40


def ci_slow(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(SLOW), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def bodies() -> dict[str, str]:
    """By part: what it does."""
    found = re.findall(r"^part_(\w+)\(\) \{(.*?)\}$", SCRIPT, re.MULTILINE | re.DOTALL)
    return {name: body.replace("$FREEST", "tests/test_freest.py") for name, body in found}


def test_every_part_is_listed_and_takes_no_longer_than_it_may() -> None:
    done = ci_slow("--list")
    assert done.returncode == 0
    listed = [re.match(r"(\w+) +(\d+) min  \S", line) for line in done.stdout.splitlines()]
    parts = {match[1]: int(match[2]) for match in listed if match}
    assert parts.keys() == bodies().keys()
    assert len(parts) == len(listed)
    assert max(parts.values()) <= MOST_MINUTES


def test_an_unknown_part_is_refused_before_anything_is_done() -> None:
    done = ci_slow("peers", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("no part nonsense; there are: ")
    assert all(part in done.stderr for part in bodies())


def test_every_slow_test_is_in_a_part() -> None:
    """`tests` has what the others have not; so it leaves out what they have, and nothing else."""
    files = {
        part: set(re.findall(r"tests/test_\w+\*?\.py", body)) for part, body in bodies().items()
    }
    left_out = files.pop("tests")
    assert left_out == set().union(*files.values())
    assert all(list(ROOT.glob(name)) for name in left_out)
    assert re.findall(r'-k "(.*?)"', "".join(bodies().values())) == ["$ENOUGH", "not $ENOUGH"]


def test_every_command_of_the_readme_with_a_table_is_run_by_a_part() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^\| `raft-ref (\w+)", readme, re.MULTILINE)
    assert set(commands) == {"check", "prove"}
    assert commands.count("check") >= 10
    assert commands.count("prove") >= 6
