"""A tree student as a classifier over texts, so that any collaboration takes it: a text is a JSON object of columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.distill.blackbox.students import TreeStudent
from pilotfish.models._table import row_of
from pilotfish.models.classify import TextClassifier

__all__ = ["TableClassifier"]


class TableClassifier(TextClassifier):
    """Trees over rows that come as texts: `{"age": 31, "plan": "basic"}`."""

    def __init__(self, student: TreeStudent) -> None:
        self.student = student

    @property
    def classes_(self) -> list[str]:
        """The labels, sorted."""
        return self.student.classes_

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> TableClassifier:
        """Learn from rows as JSON objects and their labels."""
        self.student.fit([row_of(text) for text in texts], labels)
        return self

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return probabilities in the order of `classes_`: (texts, classes).

        Raises:
            DataError: a text is no JSON object, or lacks a column.
        """
        return self.student.predict_proba([row_of(text) for text in texts])

    def save(self, folder: Path) -> None:
        """Write the trees."""
        self.student.save(folder)

    @classmethod
    def load(cls, folder: str | Path, catalog: Any = None) -> TableClassifier:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no tree student, or a damaged one.
        """
        return cls(TreeStudent.load(folder))
