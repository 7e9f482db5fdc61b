"""Weighted vote: each source counts by the log-odds of being right, as people's labels or the user say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._one_coin_table import one_coin_table
from pilotfish.measure.label_models._table_model import TableModel, fixed_prior
from pilotfish.measure.votes import Votes

__all__ = ["Weighted"]


class Weighted(TableModel):
    """A vote of a source of accuracy a counts log(a (K - 1) / (1 - a)) for its class.

    These are the best weights where sources err independently and evenly over the other classes (Nitzan and Paroush
    1982). A source worse than chance counts against. Accuracies are given, or learned on gold rows: hits over votes,
    drawn towards the mean of all sources as if each had `shrink` votes more of that mean, so that three right answers
    are no proof. A soft vote is one that was not seen for certain.

    Args:
        accuracies: one a source, or by name; None learns them on gold rows.
        shrink: votes.
        prior: "uniform", "learn" (shares of the gold rows) or one probability a class.
    """

    kind = "weighted"

    def __init__(
        self,
        accuracies: Mapping[str, float] | Sequence[float] | None = None,
        shrink: float = 10.0,
        prior: str | Sequence[float] = "uniform",
    ) -> None:
        self.accuracies = accuracies
        self.shrink = shrink
        self.prior = prior

    def _checked(self) -> None:
        if not self.shrink >= 0:
            raise ConfigError(f"shrink is a number of votes, 0 or more, not {self.shrink}")

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        k, known = len(votes.classes), truth >= 0
        if self.accuracies is None and not known.any():
            raise ConfigError("weighted votes need accuracies, or gold rows to learn them on")
        prior = fixed_prior(self.prior, k)
        if prior is None:
            # One row a class more, so that a class without a gold row is not ruled out.
            prior = _tables.normal(1.0 + np.bincount(truth[known], minlength=k).astype(np.float64))
        self.prior_ = prior
        accuracy = self._given(votes.sources) if self.accuracies is not None else self._learned(votes, truth)
        self.confusion_ = one_coin_table(accuracy, k)
        return self._posterior(votes)

    def _given(self, sources: tuple[str, ...]) -> NDArray[np.float64]:
        given: Any = self.accuracies
        if isinstance(given, Mapping):
            if missing := [name for name in sources if name not in given]:
                raise ConfigError(f"accuracies: none for source {missing[0]!r}")
            if more := [name for name in given if name not in sources]:
                raise ConfigError(f"accuracies: no source {more[0]!r}{did_you_mean(str(more[0]), sources)}")
            given = [given[name] for name in sources]
        try:
            found = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            found = np.zeros(0)
        if found.shape != (len(sources),) or not ((found >= 0) & (found <= 1)).all():
            raise ConfigError(f"accuracies are numbers from 0 to 1, one for each of {len(sources)} sources")
        return found

    def _learned(self, votes: Votes, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        known = truth >= 0
        belief = np.zeros((votes.rows, len(votes.classes)))
        belief[known, truth[known]] = 1.0
        counts = _tables.counted(votes, belief, None)
        hits, total = np.einsum("skk->s", counts), counts.sum(axis=(1, 2))
        if not total.sum():
            raise ConfigError("no source voted on a gold row, so there is nothing to learn accuracies on")
        mean = hits.sum() / total.sum()
        return np.asarray((hits + self.shrink * mean) / np.maximum(total + self.shrink, _tables.LEAST))

    def _log_table(self) -> NDArray[np.float64]:
        return np.log(self.confusion_)
