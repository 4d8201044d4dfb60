"""Whatever an adapter says, the judge neither falls over nor calls it a Raft."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_check.check import Means, Setup
from model_check.conformance.explore import ForeignSetup, Judgement, conform
from model_check.conformance.learner import Adapter
from model_check.conformance.plan import Plan
from model_check.conformance.process import AdapterFailed
from model_check.conformance.trial import try_out
from model_check.explore import Budget
from model_check.raft import Bounds
from tests.garbage import HARMFUL, STRANGE

GARBAGE = str(Path(__file__).parent / "garbage.py")


def setup(kind: str, seed: int, share: float) -> ForeignSetup:
    adapter = Adapter(
        command=(sys.executable, GARBAGE, kind, str(seed), str(share)),
        servers=3,
        step_timeout=10.0,
    )
    return ForeignSetup(adapter=adapter, space=Setup(bounds=Bounds(values=1), rules=True))


def explored(kind: str, seed: int, share: float) -> Judgement:
    try:
        budget = Budget(max_states=3000)
        return conform(setup(kind, seed, share), budget, Means(eager=True)).verdict
    except AdapterFailed:
        return "adapter-failed"


def played(kind: str, seed: int, share: float) -> Judgement:
    try:
        plan = Plan(kinds=("mutants",), workers=1)
        return try_out(setup(kind, seed, share), plan).verdict
    except AdapterFailed:
        return "adapter-failed"


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each not in ("term", "log")))
        for each in HARMFUL
    ],
)
def test_what_no_rule_lets_pass_is_never_taken_for_a_raft(kind: str) -> None:
    assert explored(kind, 0, 1.0) in ("violates", "adapter-failed")
    assert played(kind, 0, 1.0) in ("violates", "adapter-failed")


@pytest.mark.slow
@given(st.sampled_from(sorted(STRANGE)), st.integers(0, 999), st.sampled_from((0.02, 0.3, 1.0)))
@settings(max_examples=40, deadline=None)
def test_whatever_is_said_there_is_a_verdict(kind: str, seed: int, share: float) -> None:
    assert explored(kind, seed, share)
