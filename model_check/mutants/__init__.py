"""The bug catalogue: known bugs of Raft as mutants of the core, and harmless changes as controls.

A checker that says "holds" is worth what it would have said had there been a bug. `MUTANTS` has
every bug of the basic protocol that we know of, each with its mechanism, where it was seen, the
smallest bounds that show it, and the property that it breaks.
"""

from model_check.mutants.catalogue import MUTANTS
from model_check.mutants.mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]
