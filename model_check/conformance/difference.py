"""Where two replies to the same request differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TypeAlias

from model_check.conformance.observed import (
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
)
from model_check.conformance.table import LearntStep, kind_of_failure, learnt_from
from model_check.counterexample import Moment
from model_check.render import describe_action
from model_check.system import Outcome

MOST_PATHS = 3
"""To be shown; of more differences, their number."""
AROUND = 60
"""Characters of a long string that are shown from shortly before its first difference on."""


def difference(before: LearntStep, now: LearntStep) -> str:
    """The fields that differ, by their paths in a reply, each with both values.

    As in ``state.log[1].term: 2, before: 1``.
    """
    found = list(_differing("", _as_reply(before), _as_reply(now)))
    shown = found[:MOST_PATHS]
    if len(found) > MOST_PATHS:
        shown.append(f"and {len(found) - MOST_PATHS} more fields")
    return "; ".join(shown)


ForeignMoment: TypeAlias = Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage]


def first_difference(before: Sequence[ForeignMoment], now: Sequence[ForeignMoment]) -> str:
    """The first action that did not lead to the same again, and how it differed; empty if none did.

    Fingerprints are not compared: while runs are played, they may contain anything.
    """
    for number, (one, other) in enumerate(zip(before, now, strict=False), start=1):
        outcomes = one.outcome, other.outcome
        steps = [_without_fingerprint(each) for each in outcomes if each is not None]
        if len(steps) == 2 and steps[0] != steps[1]:
            what = difference(*steps) or f"{_ended(steps[1])}, before: {_ended(steps[0])}"
            return f"action {number} ({describe_action(one.action)}): {what}"
    return ""


def _without_fingerprint(
    outcome: Outcome[ObservedState, ForeignOutput, ForeignMessage],
) -> LearntStep:
    state = replace(outcome.state, fingerprint="")
    failure = outcome.failure and kind_of_failure(outcome.failure)
    return replace(learnt_from(outcome), state=state, failure=failure)


def _ended(step: LearntStep) -> str:
    return step.failure or "no failure"


def _as_reply(step: LearntStep) -> dict[str, object]:
    """``step`` in the fields of a reply."""
    return {
        "state": _as_state(step.state),
        "messages": [
            {
                "to": message.destination,
                "kind": message.kind,
                "fields": json.loads(message.fields),
                "payload": message.payload,
            }
            for message in step.messages
        ],
        "applied": [
            {"index": each.index, "term": each.entry.term, "command": each.entry.command}
            for each in step.applied
        ],
        "redirect": step.redirect,
        "fingerprint": step.state.fingerprint,
    }


def _as_state(state: ObservedState) -> dict[str, object]:
    log = state.log
    return {
        "current_term": state.current_term,
        "voted_for": state.voted_for,
        "role": type(state.role).__name__.lower(),
        "log": [{"term": entry.term, "command": entry.command} for entry in log.entries],
        "commit_index": state.commit_index,
        "snapshot_index": log.snapshot_index,
        "snapshot_term": log.snapshot_term,
    }


_NOTHING = object()
"""Where one list is longer, or a field is in one object alone."""


def _differing(path: str, before: object, now: object) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in before | now:
            inner = f"{path}.{name}" if path else name
            yield from _differing(inner, before.get(name, _NOTHING), now.get(name, _NOTHING))
    elif isinstance(before, list) and isinstance(now, list):
        for index, pair in enumerate(zip_longest(before, now, fillvalue=_NOTHING)):
            yield from _differing(f"{path}[{index}]", *pair)
    elif isinstance(before, str) and isinstance(now, str):
        if before != now:
            yield f"{path}: {_excerpts(before, now)}"
    elif _as_json(before) != _as_json(now):  # in Python, true is 1
        yield f"{path}: {_as_json(now)}, before: {_as_json(before)}"


def _as_json(value: object) -> str:
    return "nothing" if value is _NOTHING else json.dumps(value, ensure_ascii=False)


def _excerpts(before: str, now: str) -> str:
    """Two strings; of long ones, the part with the first difference."""
    if max(len(before), len(now)) <= AROUND:
        return f"{_as_json(now)}, before: {_as_json(before)}"
    same = next(
        (at for at, (one, other) in enumerate(zip(before, now, strict=False)) if one != other),
        min(len(before), len(now)),
    )
    start = max(same - AROUND // 3, 0)
    one, other = (_as_json(text[start : start + AROUND]) for text in (now, before))
    return f"from character {start + 1} on {one}, before: {other}"
