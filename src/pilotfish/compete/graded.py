"""A candidate whose answers have a grade each, where right or wrong is too little to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.candidate import TITLES, Candidate
from pilotfish.measure.intervals import Interval, bootstrap, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Graded"]


@dataclass
class Graded(Candidate):
    """A candidate, and what each of its answers is worth.

    Attributes:
        scores: (measured,) at most 1, more is better.
        measure: what they are, as a reader sees it: "word F1", "R²".
    """

    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    measure: str = "score"

    @property
    def correct(self) -> NDArray[np.float64]:
        """(measured,) the scores."""
        return self.scores

    @property
    def counted(self) -> bool:
        """Whether each answer is simply right or wrong."""
        return bool(np.isin(self.scores, (0.0, 1.0)).all())

    @property
    def accuracy(self) -> Interval:
        """The mean score with its 95% interval: Wilson's where answers are right or wrong, else by bootstrap."""
        if self.counted:
            return wilson(int(self.scores.sum()), len(self.scores))
        return bootstrap(self.scores, np.mean, method="percentile", resamples=2000)

    def to_json(self) -> dict[str, Any]:
        """Return what was measured as plain data, without the single answers."""
        return {
            "key": self.key,
            "title": self.title,
            "family": TITLES[self.family],
            "rows": len(self.rows),
            "measure": self.measure,
            "score": self.accuracy.to_json(),
            "seconds_per_row": self.seconds,
            "p50_seconds": self.p50,
            "p95_seconds": self.p95,
            "usd_per_1000_rows": None if self.dollars is None else self.dollars * 1000,
            "usd_once": self.once,
            "joules_per_row": self.joules,
            "joules": self.joules_kind,
            "weights_bytes": self.weights,
            **self.details,
        }
