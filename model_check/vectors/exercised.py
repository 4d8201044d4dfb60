"""Which rules a step exercises: those whose function of the core ran in it.

A rule names the function that obeys it (`Rule.implemented_by`). Nothing in the core is changed to
see which functions ran.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

from spec.rule import Function, Rule
from spec.rules import RULES


def exercised(step: Callable[[], object]) -> tuple[Rule, ...]:
    """The rules that ``step`` exercises, in their order."""
    with _called() as codes:
        step()
    return tuple(rule for rule in RULES if _code_of(rule.implemented_by) in codes)


@contextmanager
def _called() -> Iterator[set[CodeType]]:
    """What is called as long as the context lasts, by this thread."""
    codes: set[CodeType] = set()

    def note(frame: FrameType, what: str, _argument: object) -> None:
        if what == "call":
            codes.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield codes
    finally:
        # That of cProfile cannot be put back: Python does not take it.
        sys.setprofile(before if callable(before) else None)


def _code_of(function: Function) -> CodeType:
    return function.__code__
