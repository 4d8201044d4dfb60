"""Pages of the study site, from templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, assert_never

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import DiffLexer, PythonLexer

from model_check.commands.summary import STATEMENTS, describe_bounds, describe_exercised
from model_check.mutants.catalogue import breaking, name_of
from model_check.mutants.run import MutantRun
from model_check.necessity import NECESSITY
from model_check.render import server_name
from model_check.study.diagram import alarms_of, diagram
from model_check.study.environment import environment
from model_check.study.proof import ARGUMENTS, CELL, proof_drawing
from raft_ref import Candidate, Follower, IndexMap, Leader, Role
from spec.proof.guards import WITHOUT_GUARD
from spec.properties import PROPERTIES
from spec.rule import Rule
from spec.rules import RULES


def write_mutants(runs: Sequence[MutantRun], directory: Path) -> None:
    """Write a page for each of ``runs``, and an index of them, into ``directory``.

    The pages need nothing else: no network, no scripts.

    Raises:
        OSError: if something cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pages = environment()
    index = pages.get_template("mutants.html.j2").render(runs=runs, properties=PROPERTIES)
    (directory / "index.html").write_text(index, "utf-8")
    for number, run in enumerate(runs):
        counterexample, breach = run.result.counterexample, run.first_breach
        drawn = None
        if counterexample is not None:
            drawn = diagram(counterexample, alarms_of(counterexample, breach))
        states = () if counterexample is None else counterexample.last
        page = pages.get_template("mutant.html.j2").render(
            run=run,
            breach=breach,
            mutant=run.mutant,
            bounds=describe_bounds(run.result.setup),
            diffs=[_coloured(diff) for diff in run.mutant.diffs()],
            diagram=drawn,
            states=states,
            beliefs=[_belief(state.role) for state in states],
            statement=STATEMENTS.get(run.killed_by or "", ""),
            previous=runs[number - 1] if number else None,
            following=runs[number + 1] if number + 1 < len(runs) else None,
        )
        (directory / f"{run.mutant.id}.html").write_text(page, "utf-8")


class RuleRow(NamedTuple):
    """A rule in the page of all of them."""

    number: int
    rule: Rule
    where: str
    mutants: list[tuple[str, str | None]]
    """Those that break it first, each with its page, if there is one."""
    need: str
    """What breaks without it."""
    exercised: str
    """The milestones without which it cannot be broken, in words."""

    @property
    def group(self) -> str:
        """The rule's."""
        return self.rule.group


def write_rules(directory: Path) -> None:
    """Write a page of all rules, and of the proof that they are enough, into ``directory``.

    It links to what pages of mutants there are.

    Raises:
        OSError: if it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rows = [
        RuleRow(
            number,
            rule,
            name_of(rule.implemented_by),
            [(mutant, _page_of(mutant, directory)) for mutant in breaking(rule)],
            str(NECESSITY[rule.id]),
            describe_exercised(rule),
        )
        for number, rule in enumerate(RULES)
    ]
    page = (
        environment()
        .get_template("rules.html.j2")
        .render(
            rules=rows,
            proof=proof_drawing(),
            arguments=ARGUMENTS,
            cell=CELL,
            without_guard=WITHOUT_GUARD,
        )
    )
    (directory / "rules.html").write_text(page, "utf-8")


def _page_of(mutant: str, directory: Path) -> str | None:
    page = f"{mutant}.html"
    return page if (directory / page).is_file() else None


def _coloured(source: str) -> Markup:
    lexer = DiffLexer() if source.startswith("---") else PythonLexer()
    # Pygments escapes what it is given.
    return Markup(highlight(source, lexer, HtmlFormatter(nowrap=True)))  # noqa: S704


def _belief(role: Role) -> str:
    match role:
        case Follower(leader):
            return "knows no leader" if leader is None else f"follows {server_name(leader)}"
        case Candidate(votes_granted):
            return f"has the votes of {', '.join(map(server_name, sorted(votes_granted)))}"
        case Leader(next_index, match_index):
            return f"next_index {_indexes(next_index)}; match_index {_indexes(match_index)}"
        case _:
            assert_never(role)


def _indexes(indexes: IndexMap) -> str:
    return ", ".join(f"{server_name(server)} {index}" for server, index in indexes.items())
