"""What the windows of an answer say together of a word: the most supporting one decides, however many there are.

A word is borne out if any piece of the evidence bears it out. So its score is the least of what the windows say, and
not a mean or a vote, by which the pieces that are about something else, which are most of a long text, would outvote
the one that holds the evidence. The least of many draws is lower by chance: how much lower a further window makes it is
learnt with the calibration, as a weight of the logarithm of their number that is never below 0.

    p = 1 / (1 + exp(-(slope * least + offset + growth * ln windows)))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.models.classify.calibration import Platt

__all__ = ["Combined", "least"]

Floats = NDArray[np.float64]
_HELD = 1e-3  # against weights without end, where two classes lie apart


def least(logits: ArrayLike) -> Floats:
    """Return the least of each word: (windows, words) to (words,)."""
    found: Floats = np.asarray(logits, np.float64).min(axis=0)
    return found


@dataclass(frozen=True)
class Combined:
    """From the least logit of a word, and the number of windows, to how likely it is a fault.

    Attributes:
        slope: of the logit; never below 0.
        offset: added.
        growth: of the logarithm of the number of windows; never below 0.
    """

    slope: float = 1.0
    offset: float = 0.0
    growth: float = 0.0

    def __call__(self, logits: ArrayLike, windows: ArrayLike) -> Floats:
        """Return probabilities.

        Args:
            logits: (words,) the least of each word.
            windows: (words,) or one number: of how many.
        """
        x = self.slope * np.asarray(logits, np.float64) + self.offset + self.growth * np.log(np.asarray(windows))
        return np.asarray(0.5 * (1 + np.tanh(x / 2)))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {"slope": self.slope, "offset": self.offset, "growth": self.growth}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Combined:
        """Read what `to_json` gave."""
        return cls(float(told["slope"]), float(told["offset"]), float(told["growth"]))

    @classmethod
    def fit(cls, logits: ArrayLike, windows: ArrayLike, faulty: ArrayLike) -> Combined:
        """Find the likeliest weights; of words of one class only there is nothing to find.

        Args:
            logits: (words,).
            windows: (words,).
            faulty: (words,) which are.
        """
        x, grow = np.asarray(logits, np.float64), np.log(np.asarray(windows, np.float64))
        y = np.asarray(faulty, np.float64)
        if not 0 < y.sum() < len(y):
            return cls()
        plain = Platt.fit(x, y)
        if plain.slope == 0 or grow.std() == 0:
            return cls(plain.slope, plain.offset)
        scale = float(x.std()) or 1.0
        columns = np.stack([x / scale, np.ones_like(x), grow], axis=1)
        targets = y * (y.sum() + 1) / (y.sum() + 2) + (1 - y) / ((1 - y).sum() + 2)
        found = np.array([plain.slope * scale, plain.offset, 0.0])
        bent = columns.T @ columns / 4 + _HELD * np.eye(3)  # no logistic loss bends more (Böhning 1992)
        for _ in range(2000):
            p = 0.5 * (1 + np.tanh(columns @ found / 2))
            step = np.linalg.solve(bent, columns.T @ (p - targets) + _HELD * found)
            found = found - step
            if abs(step).max() < 1e-9:
                break
        if found[2] <= 0 or found[0] <= 0:
            return cls(plain.slope, plain.offset)
        return cls(float(found[0] / scale), float(found[1]), float(found[2]))
