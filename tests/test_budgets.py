"""A budget of time is kept whatever is going on, and what was found by then is told."""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

import numba
import pytest

from model_check.check import Means, Setup, check
from model_check.cli import main, run
from model_check.commands.conformance import account_of_conformance
from model_check.commands.summary import warnings
from model_check.commands.trial import account_of_trial
from model_check.conformance.explore import ForeignSetup, conform
from model_check.conformance.learner import Adapter
from model_check.conformance.plan import Plan, ScheduleKind
from model_check.conformance.trial import Trial, try_out
from model_check.deadline import Deadline, OutOfTime, enforced
from model_check.engine import compiling, prepared
from model_check.engine.compiled import FUNCTIONS, compiled
from model_check.engine.symmetry import Group
from model_check.explore import COMPILING, Budget
from model_check.mutants import MUTANTS
from model_check.mutants.run import means_of
from model_check.raft import Bounds
from spec.forms import Renaming
from tests.deadlines import interrupted_when, out_of_time_when

TOY = (sys.executable, "tests/peers/toy/adapter.py")

# --- deadlines -----------------------------------------------------------------------------------


def test_a_deadline_that_has_passed_lets_nothing_begin_and_names_the_phase() -> None:
    now = 0.0
    deadline = Deadline(3, clock=lambda: now)
    with deadline.phase("counting"):
        deadline.check()
        assert deadline.left == 3
        now = 3.5
        assert deadline.left == 0
        with pytest.raises(OutOfTime, match=r"^the budget of 3 seconds, while counting$"):
            deadline.check()
    with pytest.raises(OutOfTime, match="while writing"), deadline.phase("writing"):
        raise AssertionError("it began")
    with pytest.raises(OutOfTime, match=r"^the budget of 3 seconds$"):
        deadline.check()
    with deadline.finishing():
        deadline.check()
    assert deadline.ended is None


def test_what_was_interrupted_once_does_not_go_on() -> None:
    deadline = Deadline()
    deadline.check()
    assert deadline.interrupted(KeyboardInterrupt()) == "an interrupt"
    assert deadline.interrupted(OutOfTime("the budget of 3 seconds")) == "an interrupt"
    with pytest.raises(OutOfTime, match=r"^an interrupt$"):
        deadline.check()


def test_what_does_not_look_at_the_clock_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_check.deadline.GRACE", 0.001)
    deadline = Deadline(1e-9)
    deadline._phases.append("sleeping")
    with pytest.raises(OutOfTime, match="while sleeping"), enforced(deadline):
        time.sleep(600)
    with enforced(None), enforced(Deadline()):
        pass


def test_what_must_be_finished_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_check.deadline.GRACE", 0.001)
    deadline, rang = Deadline(1e-9), []
    monkeypatch.setattr(deadline, "check", lambda: rang.append(list(deadline._extra)))
    with enforced(deadline), deadline.finishing():
        while not rang:
            time.sleep(0.001)
    assert rang[0]


def test_what_is_finished_may_have_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    deadline = Deadline(3, clock=lambda: now)
    now = 3.5
    deadline.interrupted(KeyboardInterrupt())
    with deadline.finishing(1):
        deadline.check()
        now = 4.0
        with pytest.raises(OutOfTime):
            deadline.check()
        with deadline.finishing():
            deadline.check()
    monkeypatch.setattr("model_check.deadline.GRACE", 0.001)
    monkeypatch.setattr("model_check.deadline.SOON", 0.001)
    short = Deadline(1e-9)
    with enforced(short), short.finishing(0.01), pytest.raises(OutOfTime):
        time.sleep(600)


def test_time_may_be_spared_for_what_comes_after() -> None:
    now = 0.0
    deadline = Deadline(3, clock=lambda: now)
    deadline.check(2.5)
    now = 1.0
    with pytest.raises(OutOfTime, match="budget of 3 seconds"):
        deadline.check(2.5)
    deadline.check()
    Deadline().check(2.5)


# --- exploring -----------------------------------------------------------------------------------


def test_renamings_take_no_longer_than_there_is_time() -> None:
    system = Setup(bounds=Bounds(servers=6))
    found = check(system, Budget(deadline=out_of_time_when("computing"))).exploration
    assert (found.verdict, found.states) == ("inconclusive", 0)
    assert found.stopped_by == "the budget of 1 seconds, while computing the renamings"


def test_nothing_explored_is_told_once_and_not_for_each_property() -> None:
    found = check(Setup(bounds=Bounds(servers=6)), Budget(deadline=out_of_time_when("computing")))
    assert list(warnings(found.exploration, found.vacuous)) == []


