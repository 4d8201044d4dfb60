"""A field that nobody knows is kept where a value is copied, and refused where it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from model_check.renaming import rename_role, rename_state
from raft_ref import (
    ClientRequest,
    ElectionTimeout,
    Event,
    Follower,
    HeartbeatTimeout,
    IndexMap,
    Leader,
    Log,
    NodeState,
    PersistentState,
    Receive,
    Restart,
    step,
)
from raft_ref.cluster.storage import change_between, changed
from raft_ref.codec import encode
from spec.forms import Renaming
from tests.consumers import CONFIG
from tests.every_kind import KINDS, MESSAGES, PERSISTENT, ROLES

SWAPPED = Renaming((2, 1, 3, 4), (("a", "b"), ("b", "a")))
KINDS_BY_NAME = {kind.__name__: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class MorePersistent(PersistentState):
    probe: int = 0


@dataclass(frozen=True, slots=True)
class MoreState(NodeState):
    probe: int = 0


@dataclass(frozen=True, slots=True, order=True)
class MoreLog(Log):
    probe: int = 0


@dataclass(frozen=True, slots=True)
class MoreLeader(Leader):
    probe: int = 0


def _happenings() -> list[Event]:
    own: list[Event] = [ElectionTimeout(), HeartbeatTimeout(), ClientRequest("b")]
    messages = [each for kind in MESSAGES.values() for each in kind]
    later = [replace(each, term=4) for each in messages]
    return [*own, *map(Receive, (*messages, *later))]


LOG = MoreLog(PERSISTENT.log.entries, probe=7)
MORE = MoreState(MorePersistent(3, None, LOG, probe=7), Follower(), 1, 1, probe=7)


@pytest.mark.parametrize("event", _happenings(), ids=str)
@pytest.mark.parametrize("role", ["Follower", "Candidate", "Leader"])
def test_a_field_that_the_core_does_not_know_is_kept_by_every_step(role: str, event: Event) -> None:
    (sample,) = ROLES[KINDS_BY_NAME[role]]
    before = replace(MORE, role=sample)
    after = step(CONFIG, before, event).state
    assert isinstance(after, MoreState)
    assert isinstance(after.persistent, MorePersistent)
    assert isinstance(after.log, MoreLog)
    assert (after.probe, after.persistent.probe, after.log.probe) == (7, 7, 7)


def test_a_restart_keeps_what_is_durable_and_resets_the_rest() -> None:
    assert step(CONFIG, MORE, Restart()).state == NodeState(MORE.persistent, Follower())


def test_what_a_leader_remembers_is_kept_while_it_leads() -> None:
    indexes = IndexMap(((2, 3), (3, 3))), IndexMap(((2, 0), (3, 0)))
    before = replace(MORE, role=MoreLeader(*indexes, probe=7))
    events: list[Event] = [HeartbeatTimeout(), ClientRequest("b"), *map(Receive, _replies())]
    for event in events:
        role = step(CONFIG, before, event).state.role
        assert isinstance(role, MoreLeader)
        assert role.probe == 7


def _replies() -> tuple[Any, ...]:
    return MESSAGES[KINDS_BY_NAME["AppendEntriesReply"]]


@pytest.mark.parametrize("value", [MORE, MORE.persistent, LOG], ids=["state", "durable", "log"])
def test_a_field_that_is_not_known_is_never_written_without_it(value: Any) -> None:
    with pytest.raises(TypeError, match=r"More.* is no public value of the core"):
        encode(value)


def test_a_field_that_is_not_known_stays_when_names_change_and_in_storage() -> None:
    renamed = rename_state(MORE, SWAPPED)
    persistent, log = renamed.persistent, renamed.log
    assert isinstance(persistent, MorePersistent)
    assert isinstance(log, MoreLog)
    assert (renamed.probe, persistent.probe, log.probe) == (7, 7, 7)
    change = change_between(MORE.persistent, replace(MORE.persistent, current_term=4))
    assert change is not None
    assert changed(MORE.persistent, change) == replace(MORE.persistent, current_term=4)


def test_a_role_that_is_not_known_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class PreCandidate:
        granted: int = 0

    unknown: Any = PreCandidate()
    with pytest.raises(AssertionError, match="PreCandidate"):
        rename_role(unknown, SWAPPED)
    with pytest.raises(TypeError, match="PreCandidate"):
        encode(unknown)
