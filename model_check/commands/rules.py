"""``raft-ref rules``: what one server owes in one step."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from model_check.commands.options import json_option
from model_check.commands.output import console, require_writable, usable, write_json
from model_check.mutants.catalogue import breaking, name_of
from model_check.report import SCHEMA_VERSION, Report
from spec.rule import Rule
from spec.rules import RULES, RULES_BY_ID


def _ids(_context: object, _option: object, ids: tuple[str, ...]) -> tuple[str, ...]:
    for each in ids:
        if each not in RULES_BY_ID:
            raise click.BadParameter(f"there is no rule {each!r}: see raft-ref rules")
    return ids


@click.command("rules")
@click.option(
    "--id", "ids", multiple=True, callback=_ids, help="Only this one; may be given several times."
)
@json_option
@click.option(
    "--html",
    "html_path",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write a page of all rules, rules.html, into this directory; best into that of "
    "raft-ref mutants --html.",
)
def rules_command(*, ids: tuple[str, ...], json_path: Path | None, html_path: Path | None) -> int:
    """Show the rules of Raft: what one server owes in one step, whatever else it does.

    Each with where the paper says so, which function of the core obeys it, and which mutants break
    it before any other. raft-ref check --rules holds every step of the core against them.

    Exit codes: 0, or 2 usage.
    """
    if json_path is not None and str(json_path) != "-":
        require_writable(json_path)
    chosen = [RULES_BY_ID[each] for each in ids] or list(RULES)
    if json_path is not None:
        write_json(_report(chosen), json_path)
    if str(json_path) != "-":
        console().print(_table(chosen))
    if html_path is not None:
        # Imported here, since not everyone has a use for templates.
        from model_check.study.pages import write_rules

        with usable(html_path):
            write_rules(html_path)
    return 0


def _table(chosen: list[Rule]) -> Table:
    table = Table(show_lines=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("statement", ratio=4)
    table.add_column("cites", ratio=3)
    table.add_column("obeyed by", ratio=3, overflow="fold")
    table.add_column("mutants that break it first", ratio=3, overflow="fold")
    for rule in chosen:
        mutants = ", ".join(breaking(rule))
        table.add_row(rule.id, rule.statement, rule.citation, name_of(rule.implemented_by), mutants)
    return table


def _report(chosen: list[Rule]) -> Report:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "rules",
        "rules": [
            {
                "id": rule.id,
                "group": rule.group,
                "statement": rule.statement,
                "citation": rule.citation,
                "observes": sorted(rule.observes),
                "implemented_by": name_of(rule.implemented_by),
                "mutants": breaking(rule),
            }
            for rule in chosen
        ],
    }
