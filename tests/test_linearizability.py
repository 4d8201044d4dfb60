"""The linearizability checker: on classics, and against every order tried."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from model_check.linearizability.check import (
    Budget,
    Linearizable,
    NotLinearizable,
    Undecided,
    WitnessError,
    check,
)
from model_check.linearizability.history import Completed, Operation, Pending
from model_check.linearizability.models import (
    Append,
    AppendOnlyLists,
    CompareAndSet,
    Delete,
    Get,
    Items,
    KeyValueAction,
    KeyValueResult,
    ListAction,
    Read,
    ReadAll,
    Register,
    RegisterAction,
    Set,
    Write,
)
from model_check.linearizability.search import Ordered, Search
from model_check.linearizability.witness import unexplained
from model_check.linearizability.words import explain, headline
from tests.histories import (
    STORE,
    KeyValueHistory,
    altered_histories,
    any_histories,
    crowd,
    done,
    is_linearizable,
    served_histories,
    unknown,
)

GET = Get("x")
SET_1, SET_2, SET_3 = Set("x", "1"), Set("x", "2"), Set("x", "3")


def found_linearizable(history: KeyValueHistory) -> bool:
    found = check(history, STORE)
    assert not isinstance(found, Undecided)
    return isinstance(found, Linearizable)


# --- classics ------------------------------------------------------------------------------------

ANOMALIES: dict[str, KeyValueHistory] = {
    "stale read": [
        done("a", 1, 2, SET_1, "OK"),
        done("a", 3, 4, SET_2, "OK"),
        done("b", 5, 6, GET, "1"),
    ],
    "lost acknowledged write": [done("a", 1, 2, SET_1, "OK"), done("b", 3, 4, GET, None)],
    "lost update": [
        done("a", 1, 2, SET_1, "OK"),
        done("a", 3, 8, CompareAndSet("x", "1", "2"), 1),
        done("b", 4, 7, Set("x", "3"), "OK"),
        done("c", 9, 10, GET, "1"),
    ],
    "value that was never written": [done("a", 1, 2, SET_1, "OK"), done("b", 3, 4, GET, "3")],
    "value from the future": [done("a", 1, 2, GET, "1"), done("b", 3, 4, SET_1, "OK")],
    "two compare-and-sets of one value that both succeed": [
        done("a", 1, 2, SET_1, "OK"),
        done("a", 3, 6, CompareAndSet("x", "1", "2"), 1),
        done("b", 4, 5, CompareAndSet("x", "1", "3"), 1),
    ],
    "compare-and-set that fails, though nothing else happens": [
        done("a", 1, 2, SET_1, "OK"),
        done("a", 3, 4, CompareAndSet("x", "1", "2"), 0),
    ],
    "one key deleted twice": [
        done("a", 1, 2, SET_1, "OK"),
        done("a", 3, 6, Delete("x"), 1),
        done("b", 4, 5, Delete("x"), 1),
    ],
    "non-monotonic reads during a write": [
        done("a", 1, 9, SET_1, "OK"),
        done("b", 2, 3, GET, "1"),
        done("b", 4, 5, GET, None),
    ],
    "two readers that see two writes in two orders": [
        done("a", 1, 20, SET_1, "OK"),
        done("b", 1, 20, SET_2, "OK"),
        done("c", 2, 3, GET, "1"),
        done("d", 4, 5, GET, "2"),
        done("c", 6, 7, GET, "1"),
    ],
    "write of unknown outcome that is seen, and then not": [
        done("a", 1, 2, SET_1, "OK"),
        unknown("b", 3, SET_2),
        done("c", 4, 5, GET, "2"),
        done("c", 6, 7, GET, "1"),
    ],
    "write of unknown outcome that takes effect twice": [
        unknown("a", 1, SET_1),
        done("b", 2, 3, GET, "1"),
        done("b", 4, 5, SET_2, "OK"),
        done("c", 6, 7, GET, "1"),
    ],
    "write of unknown outcome that is seen before it is asked for": [
        done("b", 1, 2, GET, "1"),
        unknown("a", 3, SET_1),
    ],
    "one of two keys is wrong": [
        done("a", 1, 2, Set("y", "1"), "OK"),
        done("a", 3, 4, SET_1, "OK"),
        done("b", 5, 6, Get("y"), "1"),
        done("b", 7, 8, GET, None),
    ],
}

SUBTLETIES: dict[str, KeyValueHistory] = {
    "nothing": [],
    "a write of unknown outcome that would do early is needed late": [
        unknown("a", 1, SET_1),
        done("b", 2, 9, SET_1, "OK"),
        done("c", 3, 8, SET_2, "OK"),
        done("d", 4, 7, GET, "1"),
        done("e", 10, 11, SET_2, "OK"),
        done("f", 20, 21, GET, "1"),
    ],
    "reads decide the order of concurrent writes": [
        done("a", 1, 9, SET_1, "OK"),
        done("b", 2, 8, SET_2, "OK"),
        done("c", 10, 11, GET, "1"),
    ],
    "and the other": [
        done("a", 1, 9, SET_1, "OK"),
        done("b", 2, 8, SET_2, "OK"),
        done("c", 10, 11, GET, "2"),
    ],
    "read during a write sees it, later ones too": [
        done("a", 1, 9, SET_1, "OK"),
        done("b", 2, 3, GET, None),
        done("b", 4, 5, GET, "1"),
        done("c", 6, 7, GET, "1"),
    ],
    "write of unknown outcome takes effect much later": [
        unknown("a", 1, SET_1),
        *(done("b", time, time + 1, GET, None) for time in range(2, 40, 2)),
        done("b", 50, 51, SET_2, "OK"),
        done("b", 52, 53, GET, "2"),
        done("b", 54, 55, GET, "1"),
    ],
    "write of unknown outcome never does": [
        done("a", 1, 2, SET_1, "OK"),
        unknown("a", 3, SET_2),
        done("b", 4, 5, GET, "1"),
    ],
    "two unknown compare-and-sets, one upon the other, explain a read": [
        unknown("a", 1, CompareAndSet("x", None, "1")),
        unknown("b", 1, CompareAndSet("x", "1", "2")),
        done("c", 2, 3, GET, "2"),
    ],
    "a delete of unknown outcome explains a failed compare-and-set": [
        done("a", 1, 2, SET_1, "OK"),
        unknown("a", 3, Delete("x")),
        done("b", 4, 5, CompareAndSet("x", "1", "2"), 0),
    ],
    "one of two writes of unknown outcome": [
        unknown("a", 1, SET_1),
        unknown("b", 1, SET_2),
        done("c", 2, 3, GET, "2"),
    ],
    "write of unknown outcome that nothing but a delete has seen": [
        unknown("a", 1, SET_1),
        done("b", 2, 3, Delete("x"), 1),
    ],
    "a read decides which write of unknown outcome was deleted": [
        unknown("a", 1, SET_1),
        unknown("b", 1, SET_2),
        done("c", 2, 3, Delete("x"), 1),
        done("c", 4, 5, GET, "1"),
    ],
    "the same write twice of unknown outcome": [
        unknown("a", 1, SET_1),
        unknown("a", 2, SET_1),
        done("b", 3, 4, GET, "1"),
        done("b", 5, 6, SET_2, "OK"),
        done("b", 7, 8, GET, "1"),
    ],
    "what ends when something else begins is concurrent with it": [
        done("a", 1, 2, SET_1, "OK"),
        done("b", 2, 3, GET, None),
    ],
    "only one of two compare-and-sets succeeds": [
        done("a", 1, 4, CompareAndSet("x", None, "1"), 0),
        done("b", 2, 3, CompareAndSet("x", None, "2"), 1),
    ],
}


@pytest.mark.parametrize("name", ANOMALIES)
def test_an_anomaly_is_found(name: str) -> None:
    assert not is_linearizable(ANOMALIES[name])
    assert not found_linearizable(ANOMALIES[name])


@pytest.mark.parametrize("name", SUBTLETIES)
def test_what_only_looks_wrong_is_linearizable(name: str) -> None:
    assert found_linearizable(SUBTLETIES[name])


# --- against every order, tried ------------------------------------------------------------------


@given(any_histories())
@settings(max_examples=200)
def test_the_search_finds_what_trying_every_order_finds(history: KeyValueHistory) -> None:
    assert found_linearizable(history) == is_linearizable(history)


@pytest.mark.slow
@given(altered_histories())
@settings(max_examples=200)
def test_so_it_does_where_one_answer_of_a_store_is_altered(history: KeyValueHistory) -> None:
    assert found_linearizable(history) == is_linearizable(history)


@given(served_histories())
def test_what_a_store_answers_is_linearizable(history: KeyValueHistory) -> None:
    assert found_linearizable(history)


@pytest.mark.parametrize("seed", range(10))
def test_so_is_what_a_crowd_sees(seed: int) -> None:
    assert found_linearizable(list(crowd(clients=10, operations=500, keys=2, seed=seed)))


def test_one_altered_answer_is_usually_found() -> None:
    """Where little is concurrent: the first value that is read back is made one of another time."""
    caught = 0
    for seed in range(50):
        history = list(crowd(clients=3, operations=60, keys=1, seed=seed))
        number = next(
            number
            for number, each in enumerate(history)
            if isinstance(each, Completed) and isinstance(each.action, Get) and each.result
        )
        read = history[number]
        assert isinstance(read, Completed)
        history[number] = Completed(read.client, read.action, read.invoked, read.responded, "v7")
        caught += not found_linearizable(history)
    assert caught >= 35


# --- what is said --------------------------------------------------------------------------------


def test_an_order_is_a_witness() -> None:
    history = SUBTLETIES["reads decide the order of concurrent writes"]
    found = check(history, STORE)
    assert isinstance(found, Linearizable)
    assert [str(each) for each in found.orders["x"]] == [
        "b: SET x 2 -> 'OK'",
        "a: SET x 1 -> 'OK'",
        "c: GET x -> '1'",
    ]


def test_an_order_that_is_none_is_refused() -> None:
    first, second, read = SUBTLETIES["reads decide the order of concurrent writes"]
    history = [first, second, read]
    assert unexplained(history, {"x": [second, first, read]}, STORE) is None
    refused = {
        "the model answers '2'": [first, second, read],
        "is placed after it": [second, read, first],
        "has no place": [second, first],
        "more often than it happened": [second, first, first, read],
    }
    for reason, order in refused.items():
        assert reason in (unexplained(history, {"x": order}, STORE) or "")
    assert unexplained(history, {}, STORE) == "the keys are others"


def test_an_order_that_a_search_gets_wrong_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every order is done again before anything is said of the history."""
    first, second, read = SUBTLETIES["reads decide the order of concurrent writes"]

    def wrong(*_: object) -> Ordered[KeyValueAction, KeyValueResult]:
        return Ordered((first, second, read))

    monkeypatch.setattr(Search, "run", wrong)
    with pytest.raises(WitnessError, match=r"a bug in the search: .*the model answers '2'"):
        check([first, second, read], STORE)


