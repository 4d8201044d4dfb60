"""Formulas in SMT-LIB 2.6, the language that solvers have in common.

Variables and constants are named in the order in which they come, so that the same question is
always asked in the same words: solvers are sensitive to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from re import fullmatch

from spec.proof.terms import (
    OPERATORS,
    QUANTIFIERS,
    UNINTERPRETED,
    Term,
    is_number,
    negation,
    subterms,
)

LABEL = "by:"
"""With this begin the names of hypotheses, so that they are no names of functions."""


def script(hypotheses: Mapping[str, Term], goal: Term, *, cores: bool = False) -> str:
    """The question whether all ``hypotheses`` can hold without ``goal``: if not, it is proved.

    Hypotheses are named, so that with ``cores`` a solver may say which of them it needed.
    """
    names = Names()
    written = {label: names.written(formula) for label, formula in hypotheses.items()}
    negated = names.written(negation(goal))
    lines = ["(set-option :produce-unsat-cores true)"] if cores else []
    lines += ["(set-logic ALL)", *(f"(declare-sort {sort} 0)" for sort in UNINTERPRETED)]
    lines += declarations([*hypotheses.values(), goal], names)
    lines += [
        f"(assert (! {text} :named |{LABEL}{label}|))" if cores else f"(assert {text})"
        for label, text in written.items()
    ]
    return "\n".join([*lines, f"(assert {negated})", "(check-sat)", ""])


def declarations(formulas: Iterable[Term], names: Names) -> list[str]:
    """Declarations of all functions and constants of ``formulas``."""
    found: dict[str, str] = {}
    for formula in formulas:
        bound = {name for part in subterms(formula) for name in part.bound}
        for part in subterms(formula):
            is_known = part.head in OPERATORS | QUANTIFIERS or part.head in ("true", "false")
            if not is_known and not is_number(part) and part not in bound:
                sorts = " ".join(argument.sort for argument in part.arguments)
                name = names.of(part)
                found[name] = f"(declare-fun {name} ({sorts}) {part.sort})"
    return list(found.values())


@dataclass(slots=True)
class Names:
    """The names that variables go by."""

    _given: dict[str, str] = field(default_factory=dict)

    def of(self, term: Term) -> str:
        """The name of a function, a constant or a variable."""
        if not fullmatch(r"[a-z]_\d+", term.head):
            return term.head
        return self._given.setdefault(term.head, f"{term.head[0]}{len(self._given)}")

    def written(self, term: Term) -> str:
        """A term, written out."""
        if term.bound:
            bound = " ".join(f"({self.of(each)} {each.sort})" for each in term.bound)
            return f"({term.head} ({bound}) {self.written(term.arguments[0])})"
        if not term.arguments:
            return self.of(term)
        return f"({self.of(term)} {' '.join(map(self.written, term.arguments))})"
