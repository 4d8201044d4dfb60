"""Where goes what was found of an implementation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import click

from model_check.commands.account import Account, show_account
from model_check.commands.options import Rendering
from model_check.commands.output import usable, write_json
from model_check.report import Report

_F = TypeVar("_F", bound=Callable[..., object])


def html_option(command: _F) -> _F:
    """Give ``command`` the option ``--html``, as the parameter ``html_path``."""
    return click.option(
        "--html",
        "html_path",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Also write a page to this file: the verdict, and every finding with a diagram of its "
        "run, and how to do it again.",
    )(command)


class Outlets(NamedTuple):
    """Where what is found goes."""

    rendering: Rendering
    json_path: Path | None
    html_path: Path | None

    @property
    def says_json(self) -> bool:
        """Whether standard output is for the report alone."""
        return str(self.json_path) == "-"

    @property
    def keeps_stdout(self) -> bool:
        """Whether standard output is for something that a program reads, alone."""
        return self.says_json or self.rendering != "table"

    def show(self, report: Callable[[], Report], account: Account) -> None:
        """Write the files that were asked for, and say it."""
        self.report(report, account)
        if not self.says_json:
            show_account(account, self.rendering)

    def report(self, report: Callable[[], Report], account: Account) -> None:
        """Write the files that were asked for."""
        if self.json_path is not None:
            write_json(report(), self.json_path)
        if self.html_path is not None:
            # Imported here, since not everyone has a use for templates.
            from model_check.study.judgement import write_judgement

            with usable(self.html_path):
                write_judgement(account, self.html_path)
