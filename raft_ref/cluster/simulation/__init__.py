"""The cluster under a simulated clock, network and disk: a seed says all that happens.

The servers and their drivers are those that run on sockets. Chance is drawn from one generator, and
there is no other source of anything: the same seed gives the same run, to the byte.

>>> from raft_ref.cluster.simulation import simulate
>>> once, again = simulate(7), simulate(7)
>>> once.traces == again.traces and once.history == again.history
True
"""

from raft_ref.cluster.simulation.history import Metrics, Outcome
from raft_ref.cluster.simulation.run import SETTLES, Run, Scale, simulate
from raft_ref.cluster.simulation.weather import Weather

__all__ = ["SETTLES", "Metrics", "Outcome", "Run", "Scale", "Weather", "simulate"]
