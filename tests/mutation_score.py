"""The mutation score of the core: how many small changes of its code the tests notice.

``python -m tests.mutation_score`` lets mutmut (configured in pyproject.toml) change the pure
modules of `raft_ref`, one expression at a time, and run the tests that come to it. Every change
that no test notices must be explained here; if one is not, the exit code is 1.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

EXPLAINED = {
    r"cast\(": "a cast does nothing when it is run",
    r"assert .* is not None": "the words of an assertion that cannot fail",
    r"PersistentState\(current_term=term, log=state\.log\)": "no vote is the default",
    r"NodeState\(state\.persistent, commit_index=base": "a follower is the default",
    r"case RequestVoteReply\(\):": "there is nothing more to check: the case falls through",
}
"""By what the changed line looks like: why nothing can notice the change."""


def main() -> int:
    """Run mutmut, print the score, and name what survived without an explanation."""
    subprocess.run(["mutmut", "run"], check=True, stdout=subprocess.DEVNULL)  # noqa: S607
    results = _mutmut("results", "--all", "true")
    verdicts = dict(re.findall(r"^\s*(\S+): (.+)$", results, re.MULTILINE))
    counts = Counter(verdicts.values())
    survivors = [name for name, verdict in verdicts.items() if verdict != "killed"]
    unexplained = []
    for name in survivors:
        change = _mutmut("show", name)
        reasons = [reason for line, reason in EXPLAINED.items() if _is_changed(change, line)]
        print(f"{name}: {verdicts[name]}: {reasons[0] if reasons else 'NOT EXPLAINED'}")
        if not reasons:
            unexplained.append(name)
            print(change)
    killed, total = counts["killed"], len(verdicts)
    print(
        f"{killed} of {total} mutants killed ({killed / total:.1%}), "
        f"{len(survivors) - len(unexplained)} explained, {len(unexplained)} not"
    )
    return 1 if unexplained or not verdicts else 0


def _is_changed(change: str, line: str) -> bool:
    """Whether a line that is taken away or added looks so."""
    return re.search(rf"^[-+]\s+.*{line}", change, re.MULTILINE) is not None


def _mutmut(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - ours
        ["mutmut", *arguments],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
