from __future__ import annotations

import pytest

from model_check.network import Fifo, Once, Replayable
from model_check.system import Deliver, Lose

ONE_TO_TWO = (1, 2)
TWO_TO_ONE = (2, 1)
TWO_TO_THREE = (2, 3)


def test_replayable_delivers_a_message_again_and_again() -> None:
    network: Replayable[str] = Replayable()
    in_flight = network.send(network.empty(), ((ONE_TO_TWO, "a"),))
    assert list(network.deliveries(in_flight)) == [(Deliver("a"), in_flight)]
    assert list(network.losses(in_flight)) == []


@pytest.mark.parametrize("network", [Replayable[str](), Once[str]()])
def test_a_set_of_messages_does_not_depend_on_when_they_were_sent(network: Replayable[str]) -> None:
    once = network.send(network.empty(), ((ONE_TO_TWO, "b"), (ONE_TO_TWO, "a")))
    other = network.send(network.empty(), ((TWO_TO_ONE, "a"),))
    other = network.send(other, ((ONE_TO_TWO, "a"), (TWO_TO_ONE, "b"), (TWO_TO_ONE, "b")))
    assert once == other == ("a", "b")
    assert network.messages(once) == ("a", "b")


@pytest.mark.parametrize("network", [Replayable[str](), Once[str]()])
def test_a_restart_leaves_sets_of_messages_as_they_are(network: Replayable[str]) -> None:
    in_flight = network.send(network.empty(), ((ONE_TO_TWO, "a"),))
    assert network.restart(in_flight, 1) == in_flight


def test_once_delivers_a_message_once_in_any_order() -> None:
    network: Once[str] = Once()
    in_flight = network.send(network.empty(), ((ONE_TO_TWO, "a"), (ONE_TO_TWO, "b")))
    assert list(network.deliveries(in_flight)) == [(Deliver("a"), ("b",)), (Deliver("b"), ("a",))]


def test_once_may_carry_a_message_again_that_is_sent_again() -> None:
    network: Once[str] = Once()
    sent = ((ONE_TO_TWO, "a"),)
    ((_, left),) = network.deliveries(network.send(network.empty(), sent))
    assert left == network.empty()
    assert network.send(left, sent) == ("a",)


def test_fifo_delivers_in_the_order_of_sending_on_each_link() -> None:
    network: Fifo[str] = Fifo(capacity=2)
    sent = ((TWO_TO_ONE, "x"), (ONE_TO_TWO, "a"), (ONE_TO_TWO, "b"))
    in_flight = network.send(network.empty(), sent)
    assert list(network.deliveries(in_flight)) == [
        (Deliver("a"), ((ONE_TO_TWO, ("b",)), (TWO_TO_ONE, ("x",)))),
        (Deliver("x"), ((ONE_TO_TWO, ("a", "b")),)),
    ]
    assert network.messages(in_flight) == ("a", "b", "x")


def test_fifo_loses_what_a_full_link_cannot_hold() -> None:
    network: Fifo[str] = Fifo(capacity=2, loss=False)
    sent = tuple((ONE_TO_TWO, message) for message in "abc")
    assert network.send(network.empty(), sent) == ((ONE_TO_TWO, ("a", "b")),)


def test_fifo_keeps_equal_messages_apart() -> None:
    network: Fifo[str] = Fifo(capacity=2)
    in_flight = network.send(network.empty(), ((ONE_TO_TWO, "a"), (ONE_TO_TWO, "a")))
    assert network.messages(in_flight) == ("a", "a")


def test_fifo_loses_the_first_message_of_a_link_only_with_loss() -> None:
    sent = ((ONE_TO_TWO, "a"), (ONE_TO_TWO, "b"))
    lossy: Fifo[str] = Fifo(capacity=2, loss=True)
    in_flight = lossy.send(lossy.empty(), sent)
    assert list(lossy.losses(in_flight)) == [(Lose("a"), ((ONE_TO_TWO, ("b",)),))]
    assert list(Fifo[str](capacity=2, loss=False).losses(in_flight)) == []


def test_fifo_loses_the_queues_from_and_to_a_node_that_restarts() -> None:
    network: Fifo[str] = Fifo()
    sent = ((ONE_TO_TWO, "a"), (TWO_TO_ONE, "b"), (TWO_TO_THREE, "c"))
    in_flight = network.send(network.empty(), sent)
    assert network.restart(in_flight, 1) == ((TWO_TO_THREE, ("c",)),)
    assert network.restart(in_flight, 2) == network.empty()
    assert network.restart(in_flight, 3) == ((ONE_TO_TWO, ("a",)), (TWO_TO_ONE, ("b",)))
