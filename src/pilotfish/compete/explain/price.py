"""What transparency costs: models that can be read through, beside the best opaque one, on the same rows.

Source: the question is Rudin's (2019, Stop Explaining Black Box Machine Learning Models for High Stakes Decisions),
whose claim it is that on many tables the answer is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.tables.measured import value_of
from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval

__all__ = ["Price", "prices"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Price:
    """A transparent model beside an opaque one.

    Attributes:
        name: of the transparent one.
        opaque: of the other.
        measure: what is compared, the higher the better; see `compete.tables.measured.MEASURES`.
        own: what the transparent one is worth.
        other: what the opaque one is worth.
        paid: how much more the opaque one is worth, paired: above 0 something is paid.
    """

    name: str
    opaque: str
    measure: str
    own: Interval
    other: Interval
    paid: Interval

    @property
    def shown(self) -> bool:
        """Whether it is shown that something is paid."""
        return self.paid.low > 0

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def prices(
    transparent: Mapping[str, Floats],
    opaque: Mapping[str, Floats],
    y: Floats,
    measure: str,
    *,
    best: str | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> list[Price]:
    """Return what each transparent model costs beside the best opaque one.

    Args:
        transparent: name -> predictions of the same rows: probabilities (rows, classes), or numbers (rows,).
        opaque: likewise.
        y: (rows,) codes of the classes, or numbers.
        measure: "auc", "accuracy", "log-likelihood"; "r2", "-rmse", "-mae".
        best: the opaque one to compare with, chosen on other rows; None takes the best on these, which flatters it.
        seed: of the bootstrap.
        resamples: of it.

    Raises:
        DataError: no opaque model, or predictions of other rows.
    """
    if not opaque or (best is not None and best not in opaque):
        raise DataError("a price is paid beside an opaque model: name one whose predictions are there")
    if any(len(told) != len(y) for told in (*transparent.values(), *opaque.values())):
        raise DataError("a price is seen on the same rows: as many predictions as there are rows")
    models = {**opaque, **transparent}
    tables = {name: _table(told, y) for name, told in models.items()}
    other = best or max(opaque, key=lambda name: value_of(measure, tables[name]))
    compared = [other, *transparent]
    whole = np.array([value_of(measure, tables[name]) for name in compared])
    rng = np.random.default_rng(seed)
    # The same rows are drawn for all, so what rows have in common cancels in differences.
    drawn = np.array(
        [
            [value_of(measure, tables[name][rows]) for name in compared]
            for rows in (rng.integers(len(y), size=len(y)) for _ in range(resamples))
        ]
    )

    def interval(value: float, draws: Floats) -> Interval:
        low, high = np.quantile(draws, (0.025, 0.975))
        return Interval(value, min(float(low), value), max(float(high), value), 0.95, "paired percentile", len(y))

    return [
        Price(
            name,
            other,
            measure,
            interval(float(whole[place]), drawn[:, place]),
            interval(float(whole[0]), drawn[:, 0]),
            interval(float(whole[0] - whole[place]), drawn[:, 0] - drawn[:, place]),
        )
        for place, name in enumerate(compared)
        if place
    ]


def _table(told: Floats, y: Floats) -> Floats:
    return np.concatenate([y[:, None], told[:, None] if told.ndim == 1 else told], axis=1)
