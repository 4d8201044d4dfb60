"""Sequential specifications: what a service answers that does one thing after the other."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

A_contra = TypeVar("A_contra", bound=Hashable, contravariant=True)
S = TypeVar("S", bound=Hashable)
"""States of one key."""
R_co = TypeVar("R_co", covariant=True)


class Model(Protocol[A_contra, S, R_co]):
    """A service, one key of which knows nothing of the others."""

    def key(self, action: A_contra) -> Hashable:
        """What ``action`` is about; None where there is nothing to tell apart."""

    def initial(self) -> S:
        """The state of a key before anything was done to it."""

    def apply(self, state: S, action: A_contra) -> tuple[S, R_co]:
        """The state of its key after ``action``, and how it is answered. Pure."""


# --- a key-value store ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Get:
    """Asks for the value of a key."""

    key: str

    def __str__(self) -> str:
        return f"GET {self.key}"


@dataclass(frozen=True, slots=True)
class Set:
    """Gives a key a value."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"SET {self.key} {self.value}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Takes its value from a key."""

    key: str

    def __str__(self) -> str:
        return f"DEL {self.key}"


@dataclass(frozen=True, slots=True)
class CompareAndSet:
    """Gives a key a value if it has the one that is expected; None: if it has none."""

    key: str
    expected: str | None
    value: str

    def __str__(self) -> str:
        expected = "nil" if self.expected is None else self.expected
        return f"CAS {self.key} {expected} {self.value}"


KeyValueAction: TypeAlias = Get | Set | Delete | CompareAndSet
KeyValueResult: TypeAlias = str | int | None


class KeyValueStore:
    """Keys and values; answers are those that a client of the Redis protocol (RESP) sees.

    A GET is answered by the value, or by None for RESP's nil; a SET by OK; a DEL and a
    compare-and-set by 1 if they changed something, 0 if not.
    """

    def key(self, action: KeyValueAction) -> str:
        """The key that it names."""
        return action.key

    def initial(self) -> str | None:
        """No value."""
        return None

    def apply(self, state: str | None, action: KeyValueAction) -> tuple[str | None, KeyValueResult]:
        """What a store does in which the key of ``action`` has the value ``state``."""
        match action:
            case Get():
                return state, state
            case Set(value=value):
                return value, "OK"
            case Delete():
                return None, 0 if state is None else 1
            case CompareAndSet(expected=expected, value=value):
                return (value, 1) if state == expected else (state, 0)


# --- a register ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """Asks for the value."""

    def __str__(self) -> str:
        return "read"


@dataclass(frozen=True, slots=True)
class Write:
    """Replaces the value."""

    value: int

    def __str__(self) -> str:
        return f"write {self.value}"


RegisterAction: TypeAlias = Read | Write


class Register:
    """One number, 0 to begin with; a write is answered by nothing."""

    def key(self, action: RegisterAction) -> None:
        """There is but one."""

    def initial(self) -> int:
        """Zero."""
        return 0

    def apply(self, state: int, action: RegisterAction) -> tuple[int, int | None]:
        """What a register does that holds ``state``."""
        match action:
            case Read():
                return state, state
            case Write(value):
                return value, None


# --- lists ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    """Puts an item to the end of a list."""

    key: str
    item: str

    def __str__(self) -> str:
        return f"append {self.item} to {self.key}"


@dataclass(frozen=True, slots=True)
class ReadAll:
    """Asks for all of a list."""

    key: str

    def __str__(self) -> str:
        return f"read all of {self.key}"


ListAction: TypeAlias = Append | ReadAll
Items: TypeAlias = tuple[str, ...]


class AppendOnlyLists:
    """Lists, empty to begin with; an append is answered by how many items there are then."""

    def key(self, action: ListAction) -> str:
        """The list that it names."""
        return action.key

    def initial(self) -> Items:
        """No items."""
        return ()

    def apply(self, state: Items, action: ListAction) -> tuple[Items, int | Items]:
        """What a list does that has the items ``state``."""
        match action:
            case Append(item=item):
                return (*state, item), len(state) + 1
            case ReadAll():
                return state, state