def test_why_not_is_said_and_drawn() -> None:
    history = [*ANOMALIES["stale read"], unknown("d", 4, CompareAndSet("x", "7", "8"))]
    found = check(history, STORE)
    assert isinstance(found, NotLinearizable)
    assert headline(found) == (
        "key 'x': no order of its operations explains the answer '1' to GET x, which b got at 6"
    )
    assert "\n".join(line.rstrip() for line in explain(found)) == WHY


WHY = """\
Of 4 operations, 2 that were answered can be placed in an order, no more; it leads to the state '2'.
Of those that might come next, each would be answered otherwise:
  b: GET x -> '1', where '2' is due
Nor does it help if any of these took effect:
  d: CAS x 7 8, outcome unknown

  a: SET x 1 -> 'OK'             |-|            number 1
  a: SET x 2 -> 'OK'                 |-|        number 2
  d: CAS x 7 8, outcome unknown        |---...  does not help
  b: GET x -> '1'                        |-|    cannot come next"""


@given(altered_histories())
def test_how_far_one_gets_is_so(history: KeyValueHistory) -> None:
    """What is placed explains itself, and nothing that might come next is answered so."""
    found = check(history, STORE)
    if isinstance(found, NotLinearizable):
        order = found.impasse.order
        assert unexplained(order, {found.key: order} if order else {}, STORE) is None
        for refusal in found.impasse.refusals:
            result = STORE.apply(found.impasse.state, refusal.operation.action)[1]
            assert result == refusal.expected != refusal.operation.result


