"""Symmetry: nodes that are interchangeable, and values that are.

If everything would happen just the same under other names, a state stands for all its renamings,
its *orbit*, and only one of each orbit needs to be explored (C. N. Ip and D. L. Dill, "Better
Verification through Symmetry", 1996). That a node gives renamings is a claim, and it is not
believed: whenever a step is computed, so is the same step under every other name, and it has to be
the same step. That costs no more calls of the node than exploring without symmetry would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from model_check.engine.compiled import (
    Int32s,
)
from model_check.explore import AsymmetryError
from spec.forms import Renaming


class Group:
    """Renamings of a system that form a group, the one that changes nothing first.

    Raises:
        AsymmetryError: if they are no group: without identity, not closed under composition, not
            bijective, or one is given twice.
    """

    def __init__(
        self,
        nodes: int,
        renamings: Iterable[Renaming] = (),
        look_at_the_clock: Callable[[], None] = lambda: None,
    ) -> None:
        """``look_at_the_clock`` is called now and then, and may raise to end it."""
        identity = Renaming(tuple(range(1, nodes + 1)))
        self.renamings = tuple(renamings) or (identity,)
        if any(old != new for old, new in _names(self.renamings[0])):
            raise AsymmetryError("the first renaming must be the one that changes nothing")
        for renaming in self.renamings:
            if not _is_bijective(renaming, nodes):
                raise AsymmetryError(f"{renaming} gives two the same name, or one none")
        numbers = {renaming: number for number, renaming in enumerate(self.renamings)}
        if len(numbers) < len(self.renamings):
            raise AsymmetryError("no renaming may be given twice")

        def composed(first: Renaming) -> list[int]:
            look_at_the_clock()
            return [numbers[_compose(first, then)] for then in self.renamings]

        try:
            self.compositions = np.array([composed(first) for first in self.renamings])
        except KeyError:
            raise AsymmetryError("the renamings must contain all their compositions") from None
        self.origins: npt.NDArray[np.int64] = np.array(
            [np.argsort(renaming.nodes) for renaming in self.renamings], np.int64
        )
        """By renaming and node, both from 0: whose name that node's is."""

    def __len__(self) -> int:
        return len(self.renamings)

    def __getitem__(self, number: int) -> Renaming:
        return self.renamings[number]

    def images(self, rename: Callable[[int, int], int]) -> Images:
        """The images of numbered values, of which ``rename`` gives one by value and renaming."""
        return Images(self, rename)


class Images(dict[int, Int32s]):
    """By value: its image under each renaming, computed once for each orbit."""

    def __init__(self, group: Group, rename: Callable[[int, int], int]) -> None:
        super().__init__()
        self._group = group
        self._rename = rename

    def __missing__(self, value: int) -> Int32s:
        images = [self._rename(value, renaming) for renaming in range(len(self._group))]
        if images[0] != value:
            raise AsymmetryError("the renaming that changes nothing changes a value")
        self.enter(images)
        return self[value]

    def enter(self, images: list[int]) -> None:
        """Learn the images of one value, and so those of all values in its orbit.

        Raises:
            AsymmetryError: if that contradicts what was learnt before.
        """
        # The group then acts on numbers by these rows alone, so that it is of no account whether
        # the images of an image are renamed as they should.
        rows = np.array(images, np.int32)[self._group.compositions]
        for image, row in zip(images, rows, strict=True):
            if not np.array_equal(self.setdefault(image, row), row):
                raise AsymmetryError(
                    "the same value has different images, so that names mean something"
                )


def _compose(first: Renaming, then: Renaming) -> Renaming:
    """``first`` and ``then`` as one renaming."""
    return Renaming(
        tuple(then.node(node) for node in first.nodes),
        tuple((old, then.value(new)) for old, new in first.values),
    )


def _is_bijective(renaming: Renaming, nodes: int) -> bool:
    """Whether it gives every node, and every value that it renames, the name of just one."""
    old, new = ({pair[side] for pair in renaming.values} for side in (0, 1))
    return (
        sorted(renaming.nodes) == list(range(1, nodes + 1))
        and old == new
        and len(old) == len(renaming.values)
    )


def _names(renaming: Renaming) -> Iterable[tuple[object, object]]:
    return [*enumerate(renaming.nodes, start=1), *renaming.values]
