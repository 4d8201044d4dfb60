"""A simulated network: it delays, loses, repeats and reorders, and parts of it are cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from raft_ref.cluster.frames import Frame
from raft_ref.cluster.simulation.agenda import Agenda
from raft_ref.cluster.timers import Seconds
from raft_ref.types import NodeId

Deliver = Callable[[NodeId, NodeId, Frame], None]
"""From whom, to whom, what."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What becomes of what is sent."""

    loss: float = 0.01
    repetition: float = 0.01
    delay: Seconds = 0.005
    """On average; the times differ, so that what is sent later may arrive earlier."""


FAIR = Weather()
CALM = Weather(loss=0, repetition=0)
STORM = Weather(loss=0.3, repetition=0.2, delay=0.05)


@dataclass(slots=True)
class Network:
    """Carries frames between servers."""

    agenda: Agenda
    chance: Random
    deliver: Deliver
    weather: Weather
    cut: set[tuple[NodeId, NodeId]] = field(default_factory=set)
    """The links, each of one direction, that carry nothing."""
    sent: int = 0
    lost: int = 0
    repeated: int = 0

    def send(self, source: NodeId, destination: NodeId, frame: Frame) -> None:
        """A frame leaves a server."""
        self.sent += 1
        if self.chance.random() < self.weather.loss:
            self.lost += 1
            return
        self._carry(source, destination, frame)
        if self.chance.random() < self.weather.repetition:
            self.repeated += 1
            self._carry(source, destination, frame)

    def _carry(self, source: NodeId, destination: NodeId, frame: Frame) -> None:
        delay = 0.0002 + self.chance.expovariate(1 / self.weather.delay)
        self.agenda.after(delay, lambda: self._arrive(source, destination, frame))

    def _arrive(self, source: NodeId, destination: NodeId, frame: Frame) -> None:
        if (source, destination) in self.cut:
            self.lost += 1
        else:
            self.deliver(source, destination, frame)
