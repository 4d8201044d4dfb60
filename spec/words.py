"""Values in diagnoses, as text: two values that differ are two texts that differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from raft_ref.types import Entry, Index, Log, NodeId, Role, Term

NO_ENTRY = "no entry"


def servers_text(servers: Iterable[NodeId]) -> str:
    """Servers by their names, in ascending order."""
    return ", ".join(f"S{server}" for server in sorted(servers)) or "nobody"


def role_text(role: Role) -> str:
    """The role alone, without what it remembers."""
    return type(role).__name__.lower()


def entry_text(entry: Entry | None) -> str:
    """An entry, or that there is none; a command is quoted, so that it takes one line."""
    return NO_ENTRY if entry is None else f"{entry.command!r} of term {entry.term}"


def entry_at(log: Log, index: Index) -> str:
    """What a log holds at an index."""
    if index <= log.snapshot_index:
        return f"no entry, but a snapshot {base_text(log)}"
    return entry_text(log.entry_at(index))


def base_text(log: Log) -> str:
    """Up to which entry a snapshot has replaced the beginning of a log."""
    return f"up to index {log.snapshot_index} of term {log.snapshot_term}"


def position_text(term: Term, index: Index) -> str:
    """Index and term of a log's last entry; both are 0 if it is empty."""
    if (term, index) == (0, 0):
        return "index 0 (an empty log)"
    return f"index {index} of term {term}"


def term_text(term: Term | None) -> str:
    """The term of an entry, or that there is no such entry."""
    return NO_ENTRY if term is None else str(term)


def describe_undecidable(unobserved: Iterable[str], fields: Collection[str]) -> str:
    """Why something could not be judged: ``fields`` of a server's state, or of what it does, are
    hidden, or messages of unknown kinds (all else that is ``unobserved``) may have allowed it."""
    hidden, kinds = list[str](), list[str]()
    for each in unobserved:
        (hidden if each in fields else kinds).append(each)
    reasons = [f"{', '.join(hidden)} cannot be observed"] if hidden else []
    if kinds:
        noun = "kind" if len(kinds) == 1 else "kinds"
        reasons.append(
            f"messages of the unknown {noun} {', '.join(kinds)} may have allowed the step"
        )
    return ", and ".join(reasons)
