"""Several retrievers as one: by the ranks that they give, or by their scores on one scale.

Sources: Cormack et al. 2009 (Reciprocal Rank Fusion): the sum of 1 / (k + rank) with k = 60; Fox and Shaw 1994
(CombSUM) and Montague and Aslam 2001 (normalised scores).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.model import Trace
from pilotfish.retrieve._traced import Searched, Traced, traced
from pilotfish.retrieve.found import Hit, Retriever

__all__ = ["Hybrid", "fused"]

Fusion = Literal["rrf", "min-max", "z-score"]
RANK_CONSTANT = 60.0


@dataclass(frozen=True)
class Hybrid(Traced):
    """A retriever that asks several and joins what they find. Passages are the same where their ids are.

    Args:
        retrievers: two or more.
        fusion: "rrf" by ranks; "min-max" and "z-score" by scores, brought to one scale among those found for a query.
        weights: one a retriever; None weighs all alike.
        depth: how many of each are joined, and k at least.
        constant: of "rrf".
        name: in reports.

    Raises:
        ConfigError: fewer than two, weights that do not fit, or another fusion.
    """

    retrievers: Sequence[Retriever]
    fusion: Fusion = "rrf"
    weights: Sequence[float] | None = None
    depth: int = 100
    constant: float = RANK_CONSTANT
    name: str = "hybrid"

    def __post_init__(self) -> None:
        if len(self.retrievers) < 2:
            raise ConfigError("a hybrid joins two retrievers or more")
        if self.weights is not None and len(self.weights) != len(self.retrievers):
            raise ConfigError(f"{len(self.weights)} weights for {len(self.retrievers)} retrievers")
        if self.weights is not None and (min(self.weights) < 0 or max(self.weights) == 0):
            raise ConfigError("weights are 0 or more, and one of them is above 0")
        if self.fusion not in ("rrf", "min-max", "z-score"):
            raise ConfigError(f"a fusion is rrf, min-max or z-score, not {self.fusion!r}")
        if self.depth < 1 or self.constant < 0:
            raise ConfigError("depth is 1 or more, and the constant 0 or more")

    def traced(self, queries: Sequence[str], k: int = 10) -> Searched:
        """See `Retriever` and `Traced`; a hit's parts are the scores that its retrievers gave it."""
        lists: list[list[list[Hit]]] = []
        traces = [Trace() for _ in queries]
        for retriever in self.retrievers:
            found, told = traced(retriever, queries, max(k, self.depth))
            lists.append(found)
            traces = [one + other for one, other in zip(traces, told, strict=True)]
        names = _apart([retriever.name for retriever in self.retrievers])
        joined = [
            fused(
                {name: hits[place] for name, hits in zip(names, lists, strict=True)},
                self.fusion,
                self.weights,
                self.constant,
            )[:k]
            for place in range(len(queries))
        ]
        return joined, traces


def fused(
    lists: Mapping[str, Sequence[Hit]],
    fusion: Fusion = "rrf",
    weights: Sequence[float] | None = None,
    constant: float = RANK_CONSTANT,
) -> list[Hit]:
    """Return what several lists hold, best first; of equal ones that which stands first in the first list that has it.

    Args:
        lists: what each retriever found for one query, best first.
        fusion: as of `Hybrid`; a list that lacks a passage adds nothing for it by ranks, and the least of its scores by
            scores.
        weights: one a list; None weighs all alike.
        constant: of "rrf".
    """
    sums: dict[str, float] = {}
    held: dict[str, Hit] = {}
    parts: dict[str, dict[str, float]] = {}
    for (name, hits), weight in zip(lists.items(), weights or [1.0] * len(lists), strict=True):
        scores = _scaled([hit.score for hit in hits], fusion, constant)
        for hit, score in zip(hits, scores, strict=True):
            key = hit.passage.id
            held.setdefault(key, hit)
            sums[key] = sums.get(key, 0.0) + weight * score
            parts.setdefault(key, {})[name] = hit.score
    found = [Hit(held[key].passage, total, parts[key]) for key, total in sums.items()]
    return sorted(found, key=lambda hit: -hit.score)


def _scaled(scores: Sequence[float], fusion: Fusion, constant: float) -> list[float]:
    """Return what each place of a list adds; nothing less than a passage that is not in it."""
    if fusion == "rrf":
        return [1 / (constant + rank) for rank in range(1, len(scores) + 1)]
    if not scores:
        return []
    told = np.asarray(scores, np.float64)
    spread = float(told.max() - told.min()) if fusion == "min-max" else float(told.std())
    # All alike, as of a list of one: each is the best there is.
    return ((told - told.min()) / spread).tolist() if spread > 0 else [1.0] * len(scores)


def _apart(names: Sequence[str]) -> list[str]:
    """Return names of which no two are alike."""
    found: list[str] = []
    for name in names:
        number = 2
        one = name
        while one in found:
            one, number = f"{name} {number}", number + 1
        found.append(one)
    return found
