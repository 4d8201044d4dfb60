"""The linearizability checker: on classics, and against every order tried."""

from __future__ import annotations

from hypothesis import given, settings

from model_check.linearizability.check import (
    Linearizable,
    Undecided,
    check,
)
from tests.histories import (
    STORE,
    KeyValueHistory,
    altered_histories,
    any_histories,
    is_linearizable,
    served_histories,
)


def found_linearizable(history: KeyValueHistory) -> bool:
    found = check(history, STORE)
    assert not isinstance(found, Undecided)
    return isinstance(found, Linearizable)


# --- against every order, tried ------------------------------------------------------------------


@given(any_histories())
@settings(max_examples=300)
def test_the_search_finds_what_trying_every_order_finds(history: KeyValueHistory) -> None:
    assert found_linearizable(history) == is_linearizable(history)


@given(served_histories(5) | altered_histories())
@settings(max_examples=300)
def test_so_it_does_for_what_a_store_answered_but_for_one_answer(history: KeyValueHistory) -> None:
    assert found_linearizable(history) == is_linearizable(history)


@given(served_histories())
def test_what_a_store_answers_is_linearizable(history: KeyValueHistory) -> None:
    assert found_linearizable(history)
