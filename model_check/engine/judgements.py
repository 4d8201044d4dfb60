"""What the properties of a system make of what they see, in numbers, each asked once."""

from __future__ import annotations

from typing import Generic

from model_check.contracts import ContractError
from model_check.engine.values import Alike, Number, Values
from model_check.explore import AsymmetryError
from model_check.system import M, Q
from spec.forms import E, H, O, S


class Judgements(Generic[S, E, O, M, Q, H]):
    """What the properties remember and compare of the numbered ``values``.

    Raises:
        AsymmetryError: when asked, if it is not the same under other names.
    """

    def __init__(self, values: Values[S, E, O, M, Q, H]) -> None:
        self._values = values
        self._watch = values.system.watch

    def remembered(self, memory: Number, marked_fact: Number) -> Number:
        """The memory that a memory and one of `Values.marked_facts` make."""
        fact, alike = self._values.marked_facts[marked_fact]
        if self._values.is_symmetric:
            self._require_same_memories(memory, alike)
        return self._remember(memory, fact)

    def _require_same_memories(self, memory: Number, alike: Alike) -> None:
        """Refuse facts that, all together, lead to other memories under other names."""
        values = self._values
        after = [values.memory_images[self._remember(memory, fact)] for fact in alike]
        images = zip(
            values.memory_images[memory].tolist(),
            values.alike_images[values.alike.number(alike)].tolist(),
            strict=True,
        )
        for renaming, (image, facts) in enumerate(images):
            remembered = sorted(self._remember(image, fact) for fact in values.alike[facts])
            if remembered != sorted(int(row[renaming]) for row in after):
                named = " or ".join(str(values.facts[fact]) for fact in alike)
                raise AsymmetryError(f"the properties remember {named} otherwise under other names")

    def compared(self, view: Number, other: Number) -> int:
        """The rank of what two views break together."""
        rank = self._compare(view, other)
        if self._values.is_symmetric:
            images = zip(
                self._values.view_images[view].tolist(),
                self._values.view_images[other].tolist(),
                strict=True,
            )
            if {self._compare(*pair) for pair in images} != {rank}:
                views = self._values.views
                raise AsymmetryError(
                    f"the properties compare {views[view]} and {views[other]} otherwise under "
                    "other names"
                )
        return rank

    def _remember(self, memory: Number, fact: Number) -> Number:
        values = self._values
        named = values.facts[fact]
        after = self._watch.remember(values.memories[memory], named)
        # Only steps with limited facts are counted one by one, and so can be taken off again.
        if self._watch.is_beyond(after) and not self._watch.is_limited(named):
            raise ContractError(
                f"{named} may happen any number of times, says is_limited, but too often, says "
                f"is_beyond of {after}"
            )
        return values.memory(after)

    def _compare(self, view: Number, other: Number) -> int:
        (node, seen), (other_node, other_seen) = self._values.views[view], self._values.views[other]
        return self._values.rank(self._values.system.compare(node, seen, other_node, other_seen))
