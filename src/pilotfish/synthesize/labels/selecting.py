"""Which rows to label next: those the model doubts, those unlike what is known, or both at once.

Sources: Settles 2009 (Active Learning Literature Survey), section 3.1, entropy and margin; Sener and Savarese 2018
(core-set), algorithm 1, k-center greedy; Arthur and Vassilvitskii 2007, k-means++; Ash et al. 2020 (BADGE), section 3,
k-means++ over gradients; Hacohen et al. 2022 (TypiClust), section 3.2, for the start, when nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError
from pilotfish.rows._clusters import clustered
from pilotfish.rows.vectors import unit_vectors

__all__ = ["How", "badge", "doubt", "k_center", "k_means", "select", "typical"]

How = Literal["random", "entropy", "margin", "k-center", "k-means", "badge", "typical"]
_BY_DOUBT, _BY_VECTORS = ("entropy", "margin", "badge"), ("k-center", "k-means", "badge", "typical")
_NEIGHBOURS = 20  # of which the mean distance says how typical a row is (TypiClust, appendix B)

Floats = NDArray[np.float64]


def select(
    how: How,
    count: int,
    rows: int,
    *,
    probabilities: ArrayLike | None = None,
    vectors: ArrayLike | None = None,
    known: ArrayLike | None = None,
    seed: int = 0,
) -> list[int]:
    """Return the numbers of the rows to label next, the most useful first.

    Args:
        how: by doubt ("entropy", "margin"), by difference ("k-center", "k-means"), by both ("badge"), by what is
            typical of each cluster ("typical"), or "random".
        count: how many; all of the rows where there are fewer.
        rows: how many there are.
        probabilities: (rows, classes), for what goes by doubt; rows of NaN are in doubt altogether.
        vectors: (rows, dimension), for what goes by difference.
        known: (labelled rows, dimension): vectors of what is labelled already.
        seed: of what is drawn.

    Raises:
        ConfigError: no such way, or it lacks what it goes by.
        DataError: vectors that are none.
    """
    if how not in get_args(How):
        raise ConfigError(f"rows are selected by one of {', '.join(get_args(How))}, not {how!r}")
    if count < 1:
        raise ConfigError(f"the rows to select are 1 or more, not {count}")
    if how in _BY_DOUBT and probabilities is None:
        raise ConfigError(f"{how} goes by a model's votes or probabilities: label the rows with it first")
    if how in _BY_VECTORS and vectors is None:
        raise ConfigError(f"{how} goes by vectors: name an encoder")
    count = min(count, rows)
    if how == "random":
        return [int(i) for i in np.random.default_rng(seed).permutation(rows)[:count]]
    shares = None if probabilities is None else _filled(probabilities)
    if how in ("entropy", "margin"):
        assert shares is not None
        return [int(i) for i in np.argsort(-doubt(shares, how), kind="stable")[:count]]
    unit = unit_vectors(vectors if vectors is not None else np.zeros((0, 1))).astype(np.float64)
    seen = np.zeros((0, unit.shape[1])) if known is None or not len(np.asarray(known)) else _unit(known)
    if how == "k-center":
        return k_center(unit, count, seen)
    if how == "k-means":
        return k_means(unit, count, seen, seed)
    if how == "typical":
        return typical(unit, count, seen, seed)
    assert shares is not None
    return badge(shares, unit, count, seed)


def doubt(probabilities: Floats, how: str = "entropy") -> Floats:
    """Return how unsure each row of (rows, classes) is: entropy in nats, or 1 less the margin of the best two."""
    if how == "margin":
        best = -np.sort(-probabilities, axis=1)[:, :2]
        return np.asarray(1.0 - (best[:, 0] - best[:, 1]))
    return np.asarray(-(probabilities * np.log(np.clip(probabilities, 1e-12, 1.0))).sum(axis=1))


def k_center(unit: Floats, count: int, known: Floats) -> list[int]:
    """Return rows, each the furthest from all that is known and all that were taken before it."""
    distance = _nearest(unit, known)
    if not len(known):
        # The first is the one nearest to the middle: the furthest of all from nothing would be an outlier.
        first = int((unit @ unit.mean(axis=0)).argmax())
        found = [first]
        distance = _apart(unit, unit[first])
    else:
        found = []
    taken = np.zeros(len(unit), bool)
    taken[found] = True
    while len(found) < count:
        best = int(np.where(taken, -1.0, distance).argmax())
        found.append(best)
        taken[best] = True
        distance = np.minimum(distance, _apart(unit, unit[best]))
    return found


def k_means(unit: Floats, count: int, known: Floats, seed: int = 0) -> list[int]:
    """Return rows drawn by k-means++: each with a chance that rises with the square of how far it is from the rest."""
    return _drawn(_nearest(unit, known), lambda i: _apart(unit, unit[i]), count, seed)


def badge(probabilities: Floats, unit: Floats, count: int, seed: int = 0) -> list[int]:
    """Return rows drawn by k-means++ over the gradients of the last layer, were the likeliest class the true one.

    A gradient is (p - one-hot) times the row's vector: long where the model doubts, and alike where rows and doubts
    are. Distances come of the two factors, so that the gradients (rows x classes x dimension) are never made.
    """
    error = probabilities.copy()
    error[np.arange(len(error)), probabilities.argmax(axis=1)] -= 1.0
    length = (error**2).sum(axis=1) * (unit**2).sum(axis=1)

    def apart(i: int) -> Floats:
        inner = (error @ error[i]) * (unit @ unit[i])
        return np.asarray(np.maximum(0.0, length + length[i] - 2 * inner))

    # The first is the one whose gradient is the longest; a gradient of zero is as far off as it is long.
    return _drawn(length, apart, count, seed, first=int(length.argmax()))


def typical(unit: Floats, count: int, known: Floats, seed: int = 0) -> list[int]:
    """Return the most typical row of each of the largest clusters in which nothing is known yet."""
    everything = np.concatenate([known, unit])
    groups = [np.asarray(group) for group in clustered(everything.astype(np.float32), len(known) + count, seed)]
    groups.sort(key=lambda group: (bool((group < len(known)).any()), -len(group)))
    found: list[int] = []
    spare: list[int] = []
    for group in groups:
        own = group[group >= len(known)] - len(known)
        if not len(own):
            continue
        order = own[np.argsort(-_typicality(unit, own), kind="stable")]
        found.append(int(order[0]))
        spare += [int(i) for i in order[1:]]
    return (found + spare)[:count]


def _typicality(unit: Floats, own: NDArray[np.int64]) -> Floats:
    alike = unit[own] @ unit[own].T
    nearest = -np.sort(-alike, axis=1)[:, 1 : _NEIGHBOURS + 1]
    return np.asarray(nearest.mean(axis=1)) if nearest.shape[1] else np.zeros(len(own))


def _drawn(
    distance: Floats, apart: Callable[[int], Floats], count: int, seed: int, first: int | None = None
) -> list[int]:
    random = np.random.default_rng(seed)
    distance = distance.copy()
    fresh = not np.isfinite(distance).all() or first is not None
    found: list[int] = []
    while len(found) < count:
        if fresh and not found:
            best = int(random.integers(len(distance))) if first is None else first
            distance = apart(best)
        else:
            distance[found] = 0.0
            total = distance.sum()
            rest = np.setdiff1d(np.arange(len(distance)), found)
            # What is left is all copies of what is taken: any of it will do.
            best = int(random.choice(rest)) if total <= 1e-12 else int(random.choice(len(distance), p=distance / total))
            distance = np.minimum(distance, apart(best))
        found.append(best)
    return found


def _nearest(unit: Floats, known: Floats) -> Floats:
    """Return each row's squared distance to the nearest that is known; infinite where nothing is."""
    found = np.full(len(unit), np.inf)
    for start in range(0, len(known), 1024):
        found = np.minimum(found, 2.0 - 2.0 * (unit @ known[start : start + 1024].T).max(axis=1))
    return np.asarray(np.maximum(0.0, found))


def _apart(unit: Floats, one: Floats) -> Floats:
    return np.asarray(np.maximum(0.0, 2.0 - 2.0 * (unit @ one)))


def _unit(vectors: ArrayLike) -> Floats:
    return unit_vectors(vectors).astype(np.float64)


def _filled(probabilities: ArrayLike) -> Floats:
    """Return probabilities that sum to one; what is missing of a row is spread over all classes."""
    shares = np.nan_to_num(np.asarray(probabilities, np.float64), nan=0.0).clip(0.0, 1.0)
    lacking = np.maximum(0.0, 1.0 - shares.sum(axis=1, keepdims=True))
    shares = shares + lacking / shares.shape[1]
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
