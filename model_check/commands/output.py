"""What commands share: where results go, and how progress is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from model_check.deadline import Deadline
from model_check.explore import COMPILING, Figures
from model_check.report import Report

STARTING = "starting"
"""What is shown until there is something to show."""


def announce(phase: str) -> None:
    """Say on standard error, also where that is no terminal, what takes long and shows nothing."""
    if phase == COMPILING:
        click.echo(phase, err=True)


def require_writable(*paths: Path | None) -> None:
    """Fail now rather than after the work is done; what is not asked for, or ``-``, is no matter.

    Raises:
        click.ClickException: if nothing can be written to one of them.
    """
    for path in paths:
        if path is not None and str(path) != "-":
            _require_writable(path)


def _require_writable(path: Path) -> None:
    existed = path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise click.ClickException(_cannot_write(path, error)) from None
    if not existed:
        path.unlink()


def write_json(data: Report, path: Path) -> None:
    """Write ``data`` to ``path``, or to standard output if that is ``-``.

    Raises:
        click.ClickException: if it cannot be written.
    """
    text = json.dumps(data, indent=2) + "\n"
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    with usable(path):
        path.write_text(text, "utf-8")


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into an error message."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(_cannot_write(path, error)) from None


def _cannot_write(path: Path, error: OSError) -> str:
    return f"cannot write {path}: {error.strerror}; choose another path"


def prepare_explorer() -> None:
    """Have the explorer compiled, and say so if it is not."""
    # Imported here, since it takes a second, and not everyone has a use for it.
    from model_check.engine.prepared import prepare

    prepare(Deadline(on_phase=announce))


@contextmanager
def live_progress(starting: str) -> Iterator[Callable[[Figures], None]]:
    """Show on a terminal how far an exploration has come; elsewhere, nothing."""
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal:
        yield lambda _: None
        return
    with terminal.status(starting) as status:

        def show(found: Figures) -> None:
            seconds = max(found.seconds, 1e-9)
            memory = "" if found.memory_bytes is None else f", {found.memory_bytes / 2**30:.2f} GiB"
            status.update(
                f"depth {found.depth}: {found.states:,} states ({found.states / seconds:,.0f}/s), "
                f"{found.transitions:,} transitions ({found.transitions / seconds:,.0f}/s), "
                f"{found.frontier:,} stored ones to expand{memory}, "
                f"{found.core_calls:,} calls of the core"
            )

        yield show
