"""Traces of clusters of the core that ran at random.

``python -m tests.recorded STEPS`` writes one of a cluster to which little happens.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from model_check.traces.happening import Place
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
    Output,
    Receive,
    Restart,
    Send,
    step,
)
from spec.forms import Step


@dataclass(frozen=True)
class Weather:
    """How often what happens, of a hundred steps that are no arrival of a message."""

    restarts: float = 4
    elections: float = 8


STORMY, CALM = Weather(), Weather(restarts=0, elections=0.01)


def random_run(
    servers: int,
    steps: int,
    seed: int,
    weather: Weather = STORMY,
    learners: Collection[NodeId] = (),
) -> Iterator[Step[NodeState, Event, Output]]:
    """So many steps of so many servers, of which ``learners`` never stand for election; messages
    are lost, repeated and reordered."""
    chance = random.Random(seed)  # noqa: S311
    everyone = frozenset(range(1, servers + 1))
    configs = {server: Config(id=server, servers=everyone) for server in everyone}
    states = {server: NodeState() for server in everyone}
    flying: deque[Message] = deque(maxlen=100)
    for number in range(steps):
        server, event = _next(chance, states, flying, weather, number)
        if server in learners and isinstance(event, ElectionTimeout):
            event = HeartbeatTimeout()
        before = states[server]
        transition = step(configs[server], before, event)
        states[server] = transition.state
        flying += [each.message for each in transition.outputs if isinstance(each, Send)]
        yield Step(server, before, event, transition.state, transition.outputs)


def random_trace(servers: int, steps: int, seed: int, weather: Weather = STORMY) -> list[bytes]:
    """The lines of the trace of such a run."""
    return list(recorded((NodeState(),) * servers, random_run(servers, steps, seed, weather)))


def placed(lines: Iterable[bytes]) -> Iterator[tuple[Place, bytes]]:
    """Lines as those of one file."""
    return ((Place(number), line) for number, line in enumerate(lines, start=1))


def _next(
    chance: random.Random,
    states: dict[NodeId, NodeState],
    flying: deque[Message],
    weather: Weather,
    number: int,
) -> tuple[NodeId, Event]:
    """What happens next, to whom."""
    if flying and chance.random() < 0.75:
        # The newest first, mostly, so that something is achieved; some come late, or never.
        place = max(0, len(flying) - 1 - int(chance.expovariate(0.4)))
        message = flying[place]
        if chance.random() > 0.05:
            del flying[place]
        return message.destination, Receive(message)
    someone = chance.choice(sorted(states))
    leaders = [server for server, state in states.items() if isinstance(state.role, Leader)]
    dice = chance.random() * 100
    if dice < weather.restarts:
        return someone, Restart()
    if dice < weather.restarts + weather.elections or not leaders:
        return someone, ElectionTimeout()
    leader = max(leaders, key=lambda each: states[each].current_term)
    asks = chance.random() < 0.5
    return leader, ClientRequest(f"v{number}") if asks else HeartbeatTimeout()


if __name__ == "__main__":
    sys.stdout.buffer.writelines(random_trace(3, int(sys.argv[1]), seed=1, weather=CALM))
