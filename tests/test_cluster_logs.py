"""Logs are lines of JSON, whoever has something to say."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable

import pytest

from raft_ref.cluster.logs import BURST, Log, complain, log_unhandled, logs_as_lines


def logged(say: Callable[[], object]) -> list[dict[str, object]]:
    """What comes of it in the logs of server 1."""
    output = io.StringIO()
    with logs_as_lines(1, output):
        say()
    return [json.loads(line) for line in output.getvalue().splitlines()]


def fail() -> None:
    raise KeyError("a\nproblem")


def in_a_thread() -> None:
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def uncaught() -> None:
    try:
        fail()
    except KeyError as error:
        sys.excepthook(KeyError, error, error.__traceback__)


def in_a_finalizer() -> None:
    class Bad:
        def __del__(self) -> None:
            fail()

    Bad()


def printed() -> None:
    try:
        fail()
    except KeyError:
        traceback.print_exc()


def on_a_loop(scene: Callable[[asyncio.AbstractEventLoop], object]) -> None:
    async def playing() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_unhandled)
        scene(loop)
        await asyncio.sleep(0.01)

    asyncio.run(playing())


def in_a_callback() -> None:
    on_a_loop(lambda loop: loop.call_soon(fail))


def in_a_task() -> None:
    async def work() -> None:
        fail()

    on_a_loop(lambda loop: loop.create_task(work()))


@pytest.mark.parametrize(
    "say", [in_a_thread, uncaught, in_a_finalizer, in_a_callback, in_a_task, printed]
)
def test_an_exception_that_nobody_has_caught_is_lines_of_json(say: Callable[[], None]) -> None:
    lines = logged(say)
    assert lines
    assert {line["server"] for line in lines} == {1}
    text = " ".join(str(line.get("exception", line.get("text"))) for line in lines)
    assert "in fail" in text
    assert "KeyError: 'a\\nproblem'" in text
    if say is not printed:
        assert len(lines) == 1


def test_what_libraries_log_and_warn_of_is_lines_of_json() -> None:
    def say() -> None:
        logging.getLogger("asyncio").error("one\ntwo")
        logging.getLogger("other").info("not worth it")
        warnings.warn("careful", ResourceWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        one, other = logged(say)
    assert (one["event"], one["logger"], one["level"]) == ("one\ntwo", "asyncio", "error")
    assert "careful" in str(other["event"])


def test_all_is_as_before_afterwards() -> None:
    before = sys.stderr, sys.excepthook, threading.excepthook, sys.unraisablehook
    handlers = logging.getLogger().handlers
    logged(lambda: None)
    assert (sys.stderr, sys.excepthook, threading.excepthook, sys.unraisablehook) == before
    assert logging.getLogger().handlers is handlers


def test_of_many_warnings_of_a_kind_some_are_written_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, log = [0.0], Log("test")
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def say() -> None:
        for number in range(1000):
            log.warning("again", number=number)
        log.warning("another")
        now[0] += 1
        log.warning("again", number=1000)

    lines = logged(say)
    assert [line["event"] for line in lines] == ["again"] * BURST + ["another", "again"]
    assert lines[-1] | {"time": 0} == {
        "time": 0,
        "level": "warning",
        "server": 1,
        "event": "again",
        "number": 1000,
        "left_out": 1000 - BURST,
    }


def test_no_file_descriptors_is_one_line_now_and_then() -> None:
    loop = asyncio.new_event_loop()

    def say() -> None:
        error = OSError(errno.EMFILE, "Too many open files")
        message = "socket.accept() out of system resource"
        for _ in range(1000):
            log_unhandled(loop, {"message": message, "exception": error})

    lines = logged(say)
    loop.close()
    assert 0 < len(lines) <= BURST + 2
    assert lines[0]["event"] == "cannot accept connections"
    assert lines[0]["problem"] == "Too many open files"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_why_a_server_cannot_run_is_a_line_of_json_unless_a_person_looks_on() -> None:
    terminal, file = Terminal(), io.StringIO()
    complain("no", terminal)
    complain("no", file)
    assert terminal.getvalue() == "raft_ref.cluster: no\n"
    line = json.loads(file.getvalue())
    assert (line["level"], line["event"], line["problem"]) == ("critical", "cannot run", "no")
