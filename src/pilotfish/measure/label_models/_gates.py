"""A binary tree of soft gates: which region of the features a row lies in.

Source: Jordan and Jacobs 1994, Hierarchical mixtures of experts and the EM algorithm, sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need

__all__ = ["Gates"]

Floats = NDArray[np.float64]


@dataclass
class Gates:
    """Logistic gates; node n has the children 2n + 1 and 2n + 2, and the last level leads to the regions.

    Attributes:
        weights: (nodes, features + 1), the last column without a feature; 2**depth - 1 nodes.
        ridge: the penalty of squared weights.
    """

    weights: Floats
    ridge: float

    @property
    def depth(self) -> int:
        """How many gates a row goes through."""
        return (len(self.weights) + 1).bit_length() - 1

    def log_regions(self, x: Floats) -> Floats:
        """Return the log-probability of each region: (rows, 2**depth), of features (rows, features + 1)."""
        found = np.zeros((len(x), 1))
        for level in range(self.depth):
            logits = x @ self.weights[2**level - 1 : 2 ** (level + 1) - 1].T
            both = np.stack([-np.logaddexp(0, -logits), -np.logaddexp(0, logits)], axis=2)
            found = (found[:, :, None] + both).reshape(len(x), -1)
        return found

    def penalty(self) -> float:
        """Return what the objective pays for the weights."""
        return float(self.ridge / 2 * (self.weights[:, :-1] ** 2).sum())

    def split(self, x: Floats, share: Floats, component: int) -> Gates:
        """Return gates one level deeper: each region is cut across one of its own principal components.

        Args:
            x: (rows, features + 1).
            share: (rows, regions) what of each row lies in each region, of rows that count.
            component: which, 0 for the longest.
        """
        new = []
        for region in range(share.shape[1]):
            weight = share[:, region] / max(float(share[:, region].sum()), 1e-12)
            middle = weight @ x[:, :-1]
            centred = (x[:, :-1] - middle) * np.sqrt(weight)[:, None]
            values, vectors = np.linalg.eigh(centred.T @ centred)
            at = max(len(values) - 1 - component, 0)
            axis = vectors[:, at] / np.sqrt(max(float(values[at]), 1e-12))
            axis *= np.sign(axis[np.abs(axis).argmax()]) or 1.0  # eigenvectors have no sign of their own
            new.append(np.concatenate([2 * axis, [-2 * float(axis @ middle)]]))
        return Gates(np.concatenate([self.weights.reshape(-1, x.shape[1]), np.array(new)]), self.ridge)

    def climbed(self, x: Floats, share: Floats, max_iter: int = 10) -> Gates:
        """Return gates that fit (rows, regions) shares better: each node a logistic regression from where it is.

        No node gets worse, so an EM step with this as its M-step never falls.
        """
        optimize = need("scipy.optimize", "train")
        weights = self.weights.copy()
        below = share
        for level in reversed(range(self.depth)):
            pairs = below.reshape(len(x), -1, 2)
            for at in range(2**level):
                node = 2**level - 1 + at
                left, right = pairs[:, at, 0], pairs[:, at, 1]

                def down(w: Floats, left: Floats = left, right: Floats = right) -> tuple[float, Floats]:
                    z = x @ w
                    loss = left @ np.logaddexp(0, -z) + right @ np.logaddexp(0, z)
                    pull = right - (left + right) * np.exp(-np.logaddexp(0, z))
                    slope = x.T @ pull
                    slope[:-1] += self.ridge * w[:-1]
                    return float(loss + self.ridge / 2 * (w[:-1] ** 2).sum()), slope

                found = optimize.minimize(
                    down, weights[node], jac=True, method="L-BFGS-B", options={"maxiter": max_iter}
                )
                if found.fun <= down(weights[node])[0]:
                    weights[node] = found.x
            below = pairs.sum(axis=2)
        return Gates(weights, self.ridge)
