"""How well scores tell texts that are inside a scope from others.

Sources: Hendrycks and Gimpel 2017, section 2 (the area under the ROC curve); Liang et al. 2018 (ODIN), section 4.2: the
share of outside texts that pass at the threshold which keeps 95% of the inside ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure.curve import area_interval
from pilotfish.measure.intervals import Interval, bootstrap, wilson

__all__ = ["ScopeScores", "passed_at", "scope_scores"]


@dataclass(frozen=True)
class ScopeScores:
    """What scores of a scope are worth, on texts inside and outside of it.

    Attributes:
        auroc: how often a text inside scores above one outside; ties count half.
        fpr95: the share of texts outside that score as high as the best 95% of those inside.
        kept: the share of texts inside that the threshold keeps; None without one.
        caught: the share of texts outside that it tells; None without one.
    """

    auroc: Interval
    fpr95: Interval
    kept: Interval | None = None
    caught: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        named = {name: getattr(self, name) for name in ("auroc", "fpr95", "kept", "caught")}
        return {name: None if one is None else one.to_json() for name, one in named.items()}

    def __str__(self) -> str:
        told = f"AUROC {self.auroc}, FPR95 {self.fpr95}"
        return told if self.kept is None else f"{told}; the threshold keeps {self.kept} and catches {self.caught}"


def passed_at(inside: NDArray[np.float64], outside: NDArray[np.float64], recall: float = 0.95) -> float:
    """Return the share of `outside` that scores at least what the best `recall` of `inside` do."""
    keep = int(np.ceil(recall * len(inside) - 1e-9))
    threshold = np.sort(inside)[len(inside) - keep]
    return float((outside >= threshold).mean())


def scope_scores(
    scores: ArrayLike, inside: ArrayLike, threshold: float | None = None, *, resamples: int = 2000, seed: int = 0
) -> ScopeScores:
    """Judge scores, the higher the further inside.

    Args:
        scores: (texts,).
        inside: (texts,) whether a text is.
        threshold: texts that score below it are told to be outside.
        resamples: of the texts, as many inside and outside in each.
        seed: of the draws.

    Raises:
        DataError: no text inside, none outside, or columns that do not fit.
    """
    values, real = np.asarray(scores, np.float64), np.asarray(inside, np.bool_)
    if values.shape != real.shape or not 0 < real.sum() < len(real):
        raise DataError(f"texts inside and outside are needed, with a score each: {values.shape}, {real.shape}")

    def passed(rows: NDArray[np.float64]) -> float:
        own = rows[:, 1] > 0
        return passed_at(rows[own, 0], rows[~own, 0])

    table = np.stack([values, real.astype(np.float64)], axis=1)
    strata = real.astype(np.int64)
    fpr95 = bootstrap(table, passed, resamples=resamples, method="percentile", strata=strata, seed=seed)
    kept = caught = None
    if threshold is not None:
        up = values >= threshold
        kept = wilson(float(up[real].sum()), int(real.sum()))
        caught = wilson(float((~up[~real]).sum()), int((~real).sum()))
    return ScopeScores(area_interval(values, real), fpr95, kept, caught)
