"""``raft-ref prove``: the unbounded proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from model_check.commands.options import (
    deadline_of,
    given,
    jobs_option,
    json_option,
    max_seconds_option,
    refuse,
)
from model_check.commands.output import require_writable, write_json
from model_check.commands.possible import show_what_is_possible
from model_check.commands.summary import without_guard
from model_check.deadline import Deadline, enforced
from model_check.necessity import OF_SEVERAL_SERVERS
from model_check.proof.examples import why
from model_check.proof.prove import Proof, Verdict, prove
from model_check.proof.solvers import SOLVER_NAMES, SolverName, missing
from model_check.report import SCHEMA_VERSION, Report
from spec.proof.action import DERIVED
from spec.proof.guards import GUARDS, WITHOUT_GUARD
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import PROPERTY_ARGUMENTS, Theory
from spec.rules import RULES

LONGEST_SEARCH = 60.0
"""Seconds in which a counterexample to induction is found, or none is."""
EXIT_CODES: dict[Verdict, int] = {"proved": 0, "unknown": 4}


def _known_rules(_context: object, _option: object, rules: tuple[str, ...]) -> tuple[str, ...]:
    for each in rules:
        if each not in GUARDS:
            raise click.BadParameter(f"there is no rule {each!r}: see raft-ref rules")
    return rules


def _known_invariants(_context: object, _option: object, names: tuple[str, ...]) -> tuple[str, ...]:
    known = {each.name for each in INVARIANTS}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no invariant {name!r}: {', '.join(sorted(known))}")
    return names


@click.command("prove")
@click.option(
    "--property",
    "properties",
    type=click.Choice(list(PROPERTY_ARGUMENTS)),
    multiple=True,
    help="Prove this property, and what it rests on, alone; may be given several times. All of "
    "them by default.",
)
@click.option(
    "--solver",
    type=click.Choice([*SOLVER_NAMES, "both"]),
    default="z3",
    show_default=True,
    help="Who is to prove each obligation; both: each of them.",
)
@jobs_option("How many solvers work at once.")
@max_seconds_option
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the first attempt at each obligation; each further one takes the next.",
)
@click.option(
    "--without",
    "rules",
    multiple=True,
    callback=_known_rules,
    metavar="RULE",
    help="Of servers that need not obey this rule; may be given several times. By default, of the "
    "properties of several servers alone. Where that is unknown, a counterexample to induction is "
    "looked for in small worlds.",
)
@click.option(
    "--without-invariant",
    "invariants",
    multiple=True,
    callback=_known_invariants,
    metavar="NAME",
    help="Without this invariant; may be given several times. Where that is unknown, a "
    "counterexample to induction is looked for in small worlds.",
)
@click.option(
    "--possible",
    is_flag=True,
    help="Instead: are the hypotheses no contradiction? Is each action possible, in a small world "
    "in which all invariants hold; do they hold along a run to a commit in a second term?",
)
@json_option
@click.pass_context
def prove_command(
    context: click.Context,
    *,
    properties: tuple[str, ...],
    solver: Literal["both"] | SolverName,
    jobs: int,
    max_seconds: float | None,
    seed: int,
    rules: tuple[str, ...],
    invariants: tuple[str, ...],
    possible: bool,
    json_path: Path | None,
) -> int:
    """Prove that servers which obey the rules keep Raft's properties, without bounds.

    For any number of servers, terms and log length: invariants hold at the beginning, every step
    that obeys the rules keeps them, and they imply the properties. Needs raft-ref[proof].

    Exit codes: 0 proved: every obligation is; 2 usage; 4 unknown: some obligation was not proved,
    which does not mean that it is wrong (with --possible: something was not found to be).
    """
    solvers: tuple[SolverName, ...] = SOLVER_NAMES if solver == "both" else (solver,)
    if possible:
        names = [each.name or "" for each in context.command.params if each.name != "possible"]
        refuse(given(context, names), "does not go with --possible")
        require_solvers(("z3",))
        return EXIT_CODES["proved" if show_what_is_possible() else "unknown"]
    require_solvers(solvers)
    require_writable(json_path)
    chosen, theory = properties or usual_properties(rules), _theory(rules, invariants)
    deadline = deadline_of(max_seconds)
    with _progress() as on_progress, enforced(deadline):
        proof = prove(
            theory.obligations(chosen),
            solvers,
            jobs=jobs,
            deadline=deadline,
            seed=seed,
            on_progress=on_progress,
        )
    if json_path is not None:
        write_json(_report(proof, chosen, theory, solvers, seed), json_path)
    if str(json_path) != "-":
        for line in _summary(proof, chosen, solvers, theory):
            click.echo(line)
        if rules or invariants:
            _show_counterexample(proof, theory, deadline)
    return EXIT_CODES[proof.verdict]


def require_solvers(solvers: tuple[SolverName, ...]) -> None:
    """Fail now if a solver is not installed.

    Raises:
        click.ClickException: saying which, and what to do.
    """
    absent = missing(solvers)
    if absent:
        raise click.ClickException(
            f"{' and '.join(absent)} cannot be had: pip install 'raft-ref[proof]'"
        )


def usual_properties(rules: tuple[str, ...]) -> tuple[str, ...]:
    """What is proved if nothing is named: without some rules, what holds of several servers; and
    without the rule that follows from others, what it says."""
    if not rules:
        return tuple(PROPERTY_ARGUMENTS)
    follows = ("CommitStability",) if DERIVED in rules else ()
    return (*OF_SEVERAL_SERVERS, *follows)


def _theory(rules: tuple[str, ...], invariants: tuple[str, ...]) -> Theory:
    kept = tuple(each for each in INVARIANTS if each.name not in invariants)
    return Theory(kept, frozenset(rules))


def _show_counterexample(proof: Proof, theory: Theory, deadline: Deadline) -> None:
    """Show one to any of the obligations of which a proof was sought, but not found."""
    lost = {each.question.name for each in proof.unknown if each.attempts > 0}
    left = LONGEST_SEARCH if deadline.left is None else min(LONGEST_SEARCH, deadline.left)
    if not lost or left == 0 or deadline.ended is not None:
        return
    click.echo()
    if missing(("z3",)):
        click.echo("z3 would look for a counterexample to induction: pip install 'raft-ref[proof]'")
        return
    try:
        with enforced(deadline), deadline.phase("looking for a counterexample to induction"):
            found = why(theory, lost, left)
    except KeyboardInterrupt as interrupt:
        click.echo(f"no counterexample to induction: stopped by {deadline.interrupted(interrupt)}")
        return
    if found is None:
        click.echo("no counterexample to induction was found in a small world")
        return
    click.echo("a counterexample to induction, in a small world:")
    for line in found.lines:
        click.echo(line)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how far a proof has come; elsewhere, nothing."""
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal:
        yield lambda done, of: None
        return
    with terminal.status("writing down what is to be proved") as status:
        yield lambda done, of: status.update(f"{done} of {of} obligations settled")


