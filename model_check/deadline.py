"""When work must end: one `Deadline`, made where a command begins, handed to all that takes long.

A budget of time is wall-clock, and for the whole of a command: whatever phase the work is in when
the time has come, it ends there, and says which phase that was. Loops look at the deadline
(`Deadline.check`); what cannot look is interrupted by the command line (`enforced`). Both raise
`OutOfTime`, which is an interrupt with a reason: whoever ends well on Ctrl-C ends well on it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType

INTERRUPT = "an interrupt"
"""What may end work, beside its budget."""

GRACE = 0.5
"""Seconds after a deadline in which loops should have noticed it; then they are interrupted."""
AGAIN = 2.0
"""Seconds after which that is done again: an exception may get lost in a destructor."""
SOON = 0.25
"""Seconds after which what must be finished is looked at again."""


REDOING = 1.0
"""Seconds after a deadline in which a finding may still be done again, so that it counts."""


class OutOfTime(KeyboardInterrupt):
    """A deadline has passed. The message is the reason, as in "stopped by ...".

    It is a `KeyboardInterrupt`, so that nothing takes it for an error of its own.
    """


class Deadline:
    """The end of the time that there is for something, in however many phases.

    An interrupt brings it forward: what would come after the phase that was interrupted must not
    begin (`interrupted`).
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        started: float | None = None,
        clock: Callable[[], float] = monotonic,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> None:
        """``seconds`` after ``started``, a time of ``clock``, by default now; None for never.
        ``on_phase`` is told of every phase that begins."""
        self.seconds = seconds
        self._clock = clock
        self._on_phase = on_phase
        self._started = clock() if started is None else started
        self._phases: list[str] = []
        self._extra: list[float] = []
        """For each piece of work to be finished: the seconds it may take after the deadline."""
        self.ended: str | None = None
        """What ended some of the work before its end, as in "stopped by ..."; None if nothing did.
        """

    @property
    def left(self) -> float | None:
        """Seconds that are left, not below 0; None for any number."""
        if self.seconds is None:
            return None
        return max(0.0, self._started + self.seconds - self._clock())

    def check(self, spare: float = 0.0) -> None:
        """Go on only if there is time, ``spare`` seconds of it for later, and no interrupt came
        before.

        Raises:
            OutOfTime: if that is not so, unless what is going on must be finished (`finishing`).
        """
        extra = max(self._extra, default=None)
        if extra is None and self.ended is not None:
            raise OutOfTime(self.ended)
        if self.seconds is None:
            return
        over = self._clock() - self._started - self.seconds
        if over >= (-spare if extra is None else extra):
            phase = f", while {': '.join(self._phases)}" if self._phases else ""
            raise OutOfTime(f"the budget of {self.seconds:g} seconds{phase}")

    def interrupted(self, interrupt: KeyboardInterrupt) -> str:
        """Note that ``interrupt`` ended some of the work, so that no more of it begins.

        Returns the reason to give for that: the first, if there are several.
        """
        self.ended = self.ended or str(interrupt) or INTERRUPT
        return self.ended

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Something that takes long, as in "while ..."; it does not begin if there is no time.

        Raises:
            OutOfTime: as `check` does.
        """
        self._phases.append(name)
        try:
            self.check()
            self._on_phase(name)
            yield
        finally:
            self._phases.pop()

    @contextmanager
    def finishing(self, extra: float = inf) -> Iterator[None]:
        """What is short, and without which a finding would be lost: it is out of time only so many
        ``extra`` seconds after the deadline, whatever else has ended."""
        self._extra.append(extra)
        try:
            yield
        finally:
            self._extra.pop()


@contextmanager
def enforced(deadline: Deadline | None) -> Iterator[None]:
    """Interrupt this thread, the main one, where it has not noticed the deadline by itself.

    Other threads cannot be interrupted, nor can any where the system has no timers.

    Raises:
        OutOfTime: wherever it is, some time after the deadline.
    """
    left = None if deadline is None else deadline.left
    can_ring = current_thread() is main_thread() and hasattr(signal, "setitimer")
    if deadline is None or left is None or not can_ring:
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
        deadline.check()
        signal.setitimer(signal.ITIMER_REAL, SOON)

    handler = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, left + GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
