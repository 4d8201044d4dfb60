"""The command line: ``raft-ref``, also reachable as ``python -m model_check``.

Exit codes, the same for every command:

=====  ============================================================================
0      holds: what was asked for was done, and nothing wrong was found
1      violated: a property does not hold; of mutants, one survived; a suite of vectors differs;
       the traces of a demo do not conform; a torture found something
2      usage: an option, a file or an input is not usable; nothing was checked; a server that is
       to run cannot, or cannot go on
3      adapter-failed: an adapter does not keep to the protocol, or cannot be had
4      inconclusive: a budget ran out, an interrupt came, or nobody read on, before the end; or
       unknown: a solver found no proof
70     internal error: a defect of raft-ref, which says nothing of what was checked; a traceback,
       and what to report (see `raft_ref.entry.cli`)
=====  ============================================================================
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from model_check.commands.bench import bench_command
from model_check.commands.check import check_command
from model_check.commands.cluster import cluster_command
from model_check.commands.conform import conform_command
from model_check.commands.linearizable import linearizable_command
from model_check.commands.mutants import mutants_command
from model_check.commands.prove import prove_command
from model_check.commands.rules import rules_command
from model_check.commands.trace import trace_command
from model_check.commands.vectors import vectors_command
from model_check.contracts import ContractError
from model_check.deadline import OutOfTime

EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 4


@click.group(
    name="raft-ref",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(package_name="raft-ref", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """The Raft you check your Raft against.

    Exit codes: 0 holds or conforms, 1 violated, 2 usage or malformed input, 3 an adapter failed,
    4 inconclusive, 70 an internal error of raft-ref, which says nothing of what was checked.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


cli.add_command(check_command)
cli.add_command(conform_command)
cli.add_command(trace_command)
cli.add_command(linearizable_command)
cli.add_command(mutants_command)
cli.add_command(rules_command)
cli.add_command(prove_command)
cli.add_command(vectors_command)
cli.add_command(cluster_command)
cli.add_command(bench_command)


def run(arguments: Sequence[str] | None = None, started: float | None = None) -> int:
    """Run a command line (by default the process's own) and return its exit code.

    Budgets of time begin when the process was ``started``, in seconds of `time.monotonic`; by
    default, when the command begins. Every error of usage is one line on standard error; none is a
    traceback.
    """
    try:
        code: int = (
            cli.main(arguments, prog_name="raft-ref", standalone_mode=False, obj=started) or 0
        )
        sys.stdout.flush()
        return code
    except click.UsageError as error:
        name = error.ctx.command_path if error.ctx else "raft-ref"
        _complain(f"{name}: {error.format_message()} (see {name} --help)")
    except click.ClickException as error:
        _complain(f"raft-ref: {error.format_message()}")
    except (click.Abort, KeyboardInterrupt) as interrupt:  # before there was anything else to say
        reason = interrupt.__cause__ if isinstance(interrupt, click.Abort) else interrupt
        is_late = isinstance(reason, OutOfTime)
        _complain(f"raft-ref: {f'inconclusive: stopped by {reason}' if is_late else 'interrupted'}")
        return EXIT_INCONCLUSIVE
    except BrokenPipeError:  # as in `raft-ref check | head`: nobody reads on, so say no more
        _say_no_more()
        return EXIT_INCONCLUSIVE
    except ContractError as error:  # such as a core that was changed, and asks the clock
        _complain(f"raft-ref: cannot be explored: {error}")
    except OSError as error:  # such as a full disk that standard output is on
        _say_no_more()
        _complain(f"raft-ref: cannot go on: {error}")
    return EXIT_USAGE


def _say_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(line: str) -> None:
    click.echo(" ".join(line.split()), err=True)


def main(started: float | None = None) -> NoReturn:
    """Entry point of the console script, whose process was ``started`` then, in seconds of
    `time.monotonic`; by default, now."""
    # Whoever ends it so is told as much as by an interrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = run(started=started)
    # The interpreter collects garbage several times when it ends. It would take most of a second to
    # visit what a solver or a compiler leaves, and free memory that the system takes back anyway.
    gc.freeze()
    sys.exit(code)
