"""Formulas of first-order logic with sorts and integers, as plain values.

What is plainly true or false is folded as it is built: a rule on the vote says nothing of a step
that leaves votes alone, and then is no formula to be proved, either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias

Sort: TypeAlias = Literal["Bool", "Int", "Node", "Quorum", "Entry", "Message"]
"""Terms and indexes are integers. Nothing is known of the other sorts but what is assumed."""

UNINTERPRETED: tuple[Sort, ...] = ("Node", "Quorum", "Entry", "Message")

OPERATORS = frozenset({"and", "or", "not", "=>", "=", "<=", "<", "+", "-", "ite"})
QUANTIFIERS = frozenset({"forall", "exists"})


@dataclass(frozen=True, slots=True)
class Term:
    """A term; of sort ``Bool``, a formula."""

    sort: Sort
    head: str
    """An operator, a quantifier, a number, or the name of a function, constant or variable."""
    arguments: tuple[Term, ...] = ()
    bound: tuple[Term, ...] = ()
    """The variables that a quantifier binds."""

    def __le__(self, other: Term | int) -> Term:
        return _compare("<=", self, term_of(other))

    def __lt__(self, other: Term | int) -> Term:
        return _compare("<", self, term_of(other))

    def __ge__(self, other: Term | int) -> Term:
        return term_of(other) <= self

    def __gt__(self, other: Term | int) -> Term:
        return term_of(other) < self

    def __add__(self, other: Term | int) -> Term:
        return Term("Int", "+", (self, term_of(other)))

    def __sub__(self, other: Term | int) -> Term:
        return Term("Int", "-", (self, term_of(other)))


TRUE, FALSE = Term("Bool", "true"), Term("Bool", "false")

Body: TypeAlias = Callable[..., Term]
"""What a quantifier says of its variables."""

_names = count()


@dataclass(frozen=True, slots=True)
class Function:
    """A function symbol; without arguments, a constant."""

    name: str
    sort: Sort
    arity: int

    def __call__(self, *arguments: Term | int) -> Term:
        """The function of these."""
        assert len(arguments) == self.arity, self.name
        return Term(self.sort, self.name, tuple(map(term_of, arguments)))


def constant(name: str, sort: Sort) -> Term:
    """A constant of its own."""
    return Term(sort, name)


def term_of(value: Term | int) -> Term:
    """A number as a term."""
    return value if isinstance(value, Term) else Term("Int", str(value))


def is_number(term: Term) -> bool:
    """Whether a term is a number."""
    return term.sort == "Int" and term.head.isdecimal()


# --- connectives ---------------------------------------------------------------------------------


def both(*parts: Term) -> Term:
    """The conjunction; of nothing, true."""
    return _joined("and", TRUE, FALSE, parts)


def either(*parts: Term) -> Term:
    """The disjunction; of nothing, false."""
    return _joined("or", FALSE, TRUE, parts)


def _joined(head: str, neutral: Term, absorbing: Term, parts: Iterable[Term]) -> Term:
    kept = [part for part in parts if part != neutral]
    if absorbing in kept:
        return absorbing
    if len(kept) < 2:
        return kept[0] if kept else neutral
    return Term("Bool", head, tuple(kept))


def negation(part: Term) -> Term:
    """What is so if ``part`` is not."""
    if part in (TRUE, FALSE):
        return FALSE if part == TRUE else TRUE
    return part.arguments[0] if part.head == "not" else Term("Bool", "not", (part,))


def implies(condition: Term, consequence: Term) -> Term:
    """If one, then the other."""
    if condition == TRUE:
        return consequence
    if condition == FALSE or consequence == TRUE:
        return TRUE
    if consequence == FALSE:
        return negation(condition)
    return Term("Bool", "=>", (condition, consequence))


def equal(one: Term, other: Term | int) -> Term:
    """Whether two terms have the same value."""
    second = term_of(other)
    if one == second:
        return TRUE
    if (is_number(one) and is_number(second)) or {one, second} == {TRUE, FALSE}:
        return FALSE
    return Term("Bool", "=", (one, second))


def differ(one: Term, other: Term | int) -> Term:
    """Whether two terms have different values."""
    return negation(equal(one, other))


def choose(condition: Term, then: Term | int, otherwise: Term | int) -> Term:
    """One term where the condition holds, the other where it does not."""
    first, second = term_of(then), term_of(otherwise)
    if condition in (TRUE, FALSE):
        return first if condition == TRUE else second
    if first == second:
        return first
    return Term(first.sort, "ite", (condition, first, second))


def _compare(head: str, one: Term, other: Term) -> Term:
    if one == other:
        return TRUE if head == "<=" else FALSE
    if is_number(one) and is_number(other):
        low, high = int(one.head), int(other.head)
        return TRUE if low < high or (low == high and head == "<=") else FALSE
    return Term("Bool", head, (one, other))


# --- quantifiers ---------------------------------------------------------------------------------


def every(sorts: Iterable[Sort], body: Body) -> Term:
    """Whether the body holds of all values of these sorts."""
    return _quantified("forall", sorts, body)


def some(sorts: Iterable[Sort], body: Body) -> Term:
    """Whether the body holds of some values of these sorts."""
    return _quantified("exists", sorts, body)


def _quantified(head: str, sorts: Iterable[Sort], body: Body) -> Term:
    variables = tuple(constant(f"{sort[0].lower()}_{next(_names)}", sort) for sort in sorts)
    said = body(*variables)
    return said if said in (TRUE, FALSE) else Term("Bool", head, (said,), variables)


def goals(formula: Term) -> Iterator[Term]:
    """Formulas that hold of unknown constants just if ``formula`` holds.

    A conjunction is split, and a variable of which something is to be shown is a constant of which
    nothing is known.
    """
    match formula:
        case Term(head="and", arguments=parts):
            for part in parts:
                yield from goals(part)
        case Term(head="=>", arguments=(condition, consequence)):
            for part in goals(consequence):
                yield implies(condition, part)
        case Term(head="forall", arguments=(body,)):
            yield from goals(body)
        case _:
            if formula != TRUE:
                yield formula


def subterms(term: Term) -> Iterator[Term]:
    """A term, and all that it is made of."""
    yield term
    for argument in term.arguments:
        yield from subterms(argument)
