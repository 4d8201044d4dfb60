"""The vector suite: what it holds, and that it is checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from model_check.cli import run
from model_check.conformance.protocol import ProtocolError
from model_check.mutants import MUTANTS
from model_check.raft import Bounds
from model_check.strategies import configs, situations
from model_check.vectors import format as vectors
from model_check.vectors.bugs import BUGS, remembers
from model_check.vectors.check import wrong_cases
from model_check.vectors.reading import NoSuite, Written, read_suite, read_traces
from model_check.vectors.suite import Suite, make_suite
from model_check.vectors.values import EventPart, NodeStatePart, OutputPart
from raft_ref import step
from raft_ref.codec import decode_event, decode_state, encode
from spec.rules import RULES

SMALL = Bounds(servers=2, max_term=1, values=1, restarts=True)
OPTIONS = ["--servers", "2", "--max-term", "1"]


@pytest.fixture(scope="module")
def suite() -> Suite:
    return make_suite(SMALL)


@pytest.fixture(scope="module")
def written(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("vectors")
    for name, text in suite.texts.items():
        (directory / name).write_bytes(text)
    return directory


@pytest.fixture
def copied(suite: Suite, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite to spoil; what would be written in its place is made once for all tests."""
    monkeypatch.setattr("model_check.vectors.check.make_suite", lambda *_: suite)
    return Path(shutil.copytree(written, tmp_path / "copied"))


# --- what it holds ---------------------------------------------------------------------------


def test_the_published_schema_is_that_of_the_types() -> None:
    text = files("spec").joinpath("schemas/vectors.schema.json").read_text("utf-8")
    assert text == json.dumps(vectors.schema(), indent=2) + "\n"


def test_files_keep_to_the_schema_and_are_read_as_written(suite: Suite) -> None:
    validator = Draft202012Validator(vectors.schema())
    for file in suite.files.values():
        text = vectors.text_of(file)
        assert validator.is_valid(json.loads(text))
        assert vectors.parse_file(text) == file


def test_there_is_one_case_a_line(suite: Suite) -> None:
    for name, file in suite.files.items():
        lines = suite.texts[name].decode().splitlines()
        assert [line[7 : 7 + len(file.cases[0].id)] for line in lines if line[:6] == '{"id":'] == [
            case.id for case in file.cases
        ]


def test_ids_are_unique_and_made_of_what_is_asked(suite: Suite) -> None:
    for file in suite.files.values():
        ids = [case.id for case in file.cases]
        assert len(set(ids)) == len(ids) == file.counts.cases
        assert ids == [vectors.id_of(case) for case in file.cases]


def test_cases_keep_their_ids_when_others_come(suite: Suite) -> None:
    fewer = make_suite(Bounds(servers=2, max_term=1, values=1)).steps
    covering = {case.id for case in fewer.cases[: fewer.counts.covering]}
    assert covering
    assert covering < {case.id for case in suite.steps.cases}


def test_every_rule_is_exercised_and_every_bug_shows(suite: Suite) -> None:
    at_once = {name for name, bug in BUGS.items() if not remembers(bug)}
    assert {name for name, count in suite.steps.counts.flags.items() if count} == at_once
    assert all(suite.traces.counts.flags.values())
    assert set(suite.traces.counts.flags) == {m.id for m in MUTANTS.values() if m.kind == "bug"}
    for file in suite.files.values():
        assert list(file.counts.rules) == [rule.id for rule in RULES]
        assert all(file.counts.rules.values())


def test_the_page_links_to_nothing_but_what_stands_beside_it(suite: Suite) -> None:
    page = suite.texts["README.md"].decode()
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert {link for link in links if not link.startswith("https:")} == {"vectors.schema.json"}
    assert set(suite.texts) == {"step.json", "trace.json", "vectors.schema.json", "README.md"}


def test_the_page_names_the_bugs_that_no_step_betrays(suite: Suite) -> None:
    page = suite.texts["README.md"].decode()
    part = page.partition("## What a step case cannot tell")[2]
    assert {name for name in MUTANTS if f"`{name}`" in part} == {
        name for name, bug in BUGS.items() if remembers(bug)
    }


def test_a_forbidden_answer_is_not_the_cores_and_breaks_a_rule(suite: Suite) -> None:
    forbidden = [(case, each) for case in suite.steps.cases for each in case.forbidden]
    assert len(forbidden) > 100
    for case, each in forbidden:
        assert (each.post, each.outputs) != (case.post, case.outputs)
        assert each.breaks
        assert set(each.flags) <= set(case.flags)


