"""How good a classifier's scores are on rows that it has not seen, and what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.measure._interval import Interval
from pilotfish.measure.curve import PrecisionRecall, area_interval

__all__ = ["Judged", "judged"]

Floats = NDArray[np.float64]
FEW = 100  # rows held out: with fewer an interval is wide


@dataclass(frozen=True)
class Judged:
    """What held-out rows say of scores.

    Attributes:
        rows: how many they are.
        good: how many of them are good.
        area: under the ROC curve, with its interval.
        curve: precision and recall.
        off_by: the mean distance between scores and shares of good rows (or ratings over five), in ten equal bins.
        cut: the score from which on a row is taken for good: .5, or of ratings the least good one over five.
        facts: of the rows that were learnt from (`Facts`); empty for a test set of one's own.
        word: a word that alone nearly tells the classes apart, and its area.
    """

    rows: int
    good: int
    area: Interval
    curve: PrecisionRecall
    off_by: float
    cut: float = 0.5
    facts: Mapping[str, int] = field(default_factory=dict)
    word: tuple[str, float] | None = None

    @property
    def warnings(self) -> list[str]:
        """What should be looked at before these scores are trusted."""
        found = []
        if self.area.value < 0.5:
            found.append(
                f"the area under the curve is {self.area.value:.3f}, below one half: the scores are worse than chance. "
                "Are good rows and others exchanged?"
            )
        elif self.area.low <= 0.5:
            found.append(f"the area under the curve, {self.area}, may be that of chance")
        if self.word is not None:
            word, alone = self.word
            found.append(
                f"the word {word!r} alone nearly tells the two kinds apart (area {alone:.3f}): is it what you mean by "
                "quality, or a mark of where the rows come from?"
            )
        if self.facts.get("conflicts"):
            found.append(f"{self.facts['conflicts']:,} groups of copies are good in part only")
        if self.rows < FEW:
            found.append(f"only {self.rows} rows are held out: the figures are rough")
        return found

    def with_facts(self, facts: Mapping[str, int], word: tuple[str, float] | None) -> Judged:
        """Return the same with what the learning told."""
        return replace(self, facts=dict(facts), word=word)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        told = {**vars(self), "area": self.area.to_json(), "curve": self.curve.to_json(), "warnings": self.warnings}
        return {**told, "facts": dict(self.facts), "word": list(self.word) if self.word else None}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Judged:
        """Read what `to_json` gave."""
        return cls(
            rows=int(told["rows"]),
            good=int(told["good"]),
            area=Interval(**told["area"]),
            curve=PrecisionRecall.from_json(told["curve"]),
            off_by=float(told["off_by"]),
            cut=float(told["cut"]),
            facts=dict(told["facts"]),
            word=(str(told["word"][0]), float(told["word"][1])) if told["word"] else None,
        )

    def __str__(self) -> str:
        precision, recall, kept = self.curve.at(self.cut)
        lines = [
            f"{self.rows:,} held-out rows, {self.good:,} of them good: area under the ROC curve {self.area}, "
            f"average precision {self.curve.average}, scores off by {self.off_by:.3f}; from {self.cut:g} on precision "
            f"{precision:.3f}, recall {recall:.3f}, {kept:.1%} kept"
        ]
        return "\n".join([*lines, *(f"warning: {one}" for one in self.warnings)])


def judged(
    scores: ArrayLike, good: ArrayLike, *, targets: ArrayLike | None = None, cut: float = 0.5, seed: int = 0
) -> Judged:
    """Return what held-out rows say of scores.

    Args:
        scores: (rows,) from 0 to 1.
        good: (rows,) which are good.
        targets: (rows,) what a score should be on average; None for 1 and 0.
        cut: the score from which on a row is taken for good.
        seed: of the resamples.

    Raises:
        DataError: no good row, or no other.
    """
    values, hits = np.asarray(scores, np.float64), np.asarray(good, bool)
    wanted = hits.astype(np.float64) if targets is None else np.asarray(targets, np.float64)
    curve = PrecisionRecall.of(values, hits, seed=seed)
    return Judged(len(hits), int(hits.sum()), area_interval(values, hits), curve, _off_by(values, wanted), cut)


def _off_by(scores: Floats, wanted: Floats) -> float:
    bins = np.array_split(np.argsort(scores, kind="stable"), min(10, len(scores)))
    return float(sum(len(part) * abs(scores[part].mean() - wanted[part].mean()) for part in bins) / len(scores))
