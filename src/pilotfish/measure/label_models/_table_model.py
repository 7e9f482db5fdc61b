"""Label models that hold one table a source: what it votes, given the true class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.votes import Votes

__all__ = ["ClassPrior", "TableModel", "climb", "fixed_prior"]

Floats = NDArray[np.float64]
ClassPrior = Literal["learn", "uniform"] | Sequence[float]


class TableModel(LabelModel):
    """A label model whose sources are independent of one another given the true class.

    Attributes:
        confusion_: (sources, true classes, voted classes) the probability of each vote, given that there is one.
    """

    confusion_: Floats

    @property
    def accuracy_(self) -> Floats:
        """(sources,) how often a vote is right, where classes are as frequent as `prior_` says."""
        return np.asarray(np.einsum("skk,k->s", self.confusion_, self.prior_))

    @abstractmethod
    def _log_table(self) -> Floats:
        """Return (sources, true classes, voted classes), one column more where abstaining counts."""

    def _log_prior(self) -> Floats:
        return np.log(np.maximum(self.prior_, _tables.LEAST))

    def _posterior(self, votes: Votes) -> Floats:
        return _tables.posterior(_tables.scores(votes, self._log_table()), self._log_prior())[0]


def fixed_prior(prior: Any, classes: int) -> Floats | None:
    """Return the prior that a setting fixes, or None for one that is learned.

    Raises:
        ConfigError: another word, or numbers that are no probabilities of the classes.
    """
    if isinstance(prior, str):
        if prior not in ("learn", "uniform"):
            raise ConfigError(f'prior is "learn", "uniform" or one probability a class, not {prior!r}')
        return None if prior == "learn" else np.full(classes, 1.0 / classes)
    try:
        found = np.asarray(prior, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != (classes,) or not (found > 0).all() or abs(found.sum() - 1) > 1e-6:
        raise ConfigError(f"prior: {classes} classes need as many probabilities above 0 that sum to 1, not {prior}")
    return np.asarray(found / found.sum())


def climb(step: Callable[[], float], rows: int, max_iter: int, tol: float) -> tuple[list[float], bool]:
    """Repeat a step that returns an objective, until it rises by `tol` a row or less; return the values and if it did.

    Raises:
        ConfigError: no steps, or a `tol` below nought.
    """
    if max_iter < 1 or tol < 0:
        raise ConfigError(f"max_iter is 1 or more and tol 0 or more, not {max_iter} and {tol}")
    values: list[float] = []
    for _ in range(max_iter):
        values.append(step())
        if len(values) > 1 and values[-1] - values[-2] <= tol * rows:
            return values, True
    return values, False
