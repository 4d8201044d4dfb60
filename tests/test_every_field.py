"""No field of a state, a role, an event or an output is forgotten where its like are handled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import msgspec
import pytest

from model_check import strategies
from model_check.judged import judged
from model_check.renaming import (
    rename_event,
    rename_evidence,
    rename_persistent,
    rename_role,
    rename_state,
)
from model_check.render import changes, describe_event, describe_output
from model_check.traces.record import recorded
from model_check.vectors import values
from raft_ref import (
    Config,
    Entry,
    Event,
    HeartbeatTimeout,
    IndexMap,
    Log,
    NodeState,
    PersistentState,
    Restart,
)
from raft_ref.cluster.coalescing import Step as ServerStep
from raft_ref.cluster.storage import change_between, changed
from raft_ref.cluster.tracing import lines_of
from raft_ref.codec import (
    decode_config,
    decode_entry,
    decode_event,
    decode_log,
    decode_output,
    decode_persistent_state,
    decode_role,
    decode_state,
    encode,
)
from spec.forms import Renaming, Step
from spec.properties import rename_log
from spec.shadow import EVIDENCE, OF_APPLYING, Evidence, Unread
from tests.consumers import CONFIG, STATE, TLA, camel_case, drawn, names
from tests.every_kind import (
    COMMANDS,
    EVENTS,
    KINDS,
    NESTED,
    OUTPUTS,
    PERSISTENT,
    ROLES,
    SERVERS,
    STATES,
    Reasons,
    named,
    unread,
    untold,
)

CLIENTS = "no rule says anything of it"
SNAPSHOTS = "told at a start alone: a server that takes a snapshot goes on in another trace"
APPLIED = "it equals commit_index between steps"
ROLE = "a trace tells which role it is; what it remembers is the server's own"


def _as_role(role: Any) -> NodeState:
    return NodeState(PERSISTENT, role)


def _as_persistent(state: Any) -> NodeState:
    return NodeState(state)


def _as_log(log: Any) -> NodeState:
    return NodeState(PersistentState(3, None, log))


def _as_entry(entry: Any) -> NodeState:
    return _as_log(Log((entry,)))


AS_STATE: Mapping[type, Callable[[Any], NodeState]] = {
    NodeState: lambda state: state,
    PersistentState: _as_persistent,
    Log: _as_log,
    Entry: _as_entry,
    **dict.fromkeys(ROLES, _as_role),
}
"""By the kind of a part of a state: a state with such a part."""


def _explained(left_out: list[str], reasons: Reasons) -> None:
    """What is left out is what is said to be, no less and no more."""
    assert set(left_out) == set(reasons)


# --- JSON ----------------------------------------------------------------------------------------

DECODERS: Mapping[type, Callable[[Any], object]] = {
    **dict.fromkeys(ROLES, decode_role),
    **dict.fromkeys(EVENTS, decode_event),
    **dict.fromkeys(OUTPUTS, decode_output),
    Entry: decode_entry,
    Log: decode_log,
    PersistentState: decode_persistent_state,
    NodeState: decode_state,
    Config: decode_config,
}


@pytest.mark.parametrize("kind", DECODERS, ids=lambda kind: kind.__name__)
def test_json_carries_every_field(kind: type) -> None:
    assert unread(lambda value: DECODERS[kind](encode(value)), KINDS[kind]) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_vectors_carry_every_field(kind: type) -> None:
    part = getattr(values, f"{kind.__name__}Part")
    known = {field.name for field in msgspec.structs.fields(part)}
    assert known == {field.name for field in fields(kind)}


# --- other names ---------------------------------------------------------------------------------

SWAPPED = Renaming((2, 1, 3, 4), (("a", "b"), ("b", "a")))
RENAMED: Mapping[type, Callable[[Any, Renaming], object]] = {
    NodeState: rename_state,
    PersistentState: rename_persistent,
    Log: rename_log,
    **dict.fromkeys(ROLES, rename_role),
    **dict.fromkeys(EVENTS, rename_event),
}


@pytest.mark.parametrize("kind", RENAMED, ids=lambda kind: kind.__name__)
def test_what_holds_a_server_or_a_command_is_renamed_and_nothing_else(kind: type) -> None:
    for sample in KINDS[kind]:
        renamed = RENAMED[kind](sample, SWAPPED)
        assert RENAMED[kind](renamed, SWAPPED) == sample
        for field in fields(kind):
            is_renamed = getattr(renamed, field.name) != getattr(sample, field.name)
            words = (*SERVERS, *COMMANDS, *NESTED)
            assert is_renamed == any(word in str(field.type) for word in words), field.name


EVIDENCE_OF_ALL = Evidence(
    grants=frozenset({1}),
    acknowledged=IndexMap(((1, 2),)),
    confirmed=2,
    claimed=1,
    leaders=frozenset({1}),
    applied=1,
    ever_applied=2,
    unread=frozenset({Unread(1, "PreVote")}),
)


def test_all_evidence_that_names_servers_is_renamed() -> None:
    renamed = rename_evidence(EVIDENCE_OF_ALL, SWAPPED)
    for field in fields(Evidence):
        is_renamed = getattr(renamed, field.name) != getattr(EVIDENCE_OF_ALL, field.name)
        assert is_renamed == any(word in str(field.type) for word in (*SERVERS, "Unread"))


def test_evidence_is_kept_by_name() -> None:
    for field in fields(Evidence):
        assert getattr(EVIDENCE_OF_ALL, field.name) != getattr(Evidence(), field.name)
        kept = EVIDENCE_OF_ALL.only(frozenset({field.name}))
        if field.name != "unread":  # it goes with the evidence that it may have brought
            assert getattr(kept, field.name) == getattr(EVIDENCE_OF_ALL, field.name)
    assert EVIDENCE_OF_ALL.only(EVIDENCE | OF_APPLYING) == EVIDENCE_OF_ALL
    assert EVIDENCE_OF_ALL.only(frozenset()) == Evidence()


# --- in words, and in traces ---------------------------------------------------------------------


def test_a_change_of_any_part_of_a_state_is_shown() -> None:
    left_out = [
        name
        for kind, wrap in AS_STATE.items()
        for name in untold(lambda part, wrap=wrap: changes(STATE, wrap(part)), kind, KINDS[kind])  # type: ignore[misc] # a default
    ]
    _explained(
        left_out,
        {
            "NodeState.last_applied": APPLIED,
            "Log.snapshot_index": "a snapshot changes nothing that Raft knows",
            "Log.snapshot_term": "a snapshot changes nothing that Raft knows",
            "Candidate.votes_granted": "shown of a candidate alone that stays one",
            "Leader.next_index": "shown of a leader alone that stays one",
            "Leader.match_index": "shown of a leader alone that stays one",
        },
    )
    for kind, samples in ROLES.items():
        before = _as_role(samples[0])
        assert untold(lambda role, old=before: changes(old, _as_role(role)), kind, samples) == []  # type: ignore[misc] # a default


def test_every_event_and_output_is_described() -> None:
    for kind, samples in EVENTS.items():
        assert untold(lambda event: describe_event(1, event), kind, samples) == []
    silent = [
        name for kind, each in OUTPUTS.items() for name in untold(describe_output, kind, each)
    ]
    told_to_client = "the client is told, and a reader sees the log"
    _explained(silent, dict.fromkeys(named(KINDS_BY_NAME["Appended"]), told_to_client))


KINDS_BY_NAME = {kind.__name__: kind for kind in KINDS}


@pytest.mark.parametrize("of_cluster", [True, False], ids=["cluster", "recorded"])
def test_traces_tell_every_part_of_a_step(of_cluster: bool) -> None:
    def lines(after: NodeState, event: Event, outputs: tuple[Any, ...] = ()) -> object:
        if of_cluster:
            return lines_of(1, [ServerStep(event, NodeState(), after, outputs)])
        return list(recorded((NodeState(),), [Step(1, NodeState(), event, after, outputs)]))

    def of_state(kind: type) -> Callable[[Any], object]:
        return lambda part: lines(AS_STATE[kind](part), HeartbeatTimeout())

    left_out = [name for kind in AS_STATE for name in untold(of_state(kind), kind, KINDS[kind])]
    for kind, samples in EVENTS.items():
        left_out += untold(lambda event: lines(STATE, event), kind, samples)
    for kind, samples in OUTPUTS.items():
        left_out += untold(lambda output: lines(STATE, Restart(), (output,)), kind, samples)
    _explained(
        left_out,
        {
            "NodeState.last_applied": APPLIED,
            "Log.snapshot_term": SNAPSHOTS,
            **({"Log.snapshot_index": "a server of the cluster takes none"} if of_cluster else {}),
            "Appended.index": CLIENTS,
            "Appended.term": CLIENTS,
            **{name: ROLE for kind in ROLES for name in named(kind)},
        },
    )


def test_the_specification_in_tla_names_every_field() -> None:
    kinds = (*ROLES, *EVENTS, PersistentState, NodeState, Entry, Log)
    without = [
        name
        for kind in kinds
        for name in named(kind)
        if not names(TLA, camel_case(name.split(".")[1]))
    ]
    no_snapshots = "there are no snapshots"
    _explained(
        without,
        {
            "ClientRequest.command": "it is called value",
            "Receive.message": "it is called m",
            "NodeState.persistent": "one record holds what is durable and what is not",
            "NodeState.last_applied": APPLIED,
            "Entry.command": "it is called value",
            "Log.snapshot_index": no_snapshots,
            "Log.snapshot_term": no_snapshots,
        },
    )


SWITCHES = {
    "Config.servers": "Servers",
    "Config.max_entries_per_append": "MaxEntries",
    "Config.conflict_hints": "ConflictHints",
    "Config.pipelining": "Window",
}
"""The constants of the specification in TLA+ that are fields of a configuration."""


def test_the_specification_in_tla_names_every_kind_and_switch() -> None:
    assert [kind.__name__ for kind in ROLES if f"\n{kind.__name__}(" not in TLA] == []
    assert [kind.__name__ for kind in EVENTS if f"\n{kind.__name__}(" not in TLA] == ["Restart"]
    assert "Restarted(s)" in TLA
    assert [name for name in SWITCHES.values() if not names(TLA, name)] == []
    _explained(
        [name for name in named(Config) if name not in SWITCHES],
        {
            "Config.id": "a server is an argument there, i",
            "Config.max_size_per_append": "commands are numbers there, of no size",
        },
    )


# --- what is kept --------------------------------------------------------------------------------


def test_every_durable_field_is_stored() -> None:
    def stored(state: PersistentState) -> PersistentState:
        change = change_between(PERSISTENT, state)
        return PERSISTENT if change is None else changed(PERSISTENT, change)

    assert unread(stored, STATES[PersistentState]) == []


def test_a_judged_state_shows_every_field_of_the_server() -> None:
    for sample in STATES[NodeState]:
        seen = judged(sample)
        assert [getattr(seen, each.name) for each in fields(NodeState)] == [
            getattr(sample, each.name) for each in fields(NodeState)
        ]


def test_strategies_vary_every_field() -> None:
    states = drawn(strategies.node_states(Config(id=1, servers=frozenset(range(1, 6)))))
    found: dict[type, list[object]] = {}
    for state in states:
        for part in (state, state.persistent, state.log, state.role, *state.log.entries):
            found.setdefault(type(part), []).append(part)
    for part in (*drawn(strategies.events(CONFIG)), *drawn(strategies.outputs(CONFIG))):
        found.setdefault(type(part), []).append(part)
    for kind in (*AS_STATE, *EVENTS, *OUTPUTS):
        assert found.get(kind), f"strategies never draw a {kind.__name__}"
        for field in fields(kind):
            drawn_of_field = {getattr(each, field.name) for each in found[kind]}
            assert len(drawn_of_field) > 1, f"{kind.__name__}.{field.name} never varies"
