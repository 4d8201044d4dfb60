"""The bug catalogue: known bugs of Raft as mutants of the core, and harmless changes as controls.

A checker that says "holds" is worth what it would have said had there been a bug. `MUTANTS` has
every bug of the basic protocol that we know of, each with its mechanism, where it was seen, the
smallest bounds that show it, and the property that it breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from model_check.mutants import commit, controls, election, persistence, replication
from model_check.mutants.mutant import Mutant

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        value.id: value
        for module in (election, replication, commit, persistence, controls)
        for value in vars(module).values()
        if isinstance(value, Mutant)
    }
)
"""All of them by id, in the order in which they are defined."""

__all__ = ["MUTANTS", "Mutant"]
