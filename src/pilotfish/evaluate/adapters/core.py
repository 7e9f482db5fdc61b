"""What other libraries hand over (a text, its references, the question) as the columns that a metric reads."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.metric import OfRows
from pilotfish.evaluate.scores import Scores
from pilotfish.rows._row import Row

__all__ = ["Adapted"]


@dataclass(frozen=True)
class Adapted:
    """A metric of texts that come without columns.

    Attributes:
        metric: it, `fitted` where it has to see all rows first.
        candidate: the column that it reads the text from.
        reference: the column that it reads references from, if any.
        source: the column that it reads a source from, if any.

    Raises:
        ConfigError: it reads other columns, or has to see all rows first.
    """

    metric: OfRows
    candidate: str = "answer"
    reference: str = "reference"
    source: str = "source"
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (self.candidate, self.reference, self.source)
        for column in self.metric.columns:
            if column not in known:
                raise ConfigError(
                    f"{self.metric.name} reads {column!r}, which is neither of {', '.join(known)}: say which"
                )
        if self.metric.learn is not None:
            raise ConfigError(f"{self.metric.name} goes by what is in all rows: call `fitted` with them first")

    @property
    def reads_references(self) -> bool:
        """Whether it reads references."""
        return self.reference in self.metric.columns

    @property
    def reads_sources(self) -> bool:
        """Whether it reads sources."""
        return self.source in self.metric.columns

    def scores(
        self,
        candidates: Sequence[str],
        references: Sequence[str | Sequence[str]] | None = None,
        sources: Sequence[str | Sequence[str]] | None = None,
    ) -> Scores:
        """Return the scores of texts; one call at a time, whatever thread it comes from.

        Raises:
            DataError: what the metric reads is not there, or columns of different length.
        """
        given: dict[str, Sequence[Any]] = {self.candidate: candidates}
        for wanted, column, texts in (
            (self.reads_references, self.reference, references),
            (self.reads_sources, self.source, sources),
        ):
            if wanted and texts is None:
                raise DataError(f"{self.metric.name} needs {column}s")
            if wanted and texts is not None:
                given[column] = texts
        if len({len(texts) for texts in given.values()}) > 1:
            told = ", ".join(f"{len(texts)} of {column}" for column, texts in given.items())
            raise DataError(f"{self.metric.name}: columns of different length: {told}")
        rows: list[Row] = [
            {column: _plain(texts[number]) for column, texts in given.items()} for number in range(len(candidates))
        ]
        with self._lock:
            return self.metric(rows)

    def figures(self, scores: Scores) -> dict[str, float]:
        """Return a corpus's figures by name: the mean, the ends of its interval, and the means of the parts."""
        name, mean = self.metric.name, scores.mean()
        found = {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
        return found | {f"{name}_{part}": float(column.mean()) for part, column in scores.parts.items()}


def told(scores: Scores, number: int) -> Mapping[str, Any]:
    """Return a row's parts and what was odd about it."""
    parts: dict[str, Any] = {part: float(column[number]) for part, column in scores.parts.items()}
    return parts | ({"note": scores.notes[number]} if scores.notes[number] else {})


def _plain(texts: str | Sequence[str]) -> str | list[str]:
    return texts if isinstance(texts, str) else list(texts)
