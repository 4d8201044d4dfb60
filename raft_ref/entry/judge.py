"""The process that judges for the pytest plugin: it imports what the plugin must not."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from raft_ref.entry import HOME, find_ours_first


def command() -> Sequence[str]:
    """How to start it: in an interpreter of its own, which does not look where it is started."""
    start = f"import sys; sys.path.append({HOME!r}); from raft_ref.entry.judge import main; main()"
    return sys.executable, "-P", "-c", start


def main() -> None:
    """Answer the requests on standard input; see `model_check.pytest_runs`."""
    find_ours_first()
    from model_check.pytest_runs import serve

    # Whatever else prints something must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
