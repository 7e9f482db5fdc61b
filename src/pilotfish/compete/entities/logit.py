"""A conditional logit with a way out: which of some candidates is meant, or none of them.

Source: McFadden 1974 (Conditional logit analysis of qualitative choice behavior), equation 12; NIL as one more choice:
Dredze et al. 2010, section 3. A candidate's utility is w . x, NIL's a number that is learnt with w; probabilities are
their softmax. The loss is convex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import DataError

__all__ = ["Choice", "learnt", "loss", "probabilities"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Choice:
    """A mention to learn from.

    Attributes:
        table: (candidates, features).
        right: the place of the one that is meant; None where it is none of them.
    """

    table: Floats
    right: int | None


def probabilities(table: Floats, weights: Floats, nil: float) -> Floats:
    """Return (candidates + 1,): of each candidate, and last of NIL."""
    utilities = np.append(table @ weights, nil)
    powers = np.exp(utilities - utilities.max())
    return np.asarray(powers / powers.sum())


def loss(choices: Sequence[Choice], parameters: Floats, start: Floats, ridge: float | Floats) -> tuple[float, Floats]:
    """Return the penalised negative log-likelihood and its gradient.

    Args:
        choices: what was chosen.
        parameters: (features + 1,): the weights, then NIL's utility.
        start: what the penalty, ridge / 2 x squared distance, pulls to; alike.
        ridge: its strength, one for all or one a parameter.
    """
    away = parameters - start
    total, slope = float((ridge * away) @ away) / 2, ridge * away
    for choice in choices:
        told = probabilities(choice.table, parameters[:-1], float(parameters[-1]))
        at = len(choice.table) if choice.right is None else choice.right
        total -= float(np.log(max(told[at], 1e-300)))
        told[at] -= 1.0
        slope[:-1] += told[:-1] @ choice.table
        slope[-1] += told[-1]
    return total, slope


def learnt(choices: Sequence[Choice], start: Floats, ridge: float | Floats) -> Floats:
    """Return the parameters of least loss.

    Raises:
        DataError: no choice, or none with a candidate.
    """
    if not any(len(choice.table) for choice in choices):
        raise DataError("a linker learns from mentions that have candidates; none of these has any")
    minimize = need("scipy.optimize", "entities").minimize
    found = minimize(
        lambda parameters: loss(choices, parameters, start, ridge), start, jac=True, method="L-BFGS-B", tol=1e-10
    )
    return np.asarray(found.x, np.float64)