def test_a_group_looks_at_the_clock() -> None:
    def look() -> None:
        raise OutOfTime

    with pytest.raises(OutOfTime):
        Group(3, Renaming.all_of(3), look)


def test_more_renamings_than_can_be_kept_are_not_made_use_of() -> None:
    found = check(Setup(bounds=Bounds(servers=7)), Budget(max_states=100)).exploration
    assert found.renamings == 1
    assert found.notes == ["explored without symmetry: there are more than 1,440 renamings"]


def test_a_run_is_shown_as_far_as_it_is_shortened() -> None:
    mutant = MUTANTS["truncate-without-conflict"]
    setup = Setup(bounds=mutant.bounds, properties=mutant.violable, mutant=mutant.id)
    means = means_of(mutant)
    assert means.eager
    shortest = check(setup, means=means).exploration
    result = check(setup, Budget(deadline=out_of_time_when("shortening")), means)
    found = result.exploration
    assert found.verdict == "violated"
    assert len(found.actions) >= len(shortest.actions)
    assert found.notes == [
        "the run to the violation may have actions that it does not need: shortening it was "
        "stopped by the budget of 1 seconds, while shortening the run"
    ]
    assert result.counterexample is not None
    assert result.counterexample.violation == found.violation


# --- compiling -----------------------------------------------------------------------------------


def test_compiling_ends_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "is_prepared", lambda: False)
    monkeypatch.setattr(prepared, "_CHILD", "import time; time.sleep(600)")
    found = check(Setup(bounds=Bounds()), Budget(deadline=out_of_time_when(COMPILING))).exploration
    assert (found.verdict, found.states) == ("inconclusive", 0)
    assert found.stopped_by == f"the budget of 1 seconds, while {COMPILING}"


def test_compiling_is_announced_and_what_fails_there_is_done_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(prepared, "is_prepared", lambda: False)
    monkeypatch.setattr(prepared, "_CHILD", "raise SystemExit(1)")
    prepared.prepare(Deadline(on_phase=begun.append))
    assert begun == [COMPILING]


def test_what_is_compiled_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared.prepare(Deadline())
    assert prepared.is_prepared()

    def start(*_: object, **__: object) -> None:
        raise AssertionError("another process")

    monkeypatch.setattr("subprocess.Popen", start)
    prepared.prepare(Deadline())


@pytest.mark.parametrize("network", ["replayable", "once", "fifo"])
def test_nothing_is_compiled_while_exploring(network: str) -> None:
    setup = Setup(bounds=Bounds(restarts=True), network=network)  # type: ignore[arg-type] # one of them
    before = {each.__name__: dict(each.stats.cache_misses) for each in FUNCTIONS}
    check(setup, Budget(max_states=30_000), Means(workers=2))
    assert before == {each.__name__: dict(each.stats.cache_misses) for each in FUNCTIONS}


def test_what_was_compiled_from_other_sources_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiling, "directory", lambda: tmp_path)
    names = ["kernels.expand-1.py311.nbi", "kernels.expand-1.py311.1.nbc", "raft-ref-old-cpython"]
    for name in [*names, "kernels.cpython-311.pyc"]:
        (tmp_path / name).touch()
    same = tmp_path / f"{prepared.marks_of_these_sources()}-another-python"
    same.touch()
    compiling._remove_what_is_stale()
    assert all((tmp_path / name).exists() for name in names)
    same.unlink()
    compiling._remove_what_is_stale()
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.cpython-311.pyc"]


def test_functions_are_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.caching import CacheImpl, UserProvidedCacheLocator

    monkeypatch.setattr(CacheImpl, "_locator_classes", [UserProvidedCacheLocator])
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)

    def double(number: int) -> int:
        return 2 * number

    function = compiled(double)
    kept = FUNCTIONS.pop().stats.cache_path
    assert function(21) == 42
    assert "raft-ref-" in kept
    assert list(Path(kept).glob("*.nbi"))


# --- implementations -----------------------------------------------------------------------------


def setup(bug: str, bounds: Bounds | None = None) -> ForeignSetup:
    options = (("bug", bug),) if bug else ()
    adapter = Adapter(command=TOY, servers=3, options=options, step_timeout=10)
    return ForeignSetup(adapter=adapter, space=Setup(bounds=bounds or Bounds(), rules=True))


def played(deadline: Deadline, *kinds: ScheduleKind, bug: str = "") -> Trial:
    plan = Plan(kinds=kinds or ("mutants",), workers=1)
    return try_out(setup(bug), plan, deadline=deadline)