# --- other services ------------------------------------------------------------------------------


def test_a_register() -> None:
    history: list[Operation[RegisterAction, int | None]] = [
        Completed("a", Write(1), 1, 4, None),
        Completed("b", Read(), 2, 3, 1),
        Completed("b", Read(), 5, 6, 0),
    ]
    assert isinstance(check(history[:2], Register()), Linearizable)
    found = check(history, Register())
    assert isinstance(found, NotLinearizable)
    assert headline(found).startswith("no order of its operations explains the answer 0 to read")


def test_lists() -> None:
    appends: list[Operation[ListAction, int | Items]] = [
        Completed("a", Append("x", "1"), 1, 5, 2),
        Completed("b", Append("x", "2"), 1, 5, 1),
        Pending("c", Append("x", "3"), 1),
    ]
    for items, expected in ((("2", "1"), True), (("2", "1", "3"), True), (("1", "2"), False)):
        read: Operation[ListAction, int | Items] = Completed("d", ReadAll("x"), 6, 7, items)
        found = check([*appends, read], AppendOnlyLists())
        assert isinstance(found, Linearizable) == expected


# --- how much it takes ---------------------------------------------------------------------------


def test_a_long_history_takes_little_more_than_a_look_at_each_operation() -> None:
    history = list(crowd(clients=10, operations=20_000, keys=20, seed=1))
    found = check(history, STORE)
    assert isinstance(found, Linearizable)
    assert found.work.configurations < 1.2 * len(history)


