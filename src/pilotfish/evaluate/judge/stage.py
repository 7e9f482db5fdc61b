"""A judge as a stage of rows: streams, resumes, spreads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.evaluate.judge.results import Compared, Judged
from pilotfish.rows._describe import describe
from pilotfish.rows._row import Rows, need_columns
from pilotfish.rows.stage import Outcome, Reject, Stage

__all__ = ["Judging"]

BESIDE = ("store", "concurrency", "progress")  # what decides no verdict


class Judging(Stage):
    """Writes a judge's verdicts into rows.

    A row that the judge has no verdict on has None and the reason; one that an endpoint failed goes to the rejects, and
    another run asks about it again. With a store the judge is asked nothing twice within a batch either.

    Args:
        judge: `Pointwise`, `Pairwise` or a `TrainedJudge` (its `judge` for single answers).
        columns: that it reads, in its order: the task, the answer, the other answer or the right one.
        name: of the columns.
        batch_size: rows that are judged together.

    Raises:
        ConfigError: too few columns.
    """

    def __init__(
        self, judge: Callable[..., Judged | Compared], *columns: str, name: str = "judge", batch_size: int = 64
    ) -> None:
        if len(columns) < 2:
            raise ConfigError("a judge reads a task and an answer: name their columns")
        self.judge, self.columns, self.name, self.batch_size = judge, columns, name, batch_size

    @property
    def title(self) -> str:
        """The judge."""
        return f"Judging({self.name})"

    def config(self) -> dict[str, Any]:
        """See `Stage`."""
        judge: Any = getattr(self.judge, "__self__", self.judge)
        if dataclasses.is_dataclass(judge):
            names = [one.name for one in dataclasses.fields(judge) if one.name not in BESIDE]
        else:
            names = [name for name in vars(judge) if not name.endswith("_")]
        told = {name: describe(getattr(judge, name)) for name in names}
        return {"judge": type(judge).__name__, "columns": list(self.columns), "into": self.name, **told}

    def process(self, rows: Rows) -> list[Outcome]:
        """Return the rows with the judge's columns.

        Raises:
            DataError: a row lacks a text.
        """
        for number, row in enumerate(rows, 1):
            need_columns(row, *self.columns, source=f"row {number}")
        told = self.judge(*([row[column] for row in rows] for column in self.columns))
        for kind, count in told.missing.items():
            self.report.add(kind, count)
        found: list[Outcome] = []
        for place, (row, columns) in enumerate(zip(rows, told.columns(self.name), strict=True)):
            found.append(Reject(told.why[place], again=True) if place in told.later else row | columns)
        return found
