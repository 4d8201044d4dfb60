"""What a rule is: a predicate over one step of one server, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import getdoc
from typing import Literal, TypeAlias

from spec.conduct import Conduct
from spec.shadow import EVIDENCE, Unread

Group: TypeAlias = Literal[
    "term",
    "vote",
    "election",
    "log",
    "append",
    "acknowledgement",
    "commit",
    "apply",
    "restart",
    "message",
    "client",
]
Function: TypeAlias = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule is broken: which part of it, what it allows, and what was observed instead."""

    conjunct: str
    expected: str
    seen: str

    def __str__(self) -> str:
        return f"{self.conjunct}: expected {self.expected}, observed {self.seen}"


@dataclass(frozen=True, slots=True)
class NotDecidable:
    """A rule cannot be judged, since something cannot be observed: fields of the server's state, or
    messages of these kinds, which might have allowed the step."""

    unobserved: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a server owes in each of its steps."""

    id: str
    """Stable."""
    group: Group
    statement: str
    citation: str
    observes: frozenset[str]
    """What it looks at: fields of the server's state; ``outputs``, the messages that leave it;
    ``applied``, what it hands to its state machine; and ``redirect``, the leader that it names to a
    client."""
    allowed_by: frozenset[str]
    """What may allow what is forbidden otherwise: ``arrival``, the message that has just arrived;
    or fields of the evidence."""
    exercised_by: frozenset[str]
    """Milestones without which nothing could have broken it: it is then obeyed vacuously."""
    implemented_by: Function
    """Where the reference core obeys it."""
    predicate: Callable[[Conduct], Broken | None]

    def __reduce__(self) -> tuple[Callable[[str], Rule], tuple[str]]:
        """For other processes, a rule is its id: its name there is the predicate's here."""
        return _of_id, (self.id,)

    def judge(
        self,
        conduct: Conduct,
        unobserved: frozenset[str] = frozenset(),
        read: frozenset[str] = frozenset(),
        incomplete: frozenset[str] = frozenset(),
    ) -> Broken | NotDecidable | None:
        """How the step breaks the rule; None if it obeys it.

        Where the rule looks at something ``unobserved``, it is not decidable, never obeyed. A
        message that could not be read makes it so only if it may have allowed the step: it does no
        harm to what is obeyed without it, nor to what would be broken whatever it said. Evidence
        that comes in messages of the kinds ``read`` comes in no message of an unknown kind. Nor is
        a rule broken because of evidence that is ``incomplete``, since some of what it is made of
        may not have been observed.
        """
        hidden = self.observes & unobserved
        if hidden:
            return NotDecidable(tuple(sorted(hidden)))
        broken = self.predicate(conduct)
        if broken is None:
            return None
        if self.allowed_by & incomplete:
            return NotDecidable(tuple(sorted(self.allowed_by & incomplete)))
        kinds = {each.kind for each in self._unread_excuses(conduct, read)}
        return NotDecidable(tuple(sorted(kinds))) if kinds else broken

    def _unread_excuses(self, conduct: Conduct, read: frozenset[str]) -> frozenset[Unread]:
        """The messages that could not be read and may allow a step that is forbidden otherwise."""
        excuses = frozenset[Unread]()
        if "arrival" in self.allowed_by and isinstance(conduct.event, Unread):
            excuses |= {conduct.event}
        for name in sorted(self.allowed_by & EVIDENCE):
            excuses |= conduct.after.may_have_brought(name, read)
        if not excuses or "arrival" in self.allowed_by:
            return excuses
        favoured = replace(conduct.after, evidence=conduct.after.at_most(excuses))
        is_broken_anyway = self.predicate(replace(conduct, after=favoured)) is not None
        return frozenset() if is_broken_anyway else excuses


def _of_id(rule_id: str) -> Rule:
    from spec.rules import RULES_BY_ID  # which is made of this

    return RULES_BY_ID[rule_id]


def rule(
    id: str,  # noqa: A002 - what it is
    group: Group,
    *,
    cites: str,
    observes: str,
    allowed_by: str = "",
    exercised_by: str = "",
    implemented_by: Function,
) -> Callable[[Callable[[Conduct], Broken | None]], Rule]:
    """A decorator that makes a rule of its predicate, whose docstring is the statement."""

    def make(predicate: Callable[[Conduct], Broken | None]) -> Rule:
        statement = " ".join((getdoc(predicate) or "").split())
        return Rule(
            id=id,
            group=group,
            statement=statement,
            citation=cites,
            observes=frozenset(observes.split()),
            allowed_by=frozenset(allowed_by.split()),
            exercised_by=frozenset(exercised_by.split()),
            implemented_by=implemented_by,
            predicate=predicate,
        )

    return make
