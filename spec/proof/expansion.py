"""Formulas about a small world: quantifiers become conjunctions over a few servers and numbers.

There, a solver does not merely fail to prove something: it shows a world in which it is not so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from spec.proof.smtlib import Names, declarations
from spec.proof.terms import (
    UNINTERPRETED,
    Sort,
    Term,
    both,
    constant,
    differ,
    either,
    equal,
    implies,
    is_number,
    negation,
    subterms,
    term_of,
)
from spec.proof.vocabulary import is_alone, is_member


@dataclass(frozen=True, slots=True)
class SmallWorld:
    """Three servers, of which any two are a majority; a few numbers, entries and messages."""

    max_number: int = 3
    entries: int = 3
    messages: int = 4
    min_number: int = 0
    """Below 0, to see what keeps terms and lengths from being negative."""

    def values(self, sort: Sort) -> list[Term]:
        """All of a sort."""
        counts = {"Node": 3, "Quorum": 3, "Entry": self.entries, "Message": self.messages}
        if sort == "Int":
            return [_number(number) for number in range(self.min_number, self.max_number + 1)]
        return [constant(f"{sort}_{number}", sort) for number in range(1, counts[sort] + 1)]

    def expanded(self, formula: Term) -> Term:
        """A formula without quantifiers, which holds in small worlds if ``formula`` does."""
        if formula.bound:
            ranges = product(*(self.values(each.sort) for each in formula.bound))
            bodies = (
                self.expanded(
                    replaced(formula.arguments[0], dict(zip(formula.bound, each, strict=True)))
                )
                for each in ranges
            )
            return both(*bodies) if formula.head == "forall" else either(*bodies)
        return rebuilt(formula, [self.expanded(each) for each in formula.arguments])

    def assumptions(self) -> Iterator[Term]:
        """That values of a sort are different, and which majorities there are."""
        for sort in UNINTERPRETED:
            values = self.values(sort)
            for number, value in enumerate(values):
                yield from (differ(value, other) for other in values[:number])
        for node, server in enumerate(self.values("Node")):
            yield negation(is_alone(server))
            for number, quorum in enumerate(self.values("Quorum")):
                member = is_member(server, quorum)
                yield member if node != number else negation(member)

    def bounded(self, formulas: Iterable[Term]) -> Iterator[Term]:
        """That all that is spoken of is of this world."""
        seen = {part for formula in formulas for part in subterms(formula)}
        for part in sorted(seen, key=repr):
            is_plain = part.sort != "Bool" and part.head not in ("+", "-", "ite")
            if is_plain and not is_number(part):
                if part.sort == "Int":
                    yield both(_number(self.min_number) <= part, part <= self.max_number)
                else:
                    yield either(*(equal(part, value) for value in self.values(part.sort)))

    def script(self, formulas: Iterable[Term], shown: Mapping[str, Term]) -> str:
        """The question whether all ``formulas`` can hold, with names for what is to be shown."""
        small = [self.expanded(each) for each in formulas]
        small += self.assumptions()
        small += [
            equal(constant(name, term.sort), self.expanded(term)) for name, term in shown.items()
        ]
        small += self.bounded(small)
        names = Names()
        sorts = [f"(declare-sort {sort} 0)" for sort in UNINTERPRETED]
        asserted = [f"(assert {names.written(each)})" for each in small]
        return "\n".join([*sorts, *declarations(small, names), *asserted, ""])


def _number(number: int) -> Term:
    return term_of(number) if number >= 0 else Term("Int", "-", (term_of(-number),))


def replaced(term: Term, values: Mapping[Term, Term]) -> Term:
    """A term with values for some of its variables."""
    if term in values:
        return values[term]
    return rebuilt(term, [replaced(each, values) for each in term.arguments])


def rebuilt(term: Term, arguments: list[Term]) -> Term:
    """A term with other arguments, folded where it can be."""
    match term.head:
        case "and":
            return both(*arguments)
        case "or":
            return either(*arguments)
        case "not":
            return negation(arguments[0])
        case "=>":
            return implies(*arguments)
        case "=":
            return equal(*arguments)
        case "<=":
            return arguments[0] <= arguments[1]
        case "<":
            return arguments[0] < arguments[1]
        case _:
            return Term(term.sort, term.head, tuple(arguments), term.bound)
