"""What a client is told, as plain values; they also travel between servers."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct


class Done(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """It was done, and there is nothing more to say."""


class Value(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What stands under a key; None if nothing does."""

    data: bytes | None


class Count(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A number of 64 bits."""

    number: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Failed(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """It was not done, or nobody can tell whether it was; the code says which."""

    code: Annotated[str, Meta(pattern="^[A-Z]{1,20}$")]
    reason: str


Reply: TypeAlias = Done | Value | Count | Failed

NOT_DONE = "TRYAGAIN"
"""The code of what was not done and never will be: the client may ask again."""

UNKNOWN = "UNKNOWN"
"""The code of what may have been done, or may be done later: only a session may ask again."""


def not_done(reason: str) -> Failed:
    """Nothing was done, and nothing will be."""
    return Failed(NOT_DONE, f"not done: {reason}")


def unknown(reason: str) -> Failed:
    """It may have been done, it may be done later, or never."""
    return Failed(UNKNOWN, f"outcome unknown: {reason}")
