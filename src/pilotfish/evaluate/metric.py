"""A metric over rows: which columns it reads, and its scores as columns; a stage, so that it streams and spreads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import DataError
from pilotfish.evaluate.scores import Scores
from pilotfish.rows._row import Row, Rows, need_columns
from pilotfish.rows.stage import Outcome, Stage

__all__ = ["OfRows", "Scoring", "over_columns"]


@dataclass(frozen=True)
class OfRows:
    """A metric of rows.

    Attributes:
        name: in reports.
        columns: that it reads.
        scores: from rows that have them to scores.
    """

    name: str
    columns: tuple[str, ...]
    scores: Callable[[Sequence[Row]], Scores]

    def __call__(self, rows: Sequence[Row]) -> Scores:
        """Return the scores of rows.

        Raises:
            DataError: a row lacks a column, or it holds no text.
        """
        for number, row in enumerate(rows, 1):
            need_columns(row, *self.columns, source=f"row {number}")
            for column in self.columns:
                if not _text(row[column]):
                    kind = type(row[column]).__name__
                    raise DataError(f"row {number}: column {column!r} must be a text or a list of texts, not {kind}")
        return self.scores(rows)


def over_columns(metric: Callable[..., Scores], *columns: str, name: str | None = None) -> OfRows:
    """Return a metric of rows: `over_columns(BertScore(model), "answer", "reference")`.

    Args:
        metric: of as many lists of texts, in this order.
        columns: that it reads; one may hold lists of texts where the metric takes them, as several references.
        name: in reports; the metric's own by default.
    """

    def scores(rows: Sequence[Row]) -> Scores:
        return metric(*([row[column] for row in rows] for column in columns))

    own = getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__)
    return OfRows(name or str(own), columns, scores)


class Scoring(Stage):
    """Writes a metric's numbers into rows, as columns named by it.

    Args:
        metric: of rows.
        batch_size: rows that are scored together.
    """

    def __init__(self, metric: OfRows, batch_size: int = 256) -> None:
        self.metric, self.batch_size = metric, batch_size

    @property
    def title(self) -> str:
        """The metric."""
        return f"Scoring({self.metric.name})"

    def config(self) -> dict[str, Any]:
        """See `Stage`."""
        return {"metric": self.metric.name, "columns": list(self.metric.columns)}

    def process(self, rows: Rows) -> list[Outcome]:
        """Return the rows with the metric's columns.

        Raises:
            DataError: a row lacks a text.
        """
        found = self.metric(rows)
        for kind, count in found.odd().items():
            self.report.add(kind, count)
        return [row | found.row(number, self.metric.name) for number, row in enumerate(rows)]


def _text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
