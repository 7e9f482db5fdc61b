"""What the best of n is worth for every n, from one set of answers: where a reward is trusted too much, it falls.

Sources: Nakano et al. 2021 (WebGPT), appendix I (the unbiased estimator); Gao et al. 2023 (Scaling Laws for Reward
Model Overoptimization), section 2 (KL of best of n: log n - (n - 1) / n); Stiennon et al. 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap

__all__ = ["BestOf", "best_of_curve"]


@dataclass(frozen=True)
class BestOf:
    """The best of n by the small reward.

    Attributes:
        n: answers that it picks from.
        divergence: nats by which its answers differ from the model's own.
        proxy: the mean small reward of what is picked.
        gold: the mean of what counts.
    """

    n: int
    divergence: float
    proxy: Interval
    gold: Interval


def best_of_curve(proxy: ArrayLike, gold: ArrayLike, counts: Sequence[int] | None = None) -> list[BestOf]:
    """Return the curve, with intervals over prompts.

    Args:
        proxy: (prompts, answers) the small reward of each answer.
        gold: (prompts, answers) what counts: another reward, or whether it is right.
        counts: which n; by default 1, 2, 4 and so on to all answers.

    Raises:
        DataError: tables of two shapes, or an n above the number of answers.
    """
    mine, wanted = np.asarray(proxy, np.float64), np.asarray(gold, np.float64)
    if mine.shape != wanted.shape or mine.ndim != 2 or not mine.size:
        raise DataError(f"both are (prompts, answers), not {mine.shape} and {wanted.shape}")
    total = mine.shape[1]
    chosen = [2**power for power in range(total.bit_length())] if counts is None else list(counts)
    order = np.argsort(mine, axis=1, kind="stable")
    ranked, worth = np.take_along_axis(mine, order, 1), np.take_along_axis(wanted, order, 1)
    worth = _levelled(ranked, worth)
    found = []
    for n in chosen:
        if not 1 <= n <= total:
            raise DataError(f"the best of {n} cannot be told from {total} answers a prompt")
        weights = _chances(total, n)
        kl = math.log(n) - (n - 1) / n
        ends = [bootstrap(part @ weights, resamples=2000) for part in (ranked, worth)]
        found.append(BestOf(n, kl, ends[0], ends[1]))
    return found


def _chances(total: int, n: int) -> NDArray[np.float64]:
    """Return (total,) how likely the k-th from below is the best of n drawn without return: C(k-1, n-1) / C(N, n)."""
    logs = np.full(total, -np.inf)
    whole = _log_choose(total, n)
    for k in range(n, total + 1):
        logs[k - 1] = _log_choose(k - 1, n - 1) - whole
    return np.asarray(np.exp(logs))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _levelled(ranked: NDArray[np.float64], worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the worth with answers of equal reward given their mean: which of them is picked is chance."""
    found = worth.copy()
    for row in range(len(ranked)):
        edges = np.flatnonzero(np.diff(ranked[row])) + 1
        for some in np.split(np.arange(ranked.shape[1]), edges):
            if len(some) > 1:
                found[row, some] = worth[row, some].mean()
    return found
