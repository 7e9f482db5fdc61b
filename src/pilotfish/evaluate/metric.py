"""A metric over rows: which columns it reads, and its scores as columns; a stage, so that it streams and spreads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pilotfish.errors import DataError
from pilotfish.evaluate.scores import Scores
from pilotfish.rows._row import Row, Rows, need_columns
from pilotfish.rows.stage import Outcome, Stage

__all__ = ["OfRows", "Scoring", "by_reference", "by_source"]


class ByReference(Protocol):
    """A metric of candidates and their references: BERTScore, ROUGE."""

    def __call__(
        self,
        candidates: Sequence[str],
        references: Sequence[str | Sequence[str]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Return the scores."""


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


def by_reference(
    metric: ByReference, *, candidate: str = "answer", reference: str = "reference", name: str | None = None
) -> OfRows:
    """Return a metric that compares two columns; the reference's may hold a list of texts.

    Args:
        metric: of candidates and references.
        candidate: the column.
        reference: the column.
        name: in reports; the metric's own by default.
    """

    def scores(rows: Sequence[Row]) -> Scores:
        return metric([row[candidate] for row in rows], [row[reference] for row in rows])

    return OfRows(name or _name(metric), (candidate, reference), scores)


def by_source(
    metric: Callable[[Sequence[str], Sequence[str]], Scores],
    *,
    source: str = "source",
    candidate: str = "answer",
    name: str | None = None,
) -> OfRows:
    """Return a metric of what a text says of its source: BARTScore's faithfulness, say.

    Args:
        metric: of sources and candidates.
        source: the column.
        candidate: the column.
        name: in reports; the metric's own by default.
    """

    def scores(rows: Sequence[Row]) -> Scores:
        return metric([row[source] for row in rows], [row[candidate] for row in rows])

    return OfRows(name or _name(metric), (source, candidate), scores)


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


def _name(metric: Any) -> str:
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))
