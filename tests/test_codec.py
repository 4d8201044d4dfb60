"""The JSON codec: exactly reversible, and no input makes it fail other than with `CodecError`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_check.strategies import (
    configs,
    entries,
    events,
    index_maps,
    logs,
    malformed_messages,
    messages,
    node_states,
    outputs,
    persistent_states,
    roles,
    transitions,
)
from raft_ref import Candidate, Config, Entry, IndexMap, Leader, NodeState
from raft_ref.codec import (
    JSON,
    CodecError,
    Encodable,
    decode_config,
    decode_entry,
    decode_event,
    decode_index_map,
    decode_log,
    decode_message,
    decode_output,
    decode_persistent_state,
    decode_role,
    decode_state,
    decode_transition,
    dumps,
    encode,
    parse,
)

Decoder = Callable[[JSON], Encodable]
Sample = tuple[Encodable, Decoder]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """A value of any public type, and its decoder."""
    config = draw(configs(min_servers=2, max_servers=4))
    persistent = draw(persistent_states(config, max_length=3))
    choices: list[tuple[st.SearchStrategy[Encodable], Decoder]] = [
        (st.just(config), decode_config),
        (entries(), decode_entry),
        (logs(), decode_log),
        (index_maps(config.peers, max_index=10**30), decode_index_map),
        (st.just(persistent), decode_persistent_state),
        (roles(config, persistent), decode_role),
        (node_states(config), decode_state),
        (messages(config), decode_message),
        (malformed_messages(config), decode_message),
        (events(config), decode_event),
        (outputs(config), decode_output),
        (transitions(config), decode_transition),
    ]
    strategy, decode = draw(st.sampled_from(choices))
    return draw(strategy), decode


def text_of(data: JSON) -> str:
    # Not compared as data: to Python, true equals 1.
    return json.dumps(data, sort_keys=True)


# --- there and back ----------------------------------------------------------------------------


@given(samples())
def test_every_value_survives_a_round_trip(sample: Sample) -> None:
    value, decode = sample
    decoded = decode(parse(dumps(value)))
    assert decoded == value
    assert type(decoded) is type(value)
    assert decode(encode(value)) == value


@given(samples())
def test_the_text_is_stable(sample: Sample) -> None:
    value, decode = sample
    text = dumps(value)
    assert dumps(decode(parse(text))) == text
    assert "\n" not in text


def test_the_text_does_not_depend_on_the_order_of_sets_and_fields() -> None:
    assert dumps(Candidate(frozenset([30, 1, 200]))) == (
        '{"type": "Candidate", "votes_granted": [1, 30, 200]}'
    )
    assert decode_entry({"command": "a", "term": 1}) == Entry(1, "a")
    assert decode_index_map({"10": 1, "9": 2}) == IndexMap(((9, 2), (10, 1)))


def test_optional_values_are_null() -> None:
    assert encode(NodeState().persistent) == {
        "current_term": 0,
        "voted_for": None,
        "log": {"entries": [], "snapshot_index": 0, "snapshot_term": 0},
    }


def test_large_numbers_and_unusual_text_survive() -> None:
    entry = Entry(10**4000, '\0"\\\n\u2028é😀\uffff')
    assert decode_entry(parse(dumps(entry))) == entry


# --- what is refused, and where ----------------------------------------------------------------

CONFIG: JSON = encode(Config(id=1, servers=frozenset({1, 2, 3})))
STATE = '{"persistent": {"current_term": 1, "voted_for": 1, "log": %s}, "role": %s, %s}'
LOG = '{"entries": [{"term": 1, "command": "a"}], "snapshot_index": 0, "snapshot_term": 0}'
LEADER = '{"type": "Leader", "next_index": {"2": 1}, "match_index": {"2": 0}}'
REST = '"commit_index": 0, "last_applied": 0'
VOTE = (
    '{"type": "RequestVoteReply", "source": 2, "destination": 1, "term": 1, "vote_granted": %s%s}'
)

REFUSED: list[tuple[str, Decoder, str, str]] = [
    # missing and unknown fields
    ("missing field", decode_entry, '{"term": 1}', "at $: Entry lacks the field 'command'"),
    ("empty object", decode_config, "{}", "at $: Config lacks the field 'id'"),
    (
        "missing field inside",
        decode_log,
        '{"entries": [{"term": 1, "command": ""}, {"command": ""}], "snapshot_index": 0, '
        '"snapshot_term": 0}',
        "at $.entries[1]: Entry lacks the field 'term'",
    ),
    (
        "missing field of a member",
        decode_event,
        '{"type": "Receive"}',
        "at $: Receive lacks the field 'message'",
    ),
    (
        "unknown field",
        decode_entry,
        '{"term": 1, "command": "", "index": 1}',
        "at $: Entry has no field 'index'",
    ),
    (
        "unknown field with a surrogate",
        decode_entry,
        '{"term": 1, "command": "", "\\ud800": 1}',
        "at $: Entry has no field '\\ud800'",
    ),
    (
        "a tag where none belongs",
        decode_entry,
        '{"type": "Entry", "term": 1, "command": ""}',
        "at $: Entry has no field 'type'",
    ),
    (
        "unknown field of a member",
        decode_message,
        VOTE % ("true", ', "x": 1'),
        "at $: RequestVoteReply has no field 'x'",
    ),
    # wrong types
    (
        "bool for int",
        decode_entry,
        '{"term": true, "command": ""}',
        "at $.term: expected an integer, found true",
    ),
    (
        "string for int",
        decode_entry,
        '{"term": "1", "command": ""}',
        'at $.term: expected an integer, found "1"',
    ),
    (
        "null for int",
        decode_entry,
        '{"term": null, "command": ""}',
        "at $.term: expected an integer, found null",
    ),
    (
        "int for string",
        decode_entry,
        '{"term": 1, "command": 1}',
        "at $.command: expected a string, found 1",
    ),
    (
        "int for bool",
        decode_message,
        VOTE % ("1", ""),
        "at $.vote_granted: expected true or false, found 1",
    ),
    ("array for object", decode_entry, "[]", "at $: expected an object, found []"),
    ("scalar for a member", decode_role, '"Follower"', 'at $: expected an object, found "Fo'),
    (
        "object for array",
        decode_log,
        '{"entries": {}, "snapshot_index": 0, "snapshot_term": 0}',
        "at $.entries: expected an array, found {}",
    ),
    (
        "string for a set",
        decode_role,
        '{"type": "Candidate", "votes_granted": "1"}',
        'at $.votes_granted: expected an array, found "1"',
    ),
    (
        "bool in a set",
        decode_role,
        '{"type": "Candidate", "votes_granted": [0, true]}',
        "at $.votes_granted[1]: expected an integer, found true",
    ),
    (
        "false for an optional",
        decode_role,
        '{"type": "Follower", "leader": false}',
        "at $.leader: expected an integer, found false",
    ),
    (
        "array for an index map",
        decode_state,
        STATE % (LOG, LEADER.replace('{"2": 1}', "[]"), REST),
        "at $.role.next_index: expected an object keyed by server, found []",
    ),
    (
        "string for an index",
        decode_state,
        STATE % (LOG, LEADER.replace('{"2": 1}', '{"2": "1"}'), REST),
        'at $.role.next_index.2: expected an integer, found "1"',
    ),
    (
        "deep inside",
        decode_transition,
        '{"state": %s, "outputs": [{"type": "ResetElectionTimer"}, {"type": "Apply", "index": 1, '
        '"entry": {"term": 1, "command": null}}]}' % (STATE % (LOG, LEADER, REST)),
        "at $.outputs[1].entry.command: expected a string, found null",
    ),
    # tags
    (
        "missing tag",
        decode_role,
        '{"leader": null}',
        "at $.type: expected one of Follower, Candidate, Leader; found none",
    ),
    (
        "unknown tag",
        decode_role,
        '{"type": "Learner"}',
        'at $.type: expected one of Follower, Candidate, Leader; found "Learner"',
    ),
    (
        "a tag of another sum",
        decode_role,
        '{"type": "Restart"}',
        "at $.type: expected one of Follower, Candidate, Leader; found ",
    ),
    (
        "a null tag",
        decode_event,
        '{"type": null}',
        "at $.type: expected one of ElectionTimeout, HeartbeatTimeout, ClientRequest, Receive, "
        "Restart; found null",
    ),
    ("an array as tag", decode_output, '{"type": []}', "at $.type: expected one of Send, Apply, "),
    (
        "a tag inside",
        decode_event,
        '{"type": "Receive", "message": {"type": "Receive"}}',
        "at $.message.type: expected one of RequestVote, RequestVoteReply, AppendEntries, ",
    ),
    # sets and maps
    (
        "duplicate member",
        decode_role,
        '{"type": "Candidate", "votes_granted": [1, 1]}',
        "at $.votes_granted: expected ascending members, each once, found [1, 1]",
    ),
    (
        "members that do not ascend",
        decode_role,
        '{"type": "Candidate", "votes_granted": [2, 1]}',
        "at $.votes_granted: expected ascending members, each once, found [2, 1]",
    ),
    *(
        (
            f"index map key {key[:9]!r}",
            decode_state,
            STATE % (LOG, LEADER.replace('"2"', json.dumps(key), 1), REST),
            "at $.role.next_index: expected server numbers as keys, found ",
        )
        for key in ["01", "-1", "+1", "x", "", " 1", "1 ", "1_0", "1.0", "²", "١", "1" * 5000]
    ),
    # contents
    (
        "a server outside its cluster",
        decode_config,
        '{"id": 4, "servers": [1, 2], "max_entries_per_append": 1}',
        "at $: server 4 is not one of the servers [1, 2]",
    ),
    (
        "no entries per append",
        decode_config,
        '{"id": 1, "servers": [1, 2], "max_entries_per_append": 0}',
        "at $: max_entries_per_append must be at least 1, not 0",
    ),
    ("no index map", decode_index_map, "[]", "at $: expected an object keyed by server, found []"),
    (
        "no persistent state",
        decode_persistent_state,
        "{}",
        "at $: PersistentState lacks the field 'current_term'",
    ),
    (
        "a lone surrogate",
        decode_event,
        '{"type": "ClientRequest", "command": "a\\ud800"}',
        'at $.command: expected Unicode text, found "a\\ud800"',
    ),
]


@pytest.mark.parametrize(
    ("decode", "text", "problem"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_bad_data_is_refused_with_its_place(decode: Decoder, text: str, problem: str) -> None:
    with pytest.raises(CodecError) as refusal:
        decode(parse(text))
    assert str(refusal.value).startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON, at line 1 column 1: "),
        ("[1,\n 2", "not JSON, at line 2 column 3: "),
        ('{"term": 1', "not JSON, at line 1 column 11: "),
        ('"a', "not JSON, at line 1 column 1: "),
        ("{} {}", "not JSON, at line 1 column 4: "),
        ("{'term': 1}", "not JSON, at line 1 column 2: "),
        ("\ufeff{}", "not JSON, at line 1 column 1: "),
        ("NaN", "not usable JSON: expected an integer, found NaN"),
        ("[Infinity]", "not usable JSON: expected an integer, found Infinity"),
        ("-Infinity", "not usable JSON: expected an integer, found -Infinity"),
        ('{"term": 1.0}', "not usable JSON: expected an integer, found 1.0"),
        ("1e999", "not usable JSON: expected an integer, found 1e999"),
        ("1E2", "not usable JSON: expected an integer, found 1E2"),
        ('{"a": 1, "b": 2, "b": 2}', "not usable JSON: an object names the field 'b' twice"),
        ('[{"x": {"": 1, "": 2}}]', "not usable JSON: an object names the field '' twice"),
        ("1" * 5000, "not usable JSON: Exceeds the limit"),
        ("-" + "1" * 5000, "not usable JSON: Exceeds the limit"),
        ("[" * 100_000, "not usable JSON: nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "not usable JSON: nested too deeply"),
        ('{"a":' * 100_000, "not usable JSON: nested too deeply"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_unusable_text_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(CodecError) as refusal:
        parse(text)
    assert str(refusal.value).startswith(problem)


@pytest.mark.parametrize("cut", range(1, 40))
def test_truncated_text_is_refused(cut: int) -> None:
    text = dumps(Entry(1, "a command"))
    with pytest.raises(CodecError):
        parse(text[: -min(cut, len(text))])


def test_nesting_that_parses_is_refused_as_data() -> None:
    # How deep is too deep depends on the caller's own depth: try all of the edge.
    for depth in range(300, 1100):
        nested = "[" * depth + "]" * depth
        with pytest.raises(CodecError):
            decode_entry(parse(f'{{"term": {nested}, "command": ""}}'))


def test_data_too_large_to_show_is_refused() -> None:
    with pytest.raises(CodecError, match=r"^at \$: expected an object"):
        decode_entry(10**5000)
    with pytest.raises(CodecError, match=r"^at \$: expected an object, found \[1, 1.*\.\.\.$"):
        decode_entry([1 for _ in range(1000)])


# --- anything at all ---------------------------------------------------------------------------

SCALARS: st.SearchStrategy[JSON] = (
    st.none() | st.booleans() | st.integers(-2, 6) | st.integers() | st.text(max_size=3)
)
NAMES = st.sampled_from(["type", "term", "command", "1", "01", "Follower", "Leader"]) | st.text(
    max_size=3
)
VALUES: st.SearchStrategy[JSON] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)


def containers(data: JSON) -> list[list[JSON] | dict[str, JSON]]:
    if not isinstance(data, list | dict):
        return []
    inner = data if isinstance(data, list) else data.values()
    return [data, *(found for item in inner for found in containers(item))]


def mutate(draw: st.DrawFn, data: JSON) -> JSON:
    """``data`` with one place replaced, deleted or added."""
    found = containers(data)
    if not found or draw(st.integers(0, 9)) == 9:
        return draw(VALUES)
    place = draw(st.sampled_from(found))
    how = draw(st.sampled_from(["replace", "delete", "add"])) if place else "add"
    if isinstance(place, list):
        position = draw(st.integers(0, len(place) - (how != "add")))
        place[position : position + (how != "add")] = [] if how == "delete" else [draw(VALUES)]
    elif how == "add":
        place[draw(NAMES)] = draw(VALUES)
    else:
        name = draw(st.sampled_from(sorted(place)))
        if how == "delete":
            del place[name]
        else:
            place[name] = draw(VALUES)
    return data


@st.composite
def mutants(draw: st.DrawFn) -> tuple[JSON, Decoder]:
    value, decode = draw(samples())
    return mutate(draw, copy.deepcopy(encode(value))), decode


def assert_refused_or_exactly_kept(data: JSON, decode: Decoder) -> None:
    try:
        value = decode(data)
    except CodecError:
        return
    assert text_of(encode(value)) == text_of(data)


@given(mutants())
def test_mutated_data_is_refused_or_exactly_kept(mutant: tuple[JSON, Decoder]) -> None:
    assert_refused_or_exactly_kept(*mutant)


@given(VALUES, st.sampled_from([decode_config, decode_role, decode_state, decode_index_map]))
def test_any_data_is_refused_or_exactly_kept(data: JSON, decode: Decoder) -> None:
    assert_refused_or_exactly_kept(data, decode)


@given(st.text(alphabet='[]{}:,"\\0123456789.eE+-truefalsn NaIity\ud800') | st.text())
def test_any_text_is_refused_or_json_without_floats(text: str) -> None:
    try:
        data = parse(text)
    except CodecError:
        return
    assert json.loads(text) == data
    assert not isinstance(data, float)


@given(VALUES)
def test_any_json_without_floats_is_parsed(data: JSON) -> None:
    assert text_of(parse(text_of(data))) == text_of(data)


@given(samples(), st.data())
def test_text_with_one_character_changed_is_refused_or_valid(
    sample: Sample, data: st.DataObject
) -> None:
    value, decode = sample
    text = dumps(value)
    position = data.draw(st.integers(0, len(text) - 1))
    changed = text[:position] + data.draw(st.characters()) + text[position + 1 :]
    try:
        decoded = decode(parse(changed))
    except CodecError:
        return
    assert decode(encode(decoded)) == decoded


def test_leaders_of_one_have_empty_maps() -> None:
    alone = Leader(IndexMap(), IndexMap())
    assert decode_role(parse(dumps(alone))) == alone


@pytest.mark.parametrize("command", ["\ud800", "a\udfffb", "\ud83d\ude00"])
def test_a_command_that_is_no_unicode_text_is_not_encoded(command: str) -> None:
    """It would not survive the way through a file, or come back as another one."""
    with pytest.raises(CodecError, match=r"^at the value: expected Unicode text"):
        dumps(Entry(1, command))
