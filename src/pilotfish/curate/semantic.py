"""Rows that say the same in other words, by their vectors.

Source: Abbas et al. 2023 (SemDeDup), section 3 and its code: k-means clusters; within each the rows in the order of
their distance from the centroid, the farthest first; a row goes that is near any row before it in that order, be that
one kept or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate._vectors import Vectors
from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.models._weights import identity_of
from pilotfish.rows._clusters import clustered
from pilotfish.rows._row import Row

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["Semantic", "semantic_duplicates"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
_WHOLE = 10_000  # rows that are all compared where no number of clusters is said
_BLOCK = 2048


class Semantic(Barrier):
    """Drops rows whose vectors point the same way as another row's of their cluster.

    The vectors lie in a file; in memory is one cluster at a time, and 256 rows a cluster to find them. A row without a
    text is not judged, and stays.

    Args:
        encoder: gives the vectors; or its weights.
        threshold: the least cosine of near rows (1 less the paper's epsilon).
        keep: the row of near ones that is farthest from the centroid stays (`far`, the paper's), or the nearest.
        clusters: within how many rows are compared; None for one up to 10,000 rows, above it the square root of the
            rows. Near rows of two clusters are missed.
        seed: of the clusters.
        text: the column that is read, or several, joined by a line break.

    Raises:
        ConfigError: a setting is out of range.
    """

    def __init__(
        self,
        encoder: Encoder | str | Path,
        threshold: float = 0.95,
        *,
        keep: Literal["far", "near"] = "far",
        clusters: int | None = None,
        seed: int | None = None,
        text: str | Sequence[str] = "text",
    ) -> None:
        from pilotfish.models.encoder import Encoder

        _check(threshold, keep, clusters)
        if seed is not None and clusters == 1:
            raise ConfigError("`seed` is of the clusters: of one cluster nothing would look at it")
        self._encoder = encoder if isinstance(encoder, Encoder) else Encoder(encoder, dtype="auto")
        self.threshold, self.keep, self.clusters, self.seed = threshold, keep, clusters, seed
        self.columns = [text] if isinstance(text, str) else list(text)

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Read the vectors and find which rows go, and near which."""
        read = Vectors(self._encoder, rows, self.columns, folder / "vectors.f4")
        (places,) = np.nonzero(read.there)
        near, cosine = semantic_duplicates(
            read.unit, self.threshold, keep=self.keep, clusters=self.clusters, seed=self.seed or 0
        )
        other = np.full(len(read.there), -1, dtype=np.int64)
        other[places[near >= 0]] = places[near[near >= 0]]
        similar = np.zeros(len(read.there), dtype=np.float32)
        similar[places] = cosine

        def decide(at: int, row: Row) -> Judged:
            if other[at] < 0:
                return {}
            return Dropped(f"semantic: cosine {similar[at]:.3f} with row {other[at] + 1} of those that came here")

        return decide

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        own = {name: value for name, value in super().config().items() if value is not None}
        return {**own, "encoder": identity_of(self._encoder.weights)}


def semantic_duplicates(
    unit: Floats,
    threshold: float = 0.95,
    *,
    keep: Literal["far", "near"] = "far",
    clusters: int | None = None,
    seed: int = 0,
) -> tuple[Ints, Floats]:
    """Return for each row the one that it is nearest to of those before it, -1 where it stays; and their cosine.

    Args:
        unit: (rows, dimension) of length one.
        threshold: as `Semantic`, like all that follow.
        keep: `far` or `near`.
        clusters: how many.
        seed: of the clusters.

    Raises:
        ConfigError: a setting is out of range.
    """
    _check(threshold, keep, clusters)
    near = np.full(len(unit), -1, dtype=np.int64)
    similar = np.zeros(len(unit), dtype=np.float32)
    count = clusters or (1 if len(unit) <= _WHOLE else round(len(unit) ** 0.5))
    whole: list[Ints] = [np.arange(len(unit), dtype=np.int64)] if len(unit) else []
    for rows in clustered(unit, count, seed) if count > 1 else whole:
        held = unit[rows]
        centroid = held.mean(axis=0, dtype=np.float64)
        # Rounded, so that rows as far as one another stay in the order of the input.
        to_centroid = np.round(held @ centroid, 9)
        order = np.argsort(to_centroid if keep == "far" else -to_centroid, kind="stable")
        held, own = held[order], rows[order]
        for start in range(0, len(own), _BLOCK):
            later = held[start : start + _BLOCK]
            best, which = np.full(len(later), -1, dtype=np.float32), np.full(len(later), -1, dtype=np.int64)
            for other in range(0, start + 1, _BLOCK):
                cosine = later @ held[other : other + _BLOCK].T
                if other == start:  # only the rows before a row count
                    cosine[np.triu_indices(len(later))] = -1
                top = cosine.argmax(axis=1)
                value = cosine[np.arange(len(later)), top]
                better = value > best
                best[better], which[better] = value[better], own[other + top[better]]
            gone = best >= threshold - 1e-6
            near[own[start : start + _BLOCK][gone]] = which[gone]
            similar[own[start : start + _BLOCK][gone]] = np.minimum(best[gone], 1)
    return near, similar


def _check(threshold: float, keep: str, clusters: int | None) -> None:
    if not 0 < threshold <= 1:
        raise ConfigError(f"the threshold of a cosine must be above 0 and at most 1, not {threshold}")
    if keep not in ("far", "near"):
        raise ConfigError(f"of near rows the far or the near one from the centroid is kept, not {keep!r}")
    if clusters is not None and clusters < 1:
        raise ConfigError(f"there is at least one cluster, not {clusters}")
