"""Arrays that grow, and a table of numbers that kernels can look into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from model_check.engine.compiled import (
    EMPTY_KEY,
    UNKNOWN,
    Int32s,
    UInt64s,
    put_all,
)

Whole = TypeVar("Whole", np.int32, np.int64)


class Column(Generic[Whole]):
    """An array of numbers, or of rows of them, that grows along its first axis."""

    def __init__(self, width: int | None, dtype: type[Whole]) -> None:
        self._shape = () if width is None else (width,)
        self._data: npt.NDArray[Whole] = np.full((64, *self._shape), UNKNOWN, dtype)
        self._length = 0
        self._pending: list[int | Sequence[int]] = []

    def __len__(self) -> int:
        return self._length + len(self._pending)

    def append(self, value: int | Sequence[int]) -> None:
        """Add a number, or a row of them, at the end."""
        self._pending.append(value)

    def pad(self, length: int) -> None:
        """Make it at least so long; what is added is `UNKNOWN`."""
        self._make_room(length)
        self._length = max(self._length, length)

    @property
    def array(self) -> npt.NDArray[Whole]:
        """The array, with room at its end. To be written to; valid until it grows again."""
        if self._pending:
            end = len(self)
            self._make_room(end)
            self._data[self._length : end] = self._pending
            self._length = end
            self._pending.clear()
        return self._data

    def _make_room(self, length: int) -> None:
        if length > len(self._data):
            grown = np.full((2 * length, *self._shape), UNKNOWN, self._data.dtype)
            grown[: self._length] = self._data[: self._length]
            self._data = grown


class Lookup:
    """A table from pairs of 32-bit numbers to 32-bit numbers, each entered once."""

    def __init__(self) -> None:
        self._keys, self._values = _empty(1024)
        self._length = 0
        self._pending: list[tuple[int, int, int]] = []

    def enter(self, high: int, low: int, value: int) -> None:
        """Give the pair ``(high, low)``, which must be new, a value."""
        self._pending.append((high, low, value))

    def arrays(self) -> tuple[UInt64s, Int32s]:
        """Keys and values for `kernels.find`, with everything that was entered."""
        if self._pending:
            self._length += len(self._pending)
            if 2 * self._length > len(self._keys):
                old = self._keys != EMPTY_KEY
                old_keys, old_values = self._keys[old], self._values[old]
                self._keys, self._values = _empty(4 * len(self._keys), self._length)
                put_all(self._keys, self._values, old_keys, old_values)
            new = np.array(self._pending, np.uint64)
            keys, values = new[:, 0] << np.uint64(32) | new[:, 1], new[:, 2].astype(np.int32)
            put_all(self._keys, self._values, keys, values)
            self._pending.clear()
        return self._keys, self._values


def _empty(size: int, entries: int = 0) -> tuple[UInt64s, Int32s]:
    """An empty table of at least ``size`` slots, a power of two, at most half full with entries."""
    while size < 2 * entries:
        size *= 2
    return np.full(size, EMPTY_KEY, np.uint64), np.empty(size, np.int32)


def numbers(width: int | None = None) -> Column[np.int32]:
    """A column of 32-bit numbers, or of rows of ``width`` of them."""
    return Column(width, np.int32)
