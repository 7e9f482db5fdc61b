"""A model of a table as a folder and as a Model: a JSON object of columns in, a class or a number out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.compete.tables.catboost_file import CatBoostFile
from pilotfish.compete.tables.fitters import Fitted
from pilotfish.compete.tables.linear import Linear
from pilotfish.compete.tables.task import Kind, TableTask
from pilotfish.errors import ModelError
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models._table import Table, row_of
from pilotfish.models.additive import Additive
from pilotfish.models.forest import Forest
from pilotfish.models.rules import RuleList

__all__ = ["FILE", "TableModel", "TableReplies"]

FILE, FORMAT = "table.json", 1
Floats = NDArray[np.float64]


class Inner(Protocol):
    """What answers rows of numbers, and is kept in a folder."""

    def predict(self, x: Floats) -> Floats:
        """Return probabilities (rows, classes), or numbers (rows,)."""

    def save(self, folder: str | Path) -> None:
        """Write it."""


@dataclass(frozen=True, eq=False)
class TableModel:
    """Columns, and what answers from them.

    Attributes:
        table: turns rows into numbers.
        kind: classes or a number.
        classes: in the order of the probabilities.
        inner: trees, an additive or a linear model, a rule list, or CatBoost's own.
        made: what it is, in words.
    """

    table: Table
    kind: Kind
    classes: tuple[str, ...]
    inner: Inner
    made: str = ""

    @classmethod
    def of(cls, task: TableTask, fitted: Fitted, made: str = "") -> TableModel:
        """Return a fitted model with the columns of its task."""
        return cls(task.table, task.kind, task.classes, fitted.kept, made)

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Return probabilities (rows, classes), or numbers (rows,).

        Raises:
            DataError: a row lacks a column.
        """
        return self.inner.predict(self.table.matrix(rows))

    def save(self, folder: str | Path) -> None:
        """Write the model and, last, table.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        self.inner.save(folder)
        facts = {
            "format": FORMAT,
            "inner": next(name for name, kind in _INNER.items() if isinstance(self.inner, kind)),
            "kind": self.kind,
            "classes": list(self.classes),
            "table": self.table.to_json(),
            "made": self.made,
        }
        (folder / FILE).write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> TableModel:
        """Read what `save` wrote.

        Raises:
            ModelError: there is none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, "table model"):
            facts = facts_in(folder / FILE, "table model", FORMAT)
            inner = _INNER[facts["inner"]].load(folder)
            table = Table.from_json(facts["table"])
            found = cls(table, facts["kind"], tuple(map(str, facts["classes"])), inner, str(facts["made"]))
            if facts["kind"] not in ("classes", "number"):
                raise ModelError(f"{folder}: a table model of the kind {facts['kind']!r}")
        return found


_INNER: dict[str, Any] = {
    "forest": Forest,
    "additive": Additive,
    "linear": Linear,
    "catboost": CatBoostFile,
    "rules": RuleList,
}


class TableReplies(WholeReplies):
    """A model of a table as a Model: the last user turn is a JSON object of its columns.

    Of classes the reply is the label, with one entry of `logprobs` as a classifier's; of a number it is the number.
    """

    def __init__(self, table: TableModel, name: str = "table") -> None:
        self.table, self.name = table, name

    async def reply(self, request: Request) -> Reply:
        """Answer a row.

        Raises:
            DataError: the turn is no JSON object, or lacks a column.
        """
        started = time.perf_counter()
        told = self.table.predict([row_of(request.prompt)])[0]
        call = Call(self.name, "table", seconds=time.perf_counter() - started)
        if self.table.kind == "number":
            return Reply(f"{float(told):.10g}", trace=Trace((call,)))
        order = np.argsort(-told, kind="stable").tolist()
        ranked = tuple((self.table.classes[i], math.log(max(float(told[i]), 1e-300))) for i in order)
        return Reply(ranked[0][0], logprobs=(TokenLogprob(*ranked[0], ranked),), trace=Trace((call,)))
