"""A step that keeps the rows that cover the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate._vectors import Vectors
from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.coverage.clusters import cluster_balanced
from pilotfish.curate.coverage.distinct import distinct
from pilotfish.curate.coverage.kcenter import k_center
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.models._weights import identity_of
from pilotfish.rows._row import Row
from pilotfish.rows.facility import facility_location

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["Cover", "How"]

How = Literal["k-center", "facility-location", "distinct", "clusters"]


class Cover(Barrier):
    """Keeps rows by their vectors: far apart, near to all, not near one that is better, or as many of each cluster.

    Args:
        encoder: gives the vectors of the text; or its weights.
        how: `k-center`, `facility-location`, `distinct` (DEITA's rule) or `clusters`.
        share: of the rows that are kept; of `distinct` the most, None for all that are far enough.
        count: the same as a number of rows.
        text: the column that is read, or several, joined by a line break.
        score: a column of numbers; `distinct` goes through the rows by it, `clusters` takes each cluster's highest.
        most: of `distinct`: a row goes whose cosine to one that is kept is this or more.
        clusters: how many; None for the square root of the rows.
        seed: of the clusters.

    Raises:
        ConfigError: settings that do not go together, or that nothing would look at.
    """

    def __init__(
        self,
        encoder: Encoder | str | Path,
        how: How = "k-center",
        *,
        share: float | None = None,
        count: int | None = None,
        text: str | list[str] = "text",
        score: str | None = None,
        most: float | None = None,
        clusters: int | None = None,
        seed: int | None = None,
    ) -> None:
        from pilotfish.models.encoder import Encoder

        if how not in get_args(How):
            raise ConfigError(f"rows cover others by {', '.join(get_args(How))}, not {how!r}")
        if share is not None and count is not None:
            raise ConfigError("say how many are kept once: a share or a count")
        if share is None and count is None and how != "distinct":
            raise ConfigError(f"{how}: say how many are kept: a share or a count")
        if (share is not None and not 0 < share <= 1) or (count is not None and count < 1):
            raise ConfigError(f"a share lies above 0 and at most at 1, a count from 1 on, not {share or count}")
        for name, value, whose in (
            ("score", score, ("distinct", "clusters")),
            ("most", most, ("distinct",)),
            ("clusters", clusters, ("clusters",)),
            ("seed", seed, ("clusters",)),
        ):
            if value is not None and how not in whose:
                raise ConfigError(f"`{name}` is of {' and '.join(whose)}: nothing would look at it")
        self._encoder = encoder if isinstance(encoder, Encoder) else Encoder(encoder, dtype="auto")
        self.how, self.share, self.count, self.score = how, share, count, score
        self.columns = [text] if isinstance(text, str) else list(text)
        self.most, self.clusters, self.seed = most, clusters, seed

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Read the vectors, and choose."""
        read = Vectors(self._encoder, rows, self.columns, folder / "vectors.f4", self.score)
        vectors, scores, there = read.unit, read.scores, read.there
        wanted = self.count if self.count is not None else None
        if self.share is not None:
            wanted = max(1, round(self.share * len(vectors)))
        kept = np.zeros(len(there), dtype=bool)
        (places,) = np.nonzero(there)
        if len(vectors):
            kept[places[self._chosen(vectors, scores, wanted)]] = True
        limit = "" if wanted is None else f" of the {wanted:,} that are kept"

        def decide(at: int, row: Row) -> Judged:
            if kept[at]:
                return {}
            if not there[at]:
                return Dropped("cover.none: no text, or no score")
            return Dropped(f"cover.{self.how}: not one{limit}" if limit else f"cover.{self.how}: near one that is kept")

        return decide

    def _chosen(
        self, vectors: NDArray[np.float32], scores: NDArray[np.float64] | None, wanted: int | None
    ) -> NDArray[np.int64]:
        if self.how == "distinct":
            return distinct(vectors, scores, most=0.9 if self.most is None else self.most, count=wanted)
        assert wanted is not None
        if self.how == "clusters":
            return cluster_balanced(vectors, wanted, clusters=self.clusters, scores=scores, seed=self.seed or 0)
        if self.how == "facility-location":
            return facility_location(vectors, wanted)[0]
        return k_center(vectors, wanted)[0]

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        own = {name: value for name, value in super().config().items() if value is not None}
        return {**own, "encoder": identity_of(self._encoder.weights)}
