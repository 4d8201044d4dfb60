"""Real implementations, explored behind their adapters in ``tests/peers``.

Each is installed and built once; where that is not possible, its tests are skipped and say why.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from model_check.check import Means, NetworkName, Setup
from model_check.conformance.explore import Conformance, ForeignSetup, conform
from model_check.conformance.learner import Adapter
from model_check.conformance.plan import Plan, ScheduleKind
from model_check.conformance.trial import Trial, try_out
from model_check.raft import Bounds
from spec.profiles import PROFILES
from spec.properties import PROPERTY_NAMES

pytestmark = pytest.mark.peers

PEERS = Path(__file__).parent / "peers"

Build = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Installs and builds a peer, once, and gives the command of its adapter."""
    built: dict[tuple[str, ...], tuple[str, ...]] = {}

    def build_peer(*peer: str) -> tuple[str, ...]:
        if peer not in built:
            target = tmp_path_factory.mktemp("-".join(peer))
            script = [str(PEERS / peer[0] / "build"), str(target), *peer[1:]]
            done = subprocess.run(script, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode == 77:
                pytest.skip(done.stdout.strip())
            assert done.returncode == 0, done.stderr
            built[peer] = (str(target / "adapter"),)
        return built[peer]

    return build_peer


def explore(
    command: tuple[str, ...],
    bounds: Bounds,
    *,
    network: NetworkName = "replayable",
    properties: tuple[str, ...] = PROPERTY_NAMES,
    eager: bool = False,
    max_in_flight: int = 2,
    loss: bool = True,
    options: tuple[tuple[str, str], ...] = (),
    profile: str = "paper",
) -> Conformance:
    space = Setup(
        bounds=bounds,
        network=network,
        max_in_flight=max_in_flight,
        loss=loss,
        properties=properties,
        rules=True,
    )
    adapter = Adapter(
        command=command,
        servers=bounds.servers,
        options=options,
        step_timeout=10.0,
    )
    setup = ForeignSetup(adapter=adapter, space=space, profile=PROFILES[profile])
    return conform(setup, means=Means(eager=eager))


def broken(result: Conformance) -> tuple[str, str]:
    """The property that is violated, and the first rule that is broken on the way; the run was done
    again on a fresh process."""
    assert result.verdict == "violates"
    return found(result)[0]


def found(result: Conformance) -> list[tuple[str, str]]:
    """The property, or rule, and the first rule broken of each finding that is no failed step."""
    return [
        (finding.violation.property, finding.breach.rule.id)
        for finding in result.findings
        if finding.breach is not None
    ]


FIGURE_3 = ("ElectionSafety", "LogMatching", "LeaderCompleteness", "StateMachineSafety")
RESTART = Bounds(max_log=0, restarts=True, max_restarts=1)


# --- etcd ------------------------------------------------------------------------------------

LARGE_MESSAGES = ("max_size_per_msg", str(2**64 - 1))
"""A leader's entry of its own is acknowledged with all that come before it, so
``commit-old-term-by-counting`` does nothing then that etcd would not do."""


def test_etcd_conforms(build: Build) -> None:
    result = explore(build("etcd"), Bounds(max_log=1), options=(LARGE_MESSAGES,))
    assert result.verdict == "conforms"
    found = result.exploration
    assert (found.states, found.transitions, found.depth) == (55_369, 896_820, 17)


@pytest.mark.slow
def test_etcd_conforms_in_two_terms(build: Build) -> None:
    bounds = Bounds(max_term=2, max_log=2, values=1, heartbeats=False)
    result = explore(build("etcd"), bounds)
    assert result.verdict == "conforms"
    found = result.exploration
    assert (found.states, found.transitions, found.depth) == (89_927_593, 2_702_080_296, 40)


TWO_TERMS = Bounds(max_term=2, max_log=2, values=1, heartbeats=False)
THREE_TERMS = Bounds(max_term=3, max_log=0, values=1, heartbeats=False, only_timeout=(1, 3))
FOUR_TERMS = Bounds(max_term=4, max_log=0, values=1, heartbeats=False, only_timeout=(1, 3))


@pytest.mark.parametrize(
    ("mutant", "bounds", "violated", "rule"),
    [
        ("vote-without-log-check", TWO_TERMS, "LeaderCompleteness", "VOTE-UP-TO-DATE"),
        ("vote-not-persisted", RESTART, "VoteOncePerTerm", "RESTART-VOTE"),
        ("prev-term-not-checked", THREE_TERMS, "LogMatching", "FOLLOWER-PREV-MATCH"),
        pytest.param(
            *("conflict-keeps-old-entry", TWO_TERMS, "StateMachineSafety", "ACK-CONFIRMED"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("commit-old-term-by-counting", FOUR_TERMS, "LeaderCompleteness"),
            "COMMIT-CURRENT-TERM",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_etcd_without_a_rule_is_caught(
    mutant: str, bounds: Bounds, violated: str, rule: str, build: Build
) -> None:
    result = explore(build("etcd", mutant), bounds, eager=True)
    assert broken(result) == (violated, rule)
    assert len(result.findings[0].run.moments) <= 20


def play(
    command: tuple[str, ...],
    *kinds: ScheduleKind,
    walks: int = 100,
    network: NetworkName = "replayable",
    profile: str = "paper",
    options: tuple[tuple[str, str], ...] = (),
) -> Trial:
    space = Setup(bounds=Bounds(), network=network, max_in_flight=9, rules=True)
    adapter = Adapter(command=command, servers=3, options=options, step_timeout=10.0)
    setup = ForeignSetup(adapter=adapter, space=space, profile=PROFILES[profile])
    return try_out(setup, Plan(kinds=kinds, walks=walks))


def test_etcd_conforms_in_what_is_played(build: Build) -> None:
    trial = play(build("etcd"), "mutants", "random")
    assert trial.verdict == "conforms"
    assert trial.progress.left_out < trial.progress.actions / 5


@pytest.mark.slow
def test_etcd_is_not_accused_in_a_million_steps(build: Build) -> None:
    trial = play(build("etcd"), "mutants", "cover", "random", walks=20_000)
    assert trial.verdict == "conforms"
    assert trial.progress.steps >= 1_000_000


PRE_VOTE = (("pre_vote", "true"),)


@pytest.mark.parametrize(
    ("mutant", "rule"),
    [
        ("vote-without-log-check", "VOTE-UP-TO-DATE"),
        ("vote-not-persisted", "RESTART-VOTE"),
        ("prev-term-not-checked", "FOLLOWER-PREV-MATCH"),
        ("conflict-keeps-old-entry", "ACK-CONFIRMED"),
        ("commit-old-term-by-counting", "COMMIT-CURRENT-TERM"),
    ],
)
def test_etcd_without_a_rule_is_caught_behind_its_pre_votes(
    mutant: str, rule: str, build: Build
) -> None:
    trial = play(build("etcd", mutant), "mutants", profile="etcd", options=PRE_VOTE)
    assert trial.verdict == "violates"
    breach = trial.findings[-1].breach
    assert breach is not None
    assert breach.rule.id == rule


@pytest.mark.parametrize(
    "options", [PRE_VOTE, (*PRE_VOTE, LARGE_MESSAGES)], ids=["small messages", "any"]
)
def test_etcd_with_pre_votes_conforms_and_has_led_and_committed(
    options: tuple[tuple[str, str], ...], build: Build
) -> None:
    trial = play(build("etcd"), "mutants", "random", profile="etcd", options=options)
    assert (trial.verdict, trial.shortfalls) == ("conforms", ())
    assert trial.progress.unknown == ("MsgPreVote", "MsgPreVoteResp")
    wanted = {"contested_election", "leader_change", "follower_commit", "truncation"}
    assert wanted <= trial.progress.reached.keys()


# --- canonical raft --------------------------------------------------------------------------


def test_canonical_raft_conforms_in_its_first_election(build: Build) -> None:
    bounds = Bounds(max_term=2, max_log=2, values=1)
    result = explore(build("canonical_raft"), bounds)
    assert result.verdict == "conforms"


@pytest.mark.slow
def test_canonical_raft_counts_what_it_never_compared(build: Build) -> None:
    bounds = Bounds(
        max_term=4,
        max_log=2,
        values=1,
        heartbeats=False,
        max_election_timeouts=4,
        max_client_requests=2,
    )
    result = explore(build("canonical_raft"), bounds, eager=True)
    assert broken(result) == ("LeaderCompleteness", "ACK-CONFIRMED")
    assert len(result.findings[0].run.moments) == 13


@pytest.mark.slow
def test_canonical_raft_commits_entries_of_older_terms_by_counting(build: Build) -> None:
    """In three terms nothing is lost yet, but two rules are broken; what comes of each is found in
    four and five."""
    bounds = Bounds(max_term=3, max_log=2, values=1, heartbeats=False)
    result = explore(build("canonical_raft"), bounds, eager=True)
    assert result.exploration.verdict == "holds"
    assert found(result) == [
        ("LeaderCompleteness", "ACK-CONFIRMED"),
        ("LeaderCompleteness", "COMMIT-CURRENT-TERM"),
        ("ACK-CONFIRMED", "ACK-CONFIRMED"),
        ("COMMIT-CURRENT-TERM", "COMMIT-CURRENT-TERM"),
    ]
    assert [len(each.run.moments) for each in result.findings[2:]] == [8, 14]


def test_canonical_raft_is_accused_in_what_is_played(build: Build) -> None:
    trial = play(build("canonical_raft"), "mutants")
    assert trial.verdict == "violates"
    assert [each.breach.rule.id for each in trial.findings if each.breach] == ["ACK-CONFIRMED"] * 2
    assert trial.findings[0].violation.property == "LeaderCompleteness"


# --- in Python -------------------------------------------------------------------------------


def test_pysyncobj_forgets_its_vote(build: Build) -> None:
    result = explore(
        build("pysyncobj", "0.3.11"),
        RESTART,
        network="fifo",
        properties=FIGURE_3,
        profile="pysyncobj",
    )
    assert broken(result) == ("ElectionSafety", "RESTART-TERM")


def test_pysyncobj_remembers_its_vote_by_now(build: Build) -> None:
    result = explore(
        build("pysyncobj"), RESTART, network="fifo", max_in_flight=1, profile="pysyncobj"
    )
    assert result.verdict == "conforms"


def test_pysyncobj_conforms_in_what_is_played(build: Build) -> None:
    build_of_today = build("pysyncobj")
    trial = play(build_of_today, "mutants", "random", network="fifo", profile="pysyncobj")
    assert trial.verdict == "conforms"


def test_pysyncobj_sends_less_than_before(build: Build) -> None:
    """On links without loss. The profile tolerates what the follower does with it, not what comes
    of it."""
    script = "timeout 1, request 1, request 1, heartbeat 1, request 1, heartbeat 1, heartbeat 1"
    result = explore(
        build("pysyncobj"),
        Bounds(max_term=2, max_log=6, values=1, script=(*script.split(", "), "timeout 2")),
        network="fifo",
        max_in_flight=12,
        loss=False,
        properties=("LeaderCompleteness",),
        options=(("appendEntriesBatchSizeBytes", "22"),),
        profile="pysyncobj",
    )
    assert result.verdict == "violates"
    (finding,) = result.findings
    assert finding.violation.property == "LeaderCompleteness"
    assert (len(finding.run.moments), result.exploration.states) == (19, 16_270)


def test_pyraftlog_commits_what_nobody_else_holds(build: Build) -> None:
    bounds = Bounds(max_term=2, values=1, heartbeats=False)
    result = explore(build("pyraftlog"), bounds, properties=FIGURE_3, eager=True)
    assert broken(result) == ("LeaderCompleteness", "COMMIT-QUORUM")


def test_pyraftlog_forgets_its_vote(build: Build) -> None:
    result = explore(build("pyraftlog"), RESTART, properties=FIGURE_3, eager=True)
    assert broken(result) == ("ElectionSafety", "RESTART-TERM")


def test_raftos_forgets_its_vote(build: Build) -> None:
    result = explore(build("raftos"), RESTART, properties=FIGURE_3)
    assert broken(result) == ("ElectionSafety", "RESTART-VOTE")


@pytest.mark.slow
def test_raftos_counts_votes_of_old_terms_and_does_not_survive_its_own_refusal(
    build: Build,
) -> None:
    bounds = Bounds(max_term=2, max_log=2, values=1, heartbeats=False)
    result = explore(build("raftos"), bounds, properties=FIGURE_3, eager=True)
    assert broken(result) == ("ElectionSafety", "VOTE-ONCE")
    assert "ELECT-QUORUM" in [violated for violated, _ in found(result)]
    explanations = [finding.violation.explanation for finding in result.findings]
    assert "KeyError: 'request_id'" in explanations
