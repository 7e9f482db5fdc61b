"""Drift: whether live scores still look as they did when a threshold was calibrated.

Live scores are compared with calibration's in windows that do not overlap: their whole distribution by the two-sample
Kolmogorov-Smirnov test, the share below the threshold by Fisher's exact test (a threshold may lie where few scores do,
and that is where it counts). Each of the two is given half of the false alarms allowed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pilotfish.errors import ConfigError

__all__ = ["Drift", "Watch"]


@dataclass(frozen=True)
class Drift:
    """What a window of live scores shows beside calibration's.

    Attributes:
        alarmed: whether they differ beyond chance.
        distance: between the two distributions, 0 to 1 (Kolmogorov-Smirnov).
        deferred: the share below the threshold, live.
        expected: and when it was calibrated.
        p: of the two tests, twice the lesser (Bonferroni): the chance of so much without drift is at most this.
        n: live scores.
    """

    alarmed: bool
    distance: float
    deferred: float
    expected: float
    p: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {name: getattr(self, name) for name in ("alarmed", "distance", "deferred", "expected", "p", "n")}


class Watch:
    """Takes live scores in and tells drift, window by window. Threads may share one.

    Args:
        reference: calibration's scores.
        above: the threshold.
        window: live scores that are judged together.
        alarm: the chance of a false alarm, a window.

    Attributes:
        last: what the latest whole window showed; None before the first.
        alarmed: whether that was an alarm. The next window that looks as it should ends it.

    Raises:
        ConfigError: no reference, or settings that make no sense.
    """

    def __init__(self, reference: ArrayLike, above: float, *, window: int = 500, alarm: float = 0.001) -> None:
        self.reference = np.sort(np.asarray(reference, np.float64))
        if not len(self.reference) or window < 20 or not 0 < alarm < 1:
            raise ConfigError("drift needs calibration's scores, a window of 20 or more, and an alarm between 0 and 1")
        self.above, self.window, self.alarm = above, window, alarm
        self.last: Drift | None = None
        self._live: list[float] = []
        self._lock = threading.Lock()

    @property
    def alarmed(self) -> bool:
        """Whether the latest whole window was an alarm."""
        return self.last is not None and self.last.alarmed

    def saw(self, score: float) -> Drift | None:
        """Take a live score in; return what the window shows that it completes."""
        with self._lock:
            self._live.append(score)
            if len(self._live) < self.window:
                return None
            live, self._live = self._live, []
            self.last = self.judge(live)
            return self.last

    def judge(self, live: ArrayLike) -> Drift:
        """Return what live scores show."""
        scores = np.sort(np.asarray(live, np.float64))
        both = np.concatenate([self.reference, scores])
        below = [np.searchsorted(one, both, side="right") / len(one) for one in (self.reference, scores)]
        distance = float(np.abs(below[0] - below[1]).max())
        counts = [int((one < self.above).sum()) for one in (self.reference, scores)]
        sizes = len(self.reference), len(scores)
        p = min(1.0, 2 * min(_kolmogorov(distance, *sizes), _fisher(counts, sizes)))
        shares = [count / size for count, size in zip(counts, sizes, strict=True)]
        return Drift(p < self.alarm, distance, shares[1], shares[0], p, len(scores))


def _kolmogorov(distance: float, n: int, m: int) -> float:
    """Return the chance of so great a distance between two samples of one continuous distribution (asymptotic).

    With ties it is less, so the test is on the safe side. Stephens' correction makes it good from some ten values on.
    """
    root = math.sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:  # the series converges slowly there, and the chance is 1 to ten digits
        return 1.0
    terms = [(1.0 if k % 2 else -1.0) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101)]
    return min(1.0, max(0.0, 2 * sum(terms)))


def _fisher(counts: Sequence[int], sizes: Sequence[int]) -> float:
    """Return Fisher's two-sided p of two shares: the chance, given their sum, of counts no likelier than these."""
    total = sum(counts)
    least, most = max(0, total - sizes[1]), min(total, sizes[0])
    logs = np.array([_choose(sizes[0], k) + _choose(sizes[1], total - k) for k in range(least, most + 1)])
    chances = np.exp(logs - logs.max())
    own = chances[counts[0] - least]
    return float(chances[chances <= own * (1 + 1e-7)].sum() / chances.sum())


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
