"""A server that was down catches up, with few rejections and no election on the way."""

from __future__ import annotations

from pathlib import Path

from model_check.cluster.catch_up import Backlog, catch_up


def test_a_server_that_lacks_much_catches_up_without_an_election(tmp_path: Path) -> None:
    """It has the same state as the others in the end; how long that takes, a benchmark says."""
    backlog = Backlog(tiny=10_000, large=500, conflicting=200)
    found = catch_up(tmp_path, backlog, election_timeout=1.0)
    assert found.entries > backlog.tiny + backlog.large
    assert found.elections == 0
    assert found.rejections < 10, "not one for each entry in which the logs differ"
