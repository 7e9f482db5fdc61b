"""The similarity of candidate pairs: exact from their texts, or estimated from their sketches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._grams import hashed, mixed

__all__ = ["estimated", "jaccard"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_CHARACTERS = 1 << 20  # of the texts of some pairs, taken together
_PAIRS = 1 << 12  # pairs, and so at most twice as many texts, at a time: their number takes 13 bits of a key
_SKETCHES = 1 << 14  # pairs of sketches compared at a time


def estimated(sketches: NDArray[np.uint32], left: Ints, right: Ints) -> NDArray[np.float64]:
    """Return the share of equal places of each pair: (pairs,)."""
    out = np.empty(len(left), dtype=np.float64)
    for start in range(0, len(left), _SKETCHES):
        some = slice(start, start + _SKETCHES)
        out[some] = (sketches[left[some]] == sketches[right[some]]).mean(axis=1)
    return out


def jaccard(texts: Sequence[str], left: Ints, right: Ints, n: int, unit: str) -> NDArray[np.float64]:
    """Return the Jaccard similarity of the n-grams of each pair of normalised texts: (pairs,).

    N-grams are compared by 51 bits of a hash within a pair, so two sets of 10,000 each are told exactly but for a
    chance of about 1 in 10^8.
    """
    out = np.empty(len(left), dtype=np.float64)
    order = np.argsort(left, kind="stable")  # pairs of one text come together: it is cut up once
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    for some in _batches(order, lengths[left[order]] + lengths[right[order]]):
        out[some] = _some(texts, left[some], right[some], n, unit)
    return out


def _batches(order: Ints, characters: Ints) -> Iterator[Ints]:
    total = np.cumsum(characters)
    start = 0
    while start < len(order):
        stop = int(np.searchsorted(total, (total[start - 1] if start else 0) + _CHARACTERS, side="right"))
        stop = min(max(stop, start + 1), start + _PAIRS)
        yield order[start:stop]
        start = stop


def _some(texts: Sequence[str], left: Ints, right: Ints, n: int, unit: str) -> NDArray[np.float64]:
    involved, local = np.unique(np.concatenate([left, right]), return_inverse=True)
    grams, counts = hashed([texts[place] for place in involved], n, unit)
    keys = np.sort(_keyed(grams, counts))
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    starts = np.searchsorted(keys >> _BITS, np.arange(len(involved) + 1, dtype=np.uint64))
    sizes = np.diff(starts)
    a, b = local[: len(left)], local[len(left) :]
    both = np.sort(np.concatenate([_of_pairs(keys, starts, sizes, side) for side in (a, b)]))
    equal = both[1:][both[1:] == both[:-1]] >> _BITS
    shared = np.bincount(equal.astype(np.int64), minlength=len(a))
    similarity: NDArray[np.float64] = shared / (sizes[a] + sizes[b] - shared)
    return similarity


_BITS = np.uint64(51)


def _keyed(grams: Words, counts: Ints) -> Words:
    """Return (number of the text, hash of the n-gram) as one number."""
    owner = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    return (owner << _BITS) | (mixed(grams) >> np.uint64(13))


def _of_pairs(keys: Words, starts: Ints, sizes: Ints, side: Ints) -> Words:
    """Return (number of the pair, hash of the n-gram) for one side's n-grams."""
    counts = sizes[side]
    within = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    grams = keys[np.repeat(starts[side], counts) + within] & ((np.uint64(1) << _BITS) - np.uint64(1))
    return np.asarray((np.repeat(np.arange(len(side), dtype=np.uint64), counts) << _BITS) | grams, dtype=np.uint64)
