"""Who has a vote, and whom one may send to or hear from, are two things: learners, witnesses,
servers that join or were removed are addressed, judged, and never counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model_check.cli import run
from model_check.traces import etcd, own
from model_check.traces.happening import Place, TraceError
from model_check.traces.judge import judge_trace
from model_check.traces.record import recorded
from model_check.traces.verdict import TraceVerdict
from raft_ref import NodeState
from spec.profiles import ETCD
from tests.recorded import placed, random_run
from tests.test_trace_command import report_on
from tests.trace_lines import Json, changed, encoded, verdict_on

CASES = Path(__file__).parent / "traces/cases"
SEEDS = range(6)


def case(name: str) -> list[bytes]:
    (path,) = CASES.glob(f"{name}*.ndjson")
    return path.read_bytes().splitlines(keepends=True)


def with_head(lines: list[bytes], **head: object) -> list[bytes]:
    return [json.dumps(json.loads(lines[0]) | head).encode() + b"\n", *lines[1:]]


def listed(lines: list[bytes]) -> list[bytes]:
    """``lines`` in which d is a learner."""
    return with_head(lines, servers=["a", "b", "c"], learners=["d"])


# --- cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "code", "verdict", "unlisted"),
    [
        ("c10_message_to_unlisted_learner", [], 0, "conforms", {"4": "d"}),
        ("c11_learner_listed", [], 1, "violates", {}),
        ("c26_leader_pings_removed", [], 0, "conforms", {"4": "d"}),
        ("etcd_learner_min", ["--format", "etcd"], 0, "conforms", {"3": "3"}),
        ("etcd_no_learner_min", ["--format", "etcd"], 0, "conforms", {}),
    ],
)
def test_cases(
    name: str,
    arguments: list[str],
    code: int,
    verdict: str,
    unlisted: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, report = report_on(capsys, *arguments, str(CASES / f"{name}.ndjson"))
    assert (found, report["verdict"]) == (code, verdict)
    assert report["unlisted"] == unlisted
    if verdict == "violates":
        assert report["offence"]["rule"] == "ELECT-QUORUM"
    else:
        assert report["steps_allowed"] == report["steps"]


def test_a_learner_that_the_first_line_names_is_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.ndjson"
    path.write_bytes(b"".join(listed(case("c11"))))
    assert run(["trace", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "conforms: Raft allows every step, and nothing is violated",
        "  servers      S1 is a, S2 is b, S3 is c",
        "  learners     S4 is d (no vote)",
        "  allowed      12 of 12 steps, up to line 20",
        "  profile      paper",
    ]


def test_an_unlisted_address_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", str(CASES / "c10_message_to_unlisted_learner.ndjson")]) == 0
    assert "  unlisted     S4 is d (no vote: not among the servers)" in capsys.readouterr().out


# --- what is legal is allowed --------------------------------------------------------------------


def of_four(steps: int, seed: int, learners: tuple[int, ...] = (4,)) -> list[bytes]:
    """Four servers, of which the fourth is called a learner. A majority of four holds one of the
    other three, so whatever four do in which the fourth does not stand is right for three."""
    states = (NodeState(),) * 4
    lines = list(recorded(states, random_run(4, steps, seed, learners=learners)))
    return with_head(lines, servers=[1, 2, 3], learners=[4])


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_done_with_a_learner_conforms(seed: int) -> None:
    found = verdict_on(of_four(300, seed))
    assert found.verdict == "conforms"
    assert found.matched == 304


@pytest.mark.parametrize("seed", SEEDS)
def test_so_it_does_if_only_the_others_tell_of_it(seed: int) -> None:
    def of_voters(_: int, line: Json) -> Json | None:
        return None if line["server"] == 4 else line

    lines = with_head(changed(of_four(300, seed), of_voters), learners=[])
    found = verdict_on(lines)
    assert found.verdict == "conforms"
    assert found.trace.unlisted == {4}


def test_less_of_a_learner_is_no_fault() -> None:
    def without_state(_: int, line: Json) -> Json:
        if line["server"] == 4 and line["event"] != "start":
            line.pop("state", None)
        return line

    for seed in SEEDS:
        assert verdict_on(changed(of_four(150, seed), without_state)).verdict == "conforms"


def test_a_vote_for_a_server_without_one_is_no_fault() -> None:
    """A server gives its vote without asking whether the candidate is in its configuration (§6)."""
    lines = case("c26")
    voted = json.loads(lines[-1])
    voted["state"]["voted_for"] = "d"
    grant = {"from": "a", "to": "d", "kind": "RequestVoteReply"}
    grant["fields"] = {"term": 9, "vote_granted": True}  # type: ignore[assignment] # JSON
    sent = {"event": "send", "server": "a", "message": grant}
    assert verdict_on([*lines[:-1], *encoded([voted, sent])]).verdict == "conforms"


def test_a_learner_may_vote() -> None:
    """It may have been promoted without knowing it (etcd lets it for that reason)."""
    found = verdict_on(of_four(300, 0))
    votes = [each.seen.voted_for for each in found.trace.happenings if each.server == 4]
    assert {1, 2, 3} & set(votes)
    assert found.verdict == "conforms"


# --- what is not, is seen ------------------------------------------------------------------------


def offence(lines: list[bytes]) -> tuple[str, int]:
    found = verdict_on(lines).offence
    assert found is not None
    return found.name, found.happening.place.number


def test_a_learner_does_not_stand_for_election() -> None:
    for seed in SEEDS:
        name, number = offence(lines := of_four(300, seed, learners=()))
        assert name == "VOTE-SELF"
        line = json.loads(lines[number - 1])
        assert (line["server"], line["event"]) == (4, "election_timeout")


def test_the_vote_of_a_learner_does_not_elect() -> None:
    lines = listed(case("c11"))
    from_d = [line.replace(b'"b"', b'"d"') for line in lines[5:11]]
    name, number = offence([lines[0], *lines[1:5], *from_d])
    assert (name, number) == ("ELECT-QUORUM", 11)
    unlisted = with_head([lines[0], *lines[1:4], *from_d], learners=[])
    unlisted = [line for line in unlisted if json.loads(line).get("server") != "d"]
    assert offence(unlisted)[0] == "ELECT-QUORUM"
    explanation = verdict_on(unlisted).offence
    assert explanation is not None
    assert "expected a majority of S1, S2, S3, observed S1 (S4 not counted" in str(explanation)


def test_the_acknowledgement_of_a_learner_does_not_commit() -> None:
    lines = listed(case("c11"))
    committed = json.loads(lines[-2])
    assert committed["message"]["from"] == "d"
    committed["state"]["commit_index"] = 1
    assert offence([*lines[:-2], *encoded([committed])]) == ("COMMIT-QUORUM", len(lines) - 1)


def test_a_message_of_an_unknown_kind_excuses_nothing_if_its_sender_has_no_vote() -> None:
    """From S2, it might be a vote, and nobody could tell."""
    lines = case("c11")[:5]
    hint: Json = {"to": "a", "kind": "Hint", "fields": {}}
    for source, expected in (("b", "inconclusive"), ("d", "violates")):
        arrival: Json = {"event": "receive", "server": "a", "message": {"from": source} | hint}
        elected: Json = {"event": "heartbeat_timeout", "server": "a", "state": {"role": "leader"}}
        told = [
            *with_head(lines, servers=["a", "b", "c"], learners=["d"]),
            *encoded([arrival, elected]),
        ]
        unheard = with_head(told, unobserved=["sends"])
        assert verdict_on(unheard).verdict == expected


def test_a_message_in_the_name_of_another_is_none_of_its_own() -> None:
    lines = case("c10")
    sent = json.loads(lines[-1])
    sent["message"]["from"] = "d"
    with pytest.raises(TraceError, match="server 'a' sends a message from 'd' to 'd'"):
        own.read(placed([*lines[:-1], *encoded([sent])]))


def test_what_a_message_to_an_address_says_is_judged() -> None:
    lines = case("c10")
    sent = json.loads(lines[-1])
    sent["message"]["fields"]["leader_commit"] = 1
    assert offence([*lines[:-1], *encoded([sent])])[0] == "APPEND-COMMIT"


# --- where nobody can tell -----------------------------------------------------------------------


def led_by(source: str, term: int) -> list[Json]:
    fields: Json = {"term": term, "prev_log_index": 0, "prev_log_term": 0}
    message: Json = {"from": source, "to": "b", "kind": "AppendEntries"}
    message["fields"] = fields | {"entries": [], "leader_commit": 0}
    return [{"event": "receive", "server": "b", "message": message}]


@pytest.mark.parametrize("head", [{}, {"learners": ["d"]}], ids=["unlisted", "learner"])
@pytest.mark.parametrize("term", [1, 5])
def test_a_leader_without_a_vote_is_a_change_of_membership(head: Json, term: int) -> None:
    """To follow it may be right (§6); but the servers are not those that the first line names."""
    lines = with_head(case("c10"), **head)
    found = verdict_on([*lines, *encoded(led_by("d", term))])
    assert found.verdict == "inconclusive"
    assert found.doubt is not None
    assert found.doubt.happening.place.number == len(lines) + 1
    assert found.doubt.reason == (
        f"S4, which has no vote, leads term {term}; the rules do not cover membership changes"
    )


def test_one_of_an_earlier_term_is_none() -> None:
    lines = [line.replace(b'term": 1', b'term": 2') for line in case("c10")]
    assert verdict_on([*lines, *encoded(led_by("d", 1))]).verdict == "conforms"


# --- how it is written ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda lines: with_head(lines, learners=["a"]),
            "line 1: server a is named twice among the servers and learners",
        ),
        (
            lambda lines: with_head(lines, servers=["a", "b", "c", 1], learners=["1"]),
            "line 1: server 1 is named twice among the servers and learners",
        ),
        (
            lambda lines: with_head(lines, servers=["a", "b"]),
            "line 4: no server 'c' among those of the first line: 'a', 'b'; a server without a "
            'vote is named there among the "learners"',
        ),
        (
            lambda lines: [
                *lines,
                lines[-1].replace(b'"d"', b"4"),
                lines[-1].replace(b'"d"', b'"4"'),
            ],
            "line 14: '4' is written 4 before; write it one way",
        ),
    ],
)
def test_what_is_wrong_with_names_is_said(
    change: Callable[[list[bytes]], list[bytes]], complaint: str
) -> None:
    with pytest.raises(TraceError) as raised:
        own.read(placed(change(case("c10"))))
    assert complaint in str(raised.value)


def test_files_agree_on_who_is_a_learner() -> None:
    lines = [
        (Place(number, file), line)
        for file, content in (("x", case("c11")), ("y", listed(case("c11"))))
        for number, line in enumerate(content, start=1)
    ]
    with pytest.raises(TraceError, match="another first line"):
        own.read(lines)


# --- as etcd writes it ---------------------------------------------------------------------------


def of_learner(name: str, *, term: int, **changes: object) -> Json:
    """A line of server 3, which etcd tells of the voters 1 and 2."""
    event: Json = {"name": name, "nid": "3", "role": "StateFollower", "log": 1}
    event |= {"state": {"term": term, "vote": "0", "commit": 1}, "conf": [["1", "2"], []]}
    return {"event": event | changes}


def etcd_lines() -> list[bytes]:
    """The trace in which a leader sends an entry to a learner, and the lines of that."""
    lines = case("etcd_learner_min")
    request = json.loads(lines[-1])["event"]["msg"]
    reply = request | {"type": "MsgAppResp", "from": "3", "to": "1", "entries": 0, "index": 2}
    reply |= {"logTerm": 0, "commit": 0}
    confirmed = json.loads(lines[-1])
    confirmed["event"] |= {"name": "ReceiveAppendEntriesResponse", "msg": reply}
    starts = [of_learner(name, term=1) for name in ("InitState", "BecomeFollower")]
    return [
        *encoded(starts),
        *lines,
        *encoded(
            [
                of_learner("ReceiveAppendEntriesRequest", term=1, msg=request),
                of_learner("BecomeFollower", term=2),
                of_learner("SendAppendEntriesResponse", term=2, log=2, msg=reply),
                of_learner("Ready", term=2, log=2),
                confirmed,
            ]
        ),
    ]


def etcd_verdict(lines: list[bytes]) -> TraceVerdict:
    return judge_trace(etcd.read(placed(lines)), ETCD)


def test_a_learner_of_etcd_is_judged() -> None:
    lines = etcd_lines()
    found = etcd_verdict(lines)
    assert found.verdict == "conforms"
    assert sorted(found.trace.servers) == [1, 2]
    assert sorted(found.trace.learners) == [3]
    assert found.matched == len(found.trace.happenings)
    further = [line.replace(b'"index": 2', b'"index": 3') for line in lines]
    accused = etcd_verdict(further).offence
    assert accused is not None
    assert (accused.name, accused.happening.server) == ("ACK-CONFIRMED", 3)


def test_what_it_acknowledges_is_not_counted() -> None:
    committed = json.loads(etcd_lines()[-1])
    committed["event"] |= {"name": "Commit", "state": {"term": 2, "vote": "1", "commit": 2}}
    del committed["event"]["msg"]
    accused = etcd_verdict([*etcd_lines(), *encoded([committed])]).offence
    assert accused is not None
    assert accused.name == "COMMIT-QUORUM"
    assert "observed S1 (S3 not counted: no vote)" in accused.explanation


@pytest.mark.parametrize("conf", [[["1", "2", "3"], []], [["1", "2"], ["1"]], [[], []]])
def test_another_configuration_is_a_change_of_membership(conf: list[list[str]]) -> None:
    lines = etcd_lines()
    number = len(lines) - 5
    arrival = json.loads(lines[number])
    arrival["event"]["conf"] = conf
    lines[number] = json.dumps(arrival).encode() + b"\n"
    found = etcd_verdict(lines)
    assert found.verdict == "inconclusive"
    assert found.doubt is not None
    assert found.doubt.reason.endswith("membership changes")
    assert found.doubt.happening.place.number == number + 1
