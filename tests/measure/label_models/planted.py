"""Votes drawn from known parameters, and what models should say of them by enumeration."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.votes import Votes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Planted:
    votes: Votes
    truth: NDArray[np.int64]
    tables: Floats


def crowd(
    rows: int = 3000,
    accuracies: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6, 0.75),
    *,
    k: int = 3,
    silent: float = 0.3,
    seed: int = 0,
) -> Planted:
    """Each source has a table about its accuracy, its errors uneven; a share of the votes is missing at random."""
    dice = np.random.default_rng(seed)
    truth = dice.choice(k, rows, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())
    tables = np.stack([_table(right, k, dice) for right in accuracies])
    table = _drawn(tables, truth, dice)
    table[dice.random(table.shape) < silent] = -1
    return Planted(Votes.from_table(table, classes=range(k)), truth, tables)


def even(
    rows: int = 3000, accuracies: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6, 0.75), *, k: int = 3, seed: int = 0
) -> Planted:
    """As `crowd`, with errors even over the other classes, and classes that are equally frequent."""
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, k, rows)
    right = np.array(accuracies)[:, None, None]
    tables = np.where(np.eye(k, dtype=bool), right, (1 - right) / (k - 1))
    table = _drawn(tables, truth, dice)
    table[dice.random(table.shape) < 0.3] = -1
    return Planted(Votes.from_table(table, classes=range(k)), truth, tables)


def rules(rows: int = 4000, *, seed: int = 0) -> Planted:
    """Eight rules that vote for one of two classes only, and stay silent else: more often where it is the other."""
    dice = np.random.default_rng(seed)
    truth = (dice.random(rows) < 0.4).astype(np.int64)
    tables = np.zeros((8, 2, 3))
    for at in range(8):
        side = at % 2
        tables[at, side, side], tables[at, 1 - side, side] = dice.uniform(0.3, 0.7), dice.uniform(0.02, 0.15)
    tables[:, :, 2] = 1 - tables.sum(axis=2)
    table = _drawn(tables, truth, dice)
    table[table == 2] = -1
    return Planted(Votes.from_table(table, classes=(0, 1)), truth, tables)


def _table(right: float, k: int, dice: np.random.Generator) -> Floats:
    wrong = np.stack([dice.dirichlet(np.ones(k - 1)) for _ in range(k)])
    table = np.full((k, k), 0.0)
    for at in range(k):
        table[at, np.arange(k) != at] = (1 - right) * wrong[at]
        table[at, at] = right
    return table


def _drawn(tables: Floats, truth: NDArray[np.int64], dice: np.random.Generator) -> NDArray[np.int64]:
    edges = tables[:, truth].cumsum(axis=2)
    drawn = (dice.random(edges.shape[:2])[:, :, None] > edges).sum(axis=2)
    found: NDArray[np.int64] = np.minimum(drawn, tables.shape[2] - 1).T.copy()
    return found


def enumerated(votes: Votes, tables: Floats, prior: Floats) -> tuple[Floats, float]:
    """Posterior of each row and the log-likelihood of all votes, by Bayes' rule written out.

    `tables` are (sources, true, voted), one column more where silence is a vote.
    """
    k = len(votes.classes)
    said = {(int(i), int(s)): int(c) for i, s, c in zip(votes.row, votes.source, votes.label, strict=True)}
    found, total = np.zeros((votes.rows, k)), 0.0
    for i in range(votes.rows):
        joint = np.array(prior, np.float64)
        for c, s in product(range(k), range(len(votes.sources))):
            if (i, s) in said:
                joint[c] *= tables[s, c, said[i, s]]
            elif tables.shape[2] > k:
                joint[c] *= tables[s, c, k]
        found[i] = joint / joint.sum()
        total += float(np.log(joint.sum()))
    return found, total