def _summary(
    proof: Proof,
    properties: tuple[str, ...],
    solvers: tuple[SolverName, ...],
    theory: Theory,
) -> Iterator[str]:
    if proof.verdict == "proved":
        yield "proved: for any number of servers, terms and log length"
    else:
        count = len({each.question.name for each in proof.unknown})
        yield f"unknown: {count} of {proof.obligations} obligations not proved (nor refuted)"
        unasked = len({each.question.name for each in proof.unknown if each.attempts == 0})
        if unasked:
            yield f"  no time for  {unasked} of them"
    yield f"  properties   {', '.join(properties)}"
    yield f"  rules        {len(GUARDS.keys() - theory.without)} of {len(RULES)} are assumed"
    kinds: dict[str, int] = {}
    for each in proof.findings:
        if each.solver == solvers[0]:
            kinds[each.question.kind] = kinds.get(each.question.kind, 0) + 1
    shares = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    yield f"  obligations  {proof.obligations} ({shares})"
    for solver in solvers:
        found = [each for each in proof.findings if each.solver == solver]
        proved = [each for each in found if each.verdict == "proved"]
        retried = sum(each.attempts > 1 for each in proved)
        slowest = max(found, key=lambda each: each.seconds)
        yield (
            f"  {solver:<12} {len(proved)} proved, {retried} of them not at the first attempt; "
            f"longest {slowest.seconds:.1f} s ({slowest.question.name})"
        )
    yield f"  time         {proof.seconds:.1f} s"
    for each in proof.unknown[:10]:
        yield f"  not proved   {each.question.name}, by {each.solver}"
    if len(proof.unknown) > 10:
        yield f"               and {len(proof.unknown) - 10} more"
    yield from without_guard(WITHOUT_GUARD)


def _report(
    proof: Proof,
    properties: tuple[str, ...],
    theory: Theory,
    solvers: tuple[SolverName, ...],
    seed: int,
) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "prove",
        "without": sorted(theory.without),
        "not_assumed": WITHOUT_GUARD,
        "without_invariants": sorted(
            {each.name for each in INVARIANTS} - {each.name for each in theory.invariants}
        ),
        "verdict": proof.verdict,
        "properties": list(properties),
        "solvers": list(solvers),
        "seed": seed,
        "seconds": round(proof.seconds, 3),
        "obligations": [
            {
                "name": each.question.name,
                "kind": each.question.kind,
                "action": each.question.action or None,
                "about": each.question.about,
                "solver": each.solver,
                "verdict": each.verdict,
                "seed": each.seed,
                "attempts": each.attempts,
                "seconds": round(each.seconds, 3),
            }
            for each in proof.findings
        ],
    }
