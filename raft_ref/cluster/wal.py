"""Tells a write-ahead log of SQLite that was cut off from one that was damaged.

SQLite takes the first frame with a wrong checksum for the end of the log: what follows was not
written out when the machine stopped. Where that is not so, since the frame was damaged later, it
forgets what it had promised to keep, and says nothing. But a transaction begins only once the one
before it is on the disk (``synchronous=FULL``). So if another begins beyond the frame, in the same
generation of the log, it is damage. Damage to the very last transaction cannot be told from a write
that was cut off.

The format is described at https://www.sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct, unpack
from typing import NamedTuple

_HEADER = Struct(">8I")
_FRAME = Struct(">6I")
_MAGIC = 0x377F0682
"""One more where checksums are computed of big-endian words."""

Checksum = tuple[int, int]


class _Frame(NamedTuple):
    """One page as a transaction left it."""

    salt: tuple[int, int]
    """Of the generation of the log in which it was written."""
    ends_transaction: bool
    checksum: Checksum
    checked: bytes
    """What the checksum is of, after all frames before."""


def damage(path: Path) -> str | None:
    """What is wrong with a write-ahead log, beyond that its end may be missing; None if nothing."""
    content = path.read_bytes() if path.exists() else b""
    if len(content) <= _HEADER.size:
        return None
    magic, _, page_size, _, *salt, first, second = _HEADER.unpack_from(content)
    order = ">" if magic & 1 else "<"
    checksum = _checksum((0, 0), content[: _HEADER.size - 8], order)
    if magic & ~1 != _MAGIC or checksum != (first, second):
        return f"the header of {path.name} is damaged"
    frames = list(_frames(content, page_size))
    for number, frame in enumerate(frames):
        checksum = _checksum(checksum, frame.checked, order)
        if frame.salt != tuple(salt) or checksum != frame.checksum:
            rest = [each for each in frames[number:] if each.salt == tuple(salt)]
            if any(each.ends_transaction for each in rest[:-1]):
                return f"frame {number + 1} of {path.name} is damaged"
            return None
    return None


def _frames(content: bytes, page_size: int) -> Iterator[_Frame]:
    size = _FRAME.size + page_size
    for start in range(_HEADER.size, len(content) - size + 1, size):
        _, pages, salt, other_salt, *checksum = _FRAME.unpack_from(content, start)
        page = content[start + _FRAME.size : start + size]
        checked = content[start : start + 8] + page
        yield _Frame((salt, other_salt), pages > 0, (checksum[0], checksum[1]), checked)


def _checksum(before: Checksum, content: bytes, order: str) -> Checksum:
    words = unpack(f"{order}{len(content) // 4}I", content)
    first, second = before
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