def test_operations_of_unknown_outcome_do_not_double_the_work_each() -> None:
    writes = [unknown(f"c{number}", 1, Set("x", f"{number}")) for number in range(20)]
    found = check([*writes, done("d", 2, 3, GET, "never")], STORE, Budget(max_states=1000))
    assert isinstance(found, NotLinearizable)
    assert found.work.configurations == 21


def hopeless() -> KeyValueHistory:
    """Concurrent compare-and-sets that lead anywhere, none of which explains the last answer."""
    swaps = [
        done(f"c{number}", 1, 2, CompareAndSet("x", "abc"[number % 3], f"{number}"), 0)
        for number in range(12)
    ]
    writes = [done(f"d{number}", 1, 2, Set("x", f"w{number}"), "OK") for number in range(12)]
    return [*swaps, *writes, done("e", 3, 4, GET, "never")]


@pytest.mark.parametrize(
    ("budget", "resource"), [(Budget(max_states=1000), "states"), (Budget(None, 0.1), "seconds")]
)
def test_what_takes_too_long_is_undecided(budget: Budget, resource: str) -> None:
    found = check([*hopeless(), done("f", 1, 2, Get("y"), None)], STORE, budget)
    assert isinstance(found, Undecided)
    assert found.keys == {"x": resource}
    assert found.work.seconds < 5


def test_what_is_wrong_elsewhere_is_found_all_the_same() -> None:
    wrong = [done("f", 1, 2, Get("y"), "1")]
    found = check([*hopeless(), *wrong], STORE, Budget(max_states=1000))
    assert isinstance(found, NotLinearizable)
    assert found.key == "y"


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("invoked", "responded"), [(2, 1), (float("nan"), 1), (1, float("nan"))])
def test_no_answer_comes_before_its_question(invoked: float, responded: float) -> None:
    with pytest.raises(ValueError, match="use one clock"):
        Completed("a", GET, invoked, responded, None)


def test_times_are_compared_exactly() -> None:
    late = 2**60
    history = [
        done("a", late, late + 1, SET_1, "OK"),
        done("b", late + 2, late + 3, GET, None),
    ]
    assert isinstance(check(history, STORE), NotLinearizable)
