"""Boosted trees over columns that are numbers or words of a few kinds, taught people's labels of a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.models._table import Table
from pilotfish.models._trees import grown
from pilotfish.rows._row import Row, need_columns
from pilotfish.supervise.sources.scope import Scope
from pilotfish.supervise.sources.taught import Taught

__all__ = ["Trees"]


class Trees(Taught):
    """scikit-learn's histogram gradient boosting on columns of a row.

    Columns of numbers (text that reads as a number too) are taken as they are, others by their values' codes; a value
    that is missing, or that learning never saw, goes the way that learning chose for missing ones.

    Args:
        columns: what it goes by.
        name: as `Taught`.
        rounds: of boosting, a tree a class in each.
        rate: the learning rate.
        leaves: the most leaves of a tree.
        classes: as `Taught`.
        scope: as `Source`.
        least: as `Source`.
        seed: of the trees.

    Attributes:
        table_: how the columns become numbers.
        classes_: the labels that it learnt.

    Raises:
        ConfigError: a setting out of range.
    """

    def __init__(
        self,
        columns: Sequence[str],
        name: str = "trees",
        *,
        rounds: int = 50,
        rate: float = 0.1,
        leaves: int = 15,
        classes: Sequence[str] | None = None,
        scope: Scope | None = None,
        least: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(name, columns, classes=classes, scope=scope, least=least)
        if rounds < 1 or rate <= 0 or leaves < 2:
            told = f"not {rounds}, {rate} and {leaves}"
            raise ConfigError(f"{name}: rounds are 1 or more, the rate above 0, leaves 2 or more: {told}")
        self.rounds, self.rate, self.leaves, self.seed = rounds, rate, leaves, seed

    def _learn(self, rows: Sequence[Row], numbers: Sequence[int], labels: Sequence[str]) -> None:
        self._seen(rows, numbers)
        self.table_ = Table.of(rows, self.columns)
        model = need("sklearn.ensemble", "train").HistGradientBoostingClassifier(
            max_iter=self.rounds,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=max(5, len(rows) // 200),
            l2_regularization=1.0,
            early_stopping=False,
            random_state=self.seed,
        )
        self._model = grown(model, self.table_.matrix(rows), list(labels))
        self.classes_ = [str(label) for label in self._model.classes_]

    def _seen(self, rows: Sequence[Row], numbers: Sequence[int]) -> None:
        for number, row in zip(numbers, rows, strict=True):
            need_columns(row, *self.columns, source=f"row {number}")

    def _shares(self, rows: Sequence[Row], numbers: Sequence[int]) -> tuple[Sequence[str], NDArray[Any]]:
        self._seen(rows, numbers)
        return self.classes_, self._model.predict_proba(self.table_.matrix(rows))
