"""How it is said that part of a system is not what it has to be, and which of its steps are asked
again to find that out. The contracts themselves stand at `model_check.system.System`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ASKED_AGAIN = 256
"""How many steps an exploration asks for a second time, at most: enough to notice a node that keeps
something to itself, and so few that even a slow one is not slowed down."""


class ContractError(ValueError):
    """Part of a system is not what it has to be: which, where, and how it differs.

    Whatever was explored of the system means nothing then. It says nothing of the properties.
    """


def spread(items: Sequence[T], most: int) -> list[T]:
    """``most`` of ``items``, evenly spread, the last one first; all, if there are no more.

    Backwards, since whoever counts how often it is called does not say the same in another order.
    """
    if len(items) <= most:
        return list(reversed(items))
    gap = (len(items) - 1) / (most - 1)
    return [items[round(number * gap)] for number in reversed(range(most))]


def not_the_same(node: int, state: object, event: object) -> ContractError:
    """A step has another outcome when it is asked for again."""
    return ContractError(
        f"node {node} in {state} does not do the same on {event} when it is asked again: a step "
        "must depend on the node's number, its state and the event alone, without clocks, chance "
        "or anything kept elsewhere"
    )


def not_the_same_in(state: object) -> ContractError:
    """From a state of the whole system something else happens when it is asked for again."""
    return ContractError(
        f"in {state} not the same happens when it is asked again: all that a system is made of "
        "must be pure functions"
    )


def require_hashable(value: object, *where: object) -> int:
    """The hash of ``value``, which stands at ``where``, in words.

    Raises:
        ContractError: if it has none.
    """
    try:
        return hash(value)
    except TypeError as error:
        raise ContractError(
            f"{' '.join(map(str, where))}: {error}. States, events, outputs, messages and what "
            "properties remember must be hashable, and never change"
        ) from None
