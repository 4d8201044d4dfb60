"""Options that say what to check, shared by the commands that check something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from math import isfinite
from os import cpu_count
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

import click
from click.core import ParameterSource

from model_check.check import (
    ENGINE_NAMES,
    NETWORK_NAMES,
    EngineName,
    Means,
    NetworkName,
    Setup,
)
from model_check.commands.output import announce
from model_check.deadline import Deadline
from model_check.explore import Beam, Budget
from model_check.mutants import MUTANTS
from model_check.mutants.run import WORKERS_OF_BEAM
from model_check.raft import Bounds
from spec.properties import PROPERTY_NAMES, WITHOUT_REDIRECTS

_F = TypeVar("_F", bound=Callable[..., Any])

_DEFAULT_BOUNDS = Bounds()

_FIFO_ALONE = ("max_in_flight", "loss")
_REDUCTIONS = ("eager", "forget")
_OF_BEAM = ("width", "seed")
_COMPILED_ALONE = ("workers", "symmetry", *_REDUCTIONS, "max_memory")


class PositiveNumber(click.FloatRange):
    """A number above 0, and finite; click alone would take ``nan``."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number.

        Raises:
            click.BadParameter: if it is none.
        """
        number = float(super().convert(value, param, ctx))
        if not isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


POSITIVE = PositiveNumber()


class SpaceOptions(TypedDict):
    """What the options of `space_options` hand to a command."""

    servers: int
    max_term: int
    max_log: int
    values: int
    restarts: bool
    heartbeats: bool
    redirects: bool
    only_timeout: tuple[int, ...]
    max_election_timeouts: int | None
    max_heartbeats: int | None
    max_client_requests: int | None
    max_restarts: int | None
    script: tuple[str, ...]
    network: NetworkName
    max_in_flight: int
    loss: bool
    properties: tuple[str, ...]


def _servers(_context: object, option: click.Parameter, text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        return tuple(sorted({int(word) for word in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of servers such as 1,3") from None


def _script(_context: object, _option: object, text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(" ".join(line.split()) for line in text.split(","))


_SPACE_OPTIONS = (
    click.option(
        "--servers",
        type=click.IntRange(1),
        default=_DEFAULT_BOUNDS.servers,
        show_default=True,
        help="Servers in the cluster.",
    ),
    click.option(
        "--max-term",
        type=click.IntRange(0),
        default=_DEFAULT_BOUNDS.max_term,
        show_default=True,
        help="Servers at this term do not time out any more.",
    ),
    click.option(
        "--max-log",
        type=click.IntRange(0),
        default=_DEFAULT_BOUNDS.max_log,
        show_default=True,
        help="Leaders with so many entries get no more client requests.",
    ),
    click.option(
        "--values",
        type=click.IntRange(1),
        default=_DEFAULT_BOUNDS.values,
        show_default=True,
        help="Distinct commands that clients choose from.",
    ),
    click.option(
        "--restarts/--no-restarts",
        default=_DEFAULT_BOUNDS.restarts,
        show_default=True,
        help="Whether any server may crash and restart at any moment.",
    ),
    click.option(
        "--heartbeats/--no-heartbeats",
        default=_DEFAULT_BOUNDS.heartbeats,
        show_default=True,
        help="Whether leaders' heartbeat timers fire.",
    ),
    click.option(
        "--redirects/--no-redirects",
        default=_DEFAULT_BOUNDS.redirects,
        show_default=True,
        help="Whether clients also ask servers that do not lead.",
    ),
    click.option(
        "--only-timeout",
        callback=_servers,
        metavar="SERVERS",
        help="The servers whose election timers fire, such as 1,3; all of them by default.",
    ),
    *(
        click.option(
            option,
            type=click.IntRange(0),
            help=f"{what} in a run at most; any number by default.",
        )
        for option, what in (
            ("--max-election-timeouts", "Election timeouts"),
            ("--max-heartbeats", "Heartbeat timeouts"),
            ("--max-client-requests", "Client requests"),
            ("--max-restarts", "Restarts"),
        )
    ),
    click.option(
        "--script",
        callback=_script,
        metavar="EVENTS",
        help="All that the environment does, in this order, such as 'timeout 1, request 1, "
        "heartbeat 1, restart 1': then only the network is free. With 'heartbeats' among them, "
        "those come at any time.",
    ),
    click.option(
        "--network",
        type=click.Choice(NETWORK_NAMES),
        default="replayable",
        show_default=True,
        help="replayable: any message may arrive again and again, in any order, or never. "
        "once: at most once. fifo: in order, on bounded links that break on a restart.",
    ),
    click.option(
        "--max-in-flight",
        type=click.IntRange(1),
        default=2,
        show_default=True,
        help="fifo alone: messages that wait on a link at most; what is sent beyond is lost.",
    ),
    click.option(
        "--loss/--no-loss",
        default=True,
        show_default=True,
        help="fifo alone: whether links lose messages.",
    ),
    click.option(
        "--property",
        "properties",
        type=click.Choice(PROPERTY_NAMES),
        multiple=True,
        help="Check this property alone; may be given several times. All of them by default "
        "(ClientRedirection with --redirects).",
    ),
)


def space_options(command: _F) -> _F:
    """Give ``command`` the options that `setup_from` needs, for what is not our own core."""
    return _with_options(command, *_SPACE_OPTIONS)


def core_options(command: _F) -> _F:
    """Give ``command`` the options that say what of our own core to explore."""
    max_entries = click.option(
        "--max-entries",
        type=click.IntRange(1),
        default=_DEFAULT_BOUNDS.max_entries,
        show_default=True,
        help="Entries that travel in one AppendEntries at most.",
    )
    conflict_hints = click.option(
        "--conflict-hints/--no-conflict-hints",
        default=_DEFAULT_BOUNDS.conflict_hints,
        show_default=True,
        help="Whether a follower that rejects entries says where its log conflicts (end of §5.3).",
    )
    window = click.option(
        "--window",
        type=click.IntRange(1),
        help="Let leaders pipeline: entries that they may have sent to a server without an "
        "acknowledgement. By default, they do not.",
    )
    mutant = click.option(
        "--mutant",
        callback=_mutant,
        is_eager=True,  # before those whose defaults it changes
        metavar="ID",
        help="Explore this mutant of the core (see raft-ref mutants --list). Its bounds stand for "
        "those that are not given.",
    )
    rules = click.option(
        "--rules/--no-rules",
        default=False,
        show_default=True,
        help="Hold every step against the rules, too (see raft-ref rules). There are then more "
        "states, by what the judge knows.",
    )
    return _with_options(
        command, *_SPACE_OPTIONS, max_entries, conflict_hints, window, mutant, rules
    )


def _mutant(context: click.Context, _option: object, name: str | None) -> str | None:
    """Let what the mutant needs stand for every option that is not given."""
    if name is None:
        return None
    if name not in MUTANTS:
        raise click.BadParameter(f"there is no mutant {name!r}: see raft-ref mutants --list")
    mutant = MUTANTS[name]
    context.default_map = {
        **{field.name: getattr(mutant.bounds, field.name) for field in fields(Bounds)},
        "only_timeout": ",".join(map(str, mutant.bounds.only_timeout)) or None,
        "script": ", ".join(mutant.bounds.script) or None,
        "properties": mutant.violable,
        "eager": mutant.eager,
        "search": "bfs" if mutant.beam is None else "beam",
        "workers": None if mutant.beam is None else WORKERS_OF_BEAM,
        "width": None if mutant.beam is None else mutant.beam.width,
        "seed": None if mutant.beam is None else mutant.beam.seed,
    }
    return name


def setup_from(
    options: SpaceOptions,
    context: click.Context,
    *,
    max_entries: int = 1,
    conflict_hints: bool = False,
    window: int | None = None,
    mutant: str | None = None,
    rules: bool = False,
) -> Setup:
    """What the options say to check.

    Raises:
        click.UsageError: if an option was given that the chosen network has no use for, or that
            names a server that there is not.
    """
    if options["network"] != "fifo":
        refuse(given(context, _FIFO_ALONE), "belongs to --network fifo")
    if not options["restarts"]:
        refuse(given(context, ["max_restarts"]), "belongs to --restarts")
    if not options["heartbeats"]:
        refuse(given(context, ["max_heartbeats"]), "belongs to --heartbeats")
    try:
        bounds = Bounds(
            servers=options["servers"],
            max_term=options["max_term"],
            max_log=options["max_log"],
            values=options["values"],
            max_entries=max_entries,
            conflict_hints=conflict_hints,
            window=window,
            restarts=options["restarts"],
            heartbeats=options["heartbeats"],
            redirects=options["redirects"],
            only_timeout=options["only_timeout"],
            max_election_timeouts=options["max_election_timeouts"],
            max_heartbeats=options["max_heartbeats"],
            max_client_requests=options["max_client_requests"],
            max_restarts=options["max_restarts"],
            script=options["script"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return Setup(
        bounds=bounds,
        network=options["network"],
        max_in_flight=options["max_in_flight"],
        loss=options["loss"],
        properties=options["properties"] or default_properties(bounds),
        mutant=mutant,
        rules=rules,
    )


def default_properties(bounds: Bounds) -> tuple[str, ...]:
    """The properties to check where none is named: all that something may break."""
    return PROPERTY_NAMES if bounds.redirects else WITHOUT_REDIRECTS


class MeansOptions(TypedDict):
    """What the options of `means_options` hand to a command."""

    engine: Literal["auto"] | EngineName
    workers: int | None
    eager: bool
    search: Literal["bfs", "beam"]
    width: int
    seed: int


_SEARCH_OPTIONS = (
    click.option(
        "--search",
        type=click.Choice(["bfs", "beam"]),
        default="bfs",
        show_default=True,
        help="bfs: everything within the bounds. beam, compiled alone: to come deeper, of states "
        "that look the same to the properties only a few are followed at each depth; that nothing "
        "is found then says little.",
    ),
    click.option(
        "--width",
        type=click.IntRange(1),
        default=Beam().width,
        show_default=True,
        help="beam alone: how many of them are followed.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0),
        default=Beam().seed,
        show_default=True,
        help="Of what is drawn at random, such as the states that a beam follows: the same seed, "
        "with as many workers, finds the same.",
    ),
)


def means_options(command: _F) -> _F:
    """Give ``command`` the options that `means_from` needs, but for symmetry."""
    return _with_options(
        command,
        click.option(
            "--engine",
            type=click.Choice(["auto", *ENGINE_NAMES]),
            default="auto",
            show_default=True,
            help="Which explorer: they find the same. auto takes the fastest, which is compiled.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1, 64),
            help="compiled alone: how many threads; by default, one for each processor. Verdict "
            "and figures are the same each time; which of several runs to a violation is found may "
            "depend on timing, unless there is 1.",
        ),
        click.option(
            "--eager/--no-eager",
            default=False,
            show_default=True,
            help="compiled and replayable alone: whether servers send at once what they could send "
            "without changing. The verdict is the same, with far fewer states; counts and "
            "depths are then those of the reduced space.",
        ),
        *_SEARCH_OPTIONS,
    )


def symmetry_option(command: _F) -> _F:
    """Give ``command`` the option ``--symmetry``."""
    return click.option(
        "--symmetry/--no-symmetry",
        default=None,
        help="compiled alone: whether to explore only one of all states that are the same but "
        "for the names of servers and values; by default, where that is possible.",
    )(command)


def forget_option(command: _F) -> _F:
    """Give ``command`` the option ``--forget``."""
    return click.option(
        "--forget/--no-forget",
        default=False,
        show_default=True,
        help="compiled and replayable alone: whether messages that can never again do anything are "
        "forgotten. As with --eager, which it goes well with.",
    )(command)


def means_from(
    options: MeansOptions, context: click.Context, *, symmetry: bool | None, forget: bool
) -> Means:
    """How to explore.

    Raises:
        click.UsageError: if an option was given that the chosen engine or network has no use for.
    """
    engine = None if options["engine"] == "auto" else options["engine"]
    if engine == "reference":
        refuse(given(context, _COMPILED_ALONE), "belongs to --engine compiled")
    if context.params["network"] != "replayable":
        refuse(given(context, _REDUCTIONS), "belongs to --network replayable")
    if options["search"] == "bfs":
        refuse(given(context, _OF_BEAM), "belongs to --search beam")
    elif engine == "reference":
        raise click.UsageError("--search beam belongs to --engine compiled")
    # If a mutant asks for it, it is for speed alone, and goes where it can.
    can_reduce = engine != "reference" and context.params["network"] == "replayable"
    return Means(
        engine=engine,
        workers=options["workers"],
        symmetry=symmetry,
        eager=options["eager"] and can_reduce,
        forget=forget,
        beam=_beam_from(options),
    )


def _beam_from(options: MeansOptions) -> Beam | None:
    if options["search"] == "bfs":
        return None
    return Beam(width=options["width"], seed=options["seed"])


class BudgetOptions(TypedDict):
    """What the options of `budget_options` hand to a command."""

    max_states: int | None
    max_seconds: float | None
    max_memory: float | None


def budget_options(command: _F) -> _F:
    """Give ``command`` the options that `budget_from` needs."""
    return _with_options(
        command,
        click.option("--max-states", type=click.IntRange(1), help="Stop with so many stored."),
        max_seconds_option,
        click.option(
            "--max-memory",
            type=POSITIVE,
            help="compiled alone: stop with so many GiB of memory in use; by default, with three "
            "quarters of what the machine has free.",
        ),
    )


def max_seconds_option(command: _F) -> _F:
    """Give ``command`` the option ``--max-seconds``, for `deadline_of`."""
    return click.option(
        "--max-seconds",
        type=POSITIVE,
        help="Stop after so many seconds, whatever is going on by then, with what was done.",
    )(command)


def deadline_of(max_seconds: float | None) -> Deadline:
    """When the command must end: its time has run since its process started, if that is known."""
    context = click.get_current_context(silent=True)
    started = None if context is None else context.find_object(float)
    return Deadline(max_seconds, started=started, on_phase=announce)


def budget_from(options: BudgetOptions) -> Budget:
    """When to give up."""
    memory = options["max_memory"]
    return Budget(
        max_states=options["max_states"],
        deadline=deadline_of(options["max_seconds"]),
        max_memory=None if memory is None else max(1, int(memory * 2**30)),
    )


def _with_options(command: _F, *options: Callable[[_F], _F]) -> _F:
    for option in reversed(options):
        command = option(command)
    return command


def given(context: click.Context, names: Iterable[str]) -> list[str]:
    """Those of the parameters ``names`` that stand on the command line, as they are written."""
    written = {
        parameter.name: "/".join(parameter.opts + parameter.secondary_opts)
        for parameter in context.command.params
    }
    return [
        written[name]
        for name in names
        if name in written and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]


def refuse(options: list[str], reason: str) -> None:
    """Complain about the first of ``options``, if there is one.

    Raises:
        click.UsageError: saying that the option does not go with the others, and why.
    """
    if options:
        raise click.UsageError(f"{options[0]} {reason}")


def files_argument(command: _F) -> _F:
    """Give ``command`` the files to read as its argument; ``-`` is standard input."""
    return click.argument(
        "paths",
        metavar="FILE...",
        nargs=-1,
        required=True,
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    )(command)


def jobs_option(help_text: str) -> Callable[[_F], _F]:
    """Give a command the option ``--jobs``."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, 64),
        default=cpu_count() or 1,
        show_default="one a processor",
        help=help_text,
    )


def json_option(command: _F) -> _F:
    """Give ``command`` the option ``--json``, as the parameter ``json_path``."""
    return click.option(
        "--json",
        "json_path",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        help="Write a report to this file, or to standard output (-), then without the summary.",
    )(command)


Rendering: TypeAlias = Literal["table", "mermaid", "pytest"]


def show_option(command: _F) -> _F:
    """Give ``command`` the option ``--show``, as a `Rendering`."""
    return click.option(
        "--show",
        type=click.Choice(["table", "mermaid", "pytest"]),
        default="table",
        show_default=True,
        help="How to show a counterexample. A diagram or a test is all that standard output has "
        "then, so that it can be written to a file; the verdict goes to standard error.",
    )(command)


def refuse_to_share_stdout(rendering: Rendering, json_path: Path | None) -> None:
    """Complain if both a report and a run are to be all that standard output has.

    Raises:
        click.UsageError: saying so.
    """
    if rendering != "table" and str(json_path) == "-":
        refuse(["--json -"], f"does not go with --show {rendering}: write the report to a file")
