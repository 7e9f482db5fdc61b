"""One way to do the task, and what was measured of it on the held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pilotfish.measure.intervals import Interval, wilson
from pilotfish.measure.metrics import macro_f1

if TYPE_CHECKING:
    from numpy.typing import NDArray

Family = Literal["baseline", "small", "large", "cascade", "taught"]
TITLES: Mapping[Family, str] = {
    "baseline": "baseline",
    "small": "small",
    "large": "large",
    "cascade": "cascade",
    "taught": "large at training time only",
}


@dataclass
class Candidate:
    """A candidate and its answers.

    Attributes:
        key: a short name, unique in a report.
        title: what a reader sees.
        family: which of the four answers it belongs to, or baseline.
        rows: (measured,) indices of the test rows that it answered.
        answers: one a measured row; None where a black-box answer named no label.
        truth: the labels of those rows.
        chosen_by: its score on rows kept back from training, by which a family's best is picked; never on the test.
        probabilities: (measured, classes) where it gives them, in the task's order of labels.
        seconds: seconds a row, many rows at a time.
        p50: median seconds of a single row on its own; and `p95`.
        dollars: US dollars a row; None where the price is not known.
        once: US dollars before the first row, at list price: of a distilled student its teacher's answers; None where
            the price is not known.
        joules: joules a row, with `joules_kind` "measured" or "estimated".
        weights: bytes of weights held in memory, 0 where it has none to speak of.
        details: further facts, plain data.
    """

    key: str
    title: str
    family: Family
    rows: NDArray[np.int64]
    answers: Sequence[str | None]
    truth: Sequence[str]
    chosen_by: float = 0.0
    probabilities: NDArray[np.float64] | None = None
    seconds: float | None = None
    p50: float | None = None
    p95: float | None = None
    dollars: float | None = 0.0
    once: float | None = 0.0
    joules: float | None = None
    joules_kind: str = ""
    weights: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def correct(self) -> NDArray[np.float64]:
        """(measured,) 1 where right; an answer without a label is wrong."""
        return np.array([a == t for a, t in zip(self.answers, self.truth, strict=True)], dtype=np.float64)

    @property
    def accuracy(self) -> Interval:
        """The share of right answers with its 95% Wilson interval."""
        return wilson(int(self.correct.sum()), len(self.rows))

    @property
    def counted(self) -> bool:
        """Whether each answer is simply right or wrong."""
        return True

    @property
    def macro_f1(self) -> float:
        """The mean F1 over the labels; an answer without a label counts against the true one only."""
        return macro_f1(list(self.truth), list(self.answers))

    @property
    def failures(self) -> int:
        """Answers that named no label."""
        return sum(answer is None for answer in self.answers)

    def on(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return `correct` for the given test rows, all of which it must have answered."""
        place = {int(row): i for i, row in enumerate(self.rows)}
        return self.correct[[place[int(row)] for row in rows]]

    def to_json(self) -> dict[str, Any]:
        """Return what was measured as plain data, without the single answers."""
        return {
            "key": self.key,
            "title": self.title,
            "family": TITLES[self.family],
            "rows": len(self.rows),
            "accuracy": self.accuracy.to_json(),
            "macro_f1": self.macro_f1,
            "parse_failures": self.failures,
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


def common_rows(candidates: Sequence[Candidate]) -> NDArray[np.int64]:
    """Return the test rows that every candidate answered, in order."""
    rows = candidates[0].rows
    for candidate in candidates[1:]:
        rows = np.intersect1d(rows, candidate.rows)
    return rows
