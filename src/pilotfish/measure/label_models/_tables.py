"""The steps that label models with one table a source share: posteriors from votes, expected counts from posteriors.

A table says how likely each source votes for each class, given the true one. It may have one more column for silence,
which is then a thing to say like any other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.votes import Votes

__all__ = ["counted", "normal", "posterior", "scores", "start"]

Floats = NDArray[np.float64]
# Where a count is raised to before it is divided: a class that was ruled out for good could never come back.
LEAST = 1e-10
# Where a likelihood is raised to before its logarithm is taken.
LOWEST = 1e-300


def scores(votes: Votes, log_table: Floats) -> Floats:
    """Return the log-likelihood of each row's votes in each state: (rows, states). States are true classes, or more.

    A soft vote has the mean of its classes' likelihoods, by its shares: it was one of them, and which is not known.

    Args:
        votes: the votes.
        log_table: (sources, states, voted classes), or one column more for silence.
    """
    s, k, states = len(votes.sources), len(votes.classes), log_table.shape[1]
    found = np.zeros((votes.rows, states))
    table = log_table[:, :, :k]
    if log_table.shape[2] > k:
        # All are silent, and each vote takes its source's silence back.
        silent = log_table[:, :, k]
        found += silent.sum(axis=0)
        table = table - silent[:, :, None]
    found += votes.sure @ np.ascontiguousarray(table.transpose(0, 2, 1)).reshape(s * k, states)
    row, source, shares = votes.unsure
    if len(row):
        likely = np.exp(table)
        for state in range(states):
            mean = (shares * likely[source, state]).sum(axis=1)
            found[:, state] += np.bincount(row, np.log(np.maximum(mean, LOWEST)), votes.rows)
    return found


def posterior(found: Floats, log_prior: Floats, truth: NDArray[np.int64] | None = None) -> tuple[Floats, Floats]:
    """Return (rows, classes) posteriors, and (rows,) log-evidence, from log-likelihoods and the prior.

    Args:
        found: (rows, classes) log-likelihoods.
        log_prior: (classes,).
        truth: (rows,) places of true classes, -1 where not known; a known one is certain, and its evidence is joint.
    """
    # By classes, then rows: reductions over an axis of a few classes are slow where it is the inner one.
    joint = np.ascontiguousarray(found.T) + log_prior[:, None]
    if truth is not None and (known := truth >= 0).any():
        joint[:, known] = np.where(np.arange(len(joint))[:, None] == truth[known], joint[:, known], -np.inf)
    top = joint.max(axis=0)
    joint -= top
    np.exp(joint, out=joint)
    total = joint.sum(axis=0)
    joint /= total
    return np.ascontiguousarray(joint.T), top + np.log(total)


def counted(votes: Votes, belief: Floats, log_table: Floats | None, *, abstain: bool = False) -> Floats:
    """Return how often each source voted what in each state: (sources, states, voted classes [+ silence]).

    Args:
        votes: the votes.
        belief: (rows, states); a row that should not count is nought.
        log_table: the table that the beliefs came of, which says what a soft vote is likely to have been; None leaves
            it at its shares.
        abstain: whether the last column counts the rows on which the source was silent; of one that is silent
            everywhere it counts none, so that its silence says the same in every state: nothing.
    """
    s, k, states = len(votes.sources), len(votes.classes), belief.shape[1]
    found = np.asarray(votes.sure.T @ belief).reshape(s, k, states).transpose(0, 2, 1).copy()
    row, source, shares = votes.unsure
    if len(row):
        likely = np.ones((s, states, k)) if log_table is None else np.exp(log_table[:, :, :k])
        for state in range(states):
            each = shares * likely[source, state]
            each *= (belief[row, state] / np.maximum(each.sum(axis=1), LOWEST))[:, None]
            for label in range(k):
                found[:, state, label] += np.bincount(source, each[:, label], s)
    if abstain:
        said = found.sum(axis=2)
        silent = np.where(said.any(axis=1, keepdims=True), np.maximum(belief.sum(axis=0) - said, 0.0), 0.0)
        found = np.concatenate([found, silent[:, :, None]], axis=2)
    return np.ascontiguousarray(found)


def normal(counts: Floats) -> Floats:
    """Return counts as probabilities over the last axis, none of them exactly nought."""
    raised = np.maximum(counts, LEAST)
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def start(votes: Votes, truth: NDArray[np.int64]) -> Floats:
    """Return what majority says, gold rows clamped, and nought for rows without either: (rows, classes)."""
    found: Floats = votes.counts / np.maximum(votes.counts.sum(axis=1, keepdims=True), LEAST)
    known = truth >= 0
    found[known] = np.eye(len(votes.classes))[truth[known]]
    return found
