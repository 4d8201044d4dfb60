"""A trace with one field of one line altered, in every way that may matter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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

    @property
    def altered(self) -> Any:
        """The line as it is now."""
        return json.loads(self.lines[self.line - 1])

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


# --- why Raft allows what it allows --------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """Why a trace with an alteration may still be one of Raft."""

    sentence: str
    explains: Callable[[Alteration], bool]


def _event(alteration: Alteration) -> str:
    line = alteration.altered
    return str(line["event"]["name"] if isinstance(line["event"], dict) else line["event"])


def _is_at(*events: str) -> Callable[[Alteration], bool]:
    return lambda alteration: _event(alteration).startswith(events)


def _is_of(name: str) -> Callable[[Alteration], bool]:
    return lambda alteration: alteration.path[-1] == name


def _falls(alteration: Alteration) -> bool:
    old, new = alteration.old, alteration.new
    return isinstance(old, int) and isinstance(new, int) and new < old


def _among(*values: object) -> Callable[[Alteration], bool]:
    return lambda alteration: alteration.old in values and alteration.new in values


def _all(*conditions: Callable[[Alteration], bool]) -> Callable[[Alteration], bool]:
    return lambda alteration: all(each(alteration) for each in conditions)


def _was_sent_too(alteration: Alteration) -> bool:
    """Whether a message that arrives altered was sent as it now is."""
    lines = [json.loads(line) for line in alteration.lines]
    altered = alteration.altered
    if "message" in altered:
        return any(
            line.get("event") == "send" and line["message"] == altered["message"] for line in lines
        )
    sent = [line["event"].get("msg") for line in lines if line["event"]["name"].startswith("Send")]
    return altered["event"].get("msg") in sent


def _refuses(alteration: Alteration) -> bool:
    fields = alteration.altered["message"]["fields"]
    return fields.get("success", fields.get("vote_granted")) is False


def _acknowledges_nothing(alteration: Alteration) -> bool:
    return bool(alteration.altered["message"]["fields"].get("match_index") == 0)


def _is_own_vote(alteration: Alteration) -> bool:
    return alteration.old in (None, "0") and alteration.new == _server(alteration)


def _voted_for_itself(alteration: Alteration) -> bool:
    line = alteration.altered
    state = line["state"] if "state" in line else line["event"]["state"]
    return bool(state.get("voted_for", state.get("vote")) == _server(alteration))


def _server(alteration: Alteration) -> object:
    line = alteration.altered
    return line["server"] if "server" in line else line["event"]["nid"]


def _led_in_its_term(alteration: Alteration) -> bool:
    """Whether the server has led the term that it shows."""
    return any(
        _server_and_term(line) == _server_and_term(alteration.altered) and _role(line) in LEADER
        for line in map(json.loads, alteration.lines[: alteration.line - 1])
    )


def _server_and_term(line: Any) -> object:
    if isinstance(line.get("event"), dict):
        return line["event"]["nid"], line["event"]["state"]["term"]
    return line.get("server"), line.get("state", {}).get("current_term")


def _role(line: Any) -> object:
    if isinstance(line.get("event"), dict):
        return line["event"]["role"]
    return line.get("state", {}).get("role")


ROLES = _among("follower", "candidate", "StateFollower", "StateCandidate")
LEADER = ("leader", "StateLeader")

REASONS_OWN = (
    Reason("a start is taken at its word: what was before is not told", _is_at("start")),
    Reason(
        "what arrives instead was sent, too",
        lambda each: _is_at("receive")(each) and "fields" in each.path and _was_sent_too(each),
    ),
    Reason(
        "a refusal promises nothing, in whatever term, and this one nobody hears",
        lambda each: _is_at("send")(each) and "fields" in each.path and _refuses(each),
    ),
    Reason(
        "to acknowledge what is before the first entry promises nothing, and nobody hears it",
        lambda each: _all(_is_at("send"), _is_of("success"))(each) and _acknowledges_nothing(each),
    ),
    Reason(
        "a leader may tell of less than it has committed, and nobody hears it",
        _all(_is_at("send"), _is_of("leader_commit"), _falls),
    ),
    Reason(
        "a server may ignore a message, and with it the message's term",
        _all(_is_at("receive"), _is_of("current_term"), _falls),
    ),
    Reason(
        "a server may vote for itself in any term in which it has not voted",
        _all(_is_of("voted_for"), _is_own_vote),
    ),
    Reason(
        "who has voted for itself is a candidate, or has given up, as it likes",
        _all(_is_of("role"), ROLES, _voted_for_itself),
    ),
    Reason(
        "a leader may step down at any time, and be leader again by the same votes",
        lambda each: _is_of("role")(each) and (each.old in LEADER or _led_in_its_term(each)),
    ),
    Reason("a crash may spare the commit index", _all(_is_at("restart"), _is_of("commit_index"))),
    Reason("a server may commit later, or as soon as it may", _is_of("commit_index")),
)
REASONS_ETCD = (
    Reason(
        "the format says nothing of the state there",
        lambda each: (
            _is_at("Ready", "Replicate", "ApplyConfChange", "InitState")(each)
            and "msg" not in each.path
        ),
    ),
    Reason(
        "a start is taken at its word: what was before is not told",
        lambda each: _is_at("BecomeFollower")(each) and each.line <= 9,
    ),
    Reason(
        "within a step, a field is as it was before, or as it is after it, or on the way",
        lambda each: _is_at("Become", "Send", "Commit")(each) and "state" in each.path,
    ),
    Reason(
        "within a step, a field is as it was before, or as it is after it, or on the way",
        _all(_is_at("Send", "Commit"), _is_of("role")),
    ),
    Reason(
        "what arrives instead was sent, too",
        lambda each: _is_at("Receive")(each) and "msg" in each.path and _was_sent_too(each),
    ),
    Reason(
        "nobody hears it, and it promises less, or says it in a field that is not used",
        lambda each: _is_at("Send")(each) and "msg" in each.path,
    ),
    Reason(
        "a server may vote for itself in any term in which it has not voted",
        _all(_is_of("vote"), _is_own_vote),
    ),
    Reason(
        "who has voted for itself is a candidate, or has given up, as it likes",
        _all(_is_of("role"), ROLES, _voted_for_itself),
    ),
    Reason(
        "a leader may step down at any time, and be leader again by the same votes",
        lambda each: _is_of("role")(each) and (each.old in LEADER or _led_in_its_term(each)),
    ),
    Reason(
        "a server may ignore a message, and with it the message's term",
        lambda each: each.path == ("event", "state", "term") and _falls(each),
    ),
    Reason(
        "a server may commit later, or as soon as it may",
        lambda each: each.path == ("event", "state", "commit"),
    ),
)


def reason_for(alteration: Alteration, reasons: tuple[Reason, ...]) -> str | None:
    """Why Raft allows it; None if nobody knows."""
    return next((each.sentence for each in reasons if each.explains(alteration)), None)
