"""``raft-ref prove --possible``: the hypotheses of the proof are no contradiction."""

from __future__ import annotations

import click

from model_check.proof.examples import possible
from model_check.proof.run import RUN, SERVERS
from model_check.proof.walk import Passage, walk
from spec.proof.actions import ACTIONS


def show_what_is_possible() -> bool:
    """Say of each action whether it is possible, then go along a run; whether all was as it should
    be."""
    click.echo("each action, in a small world in which all invariants hold (z3):")
    are_possible = [_show_action(action.name, possible(action)) for action in ACTIONS]
    click.echo(
        "\na run to a commit in a second term, with every hypothesis evaluated at each action,"
    )
    click.echo("and every invariant after it:")
    passages = list(walk(RUN))
    may_happen = [_show_passage(number, each) for number, each in enumerate(passages, start=1)]
    _show_end(passages[-1])
    return all(are_possible) and all(may_happen)


def _show_action(name: str, is_possible: bool) -> bool:
    click.echo(f"  {name:<12} {'possible' if is_possible else 'not found to be possible'}")
    return is_possible


def _show_passage(number: int, passage: Passage) -> bool:
    click.echo(f"  {number:>2}  {passage}")
    if passage.refused:
        click.echo(f"      but it may not: {', '.join(passage.refused)}")
    if passage.broken:
        click.echo(f"      after which it is not so that {', '.join(passage.broken)}")
    return not passage.refused and not passage.broken


def _show_end(passage: Passage) -> None:
    committed = ", ".join(f"S{each} {passage.committed(each)}" for each in sorted(SERVERS))
    click.echo(f"  in the end, so many entries are committed: {committed}")
