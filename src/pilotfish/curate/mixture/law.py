"""From mixtures and what they led to, the loss of any mixture.

Source: Liu et al. 2024 (RegMix), section 3: many small models on random mixtures, a regression from weights to loss,
and the mean of the mixtures with the lowest predictions. Which regression is chosen by leaving out one mixture at a
time.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError

__all__ = ["KINDS", "Law", "mixtures"]

Floats = NDArray[np.float64]
KINDS = ("constant", "linear", "quadratic")
_PENALTIES = (1e-4, 1e-2, 1.0)
_SEARCHED, _BEST = 100_000, 100


class Law:
    """A regression from weights of domains, which sum to one, to a loss.

    Attributes:
        kind_: "constant", "linear" or "quadratic": the one whose mistakes are the smallest on mixtures left out.
        mistake_: their root mean square, in the loss's units; that of "constant" is what no law would make.
        mistakes_: kind -> the same.
        rank_: the rank correlation of predictions for mixtures left out with their losses; NaN of a constant.
    """

    def fit(self, weights: ArrayLike, losses: ArrayLike) -> Self:
        """Learn from mixtures (mixtures, domains) and their losses (mixtures,).

        Raises:
            DataError: fewer than four mixtures, or sizes that do not agree.
        """
        x, y = np.asarray(weights, np.float64), np.asarray(losses, np.float64)
        if x.ndim != 2 or len(x) != len(y) or len(x) < 4:
            raise DataError(f"a law needs four mixtures or more, and a loss of each, not {x.shape} and {y.shape}")
        found: dict[str, tuple[float, float, Floats]] = {}
        for kind in KINDS:
            for penalty in _PENALTIES if kind != "constant" else (1.0,):
                left_out = _left_out(_features(x, kind), y, penalty)
                mistake = float(np.sqrt(np.mean((left_out - y) ** 2)))
                if kind not in found or mistake < found[kind][0]:
                    found[kind] = (mistake, penalty, left_out)
        # A simpler law stands unless a larger one is better by more than a hair.
        self.kind_ = "constant"
        for kind in KINDS[1:]:
            if found[kind][0] < 0.98 * found[self.kind_][0]:
                self.kind_ = kind
        self.mistake_, penalty, left_out = found[self.kind_]
        self.mistakes_ = {kind: one[0] for kind, one in found.items()}
        self.rank_ = _rank(left_out, y) if self.kind_ != "constant" else float("nan")
        self._coef, self._mean = _ridge(_features(x, self.kind_), y, penalty)
        return self

    def predict(self, weights: ArrayLike) -> Floats:
        """Return the loss of each mixture: (mixtures,)."""
        x = _features(np.atleast_2d(np.asarray(weights, np.float64)), self.kind_)
        found: Floats = (x - self._mean[:-1]) @ self._coef + self._mean[-1]
        return found

    def recommend(self, natural: ArrayLike, *, spread: float = 1.0, seed: int = 0) -> Floats:
        """Return the mean of the hundred best of 100,000 mixtures drawn as for the law: (domains,)."""
        drawn = mixtures(natural, _SEARCHED, spread=spread, seed=seed + 1)
        best = np.argsort(self.predict(drawn), kind="stable")[:_BEST]
        found: Floats = drawn[best].mean(axis=0)
        found /= found.sum()
        return found


def mixtures(natural: ArrayLike, count: int, *, spread: float = 1.0, seed: int = 0) -> Floats:
    """Return mixtures drawn about the domains' own shares: (count, domains).

    Dirichlet draws whose concentrations differ from mixture to mixture (from a tenth of `spread` to ten times), so that
    some are near a single domain and some near the shares as they are.
    """
    shares = np.asarray(natural, np.float64)
    shares = shares / shares.sum()
    random = np.random.default_rng(seed)
    scale = np.exp(random.uniform(np.log(0.1), np.log(10.0), count)) * spread * len(shares)
    # A share is never so small that its domain is never drawn.
    drawn = random.standard_gamma(np.maximum(scale[:, None] * shares, 0.02)) + 1e-12
    found: Floats = drawn / drawn.sum(axis=1, keepdims=True)
    return found


def _features(x: Floats, kind: str) -> Floats:
    if kind == "constant":
        return np.zeros((len(x), 1))
    if kind == "linear":
        return x
    rows, columns = np.triu_indices(x.shape[1])
    return np.concatenate([x, x[:, rows] * x[:, columns]], axis=1)


def _ridge(x: Floats, y: Floats, penalty: float) -> tuple[Floats, Floats]:
    mean = np.append(x.mean(axis=0), y.mean())
    centred = x - mean[:-1]
    inner = centred.T @ centred + penalty * len(x) * 1e-2 * np.eye(x.shape[1])
    return np.linalg.solve(inner, centred.T @ (y - mean[-1])), mean


def _left_out(x: Floats, y: Floats, penalty: float) -> Floats:
    found = np.empty(len(x))
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        coef, mean = _ridge(x[rest], y[rest], penalty)
        found[i] = (x[i] - mean[:-1]) @ coef + mean[-1]
    return found


def _rank(a: Floats, b: Floats) -> float:
    ranks: list[Any] = [np.argsort(np.argsort(one, kind="stable"), kind="stable") for one in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])
