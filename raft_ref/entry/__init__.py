"""The entry points: the command line, and the pytest plugin.

A project under test may have a package ``spec`` or ``model_check`` of its own. Its directory comes
first on the import path of ``python -m``, and wherever ``PYTHONPATH`` names it. So each of our
processes calls `find_ours_first` before it imports the checker; and in a process that is not ours,
such as the project's pytest, nothing of the checker is imported: `judge` is started instead.

The entry points stand in this package, although they start `model_check`, because ``raft_ref`` is
the one of our package names that no other project is likely to use.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

STARTED = time.monotonic()
"""When this process started, as near as can be told: the checker's own imports take time, too, and
a budget of time is for all of a command."""

OURS = ("raft_ref", "spec", "model_check")
"""The packages that must be found where this one is."""
HOME = str(Path(__file__).resolve().parents[2])
"""The directory they are in."""


def find_ours_first() -> None:
    """Move directories that have a package of the same name behind the directory of ours.

    The import path is changed, rather than the import system, since other processes that
    `multiprocessing` spawns get the same path.
    """
    hiding = [entry for entry in sys.path if _has_one(entry) and not _is_home(entry)]
    others = [entry for entry in sys.path if entry not in hiding]
    sys.path[:] = others + ([] if any(map(_is_home, others)) else [HOME]) + hiding


def _is_home(entry: str) -> bool:
    return os.path.realpath(entry) == os.path.realpath(HOME)


def _has_one(entry: str) -> bool:
    return any(
        os.path.exists(os.path.join(entry, name))
        for package in OURS
        for name in (package, f"{package}.py")
    )
