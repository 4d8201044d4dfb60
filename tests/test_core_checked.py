"""The core explored: small spaces, every property and every rule. A test among the others, so that
changes of the core that they do not notice may be noticed here."""

from __future__ import annotations

import pytest

from model_check.check import Means, Setup, check
from model_check.raft import Bounds

SMALL = [
    (Bounds(servers=1, max_term=2, max_log=2, restarts=True), 49),
    (Bounds(servers=2, max_term=1, max_log=1, restarts=True), 439),
    (Bounds(servers=2, max_term=2, max_log=1, values=1), 2103),
    (Bounds(servers=3, max_term=1, max_log=0), 704),
]


@pytest.mark.parametrize(("bounds", "states"), SMALL)
def test_everything_holds_and_is_all_there(bounds: Bounds, states: int) -> None:
    found = check(Setup(bounds=bounds, rules=True), means=Means(engine="reference")).exploration
    assert (found.verdict, found.states) == ("holds", states)
