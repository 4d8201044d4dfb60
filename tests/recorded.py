"""Traces of clusters of the core that ran at random."""

from __future__ import annotations

import random
from collections.abc import Iterator

from model_check.judged import WitnessedStep
from model_check.traces.record import recorded
from raft_ref import (
    ClientRequest,
    Config,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Leader,
    Message,
    NodeId,
    NodeState,
    Receive,
    Restart,
    Send,
    step,
)
from spec.forms import Step


def random_run(servers: int, steps: int, seed: int) -> Iterator[WitnessedStep]:
    """So many steps of so many servers; messages are lost, repeated and reordered."""
    chance = random.Random(seed)
    everyone = frozenset(range(1, servers + 1))
    configs = {server: Config(id=server, servers=everyone) for server in everyone}
    states = {server: NodeState() for server in everyone}
    flying: list[Message] = []
    for number in range(steps):
        server, event = _next(chance, states, flying, number)
        before = states[server]
        transition = step(configs[server], before, event)
        states[server] = transition.state
        flying += [each.message for each in transition.outputs if isinstance(each, Send)]
        yield Step(server, before, event, transition.state, transition.outputs)


def random_trace(servers: int, steps: int, seed: int) -> list[bytes]:
    """The lines of the trace of such a run."""
    initial = (NodeState(),) * servers
    return list(recorded(initial, random_run(servers, steps, seed)))


def _next(
    chance: random.Random, states: dict[NodeId, NodeState], flying: list[Message], number: int
) -> tuple[NodeId, Event]:
    """What happens next, to whom."""
    leaders = [server for server, state in states.items() if isinstance(state.role, Leader)]
    someone = chance.choice(sorted(states))
    dice = chance.random()
    if dice < 0.75 and flying:
        # The newest first, mostly, so that something is achieved; some come late, or never.
        place = max(0, len(flying) - 1 - int(chance.expovariate(0.4)))
        message = flying[place] if chance.random() < 0.05 else flying.pop(place)
        return message.destination, Receive(message)
    if dice < 0.97 and leaders:
        leader = max(leaders, key=lambda each: states[each].current_term)
        asks = chance.random() < 0.5
        return leader, ClientRequest(f"v{number}") if asks else HeartbeatTimeout()
    return someone, Restart() if dice > 0.99 else ElectionTimeout()
