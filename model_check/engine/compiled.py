"""How functions are compiled, and what all of them use: whole numbers, hashing, lookup tables."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Function = TypeVar("Function", bound=Callable[..., object])

Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
UInt32s: TypeAlias = npt.NDArray[np.uint32]
UInt64s: TypeAlias = npt.NDArray[np.uint64]

Word: TypeAlias = np.uint64
"""64 bits without a sign. To mix these with others is to get floating-point numbers."""

# Compiled code sees constants by their type, and plain ones as types of their own: a function that
# is given them would be compiled for each of them.
UNKNOWN = cast(int, np.int64(-1))
"""Stands in a table for what nobody has asked for yet."""
ZERO = cast(int, np.int64(0))
EMPTY_KEY = np.uint64(0xFFFFFFFFFFFFFFFF)


FUNCTIONS: list[Any] = []
"""All that is compiled, as numba's dispatchers."""


def compiled(function: Function) -> Function:
    """Compile ``function`` when it is first called, and keep that on disk for later processes.

    What is on disk is compiled anew when the file of ``function`` changes, but not when that of a
    function it calls does: `model_check.engine.prepared` sees to that.

    What is compiled so allocates nothing, and holds arrays only while its caller does: so numba
    need not count references (``_nrt``), which would cost more than all the rest.
    """
    return _kept(function, nogil=True, _nrt=False)


def inlined(function: Function) -> Function:
    """Compile ``function`` into every function that calls it: handing over tables costs much."""
    return _kept(function, nogil=True, _nrt=False, forceinline=True)


_njit = cast("Callable[..., Callable[[Function], Function]]", numba.njit)


def _kept(function: Function, **options: bool) -> Function:
    """Compile ``function``, and keep it beside its file, in the user's cache, or for this process
    and its children alone, where neither can be written to."""
    try:
        dispatcher = _njit(cache=True, **options)(function)
    except RuntimeError:  # there is nowhere to keep it
        _keep_for_this_process()
        dispatcher = _njit(cache=True, **options)(function)
    FUNCTIONS.append(dispatcher)
    return dispatcher


def _keep_for_this_process() -> None:
    # A name that can be guessed would let others put code of theirs there.
    directory = tempfile.mkdtemp(prefix="raft-ref-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = directory  # for children; numba has read it here already
    setattr(numba.config, "CACHE_DIR", directory)  # noqa: B010 - numba does not declare it


@inlined
def wide(value: int | np.integer[Any]) -> int:
    """A number as 64 bits, so that functions are compiled once, not once for every width."""
    return np.int64(value)  # type: ignore[return-value] # numba's int() would keep the width


@inlined
def mix(value: Word) -> Word:
    """Spread every bit of a 64-bit number over all others (the finalizer of MurmurHash3)."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    value ^= value >> np.uint64(33)
    return value


@inlined
def pair_key(high: int, low: int) -> Word:
    """Two 32-bit numbers as one key."""
    return (np.uint64(high) << np.uint64(32)) | np.uint64(low)


@inlined
def find(keys: UInt64s, values: Int32s, high: int, low: int) -> int:
    """The value of a key in an open-addressing table, or `UNKNOWN`."""
    key = pair_key(high, low)
    mask = np.uint64(keys.shape[0] - 1)
    slot = mix(key) & mask
    while True:
        if keys[slot] == key:
            return wide(values[slot])
        if keys[slot] == EMPTY_KEY:
            return wide(UNKNOWN)
        slot = (slot + np.uint64(1)) & mask


@compiled
def put(keys: UInt64s, values: Int32s, key: Word, value: int) -> None:
    """Enter a new key into a table that has room for it."""
    mask = np.uint64(keys.shape[0] - 1)
    slot = mix(key) & mask
    while keys[slot] != EMPTY_KEY:
        slot = (slot + np.uint64(1)) & mask
    keys[slot] = key
    values[slot] = value


@compiled
def put_all(keys: UInt64s, values: Int32s, new_keys: UInt64s, new_values: Int32s) -> None:
    """Enter new keys into a table that has room for them."""
    for position in range(new_keys.shape[0]):
        put(keys, values, new_keys[position], wide(new_values[position]))
