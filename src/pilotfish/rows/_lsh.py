"""Banding: which pairs of sketches are worth a look (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4).

A sketch is cut into `bands` of `rows` places; two sketches that agree on a whole band are candidates. Pairs of
similarity s become candidates with probability 1 - (1 - s^rows)^bands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.rows._grams import mixed

__all__ = ["Banding", "across", "within"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_CHUNK = 1 << 20  # candidate pairs held at a time
RUN = 64  # members of a run that are all compared with one another


@dataclass(frozen=True, slots=True)
class Banding:
    """How a sketch is cut.

    Attributes:
        bands: how many bands.
        rows: places a band.
    """

    bands: int
    rows: int

    def probability(self, similarity: ArrayLike) -> NDArray[np.float64]:
        """Return the chance that pairs of these similarities become candidates, for independent places."""
        return np.asarray(1 - (1 - np.asarray(similarity, np.float64) ** self.rows) ** self.bands)

    @classmethod
    def best(cls, threshold: float, size: int, missed: float = 0.95) -> Banding:
        """Return the banding of `size` places with the least weighted sum of two integrals.

        These are the chance of a candidate over similarities below the threshold (false positives, which a check sifts
        out at some cost) and the chance of none over those above it (false negatives, which are lost).

        Args:
            threshold: similarity from which two sets are near.
            size: places a sketch.
            missed: the weight of false negatives; false positives have the rest to 1.
        """
        below = (np.arange(512) + 0.5) / 512 * threshold
        above = threshold + (np.arange(512) + 0.5) / 512 * (1 - threshold)
        least, best = np.inf, cls(1, size)
        # From the longest band down: where two do as well, the one with fewer candidates stays.
        for rows in range(size, 0, -1):
            shape = cls(size // rows, rows)
            wrong = (1 - missed) * threshold * shape.probability(below).mean()
            wrong += missed * (1 - threshold) * (1 - shape.probability(above)).mean()
            if wrong < least - 1e-15:
                least, best = float(wrong), shape
        return best

    def keys(self, sketches: NDArray[np.uint32], band: int) -> Words:
        """Return a hash of one band of each sketch: (sketches,)."""
        part = sketches[:, band * self.rows : (band + 1) * self.rows]
        key = np.full(len(part), band, dtype=np.uint64)
        for row in range(self.rows):
            key = mixed(key + part[:, row])
        return key


def within(keys: Words, further: Words) -> Iterator[tuple[Ints, Ints]]:
    """Yield the pairs with equal keys, the lesser number first.

    Of a run of more than 64 equal keys each member is compared with the next 64 in the order of `further`, the keys of
    another band, and with the first one, so that time and memory grow with the members and not with their square.
    """
    order = np.argsort(keys, kind="stable")
    starts, sizes = _runs(keys[order])
    long = np.repeat(sizes > RUN, sizes)
    if long.any():
        part = order[long]
        order[long] = part[np.lexsort((part, further[part], keys[part]))]
    last = np.repeat(starts + sizes, sizes) - 1
    place = np.arange(len(keys), dtype=np.int64)
    if long.any():  # these first: whoever joins its run's first member need not be compared with the others
        head, member = np.repeat(starts, sizes)[long], place[long]
        yield _ordered(order[head[member != head]], order[member[member != head]])
    for low, high in _spread(place, place + 1, np.minimum(last - place, RUN)):
        yield _ordered(order[low], order[high])


def across(left: Words, right: Words) -> Iterator[tuple[Ints, Ints]]:
    """Yield (place in left, place in right) with equal keys, at most 64 of the right a left one."""
    order = np.argsort(right, kind="stable")
    keys = right[order]
    begin = np.searchsorted(keys, left, side="left")
    counts = np.minimum(np.searchsorted(keys, left, side="right") - begin, RUN)
    for low, high in _spread(np.arange(len(left), dtype=np.int64), begin, counts):
        yield low, order[high]


def _runs(keys: Words) -> tuple[Ints, Ints]:
    """Return where each run of equal keys starts, and its length."""
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
    return starts, np.diff(np.concatenate([starts, [len(keys)]]))


def _spread(items: Ints, begin: Ints, counts: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs of each item with `counts` numbers from `begin` on, some at a time."""
    some = counts > 0
    items, begin, counts = items[some], begin[some], counts[some]
    total = np.cumsum(counts)
    start = 0
    while start < len(items):
        stop = int(np.searchsorted(total, (total[start - 1] if start else 0) + _CHUNK, side="right"))
        stop = max(stop, start + 1)
        few = counts[start:stop]
        nth = np.arange(int(few.sum()), dtype=np.int64) - np.repeat(np.cumsum(few) - few, few)
        yield np.repeat(items[start:stop], few), np.repeat(begin[start:stop], few) + nth
        start = stop


def _ordered(a: Ints, b: Ints) -> tuple[Ints, Ints]:
    return np.minimum(a, b), np.maximum(a, b)
