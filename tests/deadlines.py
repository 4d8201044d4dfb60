"""Deadlines that come when a test says so."""

from __future__ import annotations

from model_check.deadline import Deadline


def out_of_time_when(phase: str, *, times: int = 1, late: float = 0.5) -> Deadline:
    """The time runs out as soon as a phase has begun whose name begins with ``phase``, the
    ``times``-th of them, and it is ``late`` seconds after the deadline then."""
    begun, now = 0, 0.0

    def note(name: str) -> None:
        nonlocal begun, now
        begun += name.startswith(phase)
        now = 0.0 if begun < times else 1.0 + late

    return Deadline(1.0, clock=lambda: now, on_phase=note)


def interrupted_when(phase: str) -> Deadline:
    """Ctrl-C comes when a phase begins whose name begins with ``phase``."""

    def note(name: str) -> None:
        if name.startswith(phase):
            raise KeyboardInterrupt

    return Deadline(on_phase=note)
