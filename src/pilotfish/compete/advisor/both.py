"""Both models at run time, of answers that are there: a cascade by how sure the small one is, a route by the prompt.

What a threshold or a router would have done is arithmetic on what each model answered, so neither asks anything anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.mix import Threshold, choose_threshold
from pilotfish.errors import PilotfishError
from pilotfish.infer.routing import LinearRouter, Outcomes, Trade
from pilotfish.infer.signals import SIGNALS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.advisor.desk import Answers

__all__ = ["Chooser", "cascaded", "routed"]

# Scores of a reply that a cascade's table knows, by their places among the signals.
_SCORES = {"mean-logprob": "mean", "min-logprob": "lowest", "margin": "mean margin", "sum-logprob": "sum"}
_PRICES = 40
_LEAST = 16  # rows that a router learns from, at least


@dataclass(frozen=True, eq=False)
class Chooser:
    """What decides which of two models answers.

    Attributes:
        how: what it goes by, for the report.
        table: of the collaboration file, but for `use`.
        large: (rows,) of any rows: True where the large model is asked. Takes (row texts, the small model's signals).
        mean: the mean mark on the rows that chose it: an optimistic figure.
        share: that the large model was asked, on those rows.
        after: the small model answers first, so that both are paid for where the large one is asked.
    """

    how: str
    table: Mapping[str, Any]
    mean: float
    share: float
    after: bool
    _score: str = ""
    _above: float = 0.0
    _router: Any = None
    _price: float = 0.0

    def large(self, texts: Sequence[str], signals: NDArray[np.float64] | None) -> NDArray[np.bool_]:
        """Return where the large model is asked: (rows,)."""
        if self._router is None:
            assert signals is not None
            unsure: NDArray[np.bool_] = _scores(signals, self._score) < self._above
            return unsure
        forecast = self._router.predict(texts)
        chosen: NDArray[np.bool_] = Trade(self._price).choose(forecast.quality, forecast.cost) == 1
        return chosen


def cascaded(small: Answers, large: Answers, names: tuple[str, str]) -> Chooser | None:
    """Return a cascade's threshold, by rows that both answered; None where the small model gives no log-probability.

    Of the scores the one whose best threshold does best is taken; of equals the one that asks the large model least.

    Args:
        small: its answers.
        large: its answers to the same rows.
        names: of the two in the file.
    """
    rows = min(len(small.rows), len(large.rows))
    if small.signals is None or not rows:
        return None
    found: dict[str, Threshold] = {}
    for score in _SCORES:
        sure = _scores(small.signals[:rows], score)
        if len(np.unique(sure)) > 1:
            found[score] = choose_threshold(sure, small.marks[:rows], large.marks[:rows])
    if not found:
        return None
    score = max(found, key=lambda one: (round(found[one].accuracy, 9), -found[one].deferred))
    best = found[score]
    above = best.above if np.isfinite(best.above) else 1e9
    # 0 trusts all where a probability is compared; a log-probability is below it.
    above = -1e9 if best.deferred == 0 else above
    table = {"small": names[0], "large": names[1], "accept": {"score": score, "above": above}}
    return Chooser(f"its {score}", table, best.accuracy, best.deferred, True, score, above)


def routed(
    texts: Sequence[str], small: Answers, large: Answers, names: tuple[str, str], costs: tuple[float, float]
) -> tuple[Chooser, Any] | None:
    """Return a route by the prompt alone and its router; None where the rows are too few or nothing sets them apart.

    The first half of the rows teaches the router, the second chooses what a dollar, or a second, is worth.

    Args:
        texts: (rows,) the prompts.
        small: its answers to them.
        large: likewise.
        names: of the two in the file.
        costs: what a row takes of each, dollars or seconds.
    """
    rows = min(len(small.rows), len(large.rows))
    half = rows // 2
    if half < _LEAST or not costs[1] > costs[0]:
        return None
    from pilotfish.models.classify import TfidfFeatures

    quality = np.stack([small.marks[:rows], large.marks[:rows]], axis=1)
    try:
        router = LinearRouter(TfidfFeatures()).fit(
            Outcomes(list(texts[:half]), names, quality[:half], _costs(costs, half))
        )
    except PilotfishError:
        return None  # no word stands twice, or the like: there is nothing to route by
    told = router.predict(list(texts[half:rows]))
    forecast = told.quality
    gaps = (forecast[:, 1] - forecast[:, 0]) / (costs[1] - costs[0])
    prices = np.unique(np.clip(np.quantile(gaps, np.linspace(0, 1, _PRICES)), 0, None))
    best: tuple[float, float, float] | None = None
    for price in (*prices, float(prices[-1]) * 1.01 + 1e-9):
        chosen = Trade(float(price)).choose(forecast, told.cost)
        mean = float(quality[half:][np.arange(rows - half), chosen].mean())
        one = (round(mean, 9), -float((chosen == 1).mean()), float(price))
        best = one if best is None or one > best else best
    assert best is not None
    mean, share, price = best[0], -best[1], best[2]
    table = {"models": list(names), "router": "router", "choose": {"price": price}}
    return Chooser("the prompt", table, mean, share, False, _router=router, _price=price), router


def _scores(signals: NDArray[np.float64], score: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = signals[:, SIGNALS.index(_SCORES[score])]
    return found


def _costs(costs: tuple[float, float], rows: int) -> NDArray[np.float64]:
    return np.tile(np.asarray(costs, np.float64), (rows, 1))
