"""A trace with one field of one line altered, in every way that may matter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]

OWN: dict[Path, str] = {
    ("state", "current_term"): "number",
    ("state", "voted_for"): "server or nobody",
    ("state", "role"): "role",
    ("state", "commit_index"): "number",
    ("message", "fields", "term"): "number",
    ("message", "fields", "leader_commit"): "number",
    ("message", "fields", "vote_granted"): "flag",
    ("message", "fields", "success"): "flag",
}
ETCD: dict[Path, str] = {
    ("event", "state", "term"): "number",
    ("event", "state", "vote"): "etcd's server or nobody",
    ("event", "state", "commit"): "number",
    ("event", "role"): "etcd's role",
    ("event", "msg", "term"): "number",
    ("event", "msg", "commit"): "number",
    ("event", "msg", "reject"): "flag",
}
"""The fields of term, vote, commit, role and reject, and what can stand there."""

FIXED: dict[str, tuple[object, ...]] = {
    "flag": (False, True),
    "role": ("follower", "candidate", "leader"),
    "etcd's role": ("StateFollower", "StateCandidate", "StateLeader"),
    "server or nobody": (None, 1, 2, 3),
    "etcd's server or nobody": ("0", "1", "2", "3"),
}


@dataclass(frozen=True)
class Alteration:
    """One field of one line, with another value."""

    line: int
    """From 1."""
    path: Path
    old: object
    new: object
    lines: tuple[bytes, ...]
    """The whole trace, altered."""

    def __str__(self) -> str:
        return f"line {self.line}: {'.'.join(self.path)} {self.old} -> {self.new}"


def alterations(lines: list[bytes], fields: dict[Path, str]) -> Iterator[Alteration]:
    """Every alteration of the trace in ``lines``."""
    for number, line in enumerate(lines, start=1):
        for path, kind in fields.items():
            old = _get(json.loads(line), path)
            if old is _NOTHING:
                continue
            for new in _others(old, kind):
                altered = json.loads(line)
                _set(altered, path, new)
                changed = [*lines]
                changed[number - 1] = json.dumps(altered).encode() + b"\n"
                yield Alteration(number, path, old, new, tuple(changed))


_NOTHING = object()


def _others(old: Any, kind: str) -> Iterator[object]:
    if kind == "number":
        yield from (new for new in (old - 1, old + 1) if new >= 0)
    else:
        yield from (new for new in FIXED[kind] if new != old)


def _get(data: Any, path: Path) -> object:
    for name in path:
        if not isinstance(data, dict) or name not in data:
            return _NOTHING
        data = data[name]
    return data


def _set(data: Any, path: Path, value: object) -> None:
    *way, last = path
    for name in way:
        data = data[name]
    data[last] = value