def test_what_a_forgotten_vote_is_forbidden_for(suite: Suite) -> None:
    broken = {
        rule
        for case in suite.steps.cases
        for each in case.forbidden
        if each.flags == ["vote-not-persisted"]
        for rule in each.breaks
    }
    assert broken == {"RESTART-VOTE"}


def test_a_step_is_where_the_trace_that_it_names_takes_it(suite: Suite) -> None:
    traces = {case.id: case for case in suite.traces.cases}
    for case in suite.steps.cases:
        trace = traces[case.taken_in.trace]
        action = trace.actions[case.taken_in.action]
        before = [
            each.post
            for each in trace.actions[: case.taken_in.action]
            if each.node == case.config.id
        ]
        assert [trace.initial[action.node - 1], *before][-1] == case.pre
        assert (action.node, action.event) == (case.config.id, case.event)
        assert (action.post, action.outputs) == (case.post, case.outputs)


def test_every_message_that_arrives_was_sent_where_the_trace_says(suite: Suite) -> None:
    arrived = 0
    for trace in suite.traces.cases:
        for number, action in enumerate(trace.actions):
            data: Any = vectors.data_of(action.event)
            assert (action.sent_in is not None) == (data["type"] == "Receive")
            if action.sent_in is not None:
                assert action.sent_in.action < number
                sent: Any = vectors.data_of(
                    trace.actions[action.sent_in.action].outputs[action.sent_in.output]
                )
                assert sent == {"type": "Send", "message": data["message"]}
                arrived += 1
    assert arrived > 100


@given(st.data())
def test_the_types_hold_whatever_the_codec_writes(data: st.DataObject) -> None:
    config = data.draw(configs(min_servers=2).filter(lambda each: min(each.servers) > 0))
    state, event = data.draw(situations(config))
    transition = step(config, state, event)
    pre = vectors.part_of(encode(state), NodeStatePart)
    assert decode_state(vectors.data_of(pre)) == state
    happened: EventPart = vectors.part_of(encode(event), EventPart)  # type: ignore[arg-type] # a union
    assert decode_event(vectors.data_of(happened)) == event
    outputs = vectors.part_of([encode(each) for each in transition.outputs], list[OutputPart])
    assert vectors.data_of(outputs) == [encode(each) for each in transition.outputs]


# --- the same bytes, whoever writes it -------------------------------------------------------


def digests(directory: Path, seed: str, *options: str) -> dict[str, str]:
    command = [sys.executable, "-m", "model_check", "vectors", "--out", str(directory), *options]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 - ours
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()
    }


@pytest.mark.slow
def test_whatever_the_hash_seed_the_bytes_are_the_same(written: Path, tmp_path: Path) -> None:
    ours = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in written.iterdir()}
    assert digests(tmp_path / "1", "1", *OPTIONS) == ours
    assert digests(tmp_path / "2", "2", *OPTIONS) == ours


@pytest.mark.slow
def test_the_whole_suite_is_the_same_for_every_hash_seed_and_as_large_as_the_page_says(
    tmp_path: Path,
) -> None:
    assert digests(tmp_path / "1", "1") == digests(tmp_path / "2", "2")
    page = (tmp_path / "1" / "README.md").read_text("utf-8")
    for name in ("step.json", "trace.json"):
        counts = json.loads((tmp_path / "1" / name).read_bytes())["counts"]
        assert f"{counts['cases']:,}" in page
        assert f"{counts['covering']:,}" in page


