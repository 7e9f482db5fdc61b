"""A metric over rows: which columns it reads, and its scores as columns; a stage, so that it streams and spreads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.readable import HALF, with_readable
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.report.document import MarkedText
from pilotfish.rows._row import Row, Rows, need_columns
from pilotfish.rows.stage import Outcome, Stage

__all__ = ["OfRows", "Scoring", "is_of", "over_columns"]


@dataclass(frozen=True)
class OfRows:
    """A metric of rows.

    Attributes:
        name: in reports, and of the columns that hold its numbers.
        columns: that it reads.
        scores: from rows that have them to scores.
        label: its name with all that changes the numbers.
        settings: what it was made of, as plain data: a run that holds its scores resumes only with the same.
        higher: whether more is better.
        explain: from a row to its texts, with what was found and what was not; None shows the columns as they are.
        learn: from all rows to the metric that has seen them; None where it needs not see them first.
    """

    name: str
    columns: tuple[str, ...]
    scores: Callable[[Sequence[Row]], Scores]
    label: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    higher: bool = True
    explain: Callable[[Row], Sequence[MarkedText]] | None = None
    learn: Callable[[Iterable[Row]], OfRows] | None = None

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)

    def __call__(self, rows: Sequence[Row]) -> Scores:
        """Return the scores of rows.

        Raises:
            DataError: a row lacks a column, or it holds no text.
            ConfigError: the metric has to see all rows first.
        """
        if self.learn is not None:
            raise ConfigError(f"{self.name} goes by what is in all rows: call `fitted` with them first")
        self._check(rows)
        whole = [with_readable(row, self.columns) for row in rows]
        found = self.scores([row for row, _ in whole])
        if not any(changed for _, changed in whole):
            return found
        pairs = zip(whole, found.notes, strict=True)
        notes = ["; ".join(filter(None, [HALF if changed else "", note])) for (_, changed), note in pairs]
        return replace(found, notes=notes)

    def fitted(self, rows: Iterable[Row]) -> OfRows:
        """Return the metric as it is once it has seen all rows; they are gone through once, if at all.

        Raises:
            DataError: there is nothing in them to go by.
        """
        return self if self.learn is None else self.learn(_whole(row) for row in rows)

    def explained(self, row: Row) -> Sequence[MarkedText]:
        """Return a row's texts, with what was found and what was not where the metric can tell.

        Raises:
            DataError: the row lacks a column, or it holds no text.
        """
        self._check([row])
        row, _ = with_readable(row, self.columns)
        if self.explain is not None:
            return self.explain(row)
        return [
            MarkedText(column, [(one, None)])
            for column in self.columns
            for one in ([row[column]] if isinstance(row[column], str) else row[column])
        ]

    def _check(self, rows: Sequence[Row]) -> None:
        for number, row in enumerate(rows, 1):
            need_columns(row, *self.columns, source=f"row {number}")
            for column in self.columns:
                if not _text(row[column]):
                    kind = type(row[column]).__name__
                    raise DataError(f"row {number}: column {column!r} must be a text or a list of texts, not {kind}")


def over_columns(metric: Callable[..., Scores], *columns: str, name: str | None = None, **more: Any) -> OfRows:
    """Return a metric of rows: `over_columns(BertScore(model), "answer", "reference")`.

    A metric that has a method `marked`, of one row's texts, explains rows by it.

    Args:
        metric: of as many lists of texts, in this order.
        columns: that it reads; one may hold lists of texts where the metric takes them, as several references.
        name: in reports; the metric's own by default.
        more: further fields of `OfRows`.
    """

    def scores(rows: Sequence[Row]) -> Scores:
        return metric(*([row[column] for row in rows] for column in columns))

    def explain(row: Row) -> Sequence[MarkedText]:
        found: Sequence[MarkedText] = metric.marked(*(row[column] for column in columns))  # type: ignore[attr-defined]
        return found

    own = str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))
    told = {"label": own, "explain": explain if hasattr(metric, "marked") else None} | more
    return OfRows(name or own, columns, scores, **told)


class Scoring(Stage):
    """Writes a metric's numbers into rows, as columns named by it.

    Args:
        metric: of rows; `fitted`, where it has to see all of them first.
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
        metric = self.metric
        told = {"metric": metric.label, "as": metric.name, "columns": list(metric.columns)}
        return told | ({"settings": dict(metric.settings)} if metric.settings else {})

    def process(self, rows: Rows) -> list[Outcome]:
        """Return the rows with the metric's columns.

        Raises:
            DataError: a row lacks a text.
            ConfigError: a row has a column of the metric's name.
        """
        for row in rows:
            for column in row:
                if is_of(column, self.metric.name):
                    raise ConfigError(f"the rows already have a column {column!r}: name the metric otherwise")
        found = self.metric(rows)
        for kind, count in found.odd().items():
            self.report.add(kind, count)
        return [row | found.row(number, self.metric.name) for number, row in enumerate(rows)]


def is_of(column: str, metric: str) -> bool:
    """Return whether a column has a number, a part or the note of a metric of that name."""
    return column == metric or column.startswith(f"{metric}.")


def _whole(row: Row) -> Row:
    # What is learnt from may be any column.
    return with_readable(row, row)[0]


def _text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
