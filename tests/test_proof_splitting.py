"""A step is a run of actions: what solvers do not prove of that."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import pytest

from spec.proof.abstraction import ANY_STEP
from spec.proof.actions import ACTIONS
from spec.proof.splitting import Part, parts
from spec.proof.step import ServerTerms, StepTerms
from spec.proof.terms import TRUE, subterms


def changed(step: StepTerms) -> set[str]:
    """What a step may change, other than in name."""
    names = {each.name for each in fields(ServerTerms)} - {"log"}
    found = {name for name in names if getattr(step.before, name) != getattr(step.after, name)}
    return found | (set() if step.keeps_log == TRUE else {"log"})


def test_each_part_begins_where_the_one_before_it_ends() -> None:
    steps = [part.step for part in parts()]
    assert steps[0].before == ANY_STEP.before
    assert steps[-1].after == ANY_STEP.after
    for earlier, later in pairwise(steps):
        assert later.before in (earlier.after, earlier.before)  # or is taken instead of it
    append, propose = (part for part in parts() if "log" in changed(part.step))
    assert (append.step, append.nothing_to_do) == (propose.step, propose.nothing_to_do)


@pytest.mark.parametrize("part", parts(), ids=lambda part: part.action)
def test_a_part_changes_what_its_action_does_and_nothing_else(part: Part) -> None:
    (action,) = (each for each in ACTIONS if each.name == part.action)
    assert changed(part.step) == changed(action.step)


def test_all_that_a_step_may_do_is_done_in_some_part() -> None:
    done = [name for part in parts() for name in changed(part.step)]
    assert set(done) == {each.name for each in fields(ServerTerms)}
    assert {part.action for part in parts()} | {"note", "apply"} == {each.name for each in ACTIONS}
    (puts_out,) = (part.step for part in parts() if part.action == "send")
    assert puts_out.output == ANY_STEP.output  # a message, or an entry that is applied
    assert all(part.step.evidence == ANY_STEP.evidence for part in parts())


def test_where_a_part_is_left_out_nothing_at_all_has_changed() -> None:
    """Of whatever a server is made of; a part that does not change something says so of it."""
    (part, *_) = parts()
    said = {each.head for each in subterms(replace(part, step=ANY_STEP).changes_nothing)}
    names = {each.name for each in fields(ServerTerms)} - {"log"}
    assert said >= {f"{moment}_{name}" for moment in ("before", "after") for name in names}
    assert ANY_STEP.keeps_log.head in said
