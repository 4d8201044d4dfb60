"""The console script ``raft-ref``: every error that is not foreseen ends here."""

from __future__ import annotations

import platform
import shlex
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from raft_ref.entry import STARTED, find_ours_first

EXIT_INTERNAL = 70
"""The exit code of an internal error: ``EX_SOFTWARE`` of ``sysexits.h``, and no verdict."""


def main() -> NoReturn:
    """Run the command line of this process, and end it with the exit code."""
    try:
        find_ours_first()
        # Imported here, once it is clear where from; and if that fails, it is no verdict either.
        from model_check.cli import main as command_line

        command_line(STARTED)
    except Exception:
        report_internal_error(shlex.join(["raft-ref", *sys.argv[1:]]))
        sys.exit(EXIT_INTERNAL)


def report_internal_error(command: str) -> None:
    """Say on standard error that the exception being handled is a defect, and what to report."""
    traceback.print_exc()
    print(
        f"raft-ref: internal error: a defect of raft-ref, which says nothing of what was checked. "
        f"Please report it with all of the above, the input, and this line: {this_version()}; "
        f"{command}",
        file=sys.stderr,
    )


def this_version() -> str:
    """What runs, and on what."""
    try:
        ours = version("raft-ref")
    except PackageNotFoundError:
        ours = "(not installed)"
    return f"raft-ref {ours}, Python {platform.python_version()}, {platform.platform()}"
