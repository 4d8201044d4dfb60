"""A run of Raft as a test: a file that pytest runs, and that fails while the run violates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from textwrap import fill
from typing import NamedTuple

import raft_ref
from model_check.check import RaftReplay, Setup
from model_check.system import Violation


def as_pytest(setup: Setup, run: RaftReplay) -> str:
    """A test that replays the run on the core as it is."""
    assert run.violation is not None
    actions = [moment.action for moment in run.moments]
    kinds = {type(action).__name__ for action in actions}
    return _TEST.format(
        system_names=", ".join(sorted(kinds)),
        core_names=", ".join(sorted(_core_names(actions))),
        test=_name_of(run.violation),
        property=run.violation.property,
        explanation=_in_docstring(run.violation.explanation),
        setup=_wrapped(f"setup = {_setup_code(setup)}", 4),
        actions="\n".join(_wrapped(f"{action!r},", 8) for action in actions),
    )


_TEST = '''\
"""Needs raft-ref, installed for the Python that runs pytest: its core is what is tested."""

from model_check.check import Setup
from model_check.counterexample import replay
from model_check.raft import Bounds
from model_check.system import {system_names}
from raft_ref import {core_names}


def test_{test}() -> None:
    """This run broke {property}:

{explanation}
    """
{setup}
    actions = [
{actions}
    ]
    assert replay(setup.system(), actions).violation is None
'''


class Redoing(NamedTuple):
    """A run to do again on an adapter."""

    violation: Violation
    schedule: str
    """As `raft-ref conform --replay` reads it."""
    profile: str


def as_foreign_pytest(runs: Sequence[Redoing], command: tuple[str, ...]) -> str:
    """A test for each run, which does it again on an adapter."""
    return "\n\n".join([_FOREIGN_HEAD.format(command=list(command)), *_foreign_tests(runs)])


def _foreign_tests(runs: Sequence[Redoing]) -> Iterator[str]:
    taken: set[str] = set()
    for run in runs:
        name, number = _name_of(run.violation), 1
        while name in taken:
            number += 1
            name = f"{_name_of(run.violation)}_{number}"
        taken.add(name)
        yield _FOREIGN_TEST.format(
            test=name,
            property=run.violation.property,
            explanation=_in_docstring(run.violation.explanation),
            schedule=run.schedule.rstrip("\n"),
            profile=run.profile,
        )


_FOREIGN_HEAD = '''\
"""Needs raft-ref, installed for this Python or on the PATH, and the adapter, started as below."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ADAPTER = {command!r}
SCRIPTS = os.path.dirname(sys.executable)
RAFT_REF = shutil.which("raft-ref", path=SCRIPTS) or shutil.which("raft-ref") or "raft-ref"


def redo(schedule: str, profile: str, directory: Path) -> int:
    """The exit code of `raft-ref conform --replay`."""
    file = directory / "schedule.json"
    file.write_text(schedule)
    command = [RAFT_REF, "conform", "--replay", file, "--profile", profile, "--", *ADAPTER]
    return subprocess.run(command).returncode
'''

_FOREIGN_TEST = '''\
def test_{test}(tmp_path: Path) -> None:
    """This run broke {property}:

{explanation}
    """
    schedule = r"""
{schedule}
"""
    assert redo(schedule, {profile!r}, tmp_path) == 0
'''


def _in_docstring(text: str) -> str:
    """``text``, which may be anything that a server died of, so that it ends no string."""
    plain = " ".join(text.replace("\\", "\\\\").replace('"""', r"\"\"\"").split())
    shown = (each if each.isprintable() else ascii(each)[1:-1] for each in plain)
    return _wrapped("".join(shown), 4)


def _name_of(violation: Violation) -> str:
    """``vote_once``, for a rule VOTE-ONCE and a property VoteOnce."""
    words = re.findall("[A-Z]+(?![a-z])|[A-Z][a-z]*", violation.property)
    return "_".join(words).lower()


def _setup_code(setup: Setup) -> str:
    """An expression for ``setup``, without what is as it would be anyway."""
    plain = Setup(bounds=setup.bounds)
    given = [
        f"{field.name}={getattr(setup, field.name)!r}"
        for field in fields(Setup)
        if field.name == "bounds" or getattr(setup, field.name) != getattr(plain, field.name)
    ]
    return f"Setup({', '.join(given)})"


def _wrapped(text: str, indentation: int) -> str:
    margin = " " * indentation
    return fill(
        text,
        100,
        initial_indent=margin,
        subsequent_indent=margin + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _core_names(value: object) -> set[str]:
    """The names to import from `raft_ref` for the `repr` of ``value``."""
    if isinstance(value, list | tuple):
        return {name for item in value for name in _core_names(item)}
    if not is_dataclass(value):
        return set()
    own = {type(value).__name__} if hasattr(raft_ref, type(value).__name__) else set()
    return own.union(*(_core_names(getattr(value, field.name)) for field in fields(value)))
