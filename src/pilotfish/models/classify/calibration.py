"""Scores made honest: a slope and an offset on log-odds, or a staircase that never falls.

Sources: Platt 1999, section 2, with its smoothed targets; Zadrozny and Elkan 2002 (isotonic regression, by pooling
adjacent violators).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError, DataError

__all__ = ["CALIBRATIONS", "Calibration", "Platt", "Staircase", "calibrated", "calibration_from"]

Floats = NDArray[np.float64]
CALIBRATIONS = ("platt", "isotonic", "off")
Kind = Literal["platt", "isotonic", "off"]
_HELD = 1e-3  # against slopes without end, where two classes lie apart


@dataclass(frozen=True)
class Platt:
    """p = 1 / (1 + exp(-(slope * logit + offset))).

    Attributes:
        slope: never below 0: the order of scores stays.
        offset: added.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return probabilities: (rows,)."""
        return _sigmoid(self.slope * np.asarray(logits, np.float64) + self.offset)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {"how": "platt", "slope": self.slope, "offset": self.offset}

    @classmethod
    def fit(cls, logits: ArrayLike, good: ArrayLike) -> Platt:
        """Find the likeliest slope and offset; of rows of one class only, there is nothing to find."""
        x, y = np.asarray(logits, np.float64), np.asarray(good, np.float64)
        ups, downs = y.sum(), (1 - y).sum()
        if not ups or not downs:
            return cls()
        targets = y * (ups + 1) / (ups + 2) + (1 - y) / (downs + 2)
        scale = float(x.std()) or 1.0
        columns = np.stack([x / scale, np.ones_like(x)], axis=1)
        found = np.zeros(2)
        bent = columns.T @ columns / 4 + _HELD * np.eye(2)  # no logistic loss bends more (Böhning 1992)
        for _ in range(2000):
            step = np.linalg.solve(bent, columns.T @ (_sigmoid(columns @ found) - targets) + _HELD * found)
            found = found - step
            if abs(step).max() < 1e-9:
                break
        if found[0] <= 0:  # higher scores are worse: the scores say nothing that can be trusted
            return cls(0.0, float(np.log((ups + 1) / (downs + 1))))
        return cls(float(found[0] / scale), float(found[1]))


@dataclass(frozen=True)
class Staircase:
    """A staircase over logits that never falls; equal heights are ties, which a fit of few rows has many of.

    Attributes:
        edges: (steps,) the lowest logit of each step, rising.
        heights: (steps,) the share of good rows on it.
    """

    edges: tuple[float, ...]
    heights: tuple[float, ...]

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return probabilities: (rows,)."""
        at = np.searchsorted(self.edges, np.asarray(logits, np.float64), side="right") - 1
        return np.asarray(np.asarray(self.heights)[np.maximum(at, 0)], np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {"how": "isotonic", "edges": list(self.edges), "heights": list(self.heights)}

    @classmethod
    def fit(cls, logits: ArrayLike, good: ArrayLike) -> Staircase:
        """Pool neighbours until the share of good rows rises; each step has one good and one bad row more.

        Raises:
            DataError: no rows.
        """
        values, which = np.unique(np.asarray(logits, np.float64), return_inverse=True)
        if not len(values):
            raise DataError("a staircase needs at least one row")
        counts = np.bincount(which).astype(np.float64)
        hits = np.bincount(which, weights=np.asarray(good, np.float64))
        steps: list[list[float]] = []  # lowest logit, good rows, rows
        for edge, hit, count in zip(values.tolist(), hits.tolist(), counts.tolist(), strict=True):
            steps.append([edge, hit, count])
            while len(steps) > 1 and _height(steps[-2]) >= _height(steps[-1]):
                _, above, rows = steps.pop()
                steps[-1][1] += above
                steps[-1][2] += rows
        return cls(tuple(step[0] for step in steps), tuple(map(_height, steps)))


Calibration = Platt | Staircase


def calibrated(how: str, logits: ArrayLike, good: ArrayLike) -> Calibration:
    """Fit a calibration on rows that learning did not see; `off` is the logistic function itself.

    Raises:
        ConfigError: there is no such kind.
    """
    if how == "platt":
        return Platt.fit(logits, good)
    if how == "isotonic":
        return Staircase.fit(logits, good)
    if how == "off":
        return Platt()
    raise ConfigError(f"calibration is one of {', '.join(CALIBRATIONS)}, not {how!r}")


def calibration_from(told: Mapping[str, Any]) -> Calibration:
    """Read what `to_json` gave.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    if told["how"] == "platt":
        return Platt(float(told["slope"]), float(told["offset"]))
    edges, heights = (tuple(float(value) for value in told[name]) for name in ("edges", "heights"))
    if told["how"] != "isotonic" or not edges or len(edges) != len(heights):
        raise ValueError("not a calibration")
    return Staircase(edges, heights)


def _height(step: Sequence[float]) -> float:
    return (step[1] + 1) / (step[2] + 2)


def _sigmoid(x: Floats) -> Floats:
    # Never exactly 0 or 1, and no overflow: a score is a rank too.
    return np.asarray(np.where(x >= 0, 1 / (1 + np.exp(-abs(x))), np.exp(-abs(x)) / (1 + np.exp(-abs(x)))))
