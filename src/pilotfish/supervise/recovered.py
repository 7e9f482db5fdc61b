"""Performance gap recovered: how much of the way from the weak supervisor to people's labels the strong model comes.

Source: Burns et al. 2023, section 3: PGR = (weak to strong - weak) / (ceiling - weak). It is told as it is: below 0
where the strong model does worse than its supervisor, above 1 where it beats the ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.curve import area
from pilotfish.measure.intervals import Interval, drawn_again, redrawn

__all__ = ["Recovered", "accuracy_of", "auroc_of", "recovered", "when_they_differ"]

Floats = NDArray[np.float64]
Metric = Callable[[Floats], float]


@dataclass(frozen=True)
class Recovered:
    """What was recovered, by one metric, on rows that nothing learnt from.

    Attributes:
        metric: its name.
        weak: of the supervisor.
        strong: of the strong model that it taught.
        ceiling: of the strong model that people's labels taught.
        gain: strong less weak.
        gap: ceiling less weak.
        pgr: gain over gap; None where the gap is within noise.
        hidden: why there is none.
        seeds: trainings of each.
    """

    metric: str
    weak: Interval
    strong: Interval
    ceiling: Interval
    gain: Interval
    gap: Interval
    pgr: Interval | None
    hidden: str
    seeds: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Recovered:
        """Read what `to_json` gave."""
        names = ("weak", "strong", "ceiling", "gain", "gap", "pgr")
        return cls(**{**told, **{name: None if told[name] is None else Interval(**told[name]) for name in names}})

    def __str__(self) -> str:
        told = f"{self.metric}: weak {self.weak:.3f}, weak to strong {self.strong:.3f}, ceiling {self.ceiling:.3f}; "
        return told + (f"PGR {self.pgr:.2f}" if self.pgr is not None else f"no PGR: {self.hidden}")


def recovered(name: str, metric: Metric, weak: Floats, strong: Floats, ceiling: Floats) -> Recovered:
    """Return the gap that was recovered, with intervals that draw seeds and rows again, all three models together.

    Args:
        name: of the metric.
        metric: of (seeds, rows, columns), what each model says of the rows: a number.
        weak: (seeds, rows, columns) of the supervisor.
        strong: the same of the strong model that it taught, seed by seed.
        ceiling: the same of the one that people's labels taught.

    Raises:
        DataError: tables that do not fit together.
    """
    if not weak.shape == strong.shape == ceiling.shape or weak.ndim != 3 or not weak.size:
        raise DataError(f"tables of one shape are needed, not {weak.shape}, {strong.shape} and {ceiling.shape}")
    together = np.stack([weak, strong, ceiling], axis=-1)  # (seeds, rows, columns, 3)

    def values(each: NDArray[Any]) -> tuple[float, ...]:
        w, s, c = (metric(each[..., i]) for i in range(3))
        with np.errstate(divide="ignore", invalid="ignore"):
            return w, s, c, s - w, c - w, float(np.float64(s - w) / np.float64(c - w)) if c != w else float("nan")

    w, s, c, gain, gap, pgr = redrawn(together, values)
    hidden = ""
    if gap.value <= 0:
        hidden = f"the ceiling is not above the weak supervisor ({gap.value:+.4f})"
    elif gap.low <= 0:
        hidden = f"the gap from weak to ceiling is within noise ({gap.value:.4f}, from {gap.low:.4f} to {gap.high:.4f})"
    return Recovered(name, w, s, c, gain, gap, None if hidden else pgr, hidden, len(weak))


def accuracy_of(table: NDArray[Any]) -> float:
    """Return the mean of (seeds, rows, 1) ones and noughts: whether a row is right."""
    return float(table[..., 0].mean())


def auroc_of(table: NDArray[Any]) -> float:
    """Return the mean over seeds of the area under the ROC curve: (seeds, rows, 2), the score and whether it is so."""
    found = [area(each[:, 0], each[:, 1] > 0.5) if 0 < each[:, 1].sum() < len(each) else float("nan") for each in table]
    return float(np.mean(found))


def when_they_differ(strong: Floats, weak: Floats, right: Floats) -> tuple[Interval, int]:
    """Return how often the strong model is right where it says something else than its supervisor, and how many rows.

    Where both always agree there is nothing to tell: not a number.

    Args:
        strong: (seeds, rows) the class it says.
        weak: (seeds, rows) the class its supervisor says.
        right: (seeds, rows) whether the strong model is right.
    """
    apart = strong != weak
    table = np.stack([apart * right, apart], axis=-1).astype(np.float64)

    def share(each: NDArray[Any]) -> float:
        count = each[..., 1].sum()
        return float(each[..., 0].sum() / count) if count else float("nan")

    return drawn_again(table, share), int(apart.sum())
