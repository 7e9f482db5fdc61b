"""Co-supervision: which specialist for which row.

Sources: Liu and Alahi 2024, Co-supervised learning: improving weak-to-strong generalization with hierarchical mixture
of experts, section 3 (specialists that share the supervision, assignment in turn with estimation, from one generalist
to finer domains, votes that do not agree with the estimate rejected); Jordan and Jacobs 1994 (the mixture and its EM).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._gates import Gates
from pilotfish.measure.label_models._regions import Regions
from pilotfish.measure.label_models._table_model import ClassPrior, fixed_prior
from pilotfish.measure.label_models._ties import leaders, likeliest
from pilotfish.measure.label_models.base import LabelModel
from pilotfish.measure.votes import Gold, Votes

__all__ = ["CoSupervised"]

Floats = NDArray[np.float64]
# Principal components that a region may be cut across first; EM then moves the cut.
CUTS = 3


class CoSupervised(LabelModel):
    """Rows lie in regions; in each, every source has a table of its own, so that specialists count where they know.

    Regions are the domains that are given, or are learned from feature vectors by a tree of soft gates: from one region
    to 2, to 4, and so on, each step an EM over true classes, regions and gates together that begins from majority. A
    region's tables are drawn towards majority's in the region it was cut from, so that a specialism needs evidence.
    Assumes independent errors given class and region. A soft vote is one that was not seen for
    certain.

    Args:
        depth: how often regions are cut in two; of no matter where domains are given.
        strength: votes of the region above that each row of a table has beside a region's own.
        abstain: "missing", or "vote" where silence is an answer like any other (see `DawidSkene`).
        ridge: the penalty of the gates' squared weights, for features of mean 0 and variance 1.
        prior: "learn", "uniform", or one probability a class; learned ones differ by region.
        max_iter: the most EM steps a level.
        tol: a level ends when its objective rises by this much a row or less, in nats.

    Attributes:
        region_table_: (sources, regions, true classes, voted classes [+ silence]).
        region_prior_: (regions, classes).
        region_accuracy_: (regions, sources) how often a vote is right.
        accuracy_: (sources,) the same over all rows.
        domains_: the domains, one a region; empty for learned regions.
        objective_: of the last level, at each step; it never falls.
    """

    kind = "co-supervised"

    def __init__(
        self,
        depth: int = 2,
        strength: float = 10.0,
        abstain: Literal["missing", "vote"] = "missing",
        ridge: float = 1.0,
        prior: ClassPrior = "learn",
        max_iter: int = 50,
        tol: float = 1e-6,
    ) -> None:
        self.depth = depth
        self.strength = strength
        self.abstain = abstain
        self.ridge = ridge
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol

    def _checked(self) -> None:
        if not 1 <= self.depth <= 6:
            raise ConfigError(f"depth is 1 to 6, not {self.depth}")
        if self.strength <= 0 or self.ridge <= 0:
            raise ConfigError("strength and ridge are above 0")
        if self.abstain not in ("missing", "vote"):
            raise ConfigError(f'abstain is "missing" or "vote", not {self.abstain!r}')

    def fit(
        self,
        votes: Votes,
        gold: Gold | None = None,
        *,
        features: ArrayLike | None = None,
        domains: Sequence[Hashable] | None = None,
    ) -> Self:
        """Learn who is good where.

        Args:
            votes: what the sources said.
            gold: as for any label model.
            features: (rows, features) a vector a row, as an encoder's.
            domains: one name a row. One of the two is given.

        Raises:
            ConfigError: a setting out of its range; both of the two, or neither.
            DataError: as for any label model, or not one vector or domain a row.
        """
        self._given(features, domains, votes.rows)
        if features is not None:
            x = _matrix(features, votes.rows)
            self.mean_, spread = x.mean(axis=0), x.std(axis=0)
            self.scale_ = np.where(spread > 1e-12, spread, 1.0)
            self.domains_: list[str] = []
            self._where: Any = self._scaled(x)
        else:
            assert domains is not None
            self.domains_ = sorted({str(one) for one in domains})
            self._where = self._placed(domains)
        try:
            return super().fit(votes, gold)
        finally:
            del self._where

    def predict_proba(
        self, votes: Votes, *, features: ArrayLike | None = None, domains: Sequence[Hashable] | None = None
    ) -> Floats:
        """Return (rows, classes) probabilities; NaN for a row without votes.

        A domain that `fit` did not see is judged by the accuracies over all.

        Args:
            votes: what the sources said.
            features: (rows, features), where `fit` had features.
            domains: one a row, where `fit` had domains.

        Raises:
            ConfigError: the other of the two.
            DataError: as for any label model, or not one vector or domain a row.
        """
        self._where = self._seen(features, domains, votes.rows)
        try:
            return super().predict_proba(votes)
        finally:
            del self._where

    def predict(self, votes: Votes, ties: Any = "row", **where: Any) -> list[Any]:
        """Return the likeliest label of each row, None without votes; `features` or `domains` as in `predict_proba`.

        Raises:
            ConfigError, DataError: as for `predict_proba`.
        """
        return likeliest(self.predict_proba(votes, **where), self.classes_, votes.ids, ties)

    def assign(
        self,
        votes: Votes,
        *,
        features: ArrayLike | None = None,
        domains: Sequence[Hashable] | None = None,
        consistent: bool = True,
    ) -> list[str | None]:
        """Return for each row the source to listen to: of those that vote, the most accurate where the row lies.

        Args:
            votes: what the sources said.
            features: as in `predict_proba`.
            domains: as in `predict_proba`.
            consistent: whether a source that contradicts the estimate of all together is rejected, which leaves None.

        Raises:
            ConfigError, DataError: as for `predict_proba`.
        """
        seen = votes.seen_by(self.sources_, self.classes_)
        where = np.exp(self._log_where(self._seen(features, domains, votes.rows)))
        good = np.full((seen.rows, len(self.sources_)), np.nan)
        row, source, label = seen.tops
        good[row, source] = (where @ self.region_accuracy_)[row, source]
        chosen = likeliest(good, self.sources_, seen.ids, "row")
        if consistent:
            lead = leaders(self.predict_proba(votes, features=features, domains=domains))
            said = np.full(good.shape, -1)
            said[row, source] = label
            place = {name: at for at, name in enumerate(self.sources_)}
            for i, name in enumerate(chosen):
                if name is not None and (said[i, place[name]] < 0 or not lead[i, said[i, place[name]]]):
                    chosen[i] = None
        return chosen

    def _learn(self, votes: Votes, truth: NDArray[np.int64]) -> Floats:
        if self.abstain == "missing":
            self._two_sided(votes)
        k, said = len(votes.classes), len(votes.classes) + (self.abstain == "vote")
        # Every level begins from majority, never from the level above: in a region that one got wrong, classes would
        # stay turned around.
        majority = _tables.start(votes, truth)
        flat = Regions(np.full((len(votes.sources), 1, k, said), 1.0 / said), np.full((1, k), 1.0 / k))
        whole = Regions(flat.drawn(votes, majority[:, None], self.strength), self._shares(majority)[None, :])
        settings = (votes, truth, self.strength, self.prior != "learn", self.max_iter, self.tol)
        if self.domains_:
            # One region more: what all rows say, for domains that come later.
            parents = whole.repeated(np.zeros(len(self.domains_) + 1, np.int64))
            log_where = self._log_where(self._where)
            begin = np.exp(log_where)[:, :, None] * majority[:, None]
            climbed = parents.climbed(*settings, begin, log_where=log_where)
            self.gates_ = np.zeros((0, 0))
        else:
            x, gates = self._where, Gates(np.zeros((0, self._where.shape[1])), self.ridge)
            above, share = whole, np.ones((votes.rows, 1))
            for level in range(self.depth):
                parents = above.repeated(np.arange(2 ** (level + 1)) // 2)
                tried = []
                for cut in range(min(CUTS, x.shape[1] - 1)):
                    new = gates.split(x, share, cut)
                    begin = np.exp(new.log_regions(x))[:, :, None] * majority[:, None]
                    tried.append(parents.climbed(*settings, begin, gates=new, x=x))
                climbed = max(tried, key=lambda one: one.objective[-1])
                assert climbed.gates is not None
                gates, share = climbed.gates, climbed.share
                here = whole.repeated(np.zeros(2 ** (level + 1), np.int64))
                above = Regions(here.drawn(votes, share[:, :, None] * majority[:, None], self.strength), here.prior)
            self.gates_ = gates.weights
        pooled = whole.drawn(votes, climbed.belief[:, None], self.strength)
        self.prior_ = climbed.belief.sum(axis=0) / climbed.belief.sum()
        self.accuracy_ = Regions(pooled, self.prior_[None, :]).accuracy[0]
        self.region_table_, self.region_prior_ = climbed.regions.table, climbed.regions.prior
        if self.domains_:
            self.region_table_[:, -1], self.region_prior_[-1] = pooled[:, 0], self.prior_
        self.region_accuracy_ = self._regions().accuracy
        self.objective_ = climbed.objective
        return climbed.belief

    def _shares(self, majority: Floats) -> Floats:
        fixed = fixed_prior(self.prior, majority.shape[1])
        return _tables.normal(majority.sum(axis=0)) if fixed is None else fixed

    def _posterior(self, votes: Votes) -> Floats:
        return np.asarray(self._regions().expected(votes, self._log_where(self._where))[0].sum(axis=1))

    def _regions(self) -> Regions:
        return Regions(self.region_table_, self.region_prior_)

    def _log_where(self, where: Any) -> Floats:
        """Return (rows, regions) log-probabilities of features made ready, or of domains' places."""
        if self.domains_:
            return np.asarray(np.where(where[:, None] == np.arange(len(self.domains_) + 1), 0.0, -np.inf))
        return Gates(self.gates_, self.ridge).log_regions(where)

    def _given(self, features: Any, domains: Any, rows: int) -> None:
        if (features is None) == (domains is None):
            raise ConfigError("co-supervised: give features or domains, one of the two")
        if domains is not None and len(domains) != rows:
            raise DataError(f"{len(domains)} domains for {rows} rows")

    def _seen(self, features: Any, domains: Any, rows: int) -> Any:
        self._given(features, domains, rows)
        if (domains is None) == bool(self.domains_):
            raise ConfigError(f"co-supervised: it was fitted with {'domains' if self.domains_ else 'features'}")
        if domains is not None:
            return self._placed(domains)
        x = _matrix(features, rows)
        if x.shape[1] != len(self.mean_):
            raise DataError(f"features of {x.shape[1]} columns; it was fitted with {len(self.mean_)}")
        return self._scaled(x)

    def _placed(self, domains: Sequence[Hashable]) -> NDArray[np.int64]:
        place = {name: at for at, name in enumerate(self.domains_)}
        return np.array([place.get(str(one), len(place)) for one in domains], np.int64)

    def _scaled(self, x: Floats) -> Floats:
        return np.concatenate([np.asarray((x - self.mean_) / self.scale_), np.ones((len(x), 1))], axis=1)

    def _facts(self) -> dict[str, Any]:
        return {"domains": self.domains_}


def _matrix(features: ArrayLike, rows: int) -> Floats:
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or len(x) != rows or not x.shape[1]:
        raise DataError(f"features are (rows, features) with {rows} rows; got shape {x.shape}")
    if not np.isfinite(x).all():
        raise DataError(f"row {int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])}: its features are not all finite")
    return x
