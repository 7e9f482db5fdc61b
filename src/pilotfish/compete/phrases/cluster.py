"""Phrases in groups, each named by the phrase in its middle.

Sources: agglomerative clustering with average linkage: Sokal and Michener 1958; k-means of vectors of length one:
Dhillon and Modha 2001; the medoid, the member that is nearest to all others: Kaufman and Rousseeuw 1990, chapter 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError
from pilotfish.retrieve.dense import Encodes
from pilotfish.rows.vectors import unit_vectors

__all__ = ["Cluster", "Method", "clusters_of", "grouped"]

Method = Literal["agglomerative", "k-means"]
_MOST = 20_000  # phrases whose distances are all held: 3.2 GB


@dataclass(frozen=True)
class Cluster:
    """Phrases that are near one another.

    Attributes:
        name: its medoid.
        phrases: the nearest to the medoid first.
        rows: their numbers.
        closeness: the mean cosine of two of them; 1 for a single one.
    """

    name: str
    phrases: tuple[str, ...]
    rows: tuple[int, ...]
    closeness: float


def clusters_of(
    encoder: Encodes,
    phrases: Sequence[str],
    *,
    count: int | None = None,
    distance: float | None = None,
    method: Method = "agglomerative",
    seed: int = 0,
) -> list[Cluster]:
    """Return the groups of phrases, the largest first.

    Args:
        encoder: of phrases.
        phrases: the same one twice is in its group twice.
        count: of groups; or
        distance: 1 - the mean cosine up to which two groups become one; agglomerative only.
        method: "agglomerative" compares all with all; "k-means" takes any number of phrases.
        seed: of k-means.

    Raises:
        ConfigError: neither or both of count and distance, or a number out of range.
        DataError: no phrases, fewer than groups, or too many to compare all with all.
    """
    return grouped(unit_vectors(encoder.encode(phrases)), phrases, count, distance, method, seed)


def grouped(
    unit: NDArray[np.float32],
    phrases: Sequence[str],
    count: int | None,
    distance: float | None,
    method: Method = "agglomerative",
    seed: int = 0,
) -> list[Cluster]:
    """Return what `clusters_of` does of vectors of length one, (phrases, dimension), such as those in contexts."""
    if (count is None) == (distance is None):
        raise ConfigError("say how many groups there are, or up to which distance two become one: one of both")
    if method not in get_args(Method):
        raise ConfigError(f"phrases are grouped by {', '.join(get_args(Method))}, not {method!r}")
    if distance is not None and (method == "k-means" or not 0 < distance < 2):
        raise ConfigError("a distance is above 0 and below 2, and k-means has none: it wants a count")
    if not len(phrases) or (count is not None and not 1 <= count <= len(phrases)):
        raise DataError(f"{len(phrases)} phrases do not make {count or 1} groups")
    if method == "agglomerative" and len(phrases) > _MOST:
        raise DataError(f"{len(phrases):,} phrases: more than {_MOST:,} are grouped by k-means")
    if len(phrases) == 1:
        labels = np.zeros(1, np.int64)
    elif method == "k-means":
        kind = need("sklearn.cluster", "train").KMeans
        labels = kind(count, n_init=10, random_state=seed).fit_predict(unit)
    else:
        kind = need("sklearn.cluster", "train").AgglomerativeClustering
        labels = kind(count, metric="cosine", linkage="average", distance_threshold=distance).fit_predict(unit)
    found = [_cluster(unit, phrases, np.flatnonzero(labels == label)) for label in np.unique(labels)]
    return sorted(found, key=lambda one: (-len(one.rows), min(one.rows)))


def _cluster(unit: NDArray[np.float32], phrases: Sequence[str], rows: NDArray[np.int64]) -> Cluster:
    own = unit[rows].astype(np.float64)
    # The sum of a member's cosines to all is its product with the sum of all: no table of pairs is needed.
    whole = own @ own.sum(axis=0)
    medoid = int(np.argmax(np.round(whole, 9)))
    near = own @ own[medoid]
    near[medoid] = np.inf
    order = np.argsort(-near, kind="stable")
    size = len(rows)
    closeness = 1.0 if size == 1 else float((whole.sum() - size) / (size * (size - 1)))
    ordered = [int(rows[at]) for at in order]
    return Cluster(phrases[int(rows[medoid])], tuple(phrases[at] for at in ordered), tuple(ordered), closeness)
