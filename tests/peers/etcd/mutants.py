#!/usr/bin/env python3
"""Take one rule out of etcd's raft: ``mutants.py NAME DIRECTORY`` edits a copy of its source.

Each mutant is one line of a file, and what it becomes.
"""

import sys
from pathlib import Path

MUTANTS = {
    # §5.4.1: a vote goes only to a candidate whose log is at least as up-to-date.
    "vote-without-log-check": (
        "raft.go",
        "if canVote && r.raftLog.isUpToDate(m.Index, m.LogTerm) {",
        "if canVote {",
    ),
    # Figure 2, "Persistent state": a vote survives a restart.
    "vote-not-persisted": (
        "raft.go",
        "\tr.Vote = state.Vote\n",
        "\tr.Vote = None\n",
    ),
    # §5.3: entries are accepted only where the one before them matches.
    "prev-term-not-checked": (
        "log.go",
        "if l.matchTerm(index, logTerm) {",
        "if index <= l.lastIndex() {",
    ),
    # §5.3: an entry that conflicts with a new one is deleted, and all that follow it.
    "conflict-keeps-old-entry": (
        "log.go",
        "if !l.matchTerm(ne.Index, ne.Term) {",
        "if ne.Index > l.lastIndex() {",
    ),
    # §5.4.2 and Figure 8: only entries of the current term are committed by counting.
    "commit-old-term-by-counting": (
        "log.go",
        "if maxIndex > l.committed && l.zeroTermOnErrCompacted(l.term(maxIndex)) == term {",
        "if maxIndex > l.committed {",
    ),
}


def main() -> None:
    """Edit, or say why that is not possible."""
    if len(sys.argv) != 3 or sys.argv[1] not in MUTANTS:
        sys.exit(f"usage: mutants.py NAME DIRECTORY, NAME one of {', '.join(MUTANTS)}")
    file, line, becomes = MUTANTS[sys.argv[1]]
    path = Path(sys.argv[2], file)
    text = path.read_text()
    if text.count(line) != 1:
        sys.exit(f"{path} does not have exactly one {line.strip()!r}: another version of etcd?")
    path.write_text(text.replace(line, becomes))


if __name__ == "__main__":
    main()
