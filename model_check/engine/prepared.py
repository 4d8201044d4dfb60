"""The compiled functions, compiled before they are needed: in a process that can be ended.

Compiling takes half a minute, and a process that does it hears nothing meanwhile. So another one
does (`model_check.engine.compiling`), and leaves what it compiled on disk, where this one finds it.
It leaves a mark there as well, which names the sources that it was compiled from: as long as these
stay the same, there is nothing to do.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import numba

from model_check.deadline import Deadline
from model_check.engine.compiled import FUNCTIONS
from model_check.explore import COMPILING

_CHILD = """
import sys
sys.path[:] = sys.argv[1:]
from model_check.engine.compiling import main
main()
"""
"""Finds what this process finds, whatever the directory, and whoever started it."""
_GLANCE = 0.05
"""Seconds between two looks at the clock."""


def prepare(deadline: Deadline) -> None:
    """Have everything compiled, unless it is.

    If that fails, nothing is lost but time: what is needed will be compiled when it is called.

    Raises:
        OutOfTime: if there is no time for it. What was compiled by then is kept.
    """
    if is_prepared():
        return
    with deadline.phase(COMPILING):
        child = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _CHILD, *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the other
        )
        try:
            while child.poll() is None:
                deadline.check()
                try:
                    child.wait(_GLANCE)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            child.kill()
            child.wait()


def is_prepared() -> bool:
    """Whether everything was compiled, from these sources, on such a machine."""
    return mark().exists()


def directory() -> Path:
    """Where compiled functions are kept: all of them in one place, and nothing else."""
    return Path(FUNCTIONS[0].stats.cache_path)


def mark() -> Path:
    """The file that says that everything is compiled."""
    machine = repr((numba.__version__, FUNCTIONS[0].targetctx.codegen().magic_tuple()))
    digest = hashlib.sha256(machine.encode()).hexdigest()[:16]
    return directory() / f"{marks_of_these_sources()}-{sys.implementation.cache_tag}-{digest}"


@cache
def marks_of_these_sources() -> str:
    """How the names of marks begin that are of the sources as they are."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return f"raft-ref-{digest.hexdigest()[:16]}"
