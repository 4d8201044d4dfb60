"""Deep random runs of whole clusters, every property after every step.

Exploration sees everything, but only within small bounds. Here hypothesis drives clusters of 1 to 7
servers far beyond them: many terms, long logs, crashes, partitions, lost, repeated and reordered
messages. A failing run is shrunk, and printed as the program that repeats it.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from raft_ref import ClientRequest, ElectionTimeout, Event, HeartbeatTimeout, NodeId, Restart
from tests.cluster_run import ClusterRun

EVENTS = (ElectionTimeout(), HeartbeatTimeout(), ClientRequest("v1"), Restart())

pick = st.integers(0, 2**16)
"""Chooses a server or a message, whatever their number."""
absences = st.integers(0, 2**7 - 1)
"""Chooses a set of servers: those whose bit is not set, so that the simplest is everybody."""
requests = st.lists(st.sampled_from(["v1", "v2", "v3"]), max_size=2)


class ClusterMachine(RuleBasedStateMachine):
    """A cluster, its network, and a clumsy operator.

    Steps are taken one by one as anywhere else. The rules for whole elections and replications are
    there because single steps alone would rarely come so far.
    """

    @initialize(servers=st.integers(1, 7), max_entries=st.integers(1, 3))
    def start(self, servers: int, max_entries: int) -> None:
        self.run = ClusterRun(servers, max_entries)

    @rule(choice=pick, event=st.sampled_from(EVENTS))
    def event(self, choice: int, event: Event) -> None:
        self.run.occur(self.server(choice), event)

    @precondition(lambda self: self.run.sent)
    @rule(age=pick)
    def deliver(self, age: int) -> None:
        """Any message ever sent, so also one delivered before, or overtaken by others."""
        self.run.arrive(self.run.sent[-1 - age % len(self.run.sent)])

    @rule(absent=absences)
    def partition(self, absent: int) -> None:
        """Cut some servers off from the others; with nobody absent, heal the network."""
        self.run.island = frozenset(self.present(absent))

    @rule(choice=pick, absent=absences, requests=requests, idle=absences)
    def reign(self, choice: int, absent: int, requests: list[str], idle: int) -> None:
        server = self.server(choice)
        self.run.reign(server, self.present(absent), requests, self.present(idle))

    @rule(choice=pick, absent=absences)
    def replicate(self, choice: int, absent: int) -> None:
        self.run.replicate(self.server(choice), self.present(absent))

    def server(self, choice: int) -> NodeId:
        return self.run.servers[choice % len(self.run.servers)]

    def present(self, absent: int) -> list[NodeId]:
        return [server for server in self.run.servers if not absent >> (server - 1) & 1]


class Reign(NamedTuple):
    """See `ClusterRun.reign`."""

    candidate: NodeId
    voters: list[NodeId]
    requests: list[str]
    followers: list[NodeId]


def reigns(servers: int) -> st.SearchStrategy[list[Reign]]:
    """Leaders that come and go, each heard by some: what it takes to get to Figure 8."""
    anyone = st.sampled_from(range(1, servers + 1))
    some = st.lists(anyone, unique=True)
    commands = st.lists(st.just("v1"), max_size=1)
    return st.lists(st.builds(Reign, anyone, some, commands, some), min_size=4, max_size=14)


def play(servers: int, history: list[Reign]) -> None:
    run = ClusterRun(servers, max_entries=2)
    for reign in history:
        run.reign(*reign)


TestClusters = ClusterMachine.TestCase
TestClusters.settings = settings(
    max_examples=400, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)


@given(reigns(3))
@settings(max_examples=400)
def test_leaders_come_and_go_among_three(history: list[Reign]) -> None:
    play(3, history)


@pytest.mark.slow
@given(reigns(5))
@settings(max_examples=200)
def test_leaders_come_and_go_among_five(history: list[Reign]) -> None:
    play(5, history)


@pytest.mark.slow
@given(reigns(3))
@settings(max_examples=20_000)
def test_leaders_come_and_go_for_long(history: list[Reign]) -> None:
    play(3, history)
