"""The page of ``raft-ref conform --html``: what it says of whom, and that it needs nothing else."""

from __future__ import annotations

import base64
import json
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from model_check.cli import run
from model_check.study.judgement import write_judgement
from spec.rules import RULES, RULES_BY_ID
from tests.browser import drawn_in
from tests.page import Page

HERE = Path(__file__).parent
TOY = (sys.executable, str(HERE / "peers/toy/adapter.py"))
MISBEHAVING = (sys.executable, str(HERE / "misbehaving.py"))

PLAYED = ("--schedules", "mutants", "--workers", "1")
EXPLORED = ("--explore", "--eager", "--max-log", "0")
TWO_TERMS = ("--explore", "--eager", "--values", "1", "--max-term", "2", "--no-heartbeats")
RESTARTS = (*EXPLORED, "--restarts", "--max-restarts", "1")


class Judgement(NamedTuple):
    """The files that came of a command."""

    code: int
    path: Path
    schedule: Path
    report: dict[str, object]

    @property
    def page(self) -> Page:
        """Its page, which needs nothing."""
        page = Page(self.path)
        page.assert_needs_nothing()
        assert not re.search("url[(](?!#)", self.path.read_text("utf-8"))
        return page


def judge(directory: Path, *arguments: str, adapter: tuple[str, ...] = TOY) -> Judgement:
    page, report, schedule = (
        directory / name for name in ("page.html", "report.json", "kept.json")
    )
    saved = [] if "--replay" in arguments else ["--save-schedule", str(schedule)]
    outlets = ["--html", str(page), "--json", str(report), *saved]
    code = run(["conform", *arguments, *outlets, "--", *adapter])
    return Judgement(code, page, schedule, json.loads(report.read_text()))


def changed_toy(directory: Path, *changes: tuple[str, str]) -> tuple[str, ...]:
    """The toy with some of its text replaced."""
    text = Path(TOY[1]).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = directory / "adapter.py"
    path.write_text(text)
    return sys.executable, str(path)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Judgement:
    directory = tmp_path_factory.mktemp("played")
    return judge(directory, *PLAYED, "--option", "bug=ignores-logs")


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Judgement:
    directory = tmp_path_factory.mktemp("explored")
    return judge(directory, *TWO_TERMS, "--option", "bug=ignores-logs")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, played: Judgement) -> Judgement:
    directory = tmp_path_factory.mktemp("replayed")
    return judge(directory, "--replay", str(played.schedule))


# --- what it says --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (PLAYED, ["70 mutants", "No run that was played violates anything", "3, replayable"]),
        (EXPLORED, ["Everything within the bounds was explored", "3 servers, terms to 1"]),
    ],
    ids=["played", "explored"],
)
def test_the_page_of_who_conforms(
    tmp_path: Path, arguments: tuple[str, ...], says: list[str]
) -> None:
    judgement = judge(tmp_path, *arguments)
    page = judgement.page
    assert (judgement.code, judgement.report["verdict"]) == (0, "conforms")
    assert "toy: conforms" in page.words
    assert all(
        text in page.words for text in (*says, shlex.join(TOY), f"all {len(RULES)}", "LogMatching")
    )
    assert page.having("h1", "alarm") == page.having("rect", "alarming") == 0
    assert "To do it again" not in page.text
    assert "Not judged" not in page.text


@pytest.mark.parametrize("how", ["played", "explored", "replayed"])
def test_a_finding_with_its_run_and_its_diagnosis(how: str, request: pytest.FixtureRequest) -> None:
    judgement: Judgement = request.getfixturevalue(how)
    page, report = judgement.page, judgement.report
    findings = report.get("findings", [report.get("finding")])
    assert isinstance(findings, list)
    finding, actions = findings[0], [action for each in findings for action in each["actions"]]
    breach = finding["first_breach"]
    assert judgement.code == 1
    assert "toy: violates" in page.words
    assert "bug=ignores-logs" in page.words
    assert f"LeaderCompleteness is violated: {finding['explanation']}." in page.words
    assert "will be present in the logs of the leaders for all higher-numbered terms" in page.words
    rule = RULES_BY_ID["VOTE-UP-TO-DATE"]
    assert (breach["rule"], breach["conjunct"]) == (rule.id, "the candidate's last entry")
    assert f"{rule.statement} ({rule.citation})" in page.words
    broken = f"was {rule.id}, by S{breach['node']} in action {breach['action']}."
    seen = f"expected {breach['expected']} observed {breach['seen']}"
    assert all(text in page.words for text in (broken, seen))
    deliveries = [each for each in actions if each["action"] == "deliver"]
    assert page.having("line", "arrow") == len(deliveries) > 3
    assert len([tag for tag, _ in page.tags if tag == "rect"]) == len(actions)


def test_the_step_and_the_message_that_break_the_rule_are_marked(explored: Judgement) -> None:
    page = explored.page
    assert page.having("rect", "alarming") == page.having("tr", "alarming") == 2
    assert page.having("line", "alarming") == 2
    assert page.text.count("breaks VOTE-UP-TO-DATE") == 2  # in the diagram, and in the table
    assert page.text.count("violates LeaderCompleteness") == 2


def test_what_each_server_did_and_showed_at_the_end(explored: Judgement) -> None:
    words = explored.page.words
    assert "a client asks S" in words
    assert "leader, term 1, voted for S" in words
    end = words[words.index("What each server showed at the end") :]
    assert re.search(r"S1 \w+ \d S\d \[.*?\] \d S2 \w+ \d (S\d|none) \[.*?\] \d S3 ", end)


