"""All mutants, by id, and by the rule that they break."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from model_check.mutants import (
    apply,
    commit,
    controls,
    election,
    extensions,
    persistence,
    replication,
)
from model_check.mutants.mutant import Mutant
from spec.rule import Function, Rule

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        value.id: value
        for module in (election, replication, commit, apply, persistence, extensions, controls)
        for value in vars(module).values()
        if isinstance(value, Mutant)
    }
)
"""All of them by id, in the order in which they are defined."""


def breaking(rule: Rule) -> list[str]:
    """The mutants whose runs break ``rule`` before any other."""
    return [each.id for each in MUTANTS.values() if each.breaks == rule.id]


def name_of(function: Function) -> str:
    """Where a function of the core stands, such as ``raft_ref.election.adopt_term``."""
    return f"{function.__module__}.{function.__qualname__}"