def valid(report: object) -> bool:
    schema = files("spec").joinpath("schemas/vectors_report.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(schema)).is_valid(report)


def test_the_command_says_what_it_has_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    some = ["--out", str(tmp_path / "vectors"), *OPTIONS, "--max-log", "0", "--json", str(report)]
    assert run(["vectors", *some]) == 0
    assert capsys.readouterr().out.startswith(f"written: a suite of vectors, in {tmp_path}/vectors")
    said = json.loads(report.read_text("utf-8"))
    assert valid(said)
    assert (said["verdict"], said["bounds"]["max_log"]) == ("written", 0)
    for name, file in said["files"].items():
        text = (tmp_path / "vectors" / name).read_bytes()
        assert (file["bytes"], file["cases"]) == (len(text), len(json.loads(text)["cases"]))


# --- the check -------------------------------------------------------------------------------


def test_a_suite_as_it_was_written_holds(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["vectors", "--check", str(written), "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert valid(report)
    assert (report["verdict"], report["problems"]) == ("holds", [])


def tamper(directory: Path, name: str, change: Callable[[Any], None]) -> str:
    """Change something in a file; the id of its fifth case."""
    data = json.loads((directory / name).read_bytes())
    case_id: str = data["cases"][5]["id"]
    change(data)
    (directory / name).write_text(json.dumps(data), "utf-8")
    return case_id


def put(*path: str | int, value: object) -> Callable[[Any], None]:
    """A change that puts ``value`` there."""

    def change(data: Any) -> None:
        *way, last = path
        for each in way:
            data = data[each]
        data[last] = value

    return change


CASE = ("cases", 5)
APPEND = {"type": "Appended", "index": 9, "term": 9}


@pytest.mark.parametrize("name", ["step.json", "trace.json"])
@pytest.mark.parametrize(
    ("way", "value", "complaint"),
    [
        (("post", "commit_index"), 7, "post: the core says"),
        (("outputs",), [APPEND], "outputs: the core says"),
    ],
)
def test_an_answer_that_is_not_the_cores_is_told_by_its_case(
    name: str,
    way: tuple[str, ...],
    value: object,
    complaint: str,
    copied: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = CASE if name == "step.json" else (*CASE, "actions", 0)
    case_id = tamper(copied, name, put(*where, *way, value=value))
    assert run(["vectors", "--check", str(copied)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("differs: 1 things are not as they should be")
    assert f"{name}: {case_id}: " in out
    assert complaint in out


@pytest.mark.parametrize("name", ["step.json", "trace.json"])
@pytest.mark.parametrize(
    ("way", "value", "complaint"),
    [
        ((*CASE, "id"), "step-x", "step-x: what it asks has the id {id}"),
        ((*CASE, "flags"), ["nobody"], "{id}: flags is not what this version would write"),
        ((*CASE, "rules"), [], "{id}: rules is not what this version would write"),
        (("counts", "cases"), 3, "counts is not what this version would write"),
        (("generator", "version"), "0", "generator is not what this version would write"),
    ],
)
def test_what_else_differs_is_told(
    name: str,
    way: tuple[str | int, ...],
    value: object,
    complaint: str,
    copied: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case_id = tamper(copied, name, put(*way, value=value))
    assert run(["vectors", "--check", str(copied)]) == 1
    assert f"{name}: {complaint.format(id=case_id)}" in capsys.readouterr().out


def test_a_case_that_is_missing_or_there_twice_is_told(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case_id = tamper(copied, "step.json", lambda data: data["cases"].pop(5))
    assert run(["vectors", "--check", str(copied)]) == 1
    assert f"step.json: {case_id}: it is missing" in capsys.readouterr().out
    tamper(copied, "step.json", lambda data: data["cases"].append(data["cases"][0]))
    assert run(["vectors", "--check", str(copied)]) == 1
    assert "there are 2 cases of this id" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["step.json", "vectors.schema.json", "README.md"])
def test_other_bytes_are_told(name: str, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (copied / name).open("a") as file:
        file.write("\n")
    assert run(["vectors", "--check", str(copied)]) == 1
    assert f"{name}: these are not the bytes that it should have" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        *("vote-not-persisted", "quorum-is-half", "prev-log-term-not-checked"),
        *("commit-old-term-by-counting", "follower-commit-falls", "lower-term-adopted"),
    ],
)
def test_a_core_with_a_bug_fails_the_cases_that_have_its_flag(name: str, suite: Suite) -> None:
    written = Written({"step.json": suite.steps, "trace.json": suite.traces}, {})
    with BUGS[name].in_force():
        wrong = {problem.case for problem in wrong_cases(written)}
    cases: list[vectors.Case] = [*suite.steps.cases, *suite.traces.cases]
    assert wrong == {case.id for case in cases if name in case.flags}


@pytest.mark.parametrize(
    ("way", "value", "complaint"),
    [
        ((*CASE, "event"), {"type": "Nothing"}, "$.cases[5].event"),
        ((*CASE, "post", "commit_index"), -1, "$.cases[5].post.commit_index"),
        ((*CASE, "more"), 1, "unknown field `more`"),
        (("schema_version",), 2, "$.schema_version"),
        (("kind",), "trace", "step.json: "),
        (("bounds", "servers"), 0, "$.bounds.servers"),
    ],
)
def test_what_is_no_suite_is_malformed(
    way: tuple[str | int, ...],
    value: object,
    complaint: str,
    copied: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tamper(copied, "step.json", put(*way, value=value))
    assert run(["vectors", "--check", str(copied)]) == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_traces_in_the_place_of_steps_are_malformed(copied: Path) -> None:
    shutil.copy(copied / "trace.json", copied / "step.json")
    with pytest.raises(NoSuite, match=r"step.json: \$.kind: not that of this file"):
        read_suite(copied)


def test_a_state_that_the_core_cannot_be_in_is_told(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(data: Any) -> None:
        leader = {"type": "Leader", "next_index": {}, "match_index": {}}
        data["cases"][5]["pre"]["role"] = leader
        data["cases"][5]["event"] = {"type": "HeartbeatTimeout"}

    case_id = tamper(copied, "step.json", change)
    assert run(["vectors", "--check", str(copied)]) == 1
    assert f"step.json: {case_id}: the core fails on it: KeyError" in capsys.readouterr().out


@pytest.mark.slow
@given(st.binary() | st.text().map(str.encode))
def test_garbage_is_no_suite(written: Path, text: bytes) -> None:
    def spoilt(name: str) -> Path:
        path = written.with_name(f"{written.name}-garbage-{name}")
        if not path.exists():
            shutil.copytree(written, path)
        (path / name).write_bytes(text)
        return path

    for name in ("step.json", "trace.json"):
        with pytest.raises(NoSuite):
            read_suite(spoilt(name))
    with pytest.raises(NoSuite):
        list(read_traces(spoilt("trace.json")))


SOMEWHERE = [
    *[(), ("bounds",), ("counts",), ("cases",), ("flags",), ("cases", 0), ("cases", 0, "config")],
    *[("cases", 0, "pre", "role"), ("cases", 0, "event", "message", "term"), ("cases", 0, "id")],
    *[("cases", 0, "pre", "persistent", "log"), ("cases", 0, "post", "last_applied")],
    *[("cases", 0, "configs", 0, "servers"), ("cases", 0, "initial"), ("cases", 0, "actions", 0)],
    *[("cases", 0, "actions", 0, "node"), ("cases", 0, "actions", 0, "event")],
]
ROLES = [{"type": "Leader", "next_index": {}, "match_index": {}}, {"type": "Follower", "leader": 9}]
SIMPLE = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3)
ANYTHING = st.sampled_from([*ROLES, {"type": "Restart"}, [1, 1], [2, 1], 2**53 - 1]) | st.recursive(
    SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


@given(
    name=st.sampled_from(["step.json", "trace.json"]),
    way=st.sampled_from(SOMEWHERE),
    value=ANYTHING,
    data=st.data(),
)
def test_whatever_stands_somewhere_is_told_or_harmless(
    name: str, way: tuple[str | int, ...], value: object, data: st.DataObject, suite: Suite
) -> None:
    file = suite.files[name]
    cases: list[vectors.Case] = [*file.cases]
    case = data.draw(st.sampled_from(cases))
    whole: dict[str, Any] = {"file": vectors.data_of(msgspec.structs.replace(file, cases=[case]))}
    try:
        put("file", *way, value=value)(whole)
        changed = vectors.parse_file(json.dumps(whole["file"]).encode())
    except (KeyError, IndexError, TypeError, ProtocolError):
        return  # this case has no such place, or no such thing may stand there
    problems = list(wrong_cases(Written({name: changed}, {})))
    assert all(problem.file == name for problem in problems)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give --out DIR to write a suite, or --check DIR"),
        (["--out", "x", "--check", "x"], "give --out DIR to write a suite, or --check DIR"),
        (["--check", "x", "--values", "2"], "--values does not go with --check"),
        (["--check", "nowhere"], "nowhere holds no suite: cannot read nowhere"),
        (["--out", "/proc/nowhere"], "cannot write /proc/nowhere"),
        (["--out", "x", "--servers", "0"], "0 is not in the range"),
    ],
)
def test_what_does_not_work_is_said(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["vectors", *arguments]) == 2
    assert complaint in capsys.readouterr().err
