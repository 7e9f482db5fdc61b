"""How to advise: budgets, margins, sizes."""

from __future__ import annotations

from dataclasses import dataclass

from pilotfish.compete.curve import COUNTS
from pilotfish.compete.watch import Budget
from pilotfish.errors import ConfigError

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How to advise.

    Attributes:
        margin: the loss of accuracy that does not matter (0.02: two points).
        alpha: the one-sided error rate of each comparison.
        counts: labels a class on the learning curve.
        seeds: draws of the labels for each count.
        shots: examples a label in the few-shot prompt.
        test_rows: the most held-out rows that the large model is asked about.
        calibrate_rows: the most rows kept back for the cascade's threshold that it is asked about.
        unlabelled_rows: the most texts that it labels for a student to learn from: unlabelled ones, then training rows.
        max_seconds: of wall time for the whole; None for no limit.
        max_cost: US dollars for the large model; None for no limit.
        max_memory: bytes of weights that the choice may hold.
        licences: licences that are allowed; empty for any, unknown ones warned of.
        seed: of every draw.
    """

    margin: float = 0.02
    alpha: float = 0.05
    counts: tuple[int, ...] = COUNTS
    seeds: int = 3
    shots: int = 1
    test_rows: int = 500
    calibrate_rows: int = 300
    unlabelled_rows: int = 400
    max_seconds: float | None = None
    max_cost: float | None = None
    max_memory: int | None = None
    licences: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.margin < 0.5:
            raise ConfigError(f"--margin must lie between 0 and 0.5 (0.02 is two points), not {self.margin:g}")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"alpha must lie between 0 and 0.5 (0.05 is usual), not {self.alpha:g}")
        least = {"seeds": 1, "shots": 1, "test_rows": 1, "calibrate_rows": 0, "unlabelled_rows": 0, "seed": 0}
        for name, at_least in least.items():
            if getattr(self, name) < at_least:
                raise ConfigError(f"{name} must be at least {at_least}, not {getattr(self, name)}")
        if any(count < 0 for count in self.counts):
            raise ConfigError(f"counts are labels a class, 0 or more, not {min(self.counts)}")
        Budget(self.max_seconds, self.max_cost)  # which checks them
