"""Regions in each of which every source has its own table, and the EM over classes, regions and gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.label_models import _tables
from pilotfish.measure.label_models._gates import Gates
from pilotfish.measure.label_models._table_model import climb
from pilotfish.measure.votes import Votes

__all__ = ["Climbed", "Regions"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Regions:
    """Tables (sources, regions, true classes, voted classes [+ silence]) and class shares (regions, classes)."""

    table: Floats
    prior: Floats

    @property
    def accuracy(self) -> Floats:
        """(regions, sources) how often a vote is right."""
        k = self.prior.shape[1]
        given = _tables.normal(self.table[..., :k])
        return np.asarray(np.einsum("srkk,rk->rs", given, self.prior))

    def repeated(self, parents: NDArray[np.int64]) -> Regions:
        """Return one region for each parent named."""
        return Regions(self.table[:, parents], self.prior[parents])

    def expected(
        self, votes: Votes, log_where: Floats, truth: NDArray[np.int64] | None = None
    ) -> tuple[Floats, Floats]:
        """Return (rows, regions, classes) posteriors and (rows,) log-evidence.

        Args:
            votes: the votes.
            log_where: (rows, regions) log-probabilities before the votes are known.
            truth: (rows,) places of true classes, -1 where not known.
        """
        s, r, k, said = self.table.shape
        joint = _tables.scores(votes, np.log(self.table).reshape(s, r * k, said)).reshape(votes.rows, r, k)
        joint += log_where[:, :, None] + np.log(np.maximum(self.prior, _tables.LEAST))
        if truth is not None and (known := truth >= 0).any():
            other = np.arange(k) != truth[known][:, None]
            joint[known] = np.where(other[:, None, :], -np.inf, joint[known])
        top = joint.max(axis=(1, 2))
        joint = np.exp(joint - top[:, None, None])
        total = joint.sum(axis=(1, 2))
        return joint / total[:, None, None], top + np.log(total)

    def climbed(
        self,
        votes: Votes,
        truth: NDArray[np.int64],
        strength: float,
        fixed_prior: bool,
        max_iter: int,
        tol: float,
        start: Floats,
        *,
        log_where: Floats | None = None,
        gates: Gates | None = None,
        x: Floats | None = None,
    ) -> Climbed:
        """Return what EM makes of these regions, whose own values are the prior's means.

        Args:
            votes: the votes.
            truth: (rows,) places of true classes, -1 where not known.
            strength: how many votes the prior is worth.
            fixed_prior: whether class shares stay.
            max_iter: the most steps.
            tol: when to stop, in nats a row.
            start: (rows, regions, classes) beliefs to begin with; 0 for rows that say nothing.
            log_where: (rows, regions), where regions are given.
            gates: where they are learned, from features `x` (rows, features + 1).
            x: the features.
        """
        silent = self.table.shape[3] > len(votes.classes)
        heard = votes.voted | (truth >= 0) | silent
        mean, shares = np.maximum(self.table, _tables.LEAST), np.maximum(self.prior, _tables.LEAST)
        regions, belief = self, start

        def expect() -> float:
            nonlocal belief
            where = log_where if gates is None or x is None else gates.log_regions(x)
            assert where is not None
            belief, evidence = regions.expected(votes, where, truth)
            belief[~heard] = 0.0
            told = strength * (mean * np.log(regions.table)).sum()
            if not fixed_prior:
                told += strength * (shares * np.log(np.maximum(regions.prior, _tables.LEAST))).sum()
            return float(evidence[heard].sum() + told - (gates.penalty() if gates is not None else 0.0))

        def step() -> float:
            nonlocal regions, gates
            prior = self.prior if fixed_prior else _tables.normal(belief.sum(axis=0) + strength * shares)
            regions = Regions(self.drawn(votes, belief, strength, None if belief is start else regions), prior)
            if gates is not None and x is not None:
                gates = gates.climbed(x, belief.sum(axis=2))
            return expect()

        values, _ = climb(step, int(heard.sum()), max_iter, tol)
        return Climbed(regions, gates, belief.sum(axis=2), belief.sum(axis=1), values)

    def drawn(self, votes: Votes, belief: Floats, strength: float, likely: Regions | None = None) -> Floats:
        """Return (sources, regions, true, voted) of beliefs (rows, regions, classes), `strength` of these added."""
        s, r, k, said = self.table.shape
        # What a soft vote was, goes by the tables that the beliefs came of.
        logs = None if likely is None else np.log(likely.table).reshape(s, r * k, said)
        counts = _tables.counted(votes, belief.reshape(votes.rows, r * k), logs, abstain=said > k)
        return _tables.normal(counts.reshape(s, r, k, said) + strength * np.maximum(self.table, _tables.LEAST))


@dataclass(frozen=True)
class Climbed:
    """Where EM ended.

    Attributes:
        regions: their tables and class shares.
        gates: None where regions are given.
        share: (rows, regions) posterior of where each row lies; 0 for rows that say nothing.
        belief: (rows, classes) posterior of the true class; 0 for rows that say nothing.
        objective: log-likelihood plus log prior densities, up to a constant, at each step.
    """

    regions: Regions
    gates: Gates | None
    share: Floats
    belief: Floats
    objective: list[float]
