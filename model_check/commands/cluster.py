"""``raft-ref cluster``: servers that run.

What it needs beyond the rest is an extra of the package, so it is imported only when it is used.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from model_check.commands.options import POSITIVE, jobs_option, json_option
from model_check.commands.output import require_writable
from raft_ref.cluster.limits import NAMES

EXIT_CODES = {"holds": 0, "violated": 1, "inconclusive": 4}


_nodes_option = click.option(
    "--nodes", "servers", type=click.IntRange(1, 9), default=3, show_default=True
)


def _dir_option(help_text: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    return click.option(
        "--dir", "directory", type=click.Path(file_okay=False, path_type=Path), help=help_text
    )


def _limit_options(command: Callable[..., int]) -> Callable[..., int]:
    """One option for each limit, named as it is in a file of settings."""
    for name, text in reversed(list(NAMES.items())):
        command = click.option(f"--{name}", name.replace("-", "_"), help=text)(command)
    return command


def _given(options: Mapping[str, str | None]) -> Mapping[str, str]:
    return {name.replace("_", "-"): value for name, value in options.items() if value is not None}


@click.group("cluster", invoke_without_command=True)
@click.pass_context
def cluster_command(context: click.Context) -> None:
    """Run a cluster: servers on sockets and disks, around the very core that is checked.

    Clients speak the Redis protocol, to any server: redis-cli, redis-py. Beside GET, SET, DEL, INCR
    and INCRBY there are CAS key old new, and RAFT.SESSION and RAFT.CALL session sequence command,
    which is applied exactly once however often it is asked for. A command has at most 1,000 words
    and 64 KiB; there are no transactions (with redis-py: pipeline(transaction=False)).

    Exit codes: 0 it ended as it should, 1 the traces of a demo do not conform, or torture or
    simulation found something, 2 it could not run, 4 inconclusive.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cluster_command.command("node")
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="A TOML file; raft_ref/cluster/settings.py says what may stand in it.",
)
@click.option(
    "--secret",
    type=click.Path(dir_okay=False),
    help="A file with the secret that all servers of the cluster share, and nobody else can read.",
)
@_limit_options
def node_command(*, path: Path, **options: str | None) -> int:
    """Run one server, as a service does, until SIGTERM or Ctrl-C.

    Logs go to standard error, a line of JSON for each event. Limits for clients are named as in
    Redis; 64mb is 64 * 1024 * 1024 bytes, and 0 means no limit.

    Exit codes: 0 it was told to stop, 2 it could not run, or go on: what it has stored is damaged,
    or the disk is full.
    """
    with complaining():
        from raft_ref.cluster.logs import complain
        from raft_ref.cluster.service import ServiceError, serve
        from raft_ref.cluster.settings import read_settings

        settings = read_settings(path, _given(options))
        try:
            serve(settings)
        except ServiceError as error:
            complain(str(error), sys.stderr)
            return 2
    return 0


@cluster_command.command("run")
@_nodes_option
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where the servers keep their state, logs and traces. Given again, they go on from there.",
)
@click.option("--max-seconds", type=POSITIVE, help="Stop after so many seconds.")
@_limit_options
def run_command(
    *, servers: int, directory: Path, max_seconds: float | None, **options: str | None
) -> int:
    """Run a cluster on this machine, each server a process of its own, until Ctrl-C.

    The directory holds the state of each server, and the secret that they share. The limits for
    clients are named as in Redis, as in raft-ref cluster node.

    Exit codes: 0 it was told to stop, 2 it could not run.
    """
    with complaining():
        from model_check.commands.cluster_run import watch
        from raft_ref.cluster.processes import LocalCluster

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        watch(LocalCluster(directory, servers, options=_given(options)), max_seconds)
    return 0


@cluster_command.command("demo")
@_dir_option("An empty directory in which to keep everything; by default, nothing is kept.")
def demo_command(*, directory: Path | None) -> int:
    """See a cluster elect a leader, lose it, elect another, and lose nothing else.

    Three servers run on this machine; one is killed, and comes back. In the end, the traces of all
    are judged, as raft-ref trace does.

    Exit codes: 0 the traces conform, 1 they do not, 2 it could not run.
    """
    with complaining(), _directory(directory) as place:
        from model_check.commands.cluster_demo import play

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return 0 if play(place) else 1


