"""`Log`, `IndexMap` and `Config` against their plainest models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_check.strategies import configs, entries, index_maps, logs
from raft_ref import Config, Entry, Index, IndexMap, Log


def as_dict(log: Log) -> dict[Index, Entry]:
    """The entries by index: what a log is."""
    return dict(enumerate(log.entries, start=log.snapshot_index + 1))


# --- Log ---------------------------------------------------------------------------------------

POSITIONS = st.integers(0, 12)


@given(logs(), POSITIONS)
def test_a_log_finds_the_entries_it_holds_and_no_others(log: Log, index: Index) -> None:
    assert log.entry_at(index) == as_dict(log).get(index)


@given(logs(), POSITIONS)
def test_a_log_knows_the_terms_of_its_entries_and_of_its_base(log: Log, index: Index) -> None:
    terms = {log.snapshot_index: log.snapshot_term} | {
        index: entry.term for index, entry in as_dict(log).items()
    }
    assert log.term_at(index) == terms.get(index)


@given(logs())
def test_the_last_entry_or_else_the_base_ends_a_log(log: Log) -> None:
    assert log.last_index == max(as_dict(log), default=log.snapshot_index)
    assert log.last_term == log.term_at(log.last_index)


@given(logs(), POSITIONS, POSITIONS)
def test_between_is_what_the_log_holds_of_a_range(log: Log, after: Index, until: Index) -> None:
    expected = [entry for index, entry in as_dict(log).items() if after < index <= until]
    assert list(log.between(after, until)) == expected


@given(logs(), st.lists(entries(), max_size=3))
def test_append_adds_at_the_end_alone(log: Log, added: list[Entry]) -> None:
    longer = log.append(*added)
    assert longer.entries == (*log.entries, *added)
    assert (longer.snapshot_index, longer.snapshot_term) == (log.snapshot_index, log.snapshot_term)


@given(logs(), POSITIONS)
def test_truncation_removes_from_the_index_on_and_keeps_the_base(log: Log, index: Index) -> None:
    kept = log.truncate_from(index)
    assert as_dict(kept) == {at: entry for at, entry in as_dict(log).items() if at < index}
    assert (kept.snapshot_index, kept.snapshot_term) == (log.snapshot_index, log.snapshot_term)


def test_before_an_empty_log_is_index_0_of_term_0() -> None:
    assert (Log().last_index, Log().last_term, Log().term_at(0)) == (0, 0, 0)
    assert Log().entry_at(0) is None
    assert Log().term_at(1) is None


def test_a_log_no_longer_knows_what_its_snapshot_covers() -> None:
    log = Log((Entry(3, "c"),), snapshot_index=2, snapshot_term=1)
    assert [log.term_at(index) for index in range(5)] == [None, None, 1, 3, None]
    assert log.entry_at(2) is None


# --- IndexMap ----------------------------------------------------------------------------------


@given(index_maps([4, 0, 7]))
def test_an_index_map_is_a_mapping(indexes: IndexMap) -> None:
    model = dict(indexes.pairs)
    assert dict(indexes) == model
    assert len(indexes) == 3
    assert list(indexes) == [0, 4, 7]
    assert list(indexes.values()) == [model[server] for server in (0, 4, 7)]
    assert 5 not in indexes
    with pytest.raises(KeyError, match="5"):
        indexes[5]


@given(index_maps([1, 2, 3]), st.sampled_from([1, 2, 3]), st.integers(0, 9))
def test_with_index_changes_one_server_alone(indexes: IndexMap, server: int, index: Index) -> None:
    before = dict(indexes)
    assert dict(indexes.with_index(server, index)) == before | {server: index}
    assert dict(indexes) == before


def test_a_uniform_index_map_has_each_server_once_in_order() -> None:
    assert IndexMap.uniform((3, 1, 2), 5).pairs == ((1, 5), (2, 5), (3, 5))
    assert IndexMap.uniform((), 5) == IndexMap()


@given(index_maps([1, 2]), index_maps([1, 2]))
def test_index_maps_compare_and_hash_by_content(one: IndexMap, other: IndexMap) -> None:
    assert (one == other) == (one.pairs == other.pairs)
    assert hash(one) == hash(IndexMap(tuple(one.pairs)))


@pytest.mark.parametrize("servers", [(2, 1), (1, 1), (1, 3, 2), (-1, 1)])
def test_servers_of_an_index_map_ascend(servers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="servers must ascend from 0, each once"):
        IndexMap(tuple((server, 0) for server in servers))


# --- Config ------------------------------------------------------------------------------------


@given(configs())
def test_peers_are_the_other_servers_in_order(config: Config) -> None:
    assert list(config.peers) == [
        server for server in sorted(config.servers) if server != config.id
    ]


@given(configs(), st.frozensets(st.integers(0, 12)))
def test_a_majority_is_more_of_the_servers_than_are_missing(
    config: Config, some: frozenset[int]
) -> None:
    inside, missing = config.servers & some, config.servers - some
    assert config.is_majority(some) == (len(inside) > len(missing))


@given(configs(), st.frozensets(st.integers(0, 12)), st.frozensets(st.integers(0, 12)))
def test_any_two_majorities_overlap(
    config: Config, one: frozenset[int], other: frozenset[int]
) -> None:
    if config.is_majority(one) and config.is_majority(other):
        assert one & other & config.servers


def test_a_config_names_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match=r"server 4 is not one of the servers \[1, 2\]"):
        Config(id=4, servers=frozenset({2, 1}))
    with pytest.raises(ValueError, match="max_entries_per_append must be at least 1, not 0"):
        Config(id=1, servers=frozenset({1}), max_entries_per_append=0)
    with pytest.raises(ValueError, match=r"servers must not be negative: \[-1, 1\]"):
        Config(id=1, servers=frozenset({-1, 1}))
    assert Config(id=1, servers=frozenset({1}), max_entries_per_append=1).peers == ()
