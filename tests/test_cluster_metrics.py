"""Where Prometheus asks: for whoever reaches it, too."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry, Counter

from raft_ref.cluster import metrics_port
from raft_ref.cluster.metrics_port import MAX_CONNECTIONS, serve_metrics
from raft_ref.cluster.processes import HOST, free_ports
from raft_ref.cluster.settings import Address


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    monkeypatch.setattr(metrics_port._Handler, "timeout", 0.2)
    registry = CollectorRegistry()
    Counter("raft_things", "Things.", registry=registry).inc(3)
    found = Address(HOST, *free_ports(1))
    server = serve_metrics(found, registry)
    yield found
    server.shutdown()
    server.server_close()


def read(address: Address) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_metrics_are_read(address: Address) -> None:
    assert "raft_things_total 3.0" in read(address)


def test_those_that_say_nothing_are_closed_and_keep_nobody_out(address: Address) -> None:
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(socket.create_connection(address, 5))
            for _ in range(3 * MAX_CONNECTIONS)
        ]
        assert [each.recv(1) for each in crowd] == [b""] * len(crowd)
    assert "raft_things_total 3.0" in read(address)


def test_an_address_that_is_taken_is_an_error(address: Address) -> None:
    with pytest.raises(OSError, match="in use"):
        serve_metrics(address, CollectorRegistry())
