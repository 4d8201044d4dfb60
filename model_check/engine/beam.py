"""A beam: of each level of a breadth-first search only some states are followed.

It goes where a complete search cannot: as deep as one likes, at the price of most states. Which are
followed matters. A violation is a matter of what the properties see, so states are sorted by that,
and of those that look the same to them only a few are followed, chosen at random: rare stories are
not drowned by common ones.

(Beam search goes back to B. T. Lowerre, "The HARPY Speech Recognition System", 1976; to favour what
was not seen before, rather than what seems near the goal, to J. Lehman and K. O. Stanley,
"Abandoning Objectives", 2011.)
"""

from __future__ import annotations

import numpy as np

from model_check.engine.compiled import Int32s, Int64s


def thinned(seen: Int32s, width: int, random: np.random.Generator) -> Int64s:
    """Which rows of a level to follow, in ascending order: of those of which the properties see the
    same, all, or ``width`` chosen at random."""
    order = np.lexsort((random.random(len(seen)), *seen.T))
    begins = np.r_[True, (seen[order][1:] != seen[order][:-1]).any(axis=1)]
    starts = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    return np.sort(order[np.arange(len(order)) - starts < width])
