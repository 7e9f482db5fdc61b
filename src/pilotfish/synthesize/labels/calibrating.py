"""Confidence made honest on gold rows: brought to a temperature, or put through a rising staircase.

Sources: Guo et al. 2017, section 4.2 (temperature); Platt 1999 (a slope and an offset); Zadrozny and Elkan 2002
(isotonic regression, by pooling adjacent violators); Zhou et al. 2023 (Batch Calibration), equation 3, for a model's
bias towards some answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.models.classify.calibration import Staircase
from pilotfish.models.classify.head import fit_temperature, softmax
from pilotfish.synthesize.labels.kind import Joined, Kind, Opinion

__all__ = ["Calibrate", "Honest", "Isotonic", "Sloped", "Temperature", "calibrator", "debiased"]

Calibrate = Literal["auto", "off", "temperature", "isotonic"]
_HELD = 0.1  # against slopes and offsets far from 1 and 0, in rows
_FEW, _MANY = 30, 200  # gold rows: with fewer nothing is fitted, with more a staircase


class Honest(Protocol):
    """Turns how sure the answers are into how often such answers are right."""

    def __call__(self, joined: Joined) -> float:
        """Return the confidence, 0 to 1."""

    def config(self) -> dict[str, Any]:
        """Return what was fitted, as plain data."""


@dataclass(frozen=True)
class Temperature:
    """Shares p become p^(1/T), normalised over the classes.

    Attributes:
        temperature: T.
        classes: the kind's.
        floor: the least share, as an answer that was never given is not impossible.
    """

    temperature: float
    classes: tuple[Any, ...]
    floor: float

    def __call__(self, joined: Joined) -> float:
        """See `Honest`."""
        logits = _logits(joined, self.classes, self.floor) / self.temperature
        return float(softmax(logits[None])[0][self.classes.index(joined.value)])

    def config(self) -> dict[str, Any]:
        """See `Honest`."""
        return {"how": "temperature", "temperature": self.temperature}


@dataclass(frozen=True)
class Sloped:
    """Of labels that are no classes: the confidence's log-odds times a slope, and an offset.

    A temperature alone would leave a half where it is, and sets of labels may be right in less than half of the rows.

    Attributes:
        slope: 1/T, never below 0.
        offset: added to the log-odds.
        floor: confidences are held this far from 0 and 1.
    """

    slope: float
    offset: float
    floor: float

    def __call__(self, joined: Joined) -> float:
        """See `Honest`."""
        return float(1 / (1 + np.exp(-self.slope * _odds([joined], self.floor)[0] - self.offset)))

    def config(self) -> dict[str, Any]:
        """See `Honest`."""
        return {"how": "temperature", "slope": self.slope, "offset": self.offset}

    @classmethod
    def fit(cls, joined: Sequence[Joined], right: Sequence[bool], floor: float) -> Sloped:
        """Find the likeliest slope and offset, a little held against both."""
        odds, hits = _odds(joined, floor), np.asarray(right, np.float64)
        columns = np.stack([odds, np.ones_like(odds)], axis=1)
        found = np.array([1.0, 0.0])
        # No logistic loss bends more than a quarter: steps by that bound never overshoot (Böhning 1992).
        bent = columns.T @ columns / 4 + _HELD * np.eye(2)
        for _ in range(1000):
            sure = 1 / (1 + np.exp(-columns @ found))
            step = np.linalg.solve(bent, columns.T @ (sure - hits) + _HELD * (found - [1.0, 0.0]))
            found = found - step
            if abs(step).max() < 1e-7:
                break
        if found[0] < 0:  # surer answers are wrong more often: confidence says nothing
            share = (hits.sum() + 0.5) / (len(hits) + 1)
            found = np.array([0.0, np.log(share / (1 - share))])
        return cls(float(found[0]), float(found[1]), floor)


@dataclass(frozen=True)
class Isotonic:
    """A staircase over the confidence that never falls.

    Attributes:
        stairs: where it is the share of right answers.
    """

    stairs: Staircase

    def __call__(self, joined: Joined) -> float:
        """See `Honest`."""
        return float(self.stairs([joined.confidence])[0])

    def config(self) -> dict[str, Any]:
        """See `Honest`."""
        steps = zip(self.stairs.edges, self.stairs.heights, strict=True)
        return {"how": "isotonic", "steps": [list(one) for one in steps]}

    @classmethod
    def fit(cls, confidence: Sequence[float], right: Sequence[bool]) -> Isotonic:
        """Pool neighbours until the share of right answers rises with confidence."""
        return cls(Staircase.fit(confidence, right))


def calibrator(
    kind: Kind, joined: Sequence[Joined], gold: Sequence[Any], *, how: Calibrate, floor: float
) -> Honest | None:
    """Fit on rows whose labels people gave; None where it is off, or "auto" has too few rows for anything."""
    rows = len(joined)
    if how == "off" or not rows or (how == "auto" and rows < _FEW):
        return None
    right = [kind.right(one.value, truth) for one, truth in zip(joined, gold, strict=True)]
    if how == "isotonic" or (how == "auto" and rows >= _MANY):
        return Isotonic.fit([one.confidence for one in joined], right)
    if kind.classes is None:
        return Sloped.fit(joined, right, floor)
    logits = np.array([_logits(one, kind.classes, floor) for one in joined])
    targets = np.array([kind.classes.index(truth) for truth in gold])
    return Temperature(fit_temperature(logits, targets), kind.classes, floor)


def _logits(joined: Joined, classes: tuple[Any, ...], floor: float) -> NDArray[np.float64]:
    shares = dict(joined.shares)
    return np.asarray(np.log(np.maximum([shares.get(name, 0.0) for name in classes], floor)))


def _odds(joined: Sequence[Joined], floor: float) -> NDArray[np.float64]:
    sure = np.clip([one.confidence for one in joined], floor, 1 - floor)
    return np.asarray(np.log(sure / (1 - sure)))


def debiased(opinions: Sequence[Opinion]) -> list[Opinion]:
    """Return probabilities over the same answers, divided by their means over all rows, and normalised.

    A model that prefers an answer whatever the row prefers it on average; no label is looked at.
    """
    values = list(opinions[0].shares) if opinions else []
    if not all(set(one.shares) == set(values) for one in opinions):
        return list(opinions)
    matrix = np.array([[one.shares[value] for value in values] for one in opinions])
    if not len(matrix):
        return []
    matrix /= matrix.mean(axis=0).clip(min=1e-12)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return [Opinion(dict(zip(values, map(float, row), strict=True)), soft=True) for row in matrix]
