"""What a mutant is: the core with some functions replaced, one rule of Raft the poorer.

The core knows nothing of it. A mutant's functions take the place of the core's own while a step is
made, and are gone after it (`Mutant.in_force`). Bugs in what a restart finds on disk are no matter
of a step, but of when its writes become durable: there a mutant says what a crash leaves of a write
(`Mutant.crash_leaves`), and a server remembers that (`model_check.mutants.node`).
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, ParamSpec, TypeAlias, TypeVar

from model_check.explore import Beam
from model_check.raft import Bounds
from raft_ref import Event, NodeState, PersistentState
from spec.properties import FIGURE_3, PROPERTY_NAMES
from spec.rule import Function

P = ParamSpec("P")
R = TypeVar("R")

CrashLeaves: TypeAlias = Callable[[Event, PersistentState, PersistentState], PersistentState]
"""What a crash leaves of a write that an event caused: from the state before, and after it."""

Kind: TypeAlias = Literal["bug", "equivalent", "control"]
"""`bug`; `equivalent`: what it does is Raft all the same; `control`: it loses no safety."""

NO_REPORT = "no report known: the rule, left out"


@dataclass(frozen=True, slots=True)
class Substitution:
    """A function of the core, and what takes its place."""

    original: Function
    replacement: Function

    @property
    def where(self) -> str:
        """The original's module and name, such as ``raft_ref.election.adopt_term``."""
        return f"{self.original.__module__}.{self.original.__qualname__}"

    def diff(self) -> str:
        """What is changed, as a unified diff of the two functions' definitions."""
        name = self.original.__name__
        old = _definition(self.original, name).splitlines()
        new = _definition(self.replacement, name).splitlines()
        lines = difflib.unified_diff(old, new, self.where, "mutant", n=99, lineterm="")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A known bug, or a harmless change, as a change of the core."""

    id: str
    title: str
    """What the core does then, in one sentence."""
    explanation: str
    """Why that loses something, or why it does not."""
    rule: str
    """The rule of Figure 2 that is broken, or the section of the paper."""
    breaks: str | None
    """The id of the rule of `spec.rules` that its run breaks first; of a control, if any."""
    seen_in: tuple[str, ...]
    """Implementations that had it, with where that is told; or where else it comes from."""
    bounds: Bounds
    """The smallest ones believed to show it."""
    expected: tuple[str, ...]
    """Of a bug, the property that it violates, or several, any of which may come first. Of others,
    the auxiliary properties that they violate."""
    kind: Kind = "bug"
    eager: bool = False
    """Whether it needs eager sends to be found in time; the run may then not be the shortest."""
    beam: Beam | None = None
    """The search that finds it, where a complete one does not in time."""
    substitutions: tuple[Substitution, ...] = ()
    crash_leaves: CrashLeaves | None = None
    initial: NodeState = field(default_factory=NodeState)
    """How a server starts: a subclass of `NodeState`, if the mutant remembers more."""

    @cached_property
    def is_auxiliary(self) -> bool:
        """Whether it breaks auxiliary properties alone."""
        return not any(name in FIGURE_3 for name in self.expected)

    @property
    def violable(self) -> tuple[str, ...]:
        """The properties that it is held against: those of Figure 3, if it violates one of them."""
        return PROPERTY_NAMES if self.is_auxiliary else FIGURE_3

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """The core as the mutant has it, as long as the context lasts. Not for several threads."""
        for each in self.substitutions:
            _put(each.original, each.replacement)
        try:
            yield
        finally:
            for each in self.substitutions:
                _put(each.original, each.original)

    def diffs(self) -> tuple[str, ...]:
        """What is changed, a diff each; for a mutant of what a crash leaves, its definition."""
        if self.crash_leaves is not None:
            return (_definition(self.crash_leaves, "crash_leaves"),)
        return tuple(each.diff() for each in self.substitutions)


def mutant(
    replaces: Callable[P, R],
    *,
    rule: str,
    breaks: str | None = None,
    seen_in: str | tuple[str, ...],
    bounds: Bounds,
    expected: str | tuple[str, ...],
    kind: Kind = "bug",
    eager: bool = False,
    beam: Beam | None = None,
    also: tuple[tuple[Function, Function], ...] = (),
    initial: NodeState | None = None,
) -> Callable[[Callable[P, R]], Mutant]:
    """A decorator that makes a mutant of what takes the place of the core's function ``replaces``.

    The name of the function is the mutant's id, its docstring the title and the explanation;
    ``also`` are further functions of the core, with what takes their place.
    """

    def make(replacement: Callable[P, R]) -> Mutant:
        title, explanation = _words_of(replacement)
        pairs = ((replaces, replacement), *also)
        return Mutant(
            id=replacement.__name__.replace("_", "-"),
            title=title,
            explanation=explanation,
            rule=rule,
            breaks=breaks,
            seen_in=(seen_in,) if isinstance(seen_in, str) else seen_in,
            bounds=bounds,
            expected=(expected,) if isinstance(expected, str) else expected,
            kind=kind,
            eager=eager,
            beam=beam,
            substitutions=tuple(Substitution(*pair) for pair in pairs),
            initial=NodeState() if initial is None else initial,
        )

    return make


def written_late(
    *, rule: str, breaks: str, seen_in: str | tuple[str, ...], bounds: Bounds, expected: str
) -> Callable[[CrashLeaves], Mutant]:
    """A decorator that makes a mutant of what a crash leaves of a write, as `mutant` does."""

    def make(crash_leaves: CrashLeaves) -> Mutant:
        title, explanation = _words_of(crash_leaves)
        return Mutant(
            id=crash_leaves.__name__.replace("_", "-"),
            title=title,
            explanation=explanation,
            rule=rule,
            breaks=breaks,
            seen_in=(seen_in,) if isinstance(seen_in, str) else seen_in,
            bounds=bounds,
            expected=(expected,),
            crash_leaves=crash_leaves,
        )

    return make


def _put(original: Function, function: Function) -> None:
    """Let the core call ``function`` by the name of ``original``."""
    setattr(sys.modules[original.__module__], original.__name__, function)


def _words_of(function: Function) -> tuple[str, str]:
    """The first paragraph of a docstring, and the rest."""
    title, _, explanation = (inspect.getdoc(function) or "").partition("\n\n")
    return " ".join(title.split()), explanation.strip()


def _definition(function: Function, name: str) -> str:
    """The source of ``function``, without decorators and docstring, as if it had another name."""
    source = inspect.getsource(function)
    source = source[source.index("def ") :].replace(f"def {function.__name__}(", f"def {name}(", 1)
    doc = function.__doc__
    if doc is not None:
        start = source.index('"""')
        end = source.index('"""', start + 3) + 3
        source = source[:start].rstrip(" ") + source[end:].lstrip("\n")
    return source
