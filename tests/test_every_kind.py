"""No message, event, output or role, and no field of any or of a state, is forgotten anywhere.

What a place leaves out on purpose is named here with the reason. A throw-away kind, and a
throw-away field, show that none could be forgotten: each place refuses it, or is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from model_check.raft import Bounds, RaftNode
from model_check.renaming import rename_event
from model_check.render import describe_event, describe_output
from model_check.traces.foresight import end_of
from model_check.traces.happening import term_of
from model_check.traces.record import recorded
from model_check.traces.words import describe_told
from raft_ref import AppendEntriesReply, HeartbeatTimeout, Receive, Restart, Send, step
from raft_ref.cluster.coalescing import Step as ServerStep
from raft_ref.cluster.tracing import lines_of
from raft_ref.cluster.wire import encode_frame
from raft_ref.node import receive
from spec.conduct import watch
from spec.forms import Renaming, Step
from spec.freest import Freest
from spec.properties import RaftStep
from spec.rules import message_well_formed
from spec.shadow import CARRIED_BY, OF_APPLYING, Evidence, Shadow, learn
from spec.universe import Universe
from tests.consumers import CONFIG, CONSUMERS, STATE, monitor
from tests.every_kind import MESSAGES, SUM_TYPES, WAY, Reasons, missing

ARROW = "an arrow is drawn from the one to the other"
ONE_SERVER = "they are messages to one server"
EITHER = "either value may stand in any message"
REFUSED = "what refuses lets its receiver do nothing that it may not do anyway"

LEFT_OUT: Mapping[str, Reasons] = {
    "drawing": {"*.source": ARROW, "*.destination": ARROW},
    "generated": {"*.destination": ONE_SERVER},
    "malformed": {
        "RequestVoteReply.vote_granted": EITHER,
        "AppendEntriesReply.success": EITHER,
    },
    "monitor": {
        "RequestVote": "that a server asks for votes says nothing of who has given one",
        "*.destination": "whoever it was sent to, it has arrived here",
        "AppendEntriesReply.hint": "a rejection is no evidence",
    },
    "most_general": {
        "RequestVoteReply.vote_granted": REFUSED,
        "AppendEntriesReply.success": REFUSED,
        "AppendEntriesReply.hint": REFUSED,
    },
    "proof": {"AppendEntriesReply.hint": "no rule says anything of hints"},
    "wellformed": {
        "RequestVoteReply.vote_granted": EITHER,
        "AppendEntriesReply.success": EITHER,
    },
}
"""By consumer: the kinds, or fields of any (``*``) or one kind, that it leaves out, and why."""


@pytest.mark.parametrize("name", SUM_TYPES)
def test_there_is_a_sample_of_each_kind(name: str) -> None:
    sum_type, samples = SUM_TYPES[name]
    assert missing(sum_type, samples) == [], f"tests/every_kind.py lacks samples of a {name}"


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_no_message_and_no_field_of_one_is_forgotten(consumer: str) -> None:
    reasons = LEFT_OUT.get(consumer, {})
    left_out = {
        name for kind, of_it in MESSAGES.items() for name in CONSUMERS[consumer](kind, of_it)
    }
    explained = {name for name in left_out if {name, f"*.{name.split('.')[-1]}"} & set(reasons)}
    assert left_out - explained == set(), f"forgotten in {consumer}"
    used = explained | {f"*.{name.split('.')[-1]}" for name in explained}
    assert set(reasons) - used == set(), f"not left out of {consumer} after all"


def test_it_is_declared_which_message_brings_which_evidence() -> None:
    silent = [
        kind for kind, samples in MESSAGES.items() if monitor(kind, samples) == [kind.__name__]
    ]
    assert {kind.__name__ for kind in MESSAGES if kind not in silent} == set(CARRIED_BY.values())
    assert {*CARRIED_BY, *OF_APPLYING, "unread"} == {field.name for field in fields(Evidence)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A message of a kind that nobody knows."""

    source: int
    destination: int
    term: int
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(AppendEntriesReply):
    """A known message with a field that nobody knows."""

    round: int = 0


PROBE = Probe(**WAY, round=1)
CONFIRMED = Confirmed(**WAY, success=True, match_index=2, round=1)


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_an_unknown_kind_is_refused_or_found_out(consumer: str) -> None:
    assert _left_out(consumer, Probe, PROBE) == ["Probe"]


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_an_unknown_field_is_kept_or_refused_or_found_out(consumer: str) -> None:
    left_out = _left_out(consumer, Confirmed, CONFIRMED)
    if consumer == "renaming":
        assert left_out == [], "it copies with replace"
    else:
        assert {"Confirmed", "Confirmed.round"} & set(left_out)


def _left_out(consumer: str, kind: type, sample: object) -> list[str]:
    """What a consumer leaves out; the kind, if it refuses it by name."""
    try:
        return list(CONSUMERS[consumer](kind, (sample,)))
    except (AssertionError, TypeError) as refusal:
        if kind.__name__ not in str(refusal):
            raise
        return [kind.__name__]


@dataclass(frozen=True, slots=True)
class Tick:
    """An event, an output and a role that nobody knows."""


UNKNOWN: Any = Tick()
MESSAGE: Any = PROBE
OWN: Any = replace(PROBE, source=1, destination=2)
PUTS_OUT: RaftStep = Step(1, STATE, Restart(), STATE, (UNKNOWN,))
STEP = watch(Shadow(1, CONFIG.servers, STATE), HeartbeatTimeout(), STATE, ())


@pytest.mark.parametrize(
    "use",
    [
        lambda: step(CONFIG, STATE, UNKNOWN),
        lambda: step(CONFIG, STATE, Receive(MESSAGE)),
        lambda: receive(CONFIG, STATE, MESSAGE),
        lambda: RaftNode(Bounds()).is_outdated(STATE, MESSAGE),
        lambda: learn(STEP.before, UNKNOWN, STATE),
        lambda: message_well_formed.predicate(replace(STEP, outputs=(Send(OWN),))),
        lambda: Freest(Universe()).choices(STEP.before, Receive(MESSAGE)),
        lambda: Freest(Universe()).is_outdated(STEP.before, MESSAGE),
        lambda: rename_event(UNKNOWN, Renaming((1, 2, 3))),
        lambda: describe_event(1, UNKNOWN),
        lambda: describe_output(UNKNOWN),
        lambda: encode_frame(UNKNOWN),
        lambda: lines_of(1, [ServerStep(UNKNOWN, STATE, STATE, ())]),
        lambda: lines_of(1, [ServerStep(HeartbeatTimeout(), STATE, STATE, (UNKNOWN,))]),
        lambda: list(recorded((STATE,), [Step(1, STATE, UNKNOWN, STATE, ())])),
        lambda: list(recorded((STATE,), [PUTS_OUT])),
        lambda: term_of(UNKNOWN),
        lambda: end_of(UNKNOWN),
        lambda: describe_told(UNKNOWN),
    ],
)
def test_what_is_of_no_known_kind_is_refused_by_name(use: Callable[[], object]) -> None:
    with pytest.raises((AssertionError, TypeError), match=r"Tick|Probe"):
        use()
