"""A trace in which one field is altered is rejected, or there is a reason why Raft allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_check.traces import etcd, own
from model_check.traces.happening import PlacedLines, Trace, TraceError
from model_check.traces.judge import judge_trace
from spec.profiles import ETCD as ETCD_PROFILE
from spec.profiles import PAPER, Profile
from tests.alterations import (
    ETCD,
    OWN,
    REASONS_ETCD,
    REASONS_OWN,
    Alteration,
    alterations,
    reason_for,
)
from tests.etcd_traces import random_etcd_trace
from tests.recorded import placed, random_trace
from tests.test_traces_etcd import IN_THE_WILD

LISTING = Path(__file__).parent / "traces/etcd.alterations"
"""What is accepted of alterations of the beginning of the trace that was recorded of etcd, and why.
To write it anew, run this file as a program."""
LISTED = 70
"""Of so many lines."""


def accepted(
    lines: list[bytes],
    read: Callable[[PlacedLines], Trace],
    fields: dict[tuple[str, ...], str],
    profile: Profile,
) -> Iterator[Alteration]:
    """The alterations that are taken for Raft."""
    for alteration in alterations(lines, fields):
        try:
            found = judge_trace(read(placed(alteration.lines)), profile)
        except TraceError:
            continue
        if found.verdict == "conforms":
            yield alteration


def listed() -> Iterator[str]:
    lines = LISTING.with_suffix(".ndjson").read_bytes().splitlines(keepends=True)[:LISTED]
    for alteration in accepted(lines, own.read, OWN, PAPER):
        yield f"{alteration}: {reason_for(alteration, REASONS_OWN)}"


def test_what_is_accepted_of_a_recorded_trace_is_listed_with_its_reason() -> None:
    found = list(listed())
    assert found == LISTING.read_text("utf-8").splitlines()
    assert not [line for line in found if line.endswith(": None")]


def require_reasons(steps: int, seed: int) -> None:
    lines = random_trace(3, steps, seed)
    found = list(accepted(lines, own.read, OWN, PAPER))
    for alteration in found:
        assert reason_for(alteration, REASONS_OWN) is not None, str(alteration)
    assert len(found) < len(list(alterations(lines, OWN))) / 5, "most is rejected"


def require_reasons_of_etcd(steps: int, seed: int) -> None:
    lines = random_etcd_trace(3, steps, seed)
    for alteration in accepted(lines, etcd.read, ETCD, ETCD_PROFILE):
        assert reason_for(alteration, REASONS_ETCD) is not None, str(alteration)


def test_what_is_accepted_in_our_format_has_a_reason() -> None:
    require_reasons(25, 1)


def test_what_is_accepted_in_etcds_format_has_a_reason() -> None:
    require_reasons_of_etcd(15, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_accepted_of_longer_traces_has_a_reason(seed: int) -> None:
    require_reasons(60, seed)
    require_reasons_of_etcd(35, seed)


@pytest.mark.slow
@pytest.mark.skipif(not IN_THE_WILD.is_dir(), reason="etcd's own traces are not here")
@pytest.mark.parametrize("name", ["interaction_campaign", "interaction_checkquorum"])
def test_what_is_accepted_of_what_etcd_wrote_has_a_reason(name: str) -> None:
    lines = (IN_THE_WILD / f"{name}.ndjson").read_bytes().splitlines(keepends=True)
    for alteration in accepted(lines, etcd.read, ETCD, ETCD_PROFILE):
        assert reason_for(alteration, REASONS_ETCD) is not None, str(alteration)


if __name__ == "__main__":
    LISTING.write_text("".join(f"{line}\n" for line in listed()), "utf-8")
