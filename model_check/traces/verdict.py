"""What is to be said of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from model_check.traces.happening import Happening, Place, Trace
from spec.profiles import Profile

TraceJudgement: TypeAlias = Literal["conforms", "violates", "inconclusive"]


@dataclass(frozen=True)
class Offence:
    """Where a trace departs from Raft."""

    happening: Happening
    """The step that Raft does not allow."""
    name: str
    """The rule that it breaks, the property that it violates, or what else is not so."""
    explanation: str
    before: tuple[str, ...] = ()
    """What the server may have been like before."""
    allowed: tuple[str, ...] = ()
    """What the server might have become instead."""


@dataclass(frozen=True)
class Doubt:
    """Where nobody can tell any more."""

    happening: Happening
    reason: str
    is_final: bool
    """Whether nothing can be said of what follows, either."""


@dataclass(frozen=True)
class TraceVerdict:
    """What is to be said of a trace."""

    trace: Trace
    profile: Profile
    matched: int
    """How many of its steps, from the first on, Raft allows."""
    last: Place | None
    """Where the last of these ends."""
    offence: Offence | None = None
    doubt: Doubt | None = None

    @property
    def verdict(self) -> TraceJudgement:
        """In a word."""
        if self.offence is not None:
            return "violates"
        return "conforms" if self.doubt is None else "inconclusive"
