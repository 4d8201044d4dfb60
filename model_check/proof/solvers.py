"""Solvers of satisfiability modulo theories: z3 and cvc5, each asked in SMT-LIB.

They are an extra of the package (``raft-ref[proof]``), and nothing else imports them. The rest of
the package depends on their answers alone, and takes every answer but ``unsat`` for *unknown*: with
quantifiers over integers, a solver that finds no proof says nothing of whether there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from spec.proof.smtlib import LABEL

SolverName: TypeAlias = Literal["cvc5", "z3"]
SOLVER_NAMES: tuple[SolverName, ...] = ("z3", "cvc5")


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a solver is asked."""

    seed: int
    milliseconds: int
    by_models: bool = True
    """z3 alone: whether it may look for instances of quantifiers in models, too, and not only among
    terms that occur."""


def missing(solvers: tuple[SolverName, ...]) -> list[SolverName]:
    """Those that are not installed."""
    return [solver for solver in solvers if find_spec(solver) is None]


def is_proved(solver: SolverName, script: str, attempt: Attempt) -> bool:
    """Whether a solver finds that what the script says cannot be."""
    return (_z3 if solver == "z3" else _cvc5)(script, attempt)


def core(solver: SolverName, script: str, attempt: Attempt) -> list[str] | None:
    """The hypotheses that a solver needs to prove what a script with names says; None if it finds
    no proof."""
    if solver == "z3":
        asked = _asked_z3(script, attempt)
        found = str(asked.check()) == "unsat"
        return sorted(map(_unlabelled, map(str, asked.unsat_core()))) if found else None
    answer, *names = _said_by_cvc5(script + "(get-unsat-core)", attempt) or ["unknown"]
    return (
        sorted(_unlabelled(name) for name in names if LABEL in name) if answer == "unsat" else None
    )


def model(script: str, milliseconds: int) -> dict[str, str] | None:
    """The value of each constant, as z3 writes it, in a world in which all is so that a script
    says; None if it finds no such world."""
    solver = _asked_z3(script, Attempt(seed=0, milliseconds=milliseconds))
    if str(solver.check()) != "sat":
        return None
    found = solver.model()
    return {each.name(): str(found[each]) for each in found.decls() if each.arity() == 0}


def _z3(script: str, attempt: Attempt) -> bool:
    return str(_asked_z3(script, attempt).check()) == "unsat"


def _asked_z3(script: str, attempt: Attempt) -> Any:
    import z3  # type: ignore[import-untyped]  # it has no types

    solver = z3.Solver(ctx=z3.Context())  # so that it finds the same, whatever was asked before
    solver.set("timeout", attempt.milliseconds)
    solver.set("random_seed", attempt.seed)
    solver.set("smt.mbqi", attempt.by_models)
    solver.from_string(script)
    return solver


def _unlabelled(name: str) -> str:
    return name.strip("()|").removeprefix(LABEL)


def _cvc5(script: str, attempt: Attempt) -> bool:
    return _said_by_cvc5(script, attempt)[-1:] == ["unsat"]


def _said_by_cvc5(script: str, attempt: Attempt) -> list[str]:
    import cvc5  # type: ignore[import-untyped]  # nor has it

    solver = cvc5.Solver()
    solver.setOption("tlimit-per", str(attempt.milliseconds))
    solver.setOption("seed", str(attempt.seed))
    solver.setOption("enum-inst", "true")  # instances from terms of the right sort, the small first
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, script, "obligation")
    symbols = parser.getSymbolManager()
    said: list[str] = []
    while not (command := parser.nextCommand()).isNull():
        said += str(command.invoke(solver, symbols)).split()
    return said
