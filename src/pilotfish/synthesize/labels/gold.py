"""How right labels are on rows that people have labelled, and how honest their confidence is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.folds import folds
from pilotfish.measure.intervals import wilson
from pilotfish.measure.metrics import calibration
from pilotfish.synthesize.labels.calibrating import Calibrate, Honest, calibrator
from pilotfish.synthesize.labels.kind import Joined, Kind

__all__ = ["Judged", "judged"]

COVERAGES = (1.0, 0.9, 0.75, 0.5, 0.25)
BINS = 10
FOLDS = 5


@dataclass(frozen=True)
class Judged:
    """What gold rows say of labels.

    Attributes:
        honest: turns agreement into a confidence, fitted on all gold rows; None where nothing was.
        figures: as plain data.
    """

    honest: Honest | None
    figures: dict[str, Any]


def judged(
    kind: Kind,
    joined: Sequence[Joined | None],
    gold: Sequence[Any],
    keys: Sequence[str],
    *,
    calibrate: Calibrate,
    floor: float,
    least: float | None,
    sure: bool,
) -> Judged:
    """Measure labels of gold rows, and fit the confidence on them.

    What is told of a fitted confidence is of folds that it was not fitted on; copies of a row stay in one fold.

    Args:
        kind: of the labels.
        joined: what the answers come to; None where none could be read.
        gold: what people said.
        keys: of each row; copies share theirs.
        calibrate: how the confidence is fitted.
        floor: see `Temperature`.
        least: the confidence below which a label is not kept.
        sure: whether there is any confidence: several answers, or probabilities.
    """
    there = [i for i, one in enumerate(joined) if one is not None]
    read = [one for one in joined if one is not None]
    truth, groups = [gold[i] for i in there], [keys[i] for i in there]
    figures: dict[str, Any] = {"rows": len(joined), "unread": len(joined) - len(read)}
    if not read:
        return Judged(None, figures)
    figures |= kind.figures([one.value for one in read], truth)
    if not sure:
        return Judged(None, figures)
    right = np.array([kind.right(one.value, value) for one, value in zip(read, truth, strict=True)], np.float64)
    confidence = np.array([min(1.0, one.confidence) for one in read])
    figures["ece"] = calibration(confidence, right, bins=BINS, binning="equal-width").ece
    honest = calibrator(kind, read, truth, how=calibrate, floor=floor)
    if honest is not None and len(set(groups)) >= FOLDS:
        how: Literal["temperature", "isotonic"] = honest.config()["how"]
        for inner, outer in folds(np.array(groups), FOLDS):
            fitted = calibrator(kind, [read[i] for i in inner], [truth[i] for i in inner], how=how, floor=floor)
            assert fitted is not None
            confidence[outer] = [fitted(read[i]) for i in outer]
        figures["calibrated"] = honest.config()
        figures["ece_calibrated"] = calibration(confidence, right, bins=BINS, binning="equal-width").ece
    steps = [_covered(confidence, right, share) for share in COVERAGES]
    figures["by_coverage"] = [one for i, one in enumerate(steps) if one not in steps[:i]]
    if least is not None:
        kept = confidence >= least
        figures["kept"] = {"least": least, "coverage": float(kept.mean())}
        if kept.any():
            figures["kept"]["right"] = wilson(float(right[kept].sum()), int(kept.sum())).to_json()
    return Judged(honest, figures)


def _covered(confidence: NDArray[np.float64], right: NDArray[np.float64], share: float) -> dict[str, Any]:
    """Return how right the surest labels are; those as sure as the last of them are taken too."""
    least = float(np.sort(confidence)[::-1][max(0, round(share * len(confidence)) - 1)])
    kept = confidence >= least
    return {
        "coverage": float(kept.mean()),
        "least": least,
        "right": wilson(float(right[kept].sum()), int(kept.sum())).to_json(),
    }
