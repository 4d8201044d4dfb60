"""The study site: pages that say what was found, and that a browser shows without network."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from model_check.check import NetworkName, Setup
from model_check.cli import run
from model_check.counterexample import replay
from model_check.mutants import MUTANTS
from model_check.mutants.run import run_mutant
from model_check.raft import Bounds, RaftAction
from model_check.study.diagram import COLUMN, brief, diagram
from model_check.study.proof import CELL, proof_drawing
from model_check.system import Deliver, Occur
from raft_ref import (
    AppendEntries,
    AppendEntriesReply,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    RequestVote,
    RequestVoteReply,
)
from spec.proof.actions import ACTIONS
from spec.proof.invariants import INVARIANTS
from spec.rules import RULES
from tests.browser import drawn_in
from tests.page import Page
from tests.random_conducts import Way

IDS = ("acknowledged-before-sync", "follower-commit-falls", "votes-counted-as-follower")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site") / "mutants"
    assert run(["mutants", *(f"--id={name}" for name in IDS), "--html", str(directory)]) == 0
    return directory


def test_there_is_a_page_for_each_and_an_index(site: Path) -> None:
    assert sorted(path.stem for path in site.iterdir()) == sorted([*IDS, "index"])
    index = Page(site / "index.html")
    linked = [attributes["href"] for tag, attributes in index.tags if tag == "a"]
    assert sorted(filter(None, linked)) == [f"{name}.html" for name in sorted(IDS)]


def test_pages_need_nothing_but_each_other(site: Path) -> None:
    for path in site.iterdir():
        page = Page(path)
        page.assert_needs_nothing()
        assert all((site / target).is_file() for target in page.values("href"))
        assert not re.search("url[(](?!#)", path.read_text("utf-8"))


def test_a_page_says_what_was_changed_and_what_came_of_it(site: Path) -> None:
    text = Page(site / "follower-commit-falls.html").text
    assert "+    return min(leader_commit, confirmed)" in text
    assert "CommitStability is violated: the commit index of S" in text
    assert "an auxiliary property; none of Figure 3 is violated" in " ".join(text.split())
    assert "PySyncObj#166" in text
    assert "What each server believed at the end" in text
    assert "raft-ref check --mutant follower-commit-falls" in text


def test_a_page_of_a_control_says_that_nothing_was_violated(site: Path) -> None:
    text = Page(site / "votes-counted-as-follower.html").text
    assert "Nothing is violated" in text


def test_the_page_of_rules_links_to_the_mutants_that_are_there(site: Path) -> None:
    directory = site.parent / "rules"
    directory.mkdir()
    (directory / "acknowledged-before-sync.html").touch()
    assert run(["rules", "--html", str(directory)]) == 0
    page = Page(directory / "rules.html")
    assert all(rule.statement in " ".join(page.text.split()).replace("’", "'") for rule in RULES)
    links = [attributes.get("href") for tag, attributes in page.tags if tag == "a"]
    assert links == ["acknowledged-before-sync.html"]
    assert "raft_ref.replication.merge" in page.text


def test_the_page_of_rules_tells_why_they_are_enough(tmp_path: Path) -> None:
    assert run(["rules", "--html", str(tmp_path)]) == 0
    page = Page(tmp_path / "rules.html")
    page.assert_needs_nothing()
    assert all(
        each.statement in " ".join(page.text.split()).replace("’", "'") for each in INVARIANTS
    )
    drawing = proof_drawing()
    assert sum(tag == "circle" for tag, _ in page.tags) == len(drawing.dots)
    rules = {each.action.name: each.rules for each in drawing.actions}
    assert "VOTE-UP-TO-DATE" in rules["vote"]


def test_a_dot_of_the_proof_says_what_is_needed_for_what() -> None:
    drawing = proof_drawing()
    dots = {(row.invariant.name, column.title) for row, column in drawing.dots}
    assert ("one-leader-a-term", "ElectionSafety") in dots
    assert ("votes-are-given-once", "one-leader-a-term") in dots
    assert ("later-leaders-have-it", "committed-is-in-later-logs") in dots
    assert ("led-logs-are-made-of-leaders-logs", "logs-are-made-of-leaders-logs") in dots  # lemmas
    assert ("votes-are-given-once", "votes-are-given-once") not in dots
    assert {row.invariant.name for row, _ in drawing.dots} >= {each.name for each in INVARIANTS}
    assert {column.title for _, column in drawing.dots} >= {action.does for action in ACTIONS}


def test_nothing_of_the_proof_is_drawn_upon_something_else() -> None:
    drawing = proof_drawing()
    tops = [row.top for row in drawing.rows]
    lefts = [column.left for column in drawing.columns]
    assert all(after - before >= CELL for before, after in pairwise(tops))
    assert all(after - before >= CELL for before, after in pairwise(lefts))
    longest = max(len(f"{row.number} {row.invariant.name}") for row in drawing.rows)
    assert longest * 7 < lefts[0]


def test_a_diagram_has_a_box_for_each_action_and_an_arrow_for_each_message_that_arrived() -> None:
    found = run_mutant(MUTANTS["vote-not-recorded"]).result.counterexample
    assert found is not None
    drawn = diagram(found)
    assert len(drawn.boxes) == len(found.moments)
    assert [box.top for box in drawn.boxes] == sorted(box.top for box in drawn.boxes)
    deliveries = [moment for moment in found.moments if hasattr(moment.action, "message")]
    assert len(drawn.arrows) == len(deliveries)
    assert all(arrow.start[1] < arrow.end[1] for arrow in drawn.arrows)
    assert all(0 <= box.left <= drawn.width - COLUMN + 30 for box in drawn.boxes)
    assert {segment.role for segment in drawn.segments} == {"follower", "candidate", "leader"}


@pytest.mark.parametrize("network", ["fifo", "replayable"])
def test_what_was_sent_twice_and_arrives_twice_is_two_arrows(network: NetworkName) -> None:
    """The same heartbeat, of an election and of a timeout."""
    request = RequestVote(source=1, destination=2, term=1, last_log_index=0, last_log_term=0)
    vote = RequestVoteReply(source=2, destination=1, term=1, vote_granted=True)
    heartbeat = AppendEntries(
        source=1, destination=2, term=1, prev_log_index=0, prev_log_term=0, entries=(),
        leader_commit=0,
    )  # fmt: skip
    actions: list[RaftAction] = [
        Occur(1, ElectionTimeout()),
        Deliver(request),
        Deliver(vote),
        Occur(1, HeartbeatTimeout()),
        Deliver(heartbeat),
        Deliver(heartbeat),
    ]
    system = Setup(bounds=Bounds(), network=network, max_in_flight=9).system()
    drawn = diagram(replay(system, actions))
    boxes = {box.middle: box.number for box in drawn.boxes}
    assert [(boxes[each.start[1]], boxes[each.end[1]]) for each in drawn.arrows] == [
        (1, 2), (2, 3), (3, 5), (4, 6),
    ]  # fmt: skip


WAY = Way(source=1, destination=2, term=3)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            RequestVote(**WAY, last_log_index=0, last_log_term=0),
            "RequestVote of term 3, log empty",
        ),
        (
            RequestVote(**WAY, last_log_index=4, last_log_term=2),
            "RequestVote of term 3, last entry 4 of term 2",
        ),
        (RequestVoteReply(**WAY, vote_granted=False), "vote refused in term 3"),
        (
            AppendEntries(
                **WAY,
                prev_log_index=0,
                prev_log_term=0,
                entries=(Entry(3, "v1"),),
                leader_commit=1,
            ),
            "AppendEntries of term 3: [3:v1] at the beginning, commit 1",
        ),
        (
            AppendEntries(**WAY, prev_log_index=4, prev_log_term=2, entries=(), leader_commit=1),
            "AppendEntries of term 3: nothing after 4 of term 2, commit 1",
        ),
        (AppendEntriesReply(**WAY, success=True, match_index=5), "success in term 3: match 5"),
        (AppendEntriesReply(**WAY, success=False, match_index=0), "rejection in term 3"),
    ],
)
def test_messages_in_a_few_words(
    message: RequestVote | RequestVoteReply | AppendEntries | AppendEntriesReply, words: str
) -> None:
    assert brief(message) == words


def test_a_directory_that_cannot_be_had_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["mutants", "--id", "vote-not-recorded", "--html", "/proc/nowhere"]) == 2
    assert "cannot write /proc/nowhere" in capsys.readouterr().err


# --- in a browser --------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_browser_without_network_draws_the_diagram(site: Path, tmp_path: Path) -> None:
    """Every role has its colour in the picture, and the page is as tall as its text."""
    page = site / "acknowledged-before-sync.html"
    for role, pixels in drawn_in(page, ("follower", "candidate", "leader"), tmp_path):
        assert pixels > 300, f"the browser drew {pixels} pixels in the colour of a {role}"
