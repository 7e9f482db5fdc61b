"""Data programming: how good sources are, from how often they agree, in closed moments and without EM.

Sources: Ratner et al. 2019, Training complex models with multi-task weak supervision, section 4 (the covariance of
conditionally independent sources has rank one off its blocks); Fu et al. 2020, Fast and three-rious (FlyingSquid),
section 3 (for three sources that completion is the triplet's closed form); Ma et al. 2018, Gradient descent for sparse
rank-one matrix completion for crowd-sourced aggregation (weights by how many rows a pair shares).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._moments import completed, moments
from pilotfish.measure.label_models._table_model import ClassPrior, TableModel, fixed_prior
from pilotfish.measure.votes import Votes

__all__ = ["DataProgramming"]

Floats = NDArray[np.float64]
# Below this many standard errors a signal is noise: of all agreements together, and of one source's part in them.
SIGNAL, SOURCE = 3.0, 2.0


class DataProgramming(TableModel):
    """Hit rate and false-alarm rate of each source and class, from covariances of votes.

    For each class in turn: "votes for it" (and, where silence counts, "votes for another") are indicators, whose
    covariance over two sources is p (1 - p) (hit - false alarm)_a (hit - false alarm)_b, p the class's share. So the
    matrix of covariances, its diagonal left out, has rank one; a weighted completion finds it, sources' own shares give
    the rest. A soft vote is one that was not seen for certain; its shares stand in the covariances for it.

    Assumes: sources independent of one another given the class; false alarms of a class as frequent whatever the other
    class is (nothing to assume where there are two); votes that are right more often than by chance, taken together,
    and where silence counts each source's, as a rule is written to be right; three sources or more that overlap. Gold
    rows tell the classes' shares and are clamped, no more.

    Silence counts in learning only. In judging a row it does not, as in Snorkel: of what rules do, their silences
    depend on one another most.

    Where the agreements are no stronger than chance would have them, or fewer than three sources stand out, `fit`
    refuses. A source's estimate is drawn towards "says nothing" by its own noise.

    Args:
        prior: "learn" (the gold rows' shares, else the votes'), "uniform", or one probability a class.
        abstain: "vote", where silence is an answer that a source gives by rule, or "missing", where who is asked says
            nothing, as with crowds.
        max_iter: the most sweeps of the completion.

    Attributes:
        table_: (sources, true classes, voted classes [+ silence]).
        confusion_: (sources, true classes, voted classes), given that there is a vote.
        signal_: (classes,) how far the agreements are above chance, in standard errors.
        strength_: (sources, classes) hit rate minus false-alarm rate, before it is drawn in.
        stderr_: (sources, classes) its standard error; infinite for a source that shares no row with others.
        misfit_: (classes,) mean squared residual of the covariances over what noise would leave; well above 1 where
            sources depend on one another.
    """

    kind = "data-programming"

    def __init__(
        self,
        prior: ClassPrior = "learn",
        abstain: Literal["vote", "missing"] = "vote",
        max_iter: int = 200,
    ) -> None:
        self.prior = prior
        self.abstain = abstain
        self.max_iter = max_iter

    def _checked(self) -> None:
        if self.abstain not in ("missing", "vote"):
            raise ConfigError(f'abstain is "missing" or "vote", not {self.abstain!r}')
        if self.max_iter < 1:
            raise ConfigError(f"max_iter is 1 or more, not {self.max_iter}")

    @property
    def weak_(self) -> list[str]:
        """The sources whose part in the agreements is within noise for every class."""
        weak = np.all(np.abs(self.strength_) < SOURCE * self.stderr_, axis=1).tolist()
        return [name for name, one in zip(self.sources_, weak, strict=True) if one]

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> Floats:
        k, s, silent = len(votes.classes), len(votes.sources), self.abstain == "vote"
        if s < 3:
            raise DataError(f"agreements of {s} sources do not tell how good each is; three are needed")
        self.prior_ = self._shares(votes, truth)
        hit, false = np.zeros((s, k)), np.zeros((s, k))
        self.strength_, self.stderr_ = np.zeros((s, k)), np.zeros((s, k))
        self.signal_, self.misfit_ = np.zeros(k), np.zeros(k)
        for at, p in enumerate(self.prior_):
            found = moments(votes, at, silent=silent)
            self.signal_[at] = found.signal
            if found.signal < SIGNAL:
                raise DataError(
                    f"class {votes.classes[at]!r}: the sources agree no more than chance has it ({found.signal:.1f} "
                    f"standard errors, {SIGNAL:g} are needed), so agreements do not tell how good they are: take "
                    "more rows, or another label model"
                )
            part, noise = completed(found, self.max_iter, adversaries=not silent)
            clear = len(set(found.source[np.abs(part) >= SOURCE * noise].tolist()))
            if clear < 3:
                raise DataError(
                    f"class {votes.classes[at]!r}: {clear} sources stand out from noise, and agreements of fewer than "
                    "three do not tell how good each is: take more rows, or another label model"
                )
            self.misfit_[at] = found.misfit(part)
            spread = np.sqrt(found.variance / (p * (1 - p)))
            own = slice(0, s)  # the indicators of votes for the class come first
            self.strength_[:, at] = (part * spread)[own]
            sure = np.isfinite(noise)
            self.stderr_[:, at] = np.where(sure, np.where(sure, noise, 0.0) * spread, np.inf)[own]
            told = np.where(np.isfinite(noise), part**2 / np.maximum(part**2 + noise**2, 1e-300), 0.0)[own]
            drawn = self.strength_[:, at] * told
            hit[:, at], false[:, at] = found.mean[own] + (1 - p) * drawn, found.mean[own] - p * drawn
        self.table_ = self._table(votes, hit, false, silent=silent)
        self.confusion_ = _tables.normal(self.table_[:, :, :k])
        return self._posterior(votes)

    def _shares(self, votes: Votes, truth: NDArray[np.int64]) -> Floats:
        k, known = len(votes.classes), truth >= 0
        fixed = fixed_prior(self.prior, k)
        if fixed is not None:
            return fixed
        if known.any():
            return _tables.normal(1.0 + np.bincount(truth[known], minlength=k).astype(np.float64))
        said = votes.counts[votes.voted]
        return _tables.normal((said / said.sum(axis=1, keepdims=True)).sum(axis=0) + 1.0)

    def _table(self, votes: Votes, hit: Floats, false: Floats, *, silent: bool) -> Floats:
        """Return (sources, true, voted [+ silence]) from rates: never surer than the rows that were seen allow."""
        k = len(votes.classes)
        rows = np.full(len(votes.sources), float(votes.rows))
        if not silent:
            rows = np.bincount(votes.source, votes.share, len(votes.sources))
        least = 1 / (rows + 2)[:, None, None]
        table = np.where(np.eye(k, dtype=np.bool_), hit[:, None, :], false[:, None, :])
        if silent:
            table = np.concatenate([table, 1 - table.sum(axis=2, keepdims=True)], axis=2)
        return _tables.normal(np.clip(table, least, 1.0))

    def _log_table(self) -> Floats:
        return np.log(self.table_[:, :, : len(self.classes_)])
