"""``raft-ref trace``: judge what was recorded of servers that ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

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
from model_check.render import server_name
from model_check.traces.files import TraceFormat, read_trace
from model_check.traces.happening import Trace, TraceError
from model_check.traces.judge import judge_trace
from model_check.traces.report import malformed_report, trace_report
from model_check.traces.verdict import Offence, TraceJudgement, TraceVerdict
from model_check.traces.words import describe_happening, describe_seen, describe_sent
from raft_ref import NodeId
from spec.profiles import ETCD, PAPER, PROFILES
from spec.rules import RULES_BY_ID

EXIT_CODES: dict[TraceJudgement, int] = {"conforms": 0, "violates": 1, "inconclusive": 4}
EXIT_MALFORMED = 2

PROFILE_OF: dict[TraceFormat, str] = {"raft-ref": PAPER.name, "etcd": ETCD.name}


@click.command("trace")
@files_argument
@click.option(
    "--format",
    "trace_format",
    type=click.Choice(get_args(TraceFormat)),
    default="raft-ref",
    show_default=True,
    help="What the file is. raft-ref: see spec/trace_format.md. etcd: what etcd's Raft writes when "
    "it is built with the tag with_tla.",
)
@click.option(
    "--profile",
    type=click.Choice(sorted(PROFILES)),
    help="Whose departures from the rules to tolerate (see raft-ref rules --profiles); by default, "
    "that of the format.",
)
@max_seconds_option
@json_option
def trace_command(
    *,
    paths: tuple[Path, ...],
    trace_format: TraceFormat,
    profile: str | None,
    max_seconds: float | None,
    json_path: Path | None,
) -> int:
    """Judge a recorded trace: does Raft allow what the servers did?

    Every step is held against the rules, up to the first that Raft does not allow. Several files
    are those of servers that wrote one each. What was not seen may have been anything that obeys
    the rules. - is standard input.

    Exit codes: 0 conforms, 1 violates, 2 usage or malformed input, 4 inconclusive.
    """
    require_writable(json_path)
    if len(set(paths)) < len(paths):
        raise click.UsageError("a file is named twice")
    is_quiet, deadline = str(json_path) == "-", deadline_of(max_seconds)
    try:
        with enforced(deadline), deadline.phase("reading the trace"):
            trace = read_trace(paths, trace_format)
    except TraceError as error:
        if json_path is not None:
            write_json(malformed_report(paths, trace_format, str(error)), json_path)
        click.echo(f"malformed: {error}", err=True)
        return EXIT_MALFORMED
    except OSError as error:
        raise click.ClickException(f"cannot read {error.filename}: {error.strerror}") from None
    chosen = PROFILES[profile or PROFILE_OF[trace_format]]
    with trace_progress(trace) as on_progress, enforced(deadline):
        verdict = judge_trace(trace, chosen, deadline, on_progress)
    if json_path is not None:
        write_json(trace_report(verdict, paths, trace_format), json_path)
    if not is_quiet:
        click.echo("\n".join(_lines(verdict)))
    return EXIT_CODES[verdict.verdict]


def _lines(verdict: TraceVerdict) -> Iterator[str]:
    trace, offence = verdict.trace, verdict.offence
    yield _headline(verdict)
    last = "" if verdict.last is None else f", up to {verdict.last}"
    rows = [
        ("servers", _describe_servers(trace, trace.servers)),
        ("allowed", f"{verdict.matched:,} of {len(trace.happenings):,} steps{last}"),
        ("profile", verdict.profile.name),
    ]
    if trace.unlisted:
        others = _describe_servers(trace, trace.unlisted)
        rows.insert(1, ("unlisted", f"{others} (no vote: not among the servers)"))
    if trace.learners:
        rows.insert(1, ("learners", f"{_describe_servers(trace, trace.learners)} (no vote)"))
    if partly := _describe_gaps(trace):
        rows.append(("not shown", partly))
    yield from as_rows(rows)
    if offence is not None:
        yield from _details(offence)


def _headline(verdict: TraceVerdict) -> str:
    if (offence := verdict.offence) is not None:
        return f"violates: {offence.name} at {offence.happening.place}: {offence.explanation}"
    if (doubt := verdict.doubt) is not None:
        return f"inconclusive: at {doubt.happening.place}: {doubt.reason}"
    return "conforms: Raft allows every step, and nothing is violated"


def _details(offence: Offence) -> Iterator[str]:
    """The step that is not allowed, and what would have been."""
    happening, rule = offence.happening, RULES_BY_ID.get(offence.name)
    if rule is not None:
        yield from as_rows([("rule", rule.statement), ("cites", rule.citation)])
    yield ""
    yield describe_happening(happening)
    rows = [("before" if number == 0 else "or", each) for number, each in enumerate(offence.before)]
    rows += [("seen after", describe_seen(happening.seen))]
    rows += [("" if number else "it", each) for number, each in enumerate(describe_sent(happening))]
    yield from as_rows(rows)
    if offence.allowed:
        yield "  Raft would allow, compared to before:"
        yield from (f"    {each}" for each in offence.allowed)


def _describe_servers(trace: Trace, servers: Iterable[NodeId]) -> str:
    named = ((server, trace.names[server]) for server in sorted(servers))
    names = (
        server_name(server) if name == str(server) else f"{server_name(server)} is {name}"
        for server, name in named
    )
    return ", ".join(names)


def _describe_gaps(trace: Trace) -> str:
    """What of the state was not shown, and in how many of the steps."""
    steps = len(trace.happenings)
    gaps = {name: steps - times for name, times in trace.times_shown().items() if times < steps}
    parts = [f"{name} in {count / steps:.0%} of the steps" for name, count in gaps.items()]
    return ", ".join(parts)


@contextmanager
def trace_progress(trace: Trace) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far a trace was judged; elsewhere, nothing."""
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal:
        yield lambda _: None
        return
    with terminal.status("judging") as status:
        yield lambda done: status.update(f"{done:,} of {len(trace.happenings):,} steps judged")
