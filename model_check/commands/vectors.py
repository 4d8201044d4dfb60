"""``raft-ref vectors``: what the core answers, written down for other test suites."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from model_check.commands.options import given, json_option, refuse
from model_check.commands.output import (
    STARTING,
    live_progress,
    prepare_explorer,
    require_writable,
    usable,
    write_json,
)
from model_check.commands.summary import as_rows
from model_check.raft import Bounds
from model_check.report import SCHEMA_VERSION, Report
from model_check.vectors.format import MOST_SERVERS, README, VectorFile
from model_check.vectors.reading import NoSuite, read_suite

if TYPE_CHECKING:
    from model_check.vectors.check import Problem

SHOWN = 20
"""Problems that are shown to people."""


class VectorOptions(TypedDict):
    """What the options that bound a suite hand to the command."""

    servers: int
    max_term: int
    max_log: int
    values: int
    max_entries: int
    restarts: bool


_OF_BOUNDS = tuple(VectorOptions.__annotations__)


@dataclass(frozen=True)
class _Done:
    """What was written or checked."""

    directory: Path
    bounds: Bounds
    files: dict[str, VectorFile]
    sizes: dict[str, int]
    seconds: float
    problems: Sequence[Problem] | None
    """None if it was written."""

    @property
    def verdict(self) -> str:
        """What it comes to."""
        if self.problems is None:
            return "written"
        return "differs" if self.problems else "holds"


@click.command("vectors")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the suite into this directory.",
)
@click.option(
    "--check",
    type=click.Path(file_okay=False, path_type=Path),
    help="Check the suite in this directory instead, within its own bounds.",
)
@click.option(
    "--servers",
    type=click.IntRange(1, MOST_SERVERS),
    default=3,
    show_default=True,
    help="Servers in a cluster.",
)
@click.option(
    "--max-term",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Servers at this term do not time out any more.",
)
@click.option(
    "--max-log",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Leaders with so many entries get no more client requests.",
)
@click.option(
    "--values",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Distinct commands that clients choose from.",
)
@click.option(
    "--max-entries",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Entries that travel in one AppendEntries at most.",
)
@click.option(
    "--restarts/--no-restarts",
    default=True,
    show_default=True,
    help="Whether any server may crash and restart at any moment.",
)
@json_option
@click.pass_context
def vectors_command(
    context: click.Context,
    *,
    out: Path | None,
    check: Path | None,
    json_path: Path | None,
    **options: Unpack[VectorOptions],
) -> int:
    """Write a suite of test vectors: what the core does in each of its local steps within bounds.

    For those who test a Raft of their own in its own language. spec/vectors.md says what the files
    hold, and how to judge by them; it comes with them as README.md.

    Exit codes: 0 written, or all is as it should be; 1 the core does not answer as a suite says, or
    it is not the one that this version would write; 2 usage or malformed input.
    """
    match out, check:
        case Path(), None:
            work = partial(_write, out, Bounds(**options))
        case None, Path():
            refuse(given(context, _OF_BOUNDS), "does not go with --check: the files say it")
            work = partial(_check, check)
        case _:
            raise click.UsageError("give --out DIR to write a suite, or --check DIR")
    require_writable(json_path)
    done = work()
    if json_path is not None:
        write_json(_report(done), json_path)
    if str(json_path) != "-":
        click.echo(_summary(done))
    return 1 if done.problems else 0


def _write(directory: Path, bounds: Bounds) -> _Done:
    # Imported here, since it takes a second, and not everyone has a use for it.
    from model_check.vectors.suite import make_suite

    started = time.monotonic()
    with usable(directory):
        directory.mkdir(parents=True, exist_ok=True)
        require_writable(directory / README)
    prepare_explorer()
    with live_progress(STARTING) as on_progress:
        suite = make_suite(bounds, on_progress)
    texts = suite.texts
    for name, text in texts.items():
        with usable(directory / name):
            (directory / name).write_bytes(text)
    sizes = {name: len(text) for name, text in texts.items()}
    return _Done(directory, bounds, suite.files, sizes, time.monotonic() - started, None)


def _check(directory: Path) -> _Done:
    from model_check.vectors.check import check_suite

    started = time.monotonic()
    try:
        written = read_suite(directory)
    except NoSuite as error:
        raise click.ClickException(f"{directory} holds no suite: {error}") from None
    prepare_explorer()
    with live_progress(STARTING) as on_progress:
        problems = check_suite(written, on_progress)
    sizes = {name: len(text) for name, text in written.texts.items()}
    seconds = time.monotonic() - started
    return _Done(directory, written.bounds, dict(written.files), sizes, seconds, problems)


# --- for people ----------------------------------------------------------------------------------


def _summary(done: _Done) -> str:
    problems = done.problems or ()
    rows = [
        ("bounds", ", ".join(f"{name} {value}" for name, value in _bounds(done.bounds).items())),
        *((name, _described(file, done.sizes[name])) for name, file in done.files.items()),
        ("seconds", f"{done.seconds:.1f}"),
    ]
    shown = [str(problem) for problem in problems[:SHOWN]]
    left_out = [f"and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
    return "\n".join([_headline(done), *as_rows(rows), *shown, *left_out])


def _headline(done: _Done) -> str:
    match done.verdict:
        case "written":
            return f"written: a suite of vectors, in {done.directory}"
        case "holds":
            return "holds: the core answers each case as it says, and would write the same bytes"
        case _:
            return f"differs: {len(done.problems or ()):,} things are not as they should be"


def _described(file: VectorFile, size: int) -> str:
    return f"{file.counts.cases:,} cases, {file.counts.covering:,} of them covering; {size:,} bytes"


# --- for programs --------------------------------------------------------------------------------


def _report(done: _Done) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "vectors" if done.problems is None else "vectors --check",
        "verdict": done.verdict,
        "directory": str(done.directory),
        "bounds": _bounds(done.bounds),
        "files": {
            name: {
                "cases": file.counts.cases,
                "covering": file.counts.covering,
                "bytes": done.sizes[name],
            }
            for name, file in done.files.items()
        },
        "problems": [asdict(problem) for problem in done.problems or ()],
        "seconds": round(done.seconds, 3),
    }


def _bounds(bounds: Bounds) -> dict[str, object]:
    return {name: getattr(bounds, name) for name in _OF_BOUNDS}
