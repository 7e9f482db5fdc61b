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

from pilotfish.compete.tables.measured import above, value_of
from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap

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
    resamples: int = 2000,
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
    table = {name: _table(told, y) for name, told in (*transparent.items(), *opaque.items())}
    other = best or max(opaque, key=lambda name: value_of(measure, table[name]))
    how: dict[str, Any] = {"method": "percentile", "seed": seed, "resamples": resamples}
    worth = {name: bootstrap(rows, lambda some: value_of(measure, some), **how) for name, rows in table.items()}
    told = {**opaque, **transparent}
    return [
        Price(
            name,
            other,
            measure,
            worth[name],
            worth[other],
            above(told[other], told[name], y, measure, seed=seed, resamples=resamples),
        )
        for name in transparent
    ]


def _table(told: Floats, y: Floats) -> Floats:
    return np.concatenate([y[:, None], told[:, None] if told.ndim == 1 else told], axis=1)
