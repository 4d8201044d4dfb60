"""Other processes to share work with, which end when they are no longer needed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from threading import current_thread, main_thread


@contextmanager
def workers(
    count: int, initializer: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Some processes, each of which begins with a call of its own, if there is one; in the end
    nothing that is still under way is waited for."""
    others = set(active_children())
    # Spawned: a fork would inherit the threads of whoever has some.
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - others:
            child.terminate()
        pool.shutdown()


@contextmanager
def leaving_interrupts_to_the_parent() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C, and so have nothing to say of it.

    Other threads than the main one may not say so, and are not told of interrupts themselves.
    """
    if current_thread() is not main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
