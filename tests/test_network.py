"""What becomes of the messages of one sender, node 1, to nodes 2 and 3."""

from __future__ import annotations

import pytest

from model_check.network import Fifo, Once, Replayable
from model_check.system import Deliver, Lose


def test_replayable_delivers_a_message_again_and_again() -> None:
    network: Replayable[str] = Replayable()
    in_flight = network.send(network.empty(), ((2, "a"),))
    assert list(network.deliveries(in_flight)) == [(Deliver("a"), in_flight)]
    assert list(network.losses(in_flight)) == []


@pytest.mark.parametrize("network", [Replayable[str](), Once[str]()])
def test_a_set_of_messages_does_not_depend_on_when_they_were_sent(network: Replayable[str]) -> None:
    once = network.send(network.empty(), ((2, "b"), (2, "a")))
    other = network.send(network.empty(), ((3, "a"),))
    other = network.send(other, ((2, "a"), (3, "b"), (3, "b")))
    assert once == other == ("a", "b")
    assert network.messages(once) == ("a", "b")


@pytest.mark.parametrize("network", [Replayable[str](), Once[str]()])
def test_a_restart_leaves_sets_of_messages_as_they_are(network: Replayable[str]) -> None:
    in_flight = network.send(network.empty(), ((2, "a"),))
    assert network.restart(in_flight, 1, 1) == in_flight
    assert network.restart(in_flight, 1, 2) == in_flight


def test_once_delivers_a_message_once_in_any_order() -> None:
    network: Once[str] = Once()
    in_flight = network.send(network.empty(), ((2, "a"), (2, "b")))
    assert list(network.deliveries(in_flight)) == [(Deliver("a"), ("b",)), (Deliver("b"), ("a",))]


def test_once_may_carry_a_message_again_that_is_sent_again() -> None:
    network: Once[str] = Once()
    sent = ((2, "a"),)
    ((_, left),) = network.deliveries(network.send(network.empty(), sent))
    assert left == network.empty()
    assert network.send(left, sent) == ("a",)


def test_fifo_delivers_in_the_order_of_sending_on_each_link() -> None:
    network: Fifo[str] = Fifo(capacity=2)
    sent = ((3, "x"), (2, "a"), (2, "b"))
    in_flight = network.send(network.empty(), sent)
    assert list(network.deliveries(in_flight)) == [
        (Deliver("a"), ((2, ("b",)), (3, ("x",)))),
        (Deliver("x"), ((2, ("a", "b")),)),
    ]
    assert network.messages(in_flight) == ("a", "b", "x")


def test_fifo_loses_what_a_full_link_cannot_hold() -> None:
    network: Fifo[str] = Fifo(capacity=2, loss=False)
    sent = tuple((2, message) for message in "abc")
    assert network.send(network.empty(), sent) == ((2, ("a", "b")),)


def test_fifo_keeps_equal_messages_apart() -> None:
    network: Fifo[str] = Fifo(capacity=2)
    in_flight = network.send(network.empty(), ((2, "a"), (2, "a")))
    assert network.messages(in_flight) == ("a", "a")


def test_fifo_loses_the_first_message_of_a_link_only_with_loss() -> None:
    sent = ((2, "a"), (2, "b"))
    lossy: Fifo[str] = Fifo(capacity=2, loss=True)
    in_flight = lossy.send(lossy.empty(), sent)
    assert list(lossy.losses(in_flight)) == [(Lose("a"), ((2, ("b",)),))]
    assert list(Fifo[str](capacity=2, loss=False).losses(in_flight)) == []


def test_fifo_loses_the_queues_from_and_to_a_node_that_restarts() -> None:
    network: Fifo[str] = Fifo()
    in_flight = network.send(network.empty(), ((2, "a"), (3, "b")))
    assert network.restart(in_flight, 1, 1) == network.empty()
    assert network.restart(in_flight, 1, 2) == ((3, ("b",)),)
    assert network.restart(in_flight, 1, 4) == in_flight
