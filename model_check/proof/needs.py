"""Which hypotheses a proof of each obligation needs: found again after a change to the proof.

``python -m model_check.proof.needs`` writes `spec/proof/needs.json`. What is written there and is
still enough stays; of everything else, solvers are asked for unsat cores, until these are no
smaller than what was asked of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path

import spec.proof
from model_check.proof.prove import NEEDS
from model_check.proof.solvers import SOLVER_NAMES, Attempt, core, is_proved
from spec.proof.obligations import Obligation, Theory
from spec.proof.smtlib import script

SEEDS = range(3)
MILLISECONDS, PATIENT = 1_000, 5_000
"""How long a proof from what is needed may take; how long one from everything."""


def found_needs(
    obligations: Iterable[Obligation],
    known: Mapping[str, list[str]],
    on_found: Callable[[str, list[str]], None] = lambda name, needed: None,
) -> dict[str, list[str]]:
    """Of each obligation, the hypotheses that a proof needs.

    Raises:
        ValueError: no solver proves one of them.
    """
    needs = {}
    for obligation in obligations:
        needed = known.get(obligation.name)
        if needed is None or not _is_enough(obligation, needed):
            needed = _needed(obligation)
            on_found(obligation.name, needed)
        needs[obligation.name] = needed
    return dict(sorted(needs.items()))


def _is_enough(obligation: Obligation, needed: list[str]) -> bool:
    """Whether z3 proves it from these, whatever the seed."""
    if not set(needed) <= set(obligation.hypotheses):
        return False
    text = script({name: obligation.hypotheses[name] for name in needed}, obligation.goal)
    return all(is_proved("z3", text, Attempt(seed, MILLISECONDS)) for seed in SEEDS)


def _needed(obligation: Obligation) -> list[str]:
    needed = _core(obligation, list(obligation.hypotheses))
    while len(smaller := _core(obligation, needed)) < len(needed):
        needed = smaller
    return needed


def _core(obligation: Obligation, names: list[str]) -> list[str]:
    """What a solver needs of these, the first that finds a proof."""
    text = script(
        {name: obligation.hypotheses[name] for name in names}, obligation.goal, cores=True
    )
    for seed, by_models in product(SEEDS, (False, True)):
        for solver in SOLVER_NAMES:
            needed = core(solver, text, Attempt(seed, PATIENT, by_models))
            if needed is not None:
                return needed
    raise ValueError(f"no solver proves {obligation.name}")


def written(needs: Mapping[str, list[str]]) -> str:
    """As JSON, a line for each obligation, so that a change can be read."""
    lines = (f"  {json.dumps(name)}: {json.dumps(needed)}" for name, needed in needs.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write them, and say what was found anew."""
    needs = found_needs(
        Theory().obligations(), NEEDS, lambda name, needed: print(name, *needed, flush=True)
    )
    Path(str(spec.proof.__file__)).with_name("needs.json").write_text(written(needs), "utf-8")


if __name__ == "__main__":
    main()
