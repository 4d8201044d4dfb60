"""Does the checker see a mutant? One mutant from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from model_check.check import CheckResult, Means, Setup, check
from model_check.explore import UNLIMITED, Budget, Figures, ignore
from model_check.judged import Breach, breaches, core_steps
from model_check.mutants.mutant import Mutant
from spec.properties import FIGURE_3, PROPERTY_NAMES

MutantVerdict: TypeAlias = Literal["killed", "survived", "equivalent", "control", "inconclusive"]
"""`killed`: a property was violated. `survived`: none was, within the bounds. `equivalent` and
`control`: no property of Figure 3 was, as argued. `inconclusive`: a budget ran out first."""

WORKERS_OF_BEAM = 2
AUXILIARY = tuple(name for name in PROPERTY_NAMES if name not in FIGURE_3)


@dataclass(frozen=True, slots=True)
class MutantRun:
    """What became of a mutant."""

    mutant: Mutant
    verdict: MutantVerdict
    result: CheckResult
    """Of the exploration that decided."""
    tripped: tuple[str, ...]
    """Auxiliary properties that it violates, where it violates none of Figure 3."""
    seconds: float
    """All explorations together."""

    @property
    def killed_by(self) -> str | None:
        """The property that it violates; an auxiliary one only if it violates no other."""
        violation = self.result.exploration.violation
        return None if violation is None else violation.property

    @property
    def first_breach(self) -> Breach | None:
        """The first rule that its run breaks: that is the diagnosis."""
        run = self.result.counterexample
        if run is None:
            return None
        return next(breaches(run.initial, core_steps(run.moments)), None)

    @property
    def is_as_expected(self) -> bool:
        """Whether this is what the catalogue says of the mutant."""
        breach = self.first_breach
        if (None if breach is None else breach.rule.id) != self.mutant.breaks:
            return False
        if self.mutant.kind == "bug":
            return self.verdict == "killed" and self.killed_by in self.mutant.expected
        return self.verdict == self.mutant.kind and self.tripped == self.mutant.expected


def run_mutant(
    mutant: Mutant,
    budget: Budget = UNLIMITED,
    on_progress: Callable[[Figures], None] = ignore,
    *,
    without: str | None = None,
) -> MutantRun:
    """Explore ``mutant`` within its bounds, and see which property it violates.

    A bug is held against the five properties of Figure 3, or if it is said to violate an auxiliary
    one alone, against all of them. So is a control: each auxiliary property that it trips is noted
    and left out, until the others hold.

    With ``without``, as if the specification did not have that property: everything else counts.
    """
    started = time.monotonic()
    needed = mutant.violable if without is None else PROPERTY_NAMES
    names = [name for name in needed if name != without]
    tripped: list[str] = []
    first: CheckResult | None = None
    while True:
        setup = Setup(bounds=mutant.bounds, properties=tuple(names), mutant=mutant.id)
        result = check(setup, budget, means_of(mutant), on_progress)
        violation = result.exploration.violation
        if without is not None or violation is None or violation.property not in AUXILIARY:
            break
        # Whether the mutant violates one of Figure 3 as well is another exploration.
        first = first or result
        tripped.append(violation.property)
        names.remove(violation.property)
    decided = first if first is not None and result.exploration.verdict == "holds" else result
    verdict = _verdict(mutant, decided)
    return MutantRun(mutant, verdict, decided, tuple(tripped), time.monotonic() - started)


def means_of(mutant: Mutant) -> Means:
    """How it is explored. What a beam finds depends on the number of workers, so that is fixed."""
    workers = None if mutant.beam is None else WORKERS_OF_BEAM
    return Means(eager=mutant.eager, beam=mutant.beam, workers=workers)


def _verdict(mutant: Mutant, decided: CheckResult) -> MutantVerdict:
    found = decided.exploration
    if found.verdict == "inconclusive":
        return "inconclusive"
    is_harmless = found.violation is None or found.violation.property in AUXILIARY
    if mutant.kind != "bug" and is_harmless:
        return mutant.kind
    return "survived" if found.violation is None else "killed"