@cluster_command.command("torture")
@click.option(
    "--seconds",
    type=POSITIVE,
    default=60.0,
    show_default=True,
    help="How long things go wrong; starting, mending and judging come on top.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Says what goes wrong, and when."
)
@_nodes_option
@click.option("--clients", type=click.IntRange(1, 100), default=8, show_default=True)
@_dir_option(
    "An empty directory in which to keep everything; by default, it is kept only if "
    "something is wrong."
)
@json_option
def torture_command(
    *,
    seconds: float,
    seed: int,
    servers: int,
    clients: int,
    directory: Path | None,
    json_path: Path | None,
) -> int:
    """Let everything go wrong that can go wrong with a cluster, then judge what has come of it.

    Servers are killed, paused and started again; a proxy on each link between them cuts it off,
    both ways or one, resets connections, and loses, repeats, delays and reorders messages; clients
    ask on. Then all is mended, and judged: is what clients saw linearizable, is every acknowledged
    write still there, was every call in a session applied exactly once, do the servers' traces
    conform to the rules, do all servers agree?

    The seed says what goes wrong and when. What comes of it depends on the machine, too.

    Exit codes: 0 it holds, 1 something is violated, 2 it could not run, 4 inconclusive.
    """
    require_writable(json_path)
    if directory is not None:
        _require_empty(directory)
    with complaining():
        from model_check.commands.cluster_torture import run_torture
        from raft_ref.cluster.torture.run import Scale

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        scale = Scale(servers=servers, clients=clients, seconds=seconds, seed=seed)
        return EXIT_CODES[run_torture(scale, directory, json_path)]


@cluster_command.command("simulate")
@click.option("--runs", type=click.IntRange(1), default=1000, show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the first run, which says all that happens in it; each further run takes the next.",
)
@_nodes_option
@click.option("--clients", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--seconds",
    type=POSITIVE,
    default=3.0,
    show_default=True,
    help="Of simulated time, in which things go wrong, in each run.",
)
@click.option(
    "--traces-every",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Judge the servers' traces in one run of so many: that takes longer than the run.",
)
@jobs_option("How many runs go on at once.")
@_dir_option(
    "An empty directory in which to keep history and traces of the last run; by default, they "
    "are kept only if something is violated, in which case that run is the last."
)
@json_option
def simulate_command(
    *,
    runs: int,
    seed: int,
    servers: int,
    clients: int,
    seconds: float,
    traces_every: int,
    jobs: int,
    directory: Path | None,
    json_path: Path | None,
) -> int:
    """Run the servers of a cluster under a simulated clock, network and disk, many times.

    They are the very servers that run on sockets. Messages are lost, repeated and overtaken,
    servers crash, pause, and lose what was not yet on their disks, the network parts; clients ask
    on. Then all is left in peace, and judged: do the servers agree, is what clients saw
    linearizable, was every call in a session applied exactly once, do the traces conform?

    A seed gives the same run everywhere: raft-ref cluster simulate --seed 17 --runs 1 does again
    what has been reported of seed 17, if all other options are the same.

    Exit codes: 0 it holds, 1 something is violated, 2 it could not run, 4 inconclusive.
    """
    require_writable(json_path)
    if directory is not None:
        _require_empty(directory)
    with complaining():
        from model_check.cluster.simulated import Series
        from model_check.commands.cluster_simulate import run_simulations
        from raft_ref.cluster.simulation import Scale

        scale = Scale(servers=servers, clients=clients, seconds=seconds)
        series = Series(scale=scale, seed=seed, runs=runs, traces_every=traces_every)
        return EXIT_CODES[run_simulations(series, jobs, directory, json_path)]


@contextmanager
def _directory(chosen: Path | None) -> Iterator[Path]:
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="raft-ref-") as made:
            yield Path(made)
        return
    _require_empty(chosen)
    yield chosen


def _require_empty(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        raise click.ClickException(f"{directory} is not empty; choose another directory")


@contextmanager
def complaining() -> Iterator[None]:
    """Turn whatever keeps a cluster from running into an error message."""
    try:
        from raft_ref.cluster.client import ClientError
        from raft_ref.cluster.service import ServiceError
        from raft_ref.cluster.settings import SettingsError
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is missing: pip install 'raft-ref[cluster]'"
        ) from None
    try:
        yield
    except (ServiceError, SettingsError, ClientError, TimeoutError) as error:
        raise click.ClickException(str(error)) from None
