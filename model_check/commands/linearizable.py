"""``raft-ref linearizable``: judge what clients saw of a key-value store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import click
from rich.console import Console

from model_check.commands.options import (
    deadline_of,
    files_argument,
    json_option,
    max_seconds_option,
)
from model_check.commands.output import require_writable, write_json
from model_check.commands.summary import as_rows
from model_check.deadline import enforced
from model_check.linearizability.check import (
    MOST_STATES,
    Budget,
    Linearizable,
    NotLinearizable,
    Undecided,
    Verdict,
    check,
)
from model_check.linearizability.files import read_history
from model_check.linearizability.format import HistoryError
from model_check.linearizability.history import Pending
from model_check.linearizability.models import KeyValueAction, KeyValueResult, KeyValueStore
from model_check.linearizability.report import history_report, malformed_report
from model_check.linearizability.words import explain, headline

EXIT_LINEARIZABLE, EXIT_NOT_LINEARIZABLE, EXIT_MALFORMED, EXIT_UNDECIDED = 0, 1, 2, 4

KeyValueVerdict: TypeAlias = Verdict[KeyValueAction, str | None, KeyValueResult]

KEYS_SHOWN = 8


@click.command("linearizable")
@files_argument
@max_seconds_option
@click.option(
    "--max-states",
    type=click.IntRange(1),
    default=MOST_STATES,
    show_default=True,
    help="Give a key up after so many configurations, which are remembered.",
)
@json_option
def linearizable_command(
    *,
    paths: tuple[Path, ...],
    max_seconds: float | None,
    max_states: int,
    json_path: Path | None,
) -> int:
    """Judge a history: does a store that does one thing at a time explain what clients saw?

    FILE has an operation a line, as spec/history_format.md says; several files make one history.
    - is standard input.

    Exit codes: 0 linearizable, 1 not linearizable, 2 usage or malformed input, 4 undecided.
    """
    require_writable(json_path)
    deadline = deadline_of(max_seconds)
    try:
        with enforced(deadline), deadline.phase("reading the history"):
            history = read_history(paths)
    except HistoryError as error:
        if json_path is not None:
            write_json(malformed_report(paths, str(error)), json_path)
        click.echo(f"malformed: {error}", err=True)
        return EXIT_MALFORMED
    except OSError as error:
        raise click.ClickException(f"cannot read {error.filename}: {error.strerror}") from None
    with _progress(len(history)) as on_progress, enforced(deadline):
        found = check(history, KeyValueStore(), Budget(max_states, deadline.left), on_progress)
    if json_path is not None:
        write_json(history_report(found, history, paths), json_path)
    if str(json_path) != "-":
        pending = sum(isinstance(each, Pending) for each in history)
        click.echo("\n".join(_lines(found, len(history), pending)))
    return _exit_code(found)


def _exit_code(found: KeyValueVerdict) -> int:
    match found:
        case Linearizable():
            return EXIT_LINEARIZABLE
        case NotLinearizable():
            return EXIT_NOT_LINEARIZABLE
        case Undecided():
            return EXIT_UNDECIDED


def _lines(found: KeyValueVerdict, operations: int, pending: int) -> Iterator[str]:
    yield _headline(found)
    work = found.work
    rows = [
        ("history", f"{operations:,} operations, {pending:,} of them of unknown outcome"),
        (
            "searched",
            f"{work.keys:,} keys, {work.operations:,} operations, {work.configurations:,} "
            f"configurations, in {work.seconds:.1f} s",
        ),
    ]
    yield from as_rows(rows)
    if isinstance(found, NotLinearizable):
        yield ""
        yield from explain(found)


def _headline(found: KeyValueVerdict) -> str:
    match found:
        case Linearizable():
            return (
                "linearizable: each key has an order of its operations that explains every answer"
            )
        case NotLinearizable():
            return f"not linearizable: {headline(found)}"
        case Undecided(keys):
            names = _listed([repr(key) for key in keys])
            return f"undecided: {names}: give it more --max-seconds or --max-states"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - KEYS_SHOWN
    shown = ", ".join(names[:KEYS_SHOWN])
    return f"keys {shown} and {more:,} more" if more > 0 else f"keys {shown}"


@contextmanager
def _progress(operations: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far a history was judged; elsewhere, nothing."""
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal:
        yield lambda _: None
        return
    with terminal.status("judging") as status:
        yield lambda done: status.update(f"{done:,} of {operations:,} operations judged")