@pytest.mark.parametrize("phase", ["playing runs", "making the covering runs"])
def test_a_trial_ends_in_every_phase(phase: str) -> None:
    trial = played(out_of_time_when(phase), "cover")
    assert trial.verdict == "inconclusive"
    assert trial.stopped_by is not None
    assert trial.stopped_by.startswith(f"the budget of 1 seconds, while {phase}")


@pytest.mark.parametrize("phase", ["shortening the run", "looking for what comes of"])
@pytest.mark.parametrize("deadline", [out_of_time_when, interrupted_when])
def test_what_was_found_is_not_lost_to_what_would_come_after(phase: str, deadline: object) -> None:
    assert callable(deadline)
    trial = played(deadline(phase), bug="ignores-logs")
    assert trial.verdict == "violates"
    (finding,) = trial.findings
    assert finding.violation.property == "VOTE-UP-TO-DATE"
    reason = f"the budget of 1 seconds, while {phase}"
    assert trial.stopped_by is not None
    assert trial.stopped_by.startswith("an interrupt" if deadline is interrupted_when else reason)
    (note,) = account_of_trial(trial).notes
    assert note.startswith(f"note: stopped by {trial.stopped_by}: a run may have actions")


SMALL = Bounds(max_log=0)
BUGGY = Bounds(max_term=2, values=1, max_heartbeats=1, only_timeout=(1, 3))
EXPLORED = {
    "holding what was learnt against the rules": ("", SMALL, "inconclusive"),
    "doing again what was learnt": ("", SMALL, "inconclusive"),
    "looking for a run that breaks": ("acknowledges-all", BUGGY, "inconclusive"),
    "looking for what comes of": ("acknowledges-all", BUGGY, "violates"),
}


@pytest.mark.parametrize("deadline", [out_of_time_when, interrupted_when])
@pytest.mark.parametrize("phase", EXPLORED)
def test_an_exploration_ends_in_every_phase(phase: str, deadline: object) -> None:
    assert callable(deadline)
    bug, bounds, verdict = EXPLORED[phase]
    begun = deadline(phase)
    result = conform(setup(bug, bounds), Budget(deadline=begun), Means(workers=1, eager=True))
    reason = result.exploration.stopped_by
    assert reason is not None
    is_interrupt = deadline is interrupted_when
    assert reason.startswith("an interrupt" if is_interrupt else "the budget of 1 seconds")
    assert result.verdict == verdict
    is_noted = any(
        note.startswith("note: stopped by") for note in account_of_conformance(result).notes
    )
    assert is_noted == bool(result.findings)


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (["mutants", "--id", "vote-not-recorded", "--id", "follower-commit-falls"], "mutants"),
        (["rules", "--necessary", "--id", "ELECT-QUORUM", "--id", "LOG-SOURCE"], "rules"),
    ],
)
def test_a_budget_is_for_the_whole_command(
    arguments: list[str],
    rows: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"model_check.commands.{arguments[0]}.deadline_of"
    for number in (1, 2):
        deadline = out_of_time_when("computing", times=number)
        monkeypatch.setattr(name, lambda _, chosen=deadline: chosen)
        assert run([*arguments, "--json", "-"]) == 4
        report = json.loads(capsys.readouterr().out)
        assert len(report[rows]) == number
        assert report["stopped_by"] == "the budget of 1 seconds, while computing the renamings"


TRACE, HISTORY = "tests/traces/raftos.ndjson", "tests/client_histories/stale_read.ndjson"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "--engine", "reference"],
        ["conform", "--max-seconds", "100", "--", *TOY],
        ["conform", "--explore", "--max-seconds", "100", "--", *TOY],
        ["trace", TRACE],
        ["linearizable", HISTORY],
        ["mutants"],
        ["rules", "--necessary"],
        ["rules", "--sufficient"],
        ["prove"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_budget_includes_the_time_that_the_process_took_to_start(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    limited = arguments if "--max-seconds" in arguments else [*arguments, "--max-seconds", "100"]
    assert run(limited, started=time.monotonic() - 100) == 4
    found = capsys.readouterr()
    assert "100 seconds" in found.out + found.err


def test_a_process_ends_without_looking_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["raft-ref", "mutants", "--list"])
    assert gc.get_freeze_count() == 0
    try:
        with pytest.raises(SystemExit):
            main(time.monotonic())
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_an_interrupt_while_the_explorer_is_imported_leaves_a_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise OutOfTime("the budget of 1 seconds")

    monkeypatch.setattr("model_check.engine.explorer.Options", interrupt)
    found = check(Setup(bounds=Bounds())).exploration
    assert (found.verdict, found.stopped_by) == ("inconclusive", "the budget of 1 seconds")
