"""An error that nobody foresaw must not look like a verdict."""

from __future__ import annotations

import gc
import sys

import pytest

from raft_ref.entry.cli import EXIT_INTERNAL, main


def end_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "argv", ["raft-ref", *arguments])
    try:
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code
    finally:
        gc.unfreeze()  # what ends a process does not end this one


def fail(*_: object, **__: object) -> None:
    raise AssertionError("it cannot be")


@pytest.mark.parametrize(
    ("arguments", "function"),
    [
        (["check", "--servers", "1"], "model_check.commands.check.check"),
        (["conform", "--", "an", "adapter"], "model_check.commands.conform.try_out"),
        (["mutants", "--list"], "model_check.commands.mutants._list"),
        (["rules"], "model_check.commands.rules._table"),
        (["prove"], "model_check.cli.cli.main"),
    ],
)
def test_an_error_inside_of_a_command_has_an_exit_code_of_its_own(
    arguments: list[str],
    function: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(function, fail)
    assert end_of(arguments, monkeypatch) == EXIT_INTERNAL == 70
    found = capsys.readouterr()
    assert found.out == ""
    assert "Traceback" in found.err
    assert "AssertionError: it cannot be" in found.err
    last = found.err.splitlines()[-1]
    assert last.startswith("raft-ref: internal error: a defect of raft-ref, which says nothing")
    assert f"Python {sys.version.split()[0]}" in last
    assert last.endswith(f"raft-ref {' '.join(arguments)}")


def test_what_cannot_be_imported_is_no_verdict_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "model_check.cli", None)
    assert end_of(["check"], monkeypatch) == EXIT_INTERNAL
    assert "ModuleNotFoundError" in capsys.readouterr().err


def test_what_was_foreseen_ends_as_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_of(["check", "--servers", "0"], monkeypatch) == 2
    assert end_of(["mutants", "--list"], monkeypatch) == 0
    assert "internal error" not in capsys.readouterr().err
