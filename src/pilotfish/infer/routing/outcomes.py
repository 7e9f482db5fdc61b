"""What models made of requests: the rows that a router learns from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Outcomes", "number_in"]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Requests, and the quality and cost of every model's answer to each.

    Attributes:
        texts: the requests, as one text each.
        models: the models' names, unique.
        quality: (rows, models), more is better; NaN where a model was not asked.
        cost: (rows, models) US dollars; NaN where it is not known.
    """

    texts: Sequence[str]
    models: tuple[str, ...]
    quality: NDArray[np.float64]
    cost: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = (len(self.texts), len(self.models))
        if self.quality.shape != shape or self.cost.shape != shape:
            raise DataError(
                f"{shape[0]} requests and {shape[1]} models need quality and cost of that shape; "
                f"got {self.quality.shape} and {self.cost.shape}"
            )
        if len(set(self.models)) < len(self.models) or not self.models:
            raise DataError(f"a router needs models with names of their own; got {', '.join(self.models) or 'none'}")
        if np.isinf(self.quality).any() or (self.cost < 0).any() or np.isinf(self.cost).any():
            raise DataError("qualities must be finite, and costs finite and 0 or more")

    @classmethod
    def of(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        text: str,
        quality: Mapping[str, str],
        cost: Mapping[str, str] | None = None,
    ) -> Outcomes:
        """Read rows with a column a model.

        Args:
            rows: the rows; a missing or empty value means that the model was not asked.
            text: the column of the request.
            quality: model -> the column of its quality; true and false count as 1 and 0.
            cost: model -> the column of its cost in dollars.

        Raises:
            DataError: a row without its text, or a value that is no number.
        """
        texts, qualities, costs = [], [], []
        for number, row in enumerate(rows, 1):
            if not isinstance(row.get(text), str):
                raise DataError(f"row {number}: the column {text!r} holds no text")
            texts.append(row[text])
            qualities.append([number_in(row, column, number) for column in quality.values()])
            columns = [(cost or {}).get(name) for name in quality]
            costs.append([float("nan") if column is None else number_in(row, column, number) for column in columns])
        shape = (len(texts), len(quality))
        return cls(texts, tuple(quality), np.array(qualities).reshape(shape), np.array(costs).reshape(shape))

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Outcomes:
        """Return some of the rows."""
        where = np.asarray(rows, np.int64)
        return Outcomes([self.texts[i] for i in where], self.models, self.quality[where], self.cost[where])


def number_in(row: Mapping[str, Any], column: str, number: int) -> float:
    """Return a row's number, NaN where there is none; true and false count as 1 and 0.

    Raises:
        DataError: it is something else; the text names the row by `number`.
    """
    value = row.get(column)
    if value is None or value == "":
        return float("nan")
    try:
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return float(value.strip().lower() == "true")
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"row {number}: the column {column!r} holds {value!r}, which is no number") from None
