"""Which examples each step sees: drawn from the seed alone, so that a run that resumes sees what it would have seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pilotfish.errors import DataError
from pilotfish.train.examples import Learnable
from pilotfish.train.settings import Fit

__all__ = ["batches", "planned", "rate_at"]

_BUCKET = 16  # passes whose examples are sorted by length together


def planned(examples: Sequence[Learnable], fit: Fit) -> list[list[list[int]]]:
    """Return the steps; each has its passes, and each pass the numbers of its examples.

    An epoch's examples are shuffled; within stretches of some passes they are sorted by length, so that little of a
    batch is padding, and the passes shuffled again.

    Raises:
        DataError: there is nothing to learn from.
    """
    if not any(example.count for example in examples):
        raise DataError("the examples have no token to predict; nothing can be learnt from them")
    random = np.random.default_rng(fit.seed)
    passes: list[list[int]] = []
    needed = None if fit.steps is None else fit.steps * fit.accumulate
    epoch = 0
    while (needed is not None and len(passes) < needed) or epoch < (fit.epochs if needed is None else 0):
        order = [int(i) for i in random.permutation(len(examples)) if examples[i].count]
        lengths = [len(examples[i].ids) for i in order]
        stretch = max(1, _BUCKET * fit.batch_tokens // max(1, round(float(np.mean(lengths)))))
        for start in range(0, len(order), stretch):
            near = sorted(order[start : start + stretch], key=lambda i: len(examples[i].ids))
            found = batches([len(examples[i].ids) for i in near], fit.batch_tokens)
            passes += [[near[k] for k in found[int(j)]] for j in random.permutation(len(found))]
        epoch += 1
    passes = passes[:needed]
    return [passes[i : i + fit.accumulate] for i in range(0, len(passes), fit.accumulate)]


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return rows, in their order, in groups whose rows x longest stays within the budget (one row may exceed it)."""
    found: list[list[int]] = []
    longest = 0
    for row, length in enumerate(lengths):
        longest = max(longest, length)
        if not found or (len(found[-1]) + 1) * longest > budget:
            found.append([])
            longest = length
        found[-1].append(row)
    return found


def rate_at(step: int, steps: int, fit: Fit) -> float:
    """Return the learning rate of a step, counted from 0."""
    rise = round(fit.warmup * steps)
    if step < rise:
        return fit.rate * (step + 1) / rise
    at = (step - rise) / max(1, steps - rise)
    if fit.schedule == "constant":
        return fit.rate
    return fit.rate * (1 - at if fit.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * at)))
