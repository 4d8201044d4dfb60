"""Records traces of the implementations behind the adapters of this repository.

    python -m tests.record_traces NAME COMMAND...

writes ``tests/traces/NAME.ndjson``: a walk at random that the servers behind the adapter went. What
is written conforms, or breaks a rule that a finding in ``tests/peers/findings/`` tells of.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from model_check.check import Setup
from model_check.conformance.finding import event_of
from model_check.conformance.learner import Adapter
from model_check.conformance.node import ForeignReplay
from model_check.conformance.play import Player
from model_check.conformance.process import STEP_TIMEOUT
from model_check.conformance.walks import random_walks
from model_check.judged import step_of
from model_check.raft import Bounds, RaftAction
from model_check.traces.record import AnyStep, recorded
from spec.profiles import PAPER

DIRECTORY = Path(__file__).parent / "traces"


def record(command: tuple[str, ...], actions: list[RaftAction]) -> Iterator[bytes]:
    """The lines of the trace of a run that is played on an adapter."""
    adapter = Adapter(command=command, servers=3, step_timeout=STEP_TIMEOUT)
    player = Player(adapter, Setup(bounds=Bounds(servers=3)), PAPER)
    try:
        run = player.play(actions).run
        hidden = player.table.hidden
    finally:
        player.close()
    return recorded(run.initial, _steps(run), hidden)


def _steps(run: ForeignReplay) -> Iterator[AnyStep]:
    for moment in run.moments:
        event = event_of(moment.action)
        if event is not None:
            yield step_of(moment, event)


def main() -> None:
    """Record one."""
    name, *command = sys.argv[1:]
    DIRECTORY.mkdir(exist_ok=True)
    walk = [action for part in random_walks(servers=3, seed=1, batch=0)[:4] for action in part]
    lines = record(tuple(command), walk)
    (DIRECTORY / f"{name}.ndjson").write_bytes(b"".join(lines))


if __name__ == "__main__":
    main()
