"""Other processes to share work with, which end when they are no longer needed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Some processes; in the end nothing that is still under way is waited for."""
    others = set(active_children())
    pool = ProcessPoolExecutor(count, get_context("spawn"))
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

    Only for the main thread, as all that is about signals.
    """
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
