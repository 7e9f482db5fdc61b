"""Does a single word give a class away? Then a classifier learns where rows come from, and not what they are worth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["telling"]

_WORDS = re.compile(r"\w+|[^\w\s]")
SURE = 0.95  # the area of one word from which on it is told
_MOST = 20_000  # texts looked at


def telling(texts: Sequence[str], good: NDArray[np.bool_]) -> tuple[str, float] | None:
    """Return the word whose presence tells good texts from others best, with its area, if that is at least .95."""
    some = np.random.default_rng(0).permutation(len(texts))[:_MOST]
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    sizes = [0, 0]
    for place in some.tolist():
        kind = int(good[place])
        counts[kind].update(set(_WORDS.findall(texts[place].lower())))
        sizes[kind] += 1
    if not all(sizes):
        return None
    best = max(
        ((abs(counts[1][word] / sizes[1] - counts[0][word] / sizes[0]), word) for word in counts[0] | counts[1]),
        default=(0.0, ""),
    )
    alone = 0.5 + best[0] / 2
    return (best[1], round(alone, 4)) if alone >= SURE else None
