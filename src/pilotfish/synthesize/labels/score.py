"""Score: a number on a scale; the expected one where the model gives its probabilities.

Source: Liu et al. 2023 (G-Eval), section 2, equation 1: the sum of the scores, each times its probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.agreement import correlation, ranks
from pilotfish.measure.intervals import bootstrap, wilson
from pilotfish.rows._row import Row
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.labels.kind import Joined, Kind, Opinion, mixed, ranked

__all__ = ["Score"]

MANY = 21  # whole numbers on a scale that are few enough to be listed


class Score(Kind):
    """A number on a scale.

    Args:
        low, high: the scale's ends.
        meanings: number -> what it means, shown in the question.
        text: the column that is scored, or several.
        whole: whether answers are whole numbers.
        take: the "mean" of several answers or probabilities, or the commonest, their "mode".
        within: how far a score may be off to count as right and as agreeing; by default an eighth of the
            scale, of whole numbers a half at least.
    """

    name = "score"
    template = "label_score"

    def __init__(
        self,
        low: float = 1,
        high: float = 5,
        text: str | Sequence[str] = "text",
        *,
        meanings: Mapping[str, str] | None = None,
        whole: bool = True,
        take: Literal["mean", "mode"] = "mean",
        within: float | None = None,
    ) -> None:
        super().__init__(text)
        if not low < high or (whole and (low != int(low) or high != int(high))):
            raise ConfigError(f"a scale goes up, by whole numbers where `whole`: not {low} to {high}")
        if take not in ("mean", "mode"):
            raise ConfigError(f'`take` is "mean" or "mode", not {take!r}')
        if within is not None and within <= 0:
            raise ConfigError(f"`within` is above 0, not {within}")
        self.low, self.high, self.whole, self.take = low, high, whole, take
        # Between two whole numbers half of one is the least that reaches either.
        self.within = max((high - low) / 8, 0.5 if whole else 0.0) if within is None else within
        self.meanings = {str(name): str(meaning) for name, meaning in (meanings or {}).items()}
        if whole and high - low < MANY:
            # A list of numbers holds every decoder to the scale; of a range not every one knows the meaning.
            form: Any = list(range(int(low), int(high) + 1))
        else:
            form = {"type": "integer" if whole else "number", "minimum": low, "maximum": high}
        self.fields = Fields({"score": form})

    def places(self, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"low": f"{self.low:g}", "high": f"{self.high:g}", "whole": self.whole, "meanings": self.meanings}

    def choices(self, variant: str) -> Mapping[str, Any] | None:
        """See `Kind`."""
        if not self.whole or self.high - self.low >= MANY:
            return None
        return {str(number): float(number) for number in range(int(self.low), int(self.high) + 1)}

    def told(self, value: Any, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"score": round(value) if self.whole else value}

    def read(self, answer: Row, row: Row, variant: str) -> float:
        """See `Kind`."""
        return float(answer["score"])

    def value(self, given: Any, row: Row) -> float:
        """See `Kind`."""
        try:
            number = float(given)
        except (TypeError, ValueError):
            raise DataError(f"a score is a number, not {given!r}") from None
        if not self.low <= number <= self.high:
            raise DataError(f"a score lies from {self.low:g} to {self.high:g}; {number:g} does not")
        return number

    def join(self, opinions: Mapping[str, Sequence[Opinion | None]]) -> Joined:
        """Return the expected score, or the commonest; as sure as the answers lie near to it."""
        shares = ranked(mixed(opinions[""]))
        total = sum(share for _, share in shares)
        value = shares[0][0]
        if self.take == "mean":
            value = sum(number * share for number, share in shares) / total
        sure = sum(share for number, share in shares if abs(number - value) <= self.within)
        return Joined(float(value), min(1.0, sure), shares)

    def right(self, value: Any, gold: Any) -> bool:
        """See `Kind`: as near as `within`."""
        return bool(abs(value - gold) <= self.within)

    def figures(self, values: Sequence[Any], gold: Sequence[Any]) -> dict[str, Any]:
        """Return the mean absolute error, rank and linear correlation, and the share within reach."""
        pairs = np.array([values, gold], np.float64).T
        near = sum(self.right(a, b) for a, b in zip(values, gold, strict=True))
        told: dict[str, Any] = {
            "within": wilson(near, len(gold)).to_json(),
            "mean_absolute_error": bootstrap(abs(pairs[:, 0] - pairs[:, 1]), resamples=1000).to_json(),
        }
        for name, columns in (("pearson", pairs), ("spearman", np.apply_along_axis(ranks, 0, pairs))):
            if min(columns.std(axis=0)) > 0:
                told[name] = bootstrap(columns, correlation, resamples=1000).to_json()
        return told
