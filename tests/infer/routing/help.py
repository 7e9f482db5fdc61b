"""Made-up outcomes: requests about two subjects, models that are good at one, a strong one that is dear."""

from __future__ import annotations

import numpy as np

from pilotfish.infer.routing import Outcomes

MODELS = ("poet", "clerk", "sage")


def made(rows: int = 300, *, seed: int = 0, missing: float = 0.0, graded: bool = False) -> Outcomes:
    """Return outcomes: the poet is good at rhymes, the clerk at sums, the sage at both for ten times the price."""
    rng = np.random.default_rng(seed)
    texts, quality, cost = [], [], []
    for _ in range(rows):
        sums = rng.random() < 0.5
        numbers = " + ".join(str(rng.integers(10, 99)) for _ in range(rng.integers(2, 6)))
        words = " ".join(rng.choice(["moon", "river", "silver", "song", "dawn"], rng.integers(2, 6)))
        texts.append(f"Compute {numbers}" if sums else f"A rhyme on {words}")
        chance = (0.15, 0.9, 0.95) if sums else (0.9, 0.15, 0.95)
        quality.append(chance if graded else [float(rng.random() < one) for one in chance])
        cost.append([1e-4 * len(texts[-1]), 1e-4 * len(texts[-1]), 1e-3 * len(texts[-1])])
    found = np.array(quality, np.float64)
    if missing:
        found[rng.random(found.shape) < missing] = np.nan
    return Outcomes(texts, MODELS, found, np.array(cost))
