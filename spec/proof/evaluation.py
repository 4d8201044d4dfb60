"""Formulas in Python, where each sort has a few values: to hold them against the rules.

Nothing is interpreted but what `spec.proof.terms` has made; ``and``, ``or`` and ``=>`` look at what
stands second only where it matters, as Python does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from spec.proof.terms import Sort, Term, is_number

Meaning: TypeAlias = Mapping[str, object]
"""Of each function and constant, by its name."""

_BETWEEN = {"and": " and ", "or": " or ", "=": " == ", "<=": " <= ", "<": " < ", "+": " + "}


def compiled(
    formula: Term, domains: Mapping[Sort, Sequence[object]]
) -> Callable[[Meaning], object]:
    """A formula as a function of what its functions and constants mean."""
    code = compile(_python(formula), "<formula>", "eval")
    values = {f"{sort}_": tuple(domain) for sort, domain in domains.items()}

    def evaluate(meaning: Meaning) -> object:
        # Names of a formula are the globals of its code, so that its quantifiers see them.
        return eval(code, {**values, **meaning})  # noqa: S307 - nobody else wrote it

    return evaluate


def _python(term: Term) -> str:
    parts = [_python(argument) for argument in term.arguments]
    match term.head:
        case "true" | "false":
            return term.head.capitalize()
        case "not":
            return f"(not {parts[0]})"
        case "=>":
            return f"(not {parts[0]} or {parts[1]})"
        case "ite":
            return f"({parts[1]} if {parts[0]} else {parts[2]})"
        case "-":
            return f"({parts[0]} - {parts[1]})"
        case "forall" | "exists":
            word = "all" if term.head == "forall" else "any"
            ranges = " ".join(f"for {each.head} in {each.sort}_" for each in term.bound)
            return f"{word}({parts[0]} {ranges})"
        case head if head in _BETWEEN:
            return f"({_BETWEEN[head].join(parts)})"
        case _ if not parts or is_number(term):
            return term.head
        case _:
            return f"{term.head}({', '.join(parts)})"