def test_several_findings_are_listed_and_linked(tmp_path: Path) -> None:
    judgement = judge(tmp_path, *PLAYED, "--option", "bug=truncates")
    findings = judgement.report["findings"]
    assert isinstance(findings, list)
    assert [each["property"] for each in findings] == [
        "LeaderCompleteness",
        "FOLLOWER-SPLICE-CONFLICT",
    ]
    page = judgement.page
    assert {"#finding-1", "#finding-2"} <= set(page.values("href"))
    assert page.values("download") == ["schedule-1.json", "schedule-2.json"]
    assert "FOLLOWER-SPLICE-CONFLICT is violated" not in page.words, "it is the diagnosis"


# --- how to do it again --------------------------------------------------------------------------


def test_what_to_do_again_does_it_again(
    played: Judgement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = played.page
    link = next(each for each in page.values("href") if each.startswith("data:"))
    schedule = base64.b64decode(link.partition("base64,")[2])
    assert schedule == played.schedule.read_bytes()
    assert schedule.decode() in page.text
    command = re.findall("^raft-ref conform --replay .*$", page.text, re.MULTILINE)[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / page.values("download")[0]).write_bytes(schedule)
    assert run(shlex.split(command)[1:]) == 1


def test_what_no_schedule_says_the_command_does(tmp_path: Path) -> None:
    chosen = ["--property", "LogMatching", "--no-rules", "--profile", "etcd"]
    judgement = judge(
        tmp_path, *RESTARTS, *chosen, "--step-timeout", "7.5", "--option", "bug=forgets-vote"
    )
    assert judgement.report["verdict"] == "failed-step"
    words = [*chosen, "--step-timeout", "7.5", "--", *TOY]
    page = judgement.page
    assert f"conform --replay schedule-1.json {shlex.join(words)}" in page.words
    assert "toy: failed-step" in page.words
    assert "The first rule to be broken" not in page.text
    assert "RuntimeError" in page.text


def test_a_run_that_does_not_lead_there_any_more(tmp_path: Path) -> None:
    mended = ["--option", "bug=crashes"]
    kept = judge(tmp_path, *EXPLORED, "--option", "bug=votes-twice").schedule
    judgement = judge(tmp_path, "--replay", str(kept), *mended)
    assert (judgement.code, judgement.report["verdict"]) == (0, "not_reproduced")
    words = judgement.page.words
    assert "toy: not reproduced" in words
    assert "actions, and nothing is violated" in words


# --- whoever is judged ---------------------------------------------------------------------------


def test_what_an_adapter_says_is_text_and_nothing_else(tmp_path: Path) -> None:
    name, kind, argument = "<script>alert(1)</script>", "<b>Ballot</b>", "<img src='x'>"
    adapter = changed_toy(
        tmp_path, ('"name": "toy"', f'"name": "{name}"'), ("RequestVoteReply", kind)
    )
    some = [*EXPLORED, "--no-rules", "--property", "ElectionSafety"]
    judgement = judge(tmp_path, *some, "--option", "bug=votes-twice", adapter=(*adapter, argument))
    assert judgement.report["verdict"] == "violates"
    page = judgement.page
    assert not {"script", "b", "img"} & {tag for tag, _ in page.tags}
    assert f"{name}: violates" in page.words
    assert f"{kind}(term=1, vote_granted=true)" in page.words
    assert shlex.quote(argument) in page.text
    assert page.having("line", "arrow") == 4, "messages that nobody understands arrive, too"


def test_what_is_not_shown_is_not_made_up(tmp_path: Path) -> None:
    adapter = changed_toy(
        tmp_path,
        ('"unobservable": []', '"unobservable": ["role", "voted_for"]'),
        ('"voted_for": server.vote, "role": server.role,', ""),
        ('disk.get("term", 0), disk', "0, disk"),
    )
    judgement = judge(tmp_path, *PLAYED, adapter=adapter)
    page = judgement.page
    assert judgement.code == 1
    assert "Not judged" in page.text
    assert "VoteOncePerTerm, VOTE-ONCE" in page.words
    assert "voted_for cannot be observed" in page.words
    assert page.text.count("not shown") == 1 + 2 * 3
    assert "Roles are not shown." in page.words
    assert "voted for" not in page.text
    assert "follower" not in page.text.replace("follower_commit", "")  # a milestone


def test_an_adapter_at_fault_has_a_page_whatever_it_is_called(tmp_path: Path) -> None:
    judgement = judge(tmp_path, *PLAYED, adapter=(*MISBEHAVING, "not-json", "\udcff"))
    assert judgement.code == 3
    words = judgement.page.words
    assert "the adapter: adapter-failed" in words
    assert str(judgement.report["reason"]) in words
    assert "\\udcff" in words


# --- where it goes -------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [["--explore"], ["--replay", "x"], []])
def test_a_page_that_cannot_be_written_is_said_before_the_work(
    task: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["conform", *task, "--html", "/proc/nowhere", "--", "/no/such/adapter"]) == 2
    assert "cannot write /proc/nowhere" in capsys.readouterr().err


def test_a_page_that_can_be_written_no_more_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"{write_judgement.__module__}.write_judgement", fail)
    page = tmp_path / "page.html"
    assert run(["conform", *PLAYED, "--html", str(page), "--", *MISBEHAVING, "not-json"]) == 2
    assert f"cannot write {page}: No space left" in capsys.readouterr().err


@pytest.mark.browser
def test_a_browser_without_network_draws_the_run_and_where_it_broke(
    explored: Judgement, tmp_path: Path
) -> None:
    colours = ("follower", "candidate", "leader", "alarm")
    for name, pixels in drawn_in(explored.path, colours, tmp_path):
        assert pixels > 300, f"the browser drew {pixels} pixels in the colour {name}"
