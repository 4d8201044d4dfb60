"""All invariants of the proof."""

from __future__ import annotations

from spec.proof import completeness, election, logs
from spec.proof.invariant import Invariant

INVARIANTS: tuple[Invariant, ...] = tuple(
    value
    for module in (election, logs, completeness)
    for value in vars(module).values()
    if isinstance(value, Invariant)
)
"""In the order of the argument."""
