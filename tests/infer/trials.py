"""Made-up trials: a score that knows a little of whether the first model is right."""

from __future__ import annotations

import numpy as np

from pilotfish.infer.signals import SIGNALS
from pilotfish.infer.trial import Trials


def made(rows: int, *, seed: int = 0, weak: float = 0.6, strong: float = 0.85, knows: float = 1.0) -> Trials:
    """Return trials of two models whose qualities have these means; more `knows` makes the score tell more."""
    rng = np.random.default_rng(seed)
    right = rng.random(rows) < weak
    better = right | (rng.random(rows) < (strong - weak) / (1 - weak))
    score = knows * right + rng.normal(0, 1, rows)
    grades = np.stack([right, better], axis=1).astype(np.float64)
    costs = np.stack([rng.uniform(1e-5, 2e-5, rows), rng.uniform(1e-3, 3e-3, rows)], axis=1)
    signals = np.stack([score + rng.normal(0, 0.1, rows)] * len(SIGNALS), axis=1)[:, None, :]
    texts = [f"row {i}" for i in range(rows)]
    own = score[:, None]
    return Trials(("small", "large"), texts, grades, costs, costs * 0, own, own * 0, own >= 0.5, signals)
