"""How good phrase vectors are: whether they find a pair's other phrase, and whether they order pairs as people do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.compete.phrases.pair import Pair, normal
from pilotfish.errors import DataError
from pilotfish.measure.agreement import correlation, ranks
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap
from pilotfish.retrieve.dense import Encodes
from pilotfish.rows.vectors import unit_vectors

__all__ = ["above", "again", "by_kind", "correlated", "cosines", "found_again", "spearman"]

_BLOCK = 512
_FEW = 10  # pairs of a kind that are a kind of their own
_TIED = 1e-6  # cosines that differ by rounding alone


def cosines(encoder: Encodes, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Return the cosine of each pair's vectors: (pairs,); each phrase is read once."""
    if not pairs:
        return np.zeros(0)
    places: dict[str, int] = {}
    ends = np.array([[places.setdefault(text, len(places)) for text in pair] for pair in pairs])
    unit = unit_vectors(encoder.encode(list(places))).astype(np.float64)
    return np.asarray((unit[ends[:, 0]] * unit[ends[:, 1]]).sum(axis=1))


def again(encoder: Encodes, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return (pairs,): 1 / rank at which one phrase finds the other among all, the mean of both directions.

    What is found is every phrase of the pairs but the one that asks and the others that are known to be near it; of
    equal cosines the other phrase comes last, so that vectors which are all alike find nothing.

    Raises:
        DataError: no pairs.
    """
    if not pairs:
        raise DataError("there are no pairs to measure on")
    places: dict[str, int] = {}
    texts: list[str] = []
    ends = []
    for pair in pairs:
        own = []
        for text in (pair.a, pair.b):
            key = normal(text)
            if key not in places:
                places[key] = len(places)
                texts.append(text)
            own.append(places[key])
        ends.append(own)
    near: dict[int, set[int]] = {}
    for a, b in ends:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    unit = unit_vectors(encoder.encode(texts))
    asked = np.array(ends + [[b, a] for a, b in ends], np.int64)
    found = np.empty(len(asked))
    for start in range(0, len(asked), _BLOCK):
        some = asked[start : start + _BLOCK]
        scores = unit[some[:, 0]] @ unit.T
        partner = scores[np.arange(len(some)), some[:, 1]].copy()
        for row, (one, other) in enumerate(some.tolist()):
            scores[row, [one, other, *near[one]]] = -np.inf
        found[start : start + _BLOCK] = 1 / (1 + (scores >= partner[:, None] - _TIED).sum(axis=1))
    return np.asarray(found.reshape(2, -1).mean(axis=0))


def by_kind(rows: NDArray[Any]) -> float:
    """Return the mean over kinds of the mean value of each, of rows of (value, kind)."""
    kinds, which = np.unique(rows[:, 1], return_inverse=True)
    return float((np.bincount(which, rows[:, 0]) / np.bincount(which, minlength=len(kinds))).mean())


def found_again(encoder: Encodes, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return (pairs, 2): what `again` gives, and the number of the pair's kind; kinds of few pairs are one together.

    Their mean is by `by_kind`: how many pairs of a kind a text has is an accident, and some kinds are found by their
    letters alone.

    Raises:
        DataError: no pairs.
    """
    counts = Counter(pair.kind for pair in pairs)
    names = sorted(kind for kind, count in counts.items() if count >= _FEW)
    kinds = [names.index(pair.kind) if pair.kind in names else len(names) for pair in pairs]
    return np.stack([again(encoder, pairs), np.array(kinds, np.float64)], axis=1)


def spearman(rows: NDArray[Any]) -> float:
    """Return Spearman's correlation of two columns, (rows, 2); 0 where one of them has no spread."""
    return correlation(np.stack([ranks(rows[:, 0]), ranks(rows[:, 1])], axis=1))


def correlated(scores: ArrayLike, people: ArrayLike, *, seed: int = 0, resamples: int = 2000) -> Interval:
    """Return Spearman's correlation of scores with what people say, with its bootstrap interval.

    Raises:
        DataError: as of `bootstrap`.
    """
    both = np.stack([np.asarray(scores, np.float64), np.asarray(people, np.float64)], axis=1)
    return bootstrap(both, spearman, method="percentile", seed=seed, resamples=resamples)


def above(one: ArrayLike, other: ArrayLike, people: ArrayLike, *, seed: int = 0, resamples: int = 2000) -> Interval:
    """Return by how much one's Spearman correlation with people is above another's, on the same pairs; paired."""
    truth = np.asarray(people, np.float64)
    left, right = (np.stack([np.asarray(some, np.float64), truth], axis=1) for some in (one, other))
    return paired_bootstrap(left, right, spearman, method="percentile", seed=seed, resamples=resamples)
