"""Compile everything, in a process of its own: see `model_check.engine.prepared`.

What the functions are compiled for are the types of what they are called with, so they are called:
by an exploration of next to nothing, and by growing tables that would do without.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

from model_check.engine.explorer import Options, Search
from model_check.engine.growing import SMALLEST, empty_tables, with_room
from model_check.engine.layout import GROUP
from model_check.engine.prepared import directory, is_prepared, mark, marks_of_these_sources
from model_check.engine.storing import rebuild
from model_check.engine.symmetry import Group
from model_check.explore import UNLIMITED, ignore
from model_check.network import Replayable
from model_check.system import Node, Outcome, System
from model_check.watch import PropertyWatch
from spec.forms import Renaming

T = TypeVar("T")


def main() -> None:
    """Compile everything, and say so on disk. Of several processes, one does."""
    with _alone():
        if not is_prepared():
            _remove_what_is_stale()
            compile_everything()
            mark().touch()


def compile_everything() -> None:
    """Call every function that Python code calls, as it is called."""
    node = _Greeters()
    system = System(
        node, Replayable[_Greeting](), PropertyWatch[int, object, object, _Greeting](())
    )
    group = Group(node.count, node.renamings())
    Search(system, group, Options(workers=1), UNLIMITED, ignore).run()
    with_room(empty_tables(node.count, len(group)), SMALLEST + 1)
    rows, index = np.zeros((1, node.count + 1), np.int32), np.zeros(4, np.uint64)
    rebuild(rows, 1, index, np.empty(GROUP, np.uint64))


@contextmanager
def _alone() -> Iterator[None]:
    directory().mkdir(parents=True, exist_ok=True)
    with (directory() / "raft-ref.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_what_is_stale() -> None:
    """What was compiled from other sources: numba would not see that where the file of a function
    is the same, but that of another is not which was compiled into it."""
    if any(directory().glob(f"{marks_of_these_sources()}-*")):
        return
    for pattern in ("*.nbi", "*.nbc", "raft-ref-*"):
        for path in directory().glob(pattern):
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Greeting:
    source: int
    destination: int


class _Greeters(Node[int, object, object, _Greeting]):
    """Two nodes that greet each other, once."""

    @property
    def count(self) -> int:
        """Two."""
        return 2

    def initial(self, node: int) -> int:
        """Nobody has greeted anybody."""
        return 0

    def events(self, node: int, state: int) -> Iterator[object]:
        """Whoever has greeted nobody may do so."""
        if state == 0:
            yield "greet"

    def step(self, node: int, state: int, event: object) -> Outcome[int, object, _Greeting]:
        """Greet, or be greeted."""
        if event == "greet":
            return Outcome(1, (), (_Greeting(node, 3 - node),))
        return Outcome(2)

    def arrival(self, message: _Greeting) -> tuple[int, object]:
        """A greeting is the event of its arrival."""
        return message.destination, message

    def sender(self, message: _Greeting) -> int:
        """Who greets."""
        return message.source

    def is_restart(self, event: object) -> bool:
        """There are none."""
        return False

    def renamings(self) -> Iterator[Renaming]:
        """Both are alike."""
        return Renaming.all_of(self.count)

    def rename(self, value: T, renaming: Renaming) -> T:
        """The other of the two, or the same."""
        if isinstance(value, _Greeting):
            names = renaming.node(value.source), renaming.node(value.destination)
            return cast(T, _Greeting(*names))
        return value
