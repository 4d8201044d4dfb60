"""The hypotheses of the proof are no contradiction: there is a run on which all of them hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from model_check.cli import run
from model_check.commands import possible as command
from model_check.proof.run import NEW, OLD, RUN, SECOND, Happening
from model_check.proof.walk import beginning, broken_invariants, walk
from spec.proof.actions import ACTIONS


def test_every_hypothesis_holds_along_a_run_to_a_commit_in_a_second_term() -> None:
    assert broken_invariants(beginning()) == ()
    passages = list(walk(RUN))
    assert [each.happening for each in passages] == RUN
    for each in passages:
        assert (each.happening, each.refused, each.broken) == (each.happening, (), ())
    assert {each.happening.action for each in passages} == {action.name for action in ACTIONS}
    committed: Any = passages[-1].known["committed"]
    assert [passages[-1].committed(server) for server in (1, 2, 3)] == [1, 1, 1]
    assert [committed(term) for term in (1, 2)] == [0, 1]


def test_the_run_has_all_that_the_network_and_servers_may_do() -> None:
    """A message that comes again, one that is late, a crash that forgets, and a conflict."""
    passages = list(walk(RUN))
    arrived = [
        (each.happening.server, each.happening.means["arrived"], each.known)
        for each in passages
        if each.happening.action in ("note", "send") and "arrived" in each.happening.means
    ]
    again = [(server, message) for server, message, _ in arrived]
    assert len(set(again)) < len(again)
    assert any(message.term < term_of(known, server) for server, message, known in arrived)
    commits = [each.committed(3) for each in passages]
    assert any(earlier > later for earlier, later in pairwise(commits))
    entries: Any = [each.known["entry"] for each in passages]
    assert {entry(1, 1) for entry in entries} >= {OLD, NEW}


def term_of(known: Any, server: int) -> int:
    return int(known["term"](server))


def test_a_run_that_breaks_a_rule_is_told() -> None:
    """The commit of an entry that nobody else has acknowledged."""
    until = next(n for n, each in enumerate(RUN) if each.action == "append")
    hasty = Happening("commit", 2, {"new_commit": 1, "counted": 1, "holders": SECOND})
    *_, last = walk([*RUN[:until], hasty, *RUN[until:]])
    assert last.happening == hasty
    assert "COMMIT-QUORUM" in last.refused


def test_a_vote_without_a_request_is_refused() -> None:
    vote = next(n for n, each in enumerate(RUN) if (each.action, each.server) == ("vote", 2))
    unasked = replace(RUN[vote], means={"has_new_vote": True, "new_vote": 1})
    *_, last = walk([*RUN[:vote], unasked])
    assert last.refused == ("VOTE-REQUESTED",)


def test_a_world_in_which_an_invariant_does_not_hold_is_told() -> None:
    known = {**beginning(), "commit": lambda server: 1}
    assert "commit-indexes-are-committed" in broken_invariants(known)


def test_a_world_in_which_something_does_not_follow_is_told() -> None:
    """What follows from invariants is looked at beside them, of every entry and majority."""
    twice = {**beginning(), "led": lambda server, term: term == 1 and server in (1, 2)}
    assert "one-leader-a-term" in broken_invariants(twice)
    for index in (1, 2):  # that is choosable, and in no later leader's log
        lost = {
            **beginning(),
            "started": lambda term: term in (1, 2),
            "led_length": lambda term, index=index: index if term == 1 else 0,
            "led_entry": lambda term, index: OLD,
            "term": lambda server: 1,
        }
        assert "later-leaders-have-it" in broken_invariants(lost)


def test_the_command_shows_what_is_possible(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", "--possible"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(" possible") for line in lines) == len(ACTIONS)
    assert sum(line.lstrip()[:1].isdigit() for line in lines) == len(RUN)
    assert lines[-1].endswith("S1 1, S2 1, S3 1")


def test_a_run_that_may_not_happen_is_shown_as_such(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ACTIONS", ())
    monkeypatch.setattr(command, "RUN", [Happening("elect", 1, {"votes": SECOND})])
    assert run(["prove", "--possible"]) == 4
    assert "but it may not: ELECT-QUORUM, ELECT-CANDIDATE" in capsys.readouterr().out
